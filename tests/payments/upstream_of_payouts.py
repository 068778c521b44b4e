"""What tests of payouts stand on: a merchant with money, approved withdrawals, a scripted processor."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import replace
from decimal import Decimal
from typing import Any

from django.db import connection, transaction

from merchants.models import Membership, Merchant, User
from merchants.roles import Role
from payments import address_formats, approvals, controls, limits, payouts, rates, sending, terms, withdrawals
from payments.models import Origin, Withdrawal
from payments.money import Money
from payments.processors.base import (
    Accepted,
    CannotTell,
    Capabilities,
    Pair,
    Payout,
    PayoutNotice,
    PayoutStatus,
    Prepared,
    Quote,
    Refused,
    Unreachable,
)
from payments.withdrawals import Order
from tests import factories
from tests.constraints import judge_now
from tests.desk import person
from tests.factories import NOW, money

ADDRESS = address_formats.make("bitcoin", b"a customer", testnet=True)
_numbers = itertools.count(1)


class Killed(BaseException):
    """The process ends here: no code of ours runs after it but the next process's."""


class Payer:
    """A processor's outbound side that keeps a list of what it paid.

    Each `submit` takes the next act of `script` (accepting when there is none) and counts in `paid` what
    was taken; `told` is what `find` answers.
    """

    capabilities = Capabilities(
        pools=True,
        converts=True,
        pushes=True,
        watches=False,
        resubmit_is_safe=False,
        not_found_is_final=False,
        needs_customer=False,
    )

    def __init__(self, *script: Callable[[Payer, Prepared], Accepted], **capabilities: bool) -> None:
        self.capabilities = replace(self.capabilities, **capabilities)
        self.script = list(script)
        self.submitted: list[bytes] = []
        self.paid: Counter[str] = Counter()
        self.asked = 0
        self.told: Any = CannotTell("no answer")
        self.lying: list[Money] = []

    def prepare(self, order: Payout) -> Prepared:
        text = f"{order.our_id} {order.amount.amount:f} {order.amount.currency} {order.address}"
        return Prepared(our_id=order.our_id, blob=text.encode())

    def submit(self, prepared: Prepared) -> Accepted:
        assert not connection.savepoint_ids  # no transaction is open but the test's own
        self.submitted.append(prepared.blob)
        return (self.script.pop(0) if self.script else accepts)(self, prepared)

    def find(self, prepared: Prepared) -> Any:
        self.asked += 1
        if isinstance(self.told, Exception):
            raise self.told
        return self.told

    def balances(self) -> list[Money]:
        if isinstance(self.told, Exception):
            raise self.told
        return self.lying

    def pay(self, prepared: Prepared) -> None:
        self.paid[prepared.our_id] += 1


# --- what a submit may come to ---


def accepts(payer: Payer, prepared: Prepared) -> Accepted:
    payer.pay(prepared)
    return Accepted(external_id=f"up-{prepared.our_id}", status=PayoutStatus.PROCESSING)


def refuses(payer: Payer, prepared: Prepared) -> Accepted:
    raise Refused("The amount must be at least 0.0001.", "amount")


def is_cut_off(payer: Payer, prepared: Prepared) -> Accepted:
    """Paid, and the answer lost: a hang, a reset, a 502, a truncated answer, rubbish, "already used"."""
    payer.pay(prepared)
    raise Unreachable("withdrawal/crypto: 502")


def breaks(payer: Payer, prepared: Prepared) -> Accepted:
    """Paid, and the connector falls over the answer in a way that nobody thought of."""
    payer.pay(prepared)
    raise KeyError("data")


def dies_before(payer: Payer, prepared: Prepared) -> Accepted:
    raise Killed


def dies_after(payer: Payer, prepared: Prepared) -> Accepted:
    payer.pay(prepared)
    raise Killed


def calls_back_first(status: PayoutStatus, then: Callable[..., Accepted]) -> Callable[..., Accepted]:
    """The processor's callback is applied before its answer arrives."""

    def act(payer: Payer, prepared: Prepared) -> Accepted:
        hears(prepared.our_id, status)
        return then(payer, prepared)

    return act


