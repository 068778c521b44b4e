"""What is booked: entries and their lines, and the one word for each kind of line."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

from merchants.errors import Refusal
from payments.models.account import AccountKind
from payments.money import Money


class InsufficientFunds(Refusal):
    """Not enough money on balance"""

    field = "amount"


class Unbalanced(ValueError):
    """An entry that does not sum to zero; a fault of ours, caught before the database would refuse it."""


class AccountKey(NamedTuple):
    """Names one account: a merchant's, a processor's, or (with neither id) the house's."""

    merchant_id: int | None
    processor_id: int | None
    currency: str
    kind: str


@dataclass(frozen=True, slots=True)
class Line:
    """`money` (signed) on one account.

    spills: on a merchant's available balance, a credit repays the merchant's debt first, and a debit
    beyond the balance becomes debt; which part is which is decided under the lock.
    """

    kind: AccountKind
    money: Money
    merchant_id: int | None = None
    processor_id: int | None = None
    spills: bool = False

    @property
    def key(self) -> AccountKey:
        return AccountKey(self.merchant_id, self.processor_id, self.money.currency, self.kind)

    @property
    def debt_key(self) -> AccountKey:
        return self.key._replace(kind=AccountKind.RECEIVABLE)


@dataclass(frozen=True, slots=True)
class NewEntry:
    """An entry to be booked. key: what makes it once; subject: 'operation:17'; occurred_at: business time."""

    key: str
    kind: str
    subject: str
    occurred_at: datetime
    lines: Sequence[Line] = field(default_factory=tuple)


def credit(merchant_id: int, money: Money) -> Line:
    """Money for a merchant: repays what the merchant owes us, the rest becomes available."""
    return Line(AccountKind.AVAILABLE, money, merchant_id=merchant_id, spills=True)


def reclaim(merchant_id: int, money: Money) -> Line:
    """Takes back `money` (positive) that was credited: available down to zero, the rest becomes debt."""
    return Line(AccountKind.AVAILABLE, -money, merchant_id=merchant_id, spills=True)


def available(merchant_id: int, money: Money) -> Line:
    """A change of the available balance that refuses to overdraw it."""
    return Line(AccountKind.AVAILABLE, money, merchant_id=merchant_id)


def held(merchant_id: int, money: Money) -> Line:
    return Line(AccountKind.HELD, money, merchant_id=merchant_id)


def house(kind: AccountKind, money: Money) -> Line:
    return Line(kind, money)


def at_processor(processor_id: int, money: Money, kind: AccountKind = AccountKind.AT_PROCESSOR) -> Line:
    return Line(kind, money, processor_id=processor_id)
