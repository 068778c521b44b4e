"""Withdrawals in any state, written row by row past the verbs, for trying what the database refuses."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from typing import Any

from django.db import connection, transaction

from merchants.models import ApiKey, Merchant
from payments import ledger
from payments.models import Operation, OperationStatus, Withdrawal, WithdrawalState
from payments.models.account import AccountKind
from payments.money import Money
from tests import factories
from tests.factories import NOW

S = WithdrawalState
OPEN = {S.PENDING, S.APPROVED, S.SENDING, S.SENT, S.UNKNOWN}
SHOWN = {
    S.PENDING: "pending",
    S.APPROVED: "processing",
    S.SENDING: "processing",
    S.SENT: "processing",
    S.UNKNOWN: "processing",
    S.CONFIRMED: "confirmed",
    S.FAILED: "cancelled",
    S.DECLINED: "declined",
    S.EXPIRED: "declined",
}
WAYS = {
    S.PENDING: (),
    S.APPROVED: (),
    S.SENDING: (S.SENDING,),
    S.SENT: (S.SENDING, S.SENT),
    S.UNKNOWN: (S.SENDING, S.UNKNOWN),
    S.CONFIRMED: (S.SENDING, S.SENT, S.CONFIRMED),
    S.FAILED: (S.SENDING, S.FAILED),
    S.DECLINED: (S.DECLINED,),
    S.EXPIRED: (S.EXPIRED,),
}
"""How a row comes to each state from the one that it begins in."""
_numbers = itertools.count(1)


def operation(merchant: Merchant, **columns: Any) -> Operation:
    number = next(_numbers)
    defaults: dict[str, Any] = {
        "wire_id": 900_000 + number,
        "kind": "withdrawal",
        "status": OperationStatus.PROCESSING,
        "processor": factories.processor(),
        "foreign_id": f"wd-{number}",
        "origin": "api",
        "currency_sent": "BTC",
        "amount_sent": Decimal(1),
        "currency_received": "BTC",
        "amount_received": Decimal(1),
        "amount_minus_fee": Decimal(1),
        "created_at": NOW,
        "changed_at": NOW,
    }
    return Operation.objects.create(merchant=merchant, **defaults | columns)


def columns(merchant: Merchant, of: Operation, **other: Any) -> dict[str, Any]:
    """What a withdrawal of 1 BTC with fees of 0.01 and 0.0003 begins with."""
    number = next(_numbers)
    defaults: dict[str, Any] = {
        "operation": of,
        "merchant": merchant,
        "processor": of.processor,
        "state": S.APPROVED,
        "origin": "api",
        "requested_at": NOW,
        "currency": "BTC",
        "amount": Decimal(1),
        "fixed_side": "sent",
        "address": "2Nsomewhere",
        "lookup": "2Nsomewhere",
        "address_wire_id": 800_000 + number,
        "fee": Decimal("0.01"),
        "mining_fee": Decimal("0.0003"),
        "held": Decimal("1.0103"),
        "our_id": f"w-{number}",
    }
    if other.get("origin", "api") == "api" and "api_key" not in other:
        other["api_key"] = ApiKey.objects.filter(merchant=merchant).first() or _key(merchant)
    return defaults | other


def _key(merchant: Merchant) -> ApiKey:
    factories.active_key(merchant)
    return ApiKey.objects.get(merchant=merchant)


def asked(*, limit: str = "", merchant: Merchant | None = None, **other: Any) -> Withdrawal:
    """As it begins: held; pending when a limit says so, else approved."""
    merchant = merchant or factories.merchant()
    state = S.PENDING if limit else S.APPROVED
    with transaction.atomic():
        of = operation(merchant, status=SHOWN[state])
        given = columns(merchant, of, limit=limit, **{"state": state} | other)
        factories.fund(merchant, Money(given["held"], "BTC"))
        withdrawal = Withdrawal.objects.create(**given)
        hold(withdrawal)
    return withdrawal


def hold(withdrawal: Withdrawal) -> None:
    held = withdrawal.holding
    merchant = withdrawal.merchant_id
    _post(withdrawal, "hold", [ledger.available(merchant, -held), ledger.held(merchant, held)])


def close(withdrawal: Withdrawal, *, paid: bool) -> None:
    held, merchant = withdrawal.holding, withdrawal.merchant_id
    there = ledger.house(AccountKind.ADJUSTMENT, held) if paid else ledger.available(merchant, held)
    _post(withdrawal, "close", [ledger.held(merchant, -held), there])


def _post(withdrawal: Withdrawal, what: str, lines: list[ledger.Line]) -> None:
    ledger.post(
        ledger.NewEntry(
            key=f"withdrawal:{withdrawal.operation_id}:{what}",
            kind="test",
            subject=withdrawal.subject,
            occurred_at=NOW,
            lines=lines,
        )
    )


def move(withdrawal: Withdrawal, to: str, **other: Any) -> None:
    """One step with all that belongs to it, past Python."""
    with transaction.atomic():
        if withdrawal.state == S.PENDING and to in {S.APPROVED, S.DECLINED}:
            other = {"decided_by": factories.operator(), "decided_at": NOW, "approved_hash": b"seen"} | other
        if to == S.SENDING:
            other = {"prepared": b"withdrawal/crypto\n{}", "prepared_at": NOW} | other
        Withdrawal.objects.filter(pk=withdrawal.pk).update(state=to, **other)
        shown = Operation.objects.get(pk=withdrawal.pk)
        if shown.status != SHOWN[S(to)]:
            Operation.objects.filter(pk=withdrawal.pk).update(status=SHOWN[S(to)], version=shown.version + 1)
        if to not in OPEN:
            close(withdrawal, paid=to == S.CONFIRMED)
    withdrawal.refresh_from_db()


def standing(state: str, **other: Any) -> Withdrawal:
    """A withdrawal that came to `state` by legal moves."""
    waits = state in {S.PENDING, S.DECLINED, S.EXPIRED}
    withdrawal = asked(limit="one_operation" if waits else "", **other)
    for step in WAYS[S(state)]:
        move(withdrawal, step)
    return withdrawal


@contextmanager
def past_the_triggers() -> Iterator[None]:
    """Only checks and unique keys judge what is written inside."""
    with connection.cursor() as cursor:
        cursor.execute("SET session_replication_role = 'replica'")
        try:
            yield
        finally:
            if not connection.needs_rollback:
                cursor.execute("SET session_replication_role = 'origin'")


@contextmanager
def acting_as(role: str) -> Iterator[None]:
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(f"SET LOCAL ROLE {role}")
        yield
        cursor.execute("RESET ROLE")
