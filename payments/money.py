"""Money: an exact amount of one currency, and the only arithmetic Bursar does with it.

Amounts are `Decimal` in a context of 78 digits that traps every inexact result, so nothing is ever
rounded by accident: rounding is a named call (`rounded_up` for fees, `rounded_down` for credits).
Arithmetic or comparison across currencies raises `CurrencyMismatch`. No float ever enters.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import (
    ROUND_CEILING,
    ROUND_FLOOR,
    Context,
    Decimal,
    DivisionByZero,
    Inexact,
    InvalidOperation,
    Overflow,
)

WIRE_PLACES = 8
"""Decimals of every amount on the wire and in the ledger, fiat included."""

CONTEXT = Context(prec=78, traps=[Inexact, InvalidOperation, DivisionByZero, Overflow])
_ROUNDING = Context(prec=78, traps=[InvalidOperation, DivisionByZero, Overflow])


class CurrencyMismatch(TypeError):
    """Two amounts of different currencies met in one operation."""


@dataclass(frozen=True, slots=True)
class Money:
    """`amount` units of `currency` (a code of `payments.currencies`); may be negative; never NaN."""

    amount: Decimal
    currency: str

    def __post_init__(self) -> None:
        if not isinstance(self.amount, Decimal):
            raise TypeError(f"an amount is a Decimal, not {type(self.amount).__name__}")
        if not self.amount.is_finite():
            raise ValueError("an amount is finite")

    @classmethod
    def zero(cls, currency: str) -> Money:
        return cls(Decimal(0), currency)

    def __add__(self, other: Money) -> Money:
        return Money(CONTEXT.add(self.amount, self._same(other)), self.currency)

    def __sub__(self, other: Money) -> Money:
        return Money(CONTEXT.subtract(self.amount, self._same(other)), self.currency)

    def __neg__(self) -> Money:
        return Money(CONTEXT.minus(self.amount), self.currency)

    def __lt__(self, other: Money) -> bool:
        return self.amount < self._same(other)

    def __le__(self, other: Money) -> bool:
        return self.amount <= self._same(other)

    def __bool__(self) -> bool:
        return self.amount != 0

    def times(self, factor: Decimal) -> Money:
        """The exact product with a plain number (a rate, a percentage as a fraction)."""
        return Money(CONTEXT.multiply(self.amount, factor), self.currency)

    def rounded_up(self, places: int = WIRE_PLACES) -> Money:
        """Towards +infinity at `places` decimals: how fees round."""
        return self._rounded(places, ROUND_CEILING)

    def rounded_down(self, places: int = WIRE_PLACES) -> Money:
        """Towards -infinity at `places` decimals: how credits round."""
        return self._rounded(places, ROUND_FLOOR)

    def _rounded(self, places: int, rounding: str) -> Money:
        step = Decimal(1).scaleb(-places)
        return Money(self.amount.quantize(step, rounding=rounding, context=_ROUNDING), self.currency)

    def _same(self, other: Money) -> Decimal:
        if other.currency != self.currency:
            raise CurrencyMismatch(f"{self.currency} and {other.currency} do not mix")
        return other.amount

    def __str__(self) -> str:
        return f"{self.amount:f} {self.currency}"
