"""The last hop: approved withdrawals are handed to their processor, each at most once.

The sender alone runs this. The exact bytes of an order are stored and committed before they leave, under an
id that the processor takes once; what is cleared is judged in that same transaction. Then they are submitted,
with no transaction open. Only a definite refusal gives the money back: whatever else happens, the death of
the process included, leaves the outcome `unknown`, the money held, and the question open until the processor
or two people answer it. Nothing is submitted twice, unless its processor promises that this is safe.
"""

from __future__ import annotations

import logging
from datetime import datetime

from django.db import DatabaseError, connection, transaction

from payments import alerts, approvals, breaker, clearance, closings, controls, payouts
from payments.deposit_rules import Contradiction
from payments.models import Processor, Withdrawal, WithdrawalState
from payments.models.withdrawal import IN_FLIGHT
from payments.processors.base import (
    Accepted,
    CannotTell,
    NotFound,
    Notice,
    Outbound,
    PayoutNotice,
    Prepared,
    Refused,
)

log = logging.getLogger(__name__)

LEASE_SECONDS = 60
"""From committing an order until it is taken that its process died: more than any exchange may last."""
ASK_SECONDS = (10, 30, 60, 120, 300, 600)
"""From one question about an order to the next; the last for ever."""
_LONGEST_REASON = 255

SEND_DUE_SQL = """
    SELECT 1 FROM payments_withdrawal w JOIN payments_processor p ON p.id = w.processor_id AND p.is_active
     WHERE w.state = 'approved' AND NOT w.is_internal
       AND (w.next_ask_at IS NULL OR w.next_ask_at <= statement_timestamp())
       AND NOT EXISTS (SELECT 1 FROM payments_stop s WHERE s.lifted_at IS NULL
                          AND (s.merchant_id IS NULL OR s.merchant_id = w.merchant_id))
"""
ASK_DUE_SQL = """
    SELECT 1 FROM payments_withdrawal
     WHERE state IN ('sending', 'sent', 'unknown') AND next_ask_at <= statement_timestamp()
"""
"""For whoever rings by what is due."""


def send_due(*, processor: Processor, outbound: Outbound, now: datetime) -> int:
    """Hands the oldest approved withdrawal of a processor over, or puts it off; 0 when none is due.

    One at a time: what waits behind a slow exchange is judged when its turn comes, and a stop holds it.
    """
    found = _next(processor)
    if found is None:
        return 0
    try:
        prepared = outbound.prepare(payouts.order_of(found))
    except Exception as error:
        log.exception("%s cannot be prepared", found)
        objection = clearance.Objection(f"No order can be made of it: {error}", "altered", 600)
        with transaction.atomic(durable=True):
            row = _locked(found.operation_id, WithdrawalState.APPROVED)
            if row is not None:
                _put_off(row, objection, now)
        return 1
    if _begin(found, prepared, now):
        _hand_over(found.operation_id, prepared, outbound, now)
    return 1


def ask_due(*, processor: Processor, outbound: Outbound, now: datetime) -> int:
    """Asks what became of one order whose outcome is open; 0 when none is due."""
    asked = _claim(processor)
    if asked is None:
        return 0
    prepared = Prepared(asked.our_id, bytes(asked.prepared or b""), asked.external_id)
    if asked.state == WithdrawalState.SENDING:
        if outbound.capabilities.resubmit_is_safe:
            _hand_over(asked.operation_id, prepared, outbound, now)
            return 1
        _become_unknown(asked.operation_id, "The process that sent it ended before it was answered.", now)
    try:
        told = outbound.find(prepared)
    except Exception as error:  # noqa: BLE001 - a question that fails is no answer
        told = CannotTell(f"{type(error).__name__}: {error}")
    _hear(asked.operation_id, told, outbound, now)
    return 1


# --- beginning ---


def _next(processor: Processor) -> Withdrawal | None:
    """The oldest that is due; merely read, since its order is made before anything is locked."""
    found = Withdrawal.objects.raw(_NEXT, [processor.pk])
    return next(iter(found), None)