def notice(our_id: str, status: PayoutStatus, **options: Any) -> PayoutNotice:
    row = Withdrawal.objects.get(our_id=our_id)
    return PayoutNotice(our_id, f"up-{our_id}", status, paid=row.money, received=row.pays, **options)


def hears(our_id: str, status: PayoutStatus, **options: Any) -> None:
    """The worker applies the processor's callback."""
    with transaction.atomic():
        payouts.record_many(
            processor=factories.processor(), notices=[notice(our_id, status, **options)], now=NOW
        )


# --- who pays out, and what ---


def payer_out(amount: str = "10") -> Merchant:
    """A merchant with BTC to spend, and prices to reckon by."""
    shop, processor = factories.merchant(), factories.processor()
    factories.terms("BTC")
    terms.enable(merchant=shop, currency="BTC", now=NOW)
    rates.keep(
        processor=processor,
        quotes=[
            Quote(Pair("BTC", "EUR"), Decimal(50_000), None, None),
            Quote(Pair("EUR", "BTC"), Decimal("0.00002"), None, None),
        ],
    )
    factories.fund(shop, money(amount))
    return shop


def owner(shop: Merchant, role: Role = Role.OWNER) -> Membership:
    user = person(shop, role)
    settled(user)
    return Membership.objects.select_related("user").get(merchant=shop, user=user)


def operator() -> User:
    user = factories.operator()
    settled(user)
    return user


def settled(user: User) -> None:
    """The person has been who they are for long, by the tests' time."""
    Membership.objects.filter(user=user).update(settled_at=NOW)
    User.objects.filter(pk=user.pk).update(settled_at=NOW)
    user.refresh_from_db()


def approved(shop: Merchant, amount: str = "0.1", **options: Any) -> Withdrawal:
    """A withdrawal of a program that is within the limits."""
    if not shop.api_keys.exists():
        factories.active_key(shop)
    order = Order(
        foreign_id=f"w-{next(_numbers)}",
        currency="BTC",
        address=options.pop("address", ADDRESS),
        amount=Decimal(amount),
        **options,
    )
    made = withdrawals.request(
        merchant=shop, order=order, origin=Origin.API, api_key_id=shop.api_keys.first().pk, now=NOW
    )
    return Withdrawal.objects.get(pk=made.pk)


def approved_by_hand(shop: Merchant, by: Membership, amount: str = "0.1") -> Withdrawal:
    """A withdrawal of a program that waited and was approved."""
    limits.set_limit(merchant=shop, origin=Origin.API, everything=True, by=by.user, now=NOW)
    row = approved(shop, amount)
    seen = {row.operation.wire_id: approvals.content_hash(row)}
    approvals.approve(merchant=shop, seen=seen, by=by, reason="looked at it", now=NOW)
    row.refresh_from_db()
    return row


def send(payer: Payer, now: Any = NOW) -> int:
    return sending.send_due(processor=factories.processor(), outbound=payer, now=now)


def ask(payer: Payer, now: Any = NOW) -> int:
    return sending.ask_due(processor=factories.processor(), outbound=payer, now=now)


def time_to_ask() -> None:
    """The lease, or the time until the next question, is over."""
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE payments_withdrawal SET next_ask_at = now() - interval '1 second'"
            " WHERE next_ask_at IS NOT NULL"
        )


@contextmanager
def as_role(name: str) -> Any:
    """Everything within is said with the rights of that database role."""
    with connection.cursor() as cursor:
        cursor.execute(f"SET ROLE {name}")
    try:
        yield
    finally:
        with connection.cursor() as cursor:
            cursor.execute("RESET ROLE")


def meddle(*statements: str) -> None:
    """What somebody with the database's superuser could do, past every trigger and constraint."""
    judge_now()
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL session_replication_role = 'replica'")
        for statement in statements:
            cursor.execute(statement)
        cursor.execute("SET LOCAL session_replication_role = 'origin'")


def capped(merchant: Merchant | None = None, currency: str = "BTC", **amounts: str) -> None:
    """What is not named has no cap."""
    bounds = {"one_operation": None, "per_hour": None, "per_day": None}
    given = {name: Decimal(amount) for name, amount in amounts.items()}
    controls.set_cap(merchant=merchant, currency=currency, **bounds | given, by="ops", now=NOW)
