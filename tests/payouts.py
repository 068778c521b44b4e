"""Withdrawals as tests make them: a merchant with a bitcoin, an order to an address elsewhere."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection, transaction
from django.db.models import Sum
from django.db.models.functions import Now

from merchants import team
from merchants.errors import Refusal
from merchants.models import ApiKey, Membership, Merchant
from merchants.roles import Role
from payments import (
    address_formats,
    addresses,
    approvals,
    closings,
    currencies,
    ledger,
    limits,
    payouts,
    withdrawals,
)
from payments.ledger import AccountKind
from payments.models import Address, Operation, Origin, Processor, Rate, Withdrawal
from payments.models.account import Account
from payments.models.entry import Entry, Posting
from payments.money import Money
from tests import factories
from tests.desk import person
from tests.factories import NOW, money


def elsewhere(currency: str, seed: str = "elsewhere") -> str:
    """An address of the currency's network that is nobody's here."""
    spelling = currencies.get(currency).address_format or ""
    return address_formats.make(spelling, seed.encode(), testnet=True)


ELSEWHERE = {code: elsewhere(code) for code in ("BTC", "ETH", "LTC", "XRP", "USDTE")}


def merchant(funds: str = "1", **options: Any) -> Merchant:
    """A merchant that may withdraw bitcoin at 0.3 % and 0.0001, and has `funds` of it."""
    made = factories.merchant(**options)
    factories.processor()
    enable(made, "BTC", funds, withdrawal_mining_fee=Decimal("0.0001"))
    return made


def enable(merchant: Merchant, currency: str, funds: str, **prices: Any) -> None:
    fees = {"withdrawal_fee_percent": Decimal("0.003")}
    factories.terms(currency, merchant=merchant, **fees | prices)
    if Decimal(funds):
        factories.fund(merchant, money(funds, currency))


def key_id(merchant: Merchant) -> int:
    """An active API key of the merchant."""
    active = ApiKey.objects.active().filter(merchant=merchant).first()
    if active is not None:
        return active.pk
    public, _ = factories.active_key(merchant)
    return ApiKey.objects.get(public_key=public).pk


def owner(merchant: Merchant, role: Role = Role.OWNER, *, settled: bool = True) -> Membership:
    """Somebody on the team, since long before the tests' moment or only just."""
    user = person()
    user.settled_at = NOW - timedelta(days=30)
    user.save()
    return team.add(merchant=merchant, user=user, role=role, now=NOW, settled=settled)


def order(**given: Any) -> withdrawals.Order:
    """An order for 0.1 BTC to an address elsewhere."""
    currency = given.get("convert_to") or given.get("currency", "BTC")
    for name in ("amount", "amount_to"):
        if isinstance(given.get(name), str):
            given[name] = Decimal(given[name])
    defaults = {
        "foreign_id": f"w-{next(factories._numbers)}",
        "currency": "BTC",
        "address": ELSEWHERE.get(currency, ELSEWHERE["BTC"]),
        "amount": Decimal("0.1"),
    }
    return withdrawals.Order(**defaults | given)


_ASKING = ("origin", "by", "api_key_id", "now", "ip", "second_factor")


def ask(merchant: Merchant, **given: Any) -> Operation:
    """Requests a withdrawal, by an API key of the merchant unless told otherwise."""
    asking = {name: given.pop(name) for name in _ASKING if name in given}
    asking = {"origin": Origin.API, "now": NOW} | asking
    if asking["origin"] == Origin.API and "api_key_id" not in asking:
        asking["api_key_id"] = key_id(merchant)
    return withdrawals.request(merchant=merchant, order=order(**given), **asking)


def approve(*operations: Operation, by: Membership | None = None, **options: Any) -> list[Withdrawal]:
    """Approves what was shown a moment ago, as an Owner of the merchant."""
    first = operations[0].merchant
    seen = {one.wire_id: approvals.content_hash(one.withdrawal) for one in operations}
    defaults = {"by": by or owner(first), "reason": "expected", "now": NOW}
    return approvals.approve(merchant=first, seen=seen, **defaults | options)