_NEXT = """
SELECT * FROM payments_withdrawal w
 WHERE w.state = 'approved' AND NOT w.is_internal AND w.processor_id = %s
   AND (w.next_ask_at IS NULL OR w.next_ask_at <= statement_timestamp())
   AND NOT EXISTS (SELECT 1 FROM payments_stop s WHERE s.lifted_at IS NULL
                      AND (s.merchant_id IS NULL OR s.merchant_id = w.merchant_id))
 ORDER BY w.operation_id LIMIT 1
"""


def _begin(found: Withdrawal, prepared: Prepared, now: datetime) -> bool:
    """Commits that the order may leave from now on; False when something stands against it."""
    with transaction.atomic(durable=True):
        controls.one_at_a_time()
        row = _locked(found.operation_id, WithdrawalState.APPROVED)
        if row is None:  # another process took it, or it was decided otherwise
            return False
        objection = clearance.objection(row, now=now)
        if objection is None and approvals.content_hash(row) != approvals.content_hash(found):
            objection = clearance.Objection("It changed while its order was made.", "altered")
        if objection is not None:
            _put_off(row, objection, now)
            return False
        _write(
            row.operation_id,
            state=str(WithdrawalState.SENDING),
            prepared=prepared.blob,
            prepared_at=now,
            submitted_at=now,
            asks=0,
            wait=LEASE_SECONDS,
        )
        alerts.settle(keys=[_about(row, "altered"), *_caps_that_are_over(row)], now=now)
    return True


def _caps_that_are_over(row: Withdrawal) -> list[str]:
    """Of the merchant's caps in this currency people are told once, while any withdrawal waits for one."""
    waiting = Withdrawal.objects.for_merchant(row.merchant_id).filter(
        state=WithdrawalState.APPROVED, currency=row.currency, next_ask_at__isnull=False
    )
    return [] if waiting.exclude(pk=row.pk).exists() else [_about(row, "cap")]


def _put_off(row: Withdrawal, objection: clearance.Objection, now: datetime) -> None:
    """It stays approved and is looked at again later; people are told where they would not see it."""
    log.info("%s is not sent: %s", row, objection.reason)
    _write(row.operation_id, wait=objection.wait)
    if objection.kind:
        alerts.raise_once(
            kind=objection.kind,
            key=_about(row, objection.kind),
            text=f"Withdrawal {row.our_id} of {row.money} is not sent. {objection.reason}",
            merchant=row.merchant_id,
            now=now,
        )


# --- handing over ---


def _hand_over(operation_id: int, prepared: Prepared, outbound: Outbound, now: datetime) -> None:
    try:
        accepted = outbound.submit(prepared)
    except Refused as refusal:
        _refused(operation_id, refusal.reason, now)
    except Exception as error:  # noqa: BLE001 - whatever it was, the order may have been taken
        _become_unknown(operation_id, f"{type(error).__name__}: {error}", now)
    else:
        _accepted(operation_id, accepted, now)


def _accepted(operation_id: int, accepted: Accepted, now: datetime) -> None:
    """The processor's callback may have come before its answer; then only the number is noted."""
    try:
        with transaction.atomic(durable=True):
            row = _locked(operation_id)
            if row is None or row.external_id is not None:
                return
            state = str(WithdrawalState.SENT) if row.state in _UNANSWERED else row.state
            _write(operation_id, state=state, external_id=accepted.external_id, wait=ASK_SECONDS[0])
    except DatabaseError as error:  # a number that cannot be, or is another's
        log.warning("the answer to order %s cannot be kept: %s", operation_id, error)
        _become_unknown(operation_id, f"It was answered with the number {accepted.external_id}.", now)


def _refused(operation_id: int, reason: str, now: datetime) -> None:
    """Nothing was done and nothing will be. A callback that says otherwise came first: people look."""
    with transaction.atomic(durable=True):
        row = next(iter(closings.locked(operation_id=operation_id, state__in=_UNANSWERED)), None)
        if row is not None and row.external_id is None:
            payouts.fail(withdrawal=row, error=reason, now=now)
            return
    _contradicted(operation_id, f"The processor refused it ({reason}) and had it already.", now)


