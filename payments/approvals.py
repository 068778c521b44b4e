"""Approvals: a second pair of eyes on withdrawals that wait, bound to exactly what those eyes saw.

Who approves is an Owner, has been for a day, and did not make the request; the database says the last once
more. What is approved is a hash of the content that the page showed. Several are decided at once or not at
all. Declining, and a day without a decision, give the money back; that anybody who may approve may do, the
requester too.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import ROUND_CEILING, Context
from typing import Unpack

from django.db import transaction
from django.db.models import QuerySet

from merchants import audit, clock
from merchants.errors import Refusal
from merchants.models import Membership, Merchant
from merchants.one_line import one_line
from payments import closings, events, movers, rates, transfers
from payments.closings import Closing
from payments.models import FixedSide, Operation, OperationStatus, Withdrawal, WithdrawalState
from payments.processors.base import Pair

DECLINED = "Declined by merchant"
"""The wire's text (gateway contract, withdrawal callbacks)."""
NOT_IN_TIME = "Not approved in time"
LONGEST_REASON = 255
BATCH = 20
_STEP = 100
"""A price may move by one in so many between the request and its approval."""


class NothingChosen(Refusal):
    """Choose at least one withdrawal."""


class ReasonMissing(Refusal):
    """Say why."""

    field = "reason"


class ReasonTooLong(Refusal):
    """A reason has at most {most} characters."""

    field = "reason"


class OwnRequest(Refusal):
    """You asked for withdrawal {number} yourself; another Owner must approve it."""


class AlreadyDecided(Refusal):
    """Withdrawal {number} does not wait any more: it is {state}."""


class TooLate(Refusal):
    """Withdrawal {number} waited for 24 hours and is not approved any more."""


class ContentChanged(Refusal):
    """Withdrawal {number} is not what was shown to you. Look at it again."""


class PriceMoved(Refusal):
    """The price has moved since withdrawal {number} was asked for. Decline it, and ask for it again."""


def waiting(merchant: Merchant) -> QuerySet[Withdrawal]:
    """What the merchant's Owners are to decide on, most urgent first."""
    rows = Withdrawal.objects.for_merchant(merchant).filter(state=WithdrawalState.PENDING)
    related = ("operation", "requested_by", "api_key", "processor")
    return rows.select_related(*related).order_by("expires_at", "operation_id")


def content_hash(withdrawal: Withdrawal) -> str:
    """The hash of what an approver is shown of it, in hex; reads the operation."""
    operation = withdrawal.operation
    amounts = ("amount", "amount_to", "fee", "mining_fee", "held")
    texts = ("currency", "convert_to", "fixed_side", "address", "tag", "limit", "origin", "note", "our_id")
    content = {
        "merchant": withdrawal.merchant_id,
        "processor": withdrawal.processor_id,
        "number": operation.wire_id,
        "kind": str(operation.kind),
        "foreign_id": operation.foreign_id,
        "end_user_reference": operation.end_user_reference,
        "is_internal": withdrawal.is_internal,
        "requested_by": withdrawal.requested_by_id,
        "api_key": withdrawal.api_key_id,
        **{name: _digits(getattr(withdrawal, name)) for name in amounts},
        **{name: None if (text := getattr(withdrawal, name)) is None else str(text) for name in texts},
    }
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


@transaction.atomic
def approve(
    *,
    merchant: Merchant,
    seen: Mapping[int, str],
    by: Membership,
    reason: str,
    now: datetime,
    **how: Unpack[audit.How],
) -> list[Withdrawal]:
    """Lets withdrawals go; seen: by number, the `content_hash` of what was shown. All of them or none.

    Those within the installation are done on return. Raises `NotAllowed`, `NotSettled`, `NothingChosen`,
    `ReasonMissing`, `ReasonTooLong`, `MerchantBlocked`, `MerchantInDebt`, `OwnRequest`, `AlreadyDecided`,
    `TooLate`, `ContentChanged`, `PriceMoved`; `Withdrawal.DoesNotExist` for a number that is not theirs.
    """
    person = movers.demand(merchant=merchant, by=by, permission="withdrawals.approve", now=now)
    why = _reason(reason)
    movers.demand_may_send(merchant)
    rows = _locked(merchant, list(seen))
    for row in rows:
        _demand_waiting(row)
        _demand_approvable(row, person, seen[row.operation.wire_id], now)
        row.decide(by=person.user, reason=why, seen=bytes.fromhex(content_hash(row)), now=now)
        row.advance(WithdrawalState.APPROVED)
        row.operation.advance(status=OperationStatus.PROCESSING, error="", now=now)
    _write(rows)
    _audit("withdrawals.approve", rows, person, now, how)
    events.transactions_changed([row.operation for row in rows])
    closing = Closing(now)
    for row in rows:
        if row.is_internal:
            transfers.settle(row, closing)
    closing.post()
    return rows


