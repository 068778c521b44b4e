"""What a merchant's balances are worth together, in one currency. For the eye: nothing is booked by it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from merchants.models import Merchant
from payments import ledger, rates
from payments.models import Rate
from payments.money import Money
from payments.processors.base import Pair

SHOWN_IN = "EUR"
BESIDE_IT = "BTC"


@dataclass(frozen=True, slots=True)
class Worth:
    """total, beside: rounded down to cents and satoshi; beside is None without a price.

    without: currencies that have a balance and no current price; they are not in the total.
    """

    total: Money
    beside: Money | None
    without: list[str]


def of_merchant(*, merchant: Merchant, now: datetime) -> Worth:
    """Available and held of every currency, less what the merchant owes, at the current prices."""
    standing = [
        Money(balance.available + balance.held - balance.debt, balance.currency)
        for balance in ledger.balances(merchant)
    ]
    return of_amounts([money for money in standing if money], rates.current(merchant=merchant, now=now))


def of_amounts(amounts: Sequence[Money], prices: Mapping[Pair, Rate]) -> Worth:
    """The same for given amounts and prices."""
    valued = {money.currency: _in(SHOWN_IN, money, prices) for money in amounts}
    total = sum((money for money in valued.values() if money), Money.zero(SHOWN_IN))
    beside = _in(BESIDE_IT, total, prices)
    return Worth(
        total=total.rounded_down(2),
        beside=beside.rounded_down() if beside else None,
        without=[currency for currency, money in valued.items() if money is None],
    )


def in_eur(money: Money, prices: Mapping[Pair, Rate]) -> Money | None:
    """What `money` is worth in EUR, exact; None without a price."""
    return _in(SHOWN_IN, money, prices)


def _in(target: str, money: Money, prices: Mapping[Pair, Rate]) -> Money | None:
    """At the direct price, or by way of bitcoin where there is none."""
    if money.currency == target:
        return money
    direct = prices.get(Pair(money.currency, target))
    if direct:
        return Money(money.times(direct.price).amount, target)
    by_way = prices.get(Pair(money.currency, BESIDE_IT))
    if not by_way or target == BESIDE_IT:
        return None
    return _in(target, Money(money.times(by_way.price).amount, BESIDE_IT), prices)