def sent(operation: Operation) -> Withdrawal:
    """As if the sender had handed it over, by its own right."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(
            "UPDATE payments_withdrawal SET state = 'sending', prepared = '\\x00', prepared_at = now(),"
            " submitted_at = now() WHERE operation_id = %s",
            [operation.pk],
        )
    return Withdrawal.objects.select_related("operation").get(pk=operation.pk)


def limit(merchant: Merchant, *, origin: str = Origin.API, currency: str = "", **bounds: Any) -> None:
    amounts = {name: Decimal(bound) if isinstance(bound, str) else bound for name, bound in bounds.items()}
    limits.set_limit(merchant=merchant, origin=origin, currency=currency, by=person(), now=NOW, **amounts)


def price(source: str, target: str, price: str, *, minimum: str | None = None) -> Rate:
    """The processor's fresh price of a pair; any other is past."""
    upstream = factories.processor()
    Rate.objects.filter(processor=upstream, source=source, target=target).update(is_current=False)
    return Rate.objects.create(
        processor=upstream,
        source=source,
        target=target,
        price=Decimal(price),
        minimum=Decimal(minimum) if minimum else None,
        quoted_at=Now(),
        seen_at=Now(),
    )


def stale(source: str, target: str) -> None:
    Rate.objects.filter(source=source, target=target).update(seen_at=Now() - timedelta(minutes=2))


def address_of(merchant: Merchant, currency: str = "BTC", **options: Any) -> Address:
    """A deposit address of the merchant with a checksum that holds."""
    text = elsewhere(currency, f"of-{next(factories._numbers)}")
    spelled = {"address": text, "lookup": addresses.lookup(currency, text)}
    return factories.address(merchant, currency, **spelled | options)


def free_address() -> Address:
    """An address of the pool."""
    text = elsewhere("BTC", "free")
    return Address.objects.create(
        processor=factories.processor(), currency="BTC", address=text, lookup=text, issued_at=NOW
    )


def no_route() -> None:
    """No processor that works takes withdrawals."""
    Processor.objects.update(is_active=False)


def indebt(merchant: Merchant, owed: Money) -> None:
    """A deposit was taken back after it had been spent."""
    with transaction.atomic():
        ledger.post(
            ledger.NewEntry(
                key=f"debt:{next(factories._numbers)}",
                kind="test",
                subject="test",
                occurred_at=NOW,
                lines=[ledger.reclaim(merchant.pk, owed), ledger.house(AccountKind.ADJUSTMENT, owed)],
            )
        )


def balance(merchant: Merchant, currency: str = "BTC") -> ledger.Balance:
    rows = [row for row in ledger.balances(merchant) if row.currency == currency]
    return rows[0] if rows else ledger.Balance(currency, Decimal(0), Decimal(0), Decimal(0))


def booked(kind: AccountKind, currency: str = "BTC") -> Decimal:
    """The sum of an account of the house or the processors."""
    postings = Posting.objects.filter(account__kind=kind, currency=currency)
    return postings.aggregate(total=Sum("amount"))["total"] or Decimal(0)


def everything(merchant: Merchant) -> object:
    """All that a refusal must leave as it was."""
    return (
        list(Operation.objects.order_by("pk").values()),
        list(Withdrawal.objects.order_by("pk").values()),
        list(Account.objects.filter(merchant=merchant, seq__gt=0).order_by("pk").values()),
        Entry.objects.count(),
        Posting.objects.count(),
    )


@contextmanager
def refused_whole(
    merchant: Merchant, refusal: type[Refusal], sentence: str | None = None
) -> Iterator[pytest.ExceptionInfo[Any]]:
    """Inside, `refusal` is raised, and afterwards everything is as it was."""
    before = everything(merchant)
    with pytest.raises(refusal) as caught:
        yield caught
    assert everything(merchant) == before
    if sentence is not None:
        assert str(caught.value) == sentence


def fail(withdrawal: Withdrawal) -> None:
    """The processor refused it."""
    with transaction.atomic():
        (locked,) = closings.locked(pk=withdrawal.pk)
        payouts.fail(withdrawal=locked, error="", now=NOW)
