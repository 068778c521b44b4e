"""Handing exchanges to the processor: written down, committed, then submitted as stored, once.

Runs in the sender. Whoever comes second finds the order written down and leaves it alone. A refusal ends the
exchange and frees its money; whatever else is not an acceptance leaves the outcome unknown, and from then
on the processor is only asked, at growing intervals, until it says what became of the order. An order is
submitted a second time only to a processor that promises to take it once.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import datetime, timedelta

from django.db import transaction

from payments import alerts, exchange_outcomes
from payments.deposit_rules import Contradiction
from payments.models import Exchange, ExchangeState, Processor
from payments.models.exchange import IN_FLIGHT
from payments.processors.base import (
    CannotTell,
    Conversion,
    ConversionNotice,
    NotFound,
    Notice,
    Outbound,
    Prepared,
    ProcessorError,
    Refused,
)

log = logging.getLogger(__name__)

BATCH = 4
"""Each may take half a minute, and a task has less than five."""
LEASE = timedelta(seconds=60)
"""Longer than any submission: until then only its own sender says what became of it."""
ASK_SECONDS = (5, 15, 30, 60, 300, 900, 3600)
"""Between two questions about one order; the last for ever."""
STUCK_AFTER = 4
"""Questions without an answer, before people are told."""

_UNSTOPPED = """
    NOT EXISTS (SELECT 1 FROM payments_stop s
                 WHERE s.lifted_at IS NULL AND (s.merchant_id IS NULL OR s.merchant_id = x.merchant_id))
"""
DUE_SQL = f"""
    SELECT 1 FROM payments_exchange x JOIN payments_processor p ON p.id = x.processor_id
     WHERE p.is_active
       AND (x.state = 'processing' AND {_UNSTOPPED}
            OR x.state IN ('sending', 'sent', 'unknown') AND x.next_ask_at <= statement_timestamp())
"""  # noqa: S608 - a constant of this module
_TO_SEND = f"""
    SELECT x.* FROM payments_exchange x
     WHERE x.processor_id = %s AND x.state = 'processing' AND {_UNSTOPPED}
     ORDER BY x.operation_id LIMIT %s
"""  # noqa: S608 - a constant of this module
_TO_ASK = """
    WITH due AS MATERIALIZED (
        SELECT operation_id FROM payments_exchange
         WHERE processor_id = %s AND state IN ('sending', 'sent', 'unknown')
           AND next_ask_at <= statement_timestamp()
         ORDER BY next_ask_at, operation_id LIMIT %s FOR UPDATE SKIP LOCKED)
    UPDATE payments_exchange x
       SET asks = asks + 1,
           next_ask_at = statement_timestamp()
               + (%s::int[])[LEAST(asks + 1, %s)] * interval '1 second'
      FROM due WHERE x.operation_id = due.operation_id
    RETURNING x.*