@transaction.atomic
def decline(
    *,
    merchant: Merchant,
    numbers: Sequence[int],
    by: Membership,
    reason: str,
    now: datetime,
    **how: Unpack[audit.How],
) -> list[Withdrawal]:
    """Refuses withdrawals and gives the money back; also the requester's own. All of them or none.

    Raises `NotAllowed`, `NothingChosen`, `ReasonMissing`, `ReasonTooLong`, `AlreadyDecided`;
    `Withdrawal.DoesNotExist` for a number that the merchant has not.
    """
    person = movers.demand_allowed(merchant=merchant, by=by, permission="withdrawals.approve")
    why = _reason(reason)
    rows = _locked(merchant, numbers)
    for row in rows:
        _demand_waiting(row)
        row.decide(by=person.user, reason=why, now=now)
    _audit("withdrawals.decline", rows, person, now, how)
    _release(rows, WithdrawalState.DECLINED, DECLINED, now)
    return rows


DUE_SQL = f"""
    SELECT 1 FROM payments_withdrawal WHERE state = 'pending' AND expires_at <= {clock.now_sql()}
"""  # noqa: S608 - constants of ours
"""For whoever rings by what is due: business time, as the sweep's `now` is."""


@transaction.atomic
def expire_due(*, now: datetime, limit: int = BATCH) -> int:
    """Gives the money of up to `limit` withdrawals back that nobody approved in time; returns how many."""
    due = Withdrawal.objects.filter(state=WithdrawalState.PENDING, expires_at__lte=now)
    chosen = due.select_for_update(skip_locked=True, no_key=True).order_by("expires_at", "operation_id")
    rows = closings.locked(pk__in=list(chosen.values_list("pk", flat=True)[:limit]))
    _audit("withdrawals.expire", rows, None, now, {})
    _release(rows, WithdrawalState.EXPIRED, NOT_IN_TIME, now)
    return len(rows)


# --- which ---


def _locked(merchant: Merchant, numbers: Sequence[int]) -> list[Withdrawal]:
    wanted = set(numbers)
    if not wanted:
        raise NothingChosen
    rows = closings.locked(merchant=merchant, operation__wire_id__in=wanted)
    if len(rows) != len(wanted):
        raise Withdrawal.DoesNotExist
    return rows


def _demand_waiting(row: Withdrawal) -> None:
    if row.state != WithdrawalState.PENDING:
        raise AlreadyDecided(number=row.operation.wire_id, state=row.operation.get_status_display().lower())


def _demand_approvable(row: Withdrawal, person: Membership, shown: str, now: datetime) -> None:
    number = row.operation.wire_id
    if row.requested_by_id == person.user_id:
        raise OwnRequest(number=number)
    if row.expires_at is None or row.expires_at <= now:
        raise TooLate(number=number)
    if not hmac.compare_digest(content_hash(row).encode(), shown.lower().encode(errors="replace")):
        raise ContentChanged(number=number)
    if _price_moved(row, now):
        raise PriceMoved(number=number)


def _price_moved(row: Withdrawal, now: datetime) -> bool:
    """Whether an amount that was promised to arrive costs more by now than is held for it.

    The house pays the difference; who may wait for a day and then choose must not choose at its cost.
    """
    if not row.converts or row.fixed_side != FixedSide.RECEIVED or row.amount_to is None:
        return False
    pair = Pair(row.currency, row.convert_to)
    rate = rates.current(merchant=row.operation.merchant, now=now).get(pair)
    if rate is None:
        return True
    pricing = Context(prec=60, rounding=ROUND_CEILING)
    costs = pricing.divide(row.amount_to, rate.price)
    return costs > pricing.add(row.amount, pricing.divide(row.amount, _STEP))


def _reason(text: str) -> str:
    reason = one_line(text)
    if not reason:
        raise ReasonMissing
    if len(reason) > LONGEST_REASON:
        raise ReasonTooLong(most=LONGEST_REASON)
    return reason


def _digits(amount: object) -> str | None:
    return None if amount is None else f"{amount:.8f}"


# --- writing ---


def _write(rows: Sequence[Withdrawal]) -> None:
    Withdrawal.objects.bulk_update(rows, Withdrawal.DECIDING)
    Operation.objects.bulk_update([row.operation for row in rows], Operation.CHANGING)


def _release(rows: Sequence[Withdrawal], state: WithdrawalState, error: str, now: datetime) -> None:
    closing = Closing(now, columns=(*Withdrawal.DECIDING, *Withdrawal.ENDING[1:]))
    for row in rows:
        closing.release(row, state, error=error)
    closing.post()


def _audit(
    act: str,
    rows: Sequence[Withdrawal],
    by: Membership | None,
    now: datetime,
    how: audit.How,
) -> None:
    for row in rows:
        audit.record(
            actor=by.user if by else None,
            act=act,
            merchant=row.operation.merchant,
            subject=row.subject,
            after={
                "number": row.operation.wire_id,
                "foreign_id": row.operation.foreign_id,
                "amount": row.amount,
                "currency": row.currency,
                "address": row.address,
                "tag": row.tag,
                "reason": row.decision_reason,
                "seen": content_hash(row),
            },
            now=now,
            **how,
        )
