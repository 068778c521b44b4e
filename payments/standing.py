"""How a merchant's money stands, currency by currency: available, held, on its way in."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from django.db.models import Count, Sum

from merchants.models import Merchant
from payments import currencies, ledger, rates, terms, worth
from payments.currencies import Currency
from payments.models import Address, Operation, OperationStatus
from payments.money import Money
from payments.worth import Worth


@dataclass(frozen=True, slots=True)
class Standing:
    """One currency of a merchant. pending: seen and not yet credited, gross, in the currency it arrives in.

    debt: what the merchant owes after a reversal. enabled: whether programs and payers may use it now.
    """

    currency: Currency
    available: Decimal
    held: Decimal
    debt: Decimal
    pending: Decimal
    enabled: bool
    worth: Worth


def of_merchant(*, merchant: Merchant, now: datetime) -> list[Standing]:
    """Every currency that is enabled or has ever been, in the registry's order."""
    found = {balance.currency: balance for balance in ledger.balances(merchant)}
    enabled = terms.enabled(merchant_id=merchant.pk, now=now)
    pending = pending_in(merchant)
    prices = rates.current(merchant=merchant, now=now)
    codes = sorted(found.keys() | enabled.keys() | pending.keys(), key=lambda code: currencies.get(code).id)
    nothing = Decimal(0)
    standings = []
    for code in codes:
        balance = found.get(code) or ledger.Balance(code, nothing, nothing, nothing)
        total = Money(balance.available + balance.held - balance.debt, code)
        standings.append(
            Standing(
                currency=currencies.get(code),
                available=balance.available,
                held=balance.held,
                debt=balance.debt,
                pending=pending.get(code, nothing),
                enabled=code in enabled,
                worth=worth.of_amounts([total], prices),
            )
        )
    return standings


def pending_in(merchant: Merchant) -> dict[str, Decimal]:
    """What was seen on its way in and is not credited yet, by the currency that arrives."""
    open_ones = Operation.objects.for_merchant(merchant).filter(status=OperationStatus.NOT_CONFIRMED)
    sums = open_ones.order_by().values_list("currency_sent").annotate(total=Sum("amount_sent"))
    return dict(sums)


@dataclass(frozen=True, slots=True)
class InUse:
    """What hangs on a currency that somebody is about to disable."""

    available: Decimal
    held: Decimal
    pending: Decimal
    addresses: int

    def __bool__(self) -> bool:
        return bool(self.available or self.held or self.pending or self.addresses)


def in_use(*, merchant: Merchant, currency: str) -> InUse:
    nothing = Decimal(0)
    balance = next((row for row in ledger.balances(merchant) if row.currency == currency), None)
    taken = Address.objects.for_merchant(merchant).filter(currency=currency)
    return InUse(
        available=balance.available if balance else nothing,
        held=balance.held if balance else nothing,
        pending=pending_in(merchant).get(currency, nothing),
        addresses=taken.aggregate(count=Count("id"))["count"],
    )