"""


def work(*, processor: Processor, outbound: Outbound, now: datetime) -> int:
    """Sends what waits and asks about what is open, a batch of each; returns how many it looked at."""
    return _send_batch(processor, outbound, now) + _ask_batch(processor, outbound, now)


# --- sending ---


def _send_batch(processor: Processor, outbound: Outbound, now: datetime) -> int:
    waiting = list(Exchange.objects.raw(_TO_SEND, [processor.pk, BATCH]))
    for exchange in waiting:
        _send(exchange, outbound, now)
    return len(waiting)


def _send(exchange: Exchange, outbound: Outbound, now: datetime) -> None:
    try:
        prepared = outbound.prepare(order_of(exchange))
    except ProcessorError as error:
        log.error("%s cannot be written down: %s", exchange, error)
        _fail(exchange, str(error), [ExchangeState.PROCESSING], now)
        return
    if Exchange.objects.write_down(our_id=exchange.our_id, blob=prepared.blob, lease=LEASE):
        _submit(exchange, outbound, prepared, now)


def _submit(
    exchange: Exchange, outbound: Outbound, prepared: Prepared, now: datetime, *, again: bool = False
) -> None:
    """Outside any transaction; the order is committed.

    again: a refusal proves nothing about the first time.
    """
    ask_in = timedelta(seconds=ASK_SECONDS[0])
    try:
        accepted = outbound.submit(prepared)
    except Refused as error:
        log.warning("%s was refused: %s", exchange, error)
        if again:
            _leave_open(exchange, error.reason, now)
        else:
            _fail(exchange, error.reason, [ExchangeState.SENDING, ExchangeState.UNKNOWN], now)
    except ProcessorError as error:
        log.warning("nobody knows what became of %s: %s", exchange, error)
        Exchange.objects.lost(our_id=exchange.our_id, reason=str(error), ask_in=ask_in)
    else:
        Exchange.objects.taken(our_id=exchange.our_id, external_id=accepted.external_id, ask_in=ask_in)


def _fail(exchange: Exchange, reason: str, among: Sequence[ExchangeState], now: datetime) -> None:
    if not exchange_outcomes.fail(our_id=exchange.our_id, reason=reason, among=among, now=now):
        log.error("%s has gone on meanwhile, although: %s", exchange, reason)


def order_of(exchange: Exchange) -> Conversion:
    """At the market by what is debited: the processor's price is the house's affair, as is the difference."""
    return Conversion(
        our_id=exchange.our_id, source=exchange.source, target=exchange.target, amount=exchange.gives
    )


# --- asking ---


def _ask_batch(processor: Processor, outbound: Outbound, now: datetime) -> int:
    steps = list(ASK_SECONDS)
    with transaction.atomic():
        due = list(Exchange.objects.raw(_TO_ASK, [processor.pk, BATCH, steps, len(steps)]))
    for exchange in due:
        _ask(exchange, processor, outbound, now)
    return len(due)


def _ask(exchange: Exchange, processor: Processor, outbound: Outbound, now: datetime) -> None:
    prepared = Prepared(our_id=exchange.our_id, blob=bytes(exchange.prepared or b""))
    match outbound.find(prepared):
        case ConversionNotice() as notice:
            _record(exchange, processor, [notice], now)
        case NotFound() if outbound.capabilities.not_found_is_final:
            _fail(exchange, "The processor knows no such order", IN_FLIGHT, now)
        case NotFound() if outbound.capabilities.resubmit_is_safe:
            _submit(exchange, outbound, prepared, now, again=True)
        case NotFound():
            _leave_open(exchange, "The processor knows no such order", now)
        case CannotTell(reason=reason):
            _leave_open(exchange, reason, now)
        case other:
            _leave_open(exchange, f"The processor answered about something else: {_kind(other)}", now)


def _record(
    exchange: Exchange, processor: Processor, notices: Sequence[ConversionNotice], now: datetime
) -> None:
    try:
        with transaction.atomic():
            exchange_outcomes.record_many(processor=processor, notices=notices, now=now)
    except Contradiction as error:
        _leave_open(exchange, str(error), now)


def _leave_open(exchange: Exchange, reason: str, now: datetime) -> None:
    """Its outcome is not known, and people hear of it once it takes too long."""
    if exchange.state == ExchangeState.SENDING:  # its sender was lost between writing down and hearing
        wait = timedelta(seconds=ASK_SECONDS[min(exchange.asks, len(ASK_SECONDS)) - 1])
        Exchange.objects.lost(our_id=exchange.our_id, reason=reason, ask_in=wait)
    log.warning("the outcome of %s is open: %s", exchange, reason)
    if exchange.asks >= STUCK_AFTER:
        alerts.raise_once(
            kind="exchange_stuck",
            key=exchange.matter,
            text=f"Exchange {exchange.our_id} has no outcome: {reason}",
            merchant=None,
            now=now,
        )


def _kind(notice: Notice) -> str:
    return type(notice).__name__
