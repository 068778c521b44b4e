"""Top-ups and corrections of a merchant's balance by operators, with four eyes.

One operator asks, another approves; the database refuses an approver who asked. An approved adjustment is
one ledger entry against the house's `adjustment` account, under a key of its own.
"""

from __future__ import annotations

from datetime import datetime
from typing import Unpack

from django.db import transaction

from merchants import audit
from merchants.errors import Refusal
from merchants.models import Merchant, User
from payments import currencies, ledger
from payments.models import Adjustment, AdjustmentStatus
from payments.money import Money


class NotAnOperator(Refusal):
    """Only an operator can adjust balances."""


class OwnRequest(Refusal):
    """Who asked for an adjustment cannot decide on it; another operator must."""


class AlreadyDecided(Refusal):
    """This adjustment was decided before."""


class MovesNothing(Refusal):
    """The amount must not be zero."""

    field = "amount"


class TooFine(Refusal):
    """The amount has more decimals than {currency} has."""

    field = "amount"


class ReasonMissing(Refusal):
    """Say why the balance is adjusted."""

    field = "reason"


@transaction.atomic
def request(
    *,
    merchant: Merchant,
    money: Money,
    reason: str,
    by: User,
    now: datetime,
    **how: Unpack[audit.How],
) -> Adjustment:
    """Asks for `money` (signed) to be put on the merchant's available balance; nothing moves yet."""
    currencies.get(money.currency)
    if not by.is_operator:
        raise NotAnOperator
    if not money:
        raise MovesNothing
    if money.rounded_down() != money:
        raise TooFine(currency=money.currency)
    if not reason.strip():
        raise ReasonMissing
    adjustment = Adjustment.objects.create(
        merchant=merchant,
        currency=money.currency,
        amount=money.amount,
        reason=reason.strip(),
        requested_by=by,
        requested_at=now,
    )
    _audit("adjustments.request", adjustment, by, now, how)
    return adjustment


@transaction.atomic
def approve(*, adjustment_id: int, by: User, now: datetime, **how: Unpack[audit.How]) -> Adjustment:
    """Books the adjustment. Raises `OwnRequest`, `AlreadyDecided`, or `InsufficientFunds` for a debit."""
    adjustment = _decide(adjustment_id, AdjustmentStatus.APPROVED, by, now)
    money = Money(adjustment.amount, adjustment.currency)
    _audit("adjustments.approve", adjustment, by, now, how)
    ledger.post(
        ledger.NewEntry(
            key=f"adjustment:{adjustment.pk}",
            kind="adjustment",
            subject=adjustment.subject,
            occurred_at=now,
            lines=[_to_merchant(adjustment, money), ledger.house(ledger.AccountKind.ADJUSTMENT, -money)],
        )
    )
    return adjustment


@transaction.atomic
def decline(*, adjustment_id: int, by: User, now: datetime, **how: Unpack[audit.How]) -> Adjustment:
    """Refuses the adjustment; nothing is booked."""
    adjustment = _decide(adjustment_id, AdjustmentStatus.DECLINED, by, now)
    _audit("adjustments.decline", adjustment, by, now, how)
    return adjustment


def _decide(adjustment_id: int, status: AdjustmentStatus, by: User, now: datetime) -> Adjustment:
    if not by.is_operator:
        raise NotAnOperator
    adjustment = Adjustment.objects.select_for_update().get(pk=adjustment_id)
    if adjustment.status != AdjustmentStatus.REQUESTED:
        raise AlreadyDecided
    if adjustment.requested_by_id == by.pk:
        raise OwnRequest
    adjustment.decide(status=status, by=by, now=now)
    return adjustment


def _to_merchant(adjustment: Adjustment, money: Money) -> ledger.Line:
    """A credit repays what the merchant owes first; a debit never overdraws."""
    line = ledger.credit if money.amount > 0 else ledger.available
    return line(adjustment.merchant_id, money)


def _audit(act: str, adjustment: Adjustment, by: User, now: datetime, how: audit.How) -> None:
    audit.record(
        actor=by,
        act=act,
        merchant=adjustment.merchant,
        subject=adjustment.subject,
        after={
            "amount": f"{adjustment.amount:f}",
            "currency": adjustment.currency,
            "reason": adjustment.reason,
            "status": adjustment.status,
        },
        now=now,
        **how,
    )
