"""The house's open position: what it stands to win or lose by prices that it promised.

Booked is what the house's `conversion` account came to: what processors gave beside what merchants were
promised. Open are exchanges at a promised price whose outcome is not known: the house has bought what it
debited and owes what it promised. Positive is long. Beyond the limit of the settings, in EUR and for each
currency by itself, no further price is promised until operators have evened it out.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from django.conf import settings
from django.db import connection

from merchants.models import Merchant
from payments import ledger, rates, worth
from payments.ledger import AccountKind
from payments.models import Rate
from payments.money import Money
from payments.processors.base import Pair
from payments.rates import NoRate

REMEMBERED_SECONDS = 2.0
"""A process reads the sums at most this often; more precision would promise nothing more."""


@dataclass(frozen=True, slots=True)
class Position:
    """In `currency`; positive is long."""

    currency: str
    booked: Decimal
    open: Decimal

    @property
    def money(self) -> Money:
        return Money(self.booked + self.open, self.currency)

    def in_eur(self, prices: Mapping[Pair, Rate]) -> Money | None:
        """What it is worth; None without a price."""
        return worth.in_eur(self.money, prices)


def of_house() -> list[Position]:
    """Every currency in which something is booked or open, by code."""
    booked, promised = ledger.of_house(AccountKind.CONVERSION), _open()
    nothing = Decimal(0)
    return [
        Position(code, booked.get(code, nothing), promised.get(code, nothing))
        for code in sorted(booked.keys() | promised.keys())
    ]


def demand_room(*, merchant: Merchant, currencies: set[str], now: datetime) -> None:
    """Raises `NoRate` while the position in one of `currencies` is beyond the limit, or its worth unknown."""
    crowded = [one for one in _remembered.read() if one.currency in currencies and one.money]
    if not crowded:
        return
    prices = rates.current(merchant=merchant, now=now)
    for position in crowded:
        value = position.in_eur(prices)
        if value is None or abs(value.amount) > settings.CONVERSION_LIMIT_EUR:
            raise NoRate


def forget() -> None:
    """The sums are read anew when they are next asked for."""
    _remembered.read_at = None


class _Remembered:
    read_at: float | None = None
    positions: tuple[Position, ...] = ()

    def read(self) -> tuple[Position, ...]:
        started = time.monotonic()
        if self.read_at is None or started - self.read_at > REMEMBERED_SECONDS:
            self.positions, self.read_at = tuple(of_house()), started
        return self.positions


_remembered = _Remembered()

_OPEN_SQL = """
SELECT side.currency, sum(side.amount)
  FROM payments_exchange AS x
 CROSS JOIN LATERAL (VALUES (x.source, x.amount), (x.target, -x.amount_to)) AS side (currency, amount)
 WHERE x.quote_id IS NOT NULL AND x.state IN ('processing', 'sending', 'sent', 'unknown')
 GROUP BY side.currency HAVING sum(side.amount) <> 0
"""


def _open() -> dict[str, Decimal]:
    with connection.cursor() as cursor:
        cursor.execute(_OPEN_SQL)
        return dict(cursor.fetchall())