def _become_unknown(operation_id: int, reason: str, now: datetime) -> None:
    """Nobody knows; the money stays held, and the processor is asked soon."""
    with transaction.atomic(durable=True):
        row = _locked(operation_id, WithdrawalState.SENDING)
        if row is None:  # its callback came before the answer
            return
        log.warning("%s is unknown: %s", row, reason)
        _write(
            operation_id,
            state=str(WithdrawalState.UNKNOWN),
            unknown_at=now,
            unknown_reason=reason[:_LONGEST_REASON].replace("\x00", " "),
            wait=ASK_SECONDS[0],
        )
        breaker.trips_on_unknown(row.processor, now=now)


_UNANSWERED = (WithdrawalState.SENDING, WithdrawalState.UNKNOWN)


# --- asking ---


def _claim(processor: Processor) -> Withdrawal | None:
    """One order to ask about; when it is asked next is committed before it is asked now."""
    with transaction.atomic(durable=True):
        row = next(iter(Withdrawal.objects.raw(_TO_ASK, [processor.pk])), None)
        if row is not None:
            _write(row.operation_id, asks=row.asks + 1, wait=ASK_SECONDS[min(row.asks + 1, 5)])
    return row


_TO_ASK = """
SELECT * FROM payments_withdrawal
 WHERE state IN ('sending', 'sent', 'unknown') AND processor_id = %s
   AND next_ask_at <= statement_timestamp()
 ORDER BY next_ask_at, operation_id LIMIT 1 FOR UPDATE SKIP LOCKED
"""


def _hear(operation_id: int, told: Notice | NotFound | CannotTell, outbound: Outbound, now: datetime) -> None:
    if isinstance(told, PayoutNotice):
        _record(operation_id, told, now)
    elif isinstance(told, NotFound) and outbound.capabilities.not_found_is_final:
        with transaction.atomic(durable=True):
            for row in closings.locked(operation_id=operation_id, state=WithdrawalState.UNKNOWN):
                payouts.fail(withdrawal=row, error="The processor has no such order.", now=now)
    else:
        log.info("order %s: no news (%s)", operation_id, told)


def _record(operation_id: int, notice: PayoutNotice, now: datetime) -> None:
    """What the processor answers counts as what it would call back."""
    try:
        with transaction.atomic(durable=True):
            processor = Withdrawal.objects.get(pk=operation_id).processor
            payouts.record_many(processor=processor, notices=[notice], now=now)
    except Contradiction as contradiction:
        _contradicted(operation_id, str(contradiction), now)


def _contradicted(operation_id: int, what: str, now: datetime) -> None:
    row = Withdrawal.objects.get(pk=operation_id)
    if row.state == WithdrawalState.FAILED:  # both say the same
        return
    log.error("%s: %s", row, what)
    alerts.raise_once(
        kind="contradiction",
        key=_about(row, "contradiction"),
        text=f"Withdrawal {row.our_id} of {row.money}: {what}",
        merchant=row.merchant_id,
        now=now,
    )


# --- rows ---


def _locked(operation_id: int, *states: WithdrawalState) -> Withdrawal | None:
    """The withdrawal, locked, if it is in one of these states."""
    rows = Withdrawal.objects.filter(pk=operation_id, state__in=states or IN_FLIGHT)
    return rows.select_related("merchant", "processor").select_for_update(of=("self",), no_key=True).first()


def _write(operation_id: int, *, wait: int, **columns: str | int | bytes | datetime) -> None:
    """Sets the columns, and when the withdrawal is looked at next, by the real clock."""
    names = "".join(f'"{name}" = %s, ' for name in columns)
    with connection.cursor() as cursor:
        cursor.execute(
            f"UPDATE payments_withdrawal SET {names}"  # noqa: S608 - names of this module
            "next_ask_at = clock_timestamp() + %s * interval '1 second' WHERE operation_id = %s",
            [*columns.values(), wait, operation_id],
        )


def _about(row: Withdrawal, kind: str) -> str:
    if kind == "cap":
        return f"cap:{row.merchant_id}:{row.currency}"
    return f"withdrawal:{row.operation_id}:{kind}"
