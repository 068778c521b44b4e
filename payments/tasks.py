"""Thin alarm clocks: each task makes one verb call. Tables say what is due, bells only when to look."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable
from datetime import datetime
from typing import Any, Protocol

from celery import shared_task
from django.db import connection, transaction

from merchants import clock
from merchants.tasks import (
    END_OVERDUE_DUE_SQL,
    FORGET_DUE_SQL,
    SEND_MAIL_DUE_SQL,
    WRITE_AUDIT_HEAD_DUE_SQL,
)
from payments import (
    addresses,
    alerts,
    approvals,
    doorbell,
    exchange_sending,
    exchanges,
    invoices,
    outcomes,
    rates,
    reconciliation,
    sending,
)
from payments.doorbell import Bell
from payments.models import Processor
from payments.processors import registry
from payments.processors.base import Outbound, ProcessorError

log = logging.getLogger(__name__)

FILL_POOLS = doorbell.register(
    Bell(
        task="payments.tasks.fill_pools",
        queue="sender",
        due_sql="""
            SELECT 1 FROM payments_addresspool p JOIN payments_processor r ON r.id = p.processor_id
             WHERE r.is_active AND p.wanted > (
                   SELECT count(*) FROM payments_address a
                    WHERE a.origin = 'pool' AND a.address IS NOT NULL AND a.processor_id = p.processor_id
                      AND a.currency = p.currency AND a.convert_to = p.convert_to)
        """,
    )
)
REFRESH_RATES = doorbell.register(
    Bell(
        task="payments.tasks.refresh_rates",
        queue="sender",
        due_sql="""
            SELECT 1 FROM payments_processor
             WHERE is_active AND (quotes_at IS NULL OR quotes_at < now() - interval '10 seconds')
        """,
    )
)
PRUNE_RATES = doorbell.register(
    Bell(
        task="payments.tasks.prune_rates",
        queue="work",
        due_sql="""
            SELECT 1 FROM payments_rate r
             WHERE NOT is_current AND seen_at < now() - interval '7 days 1 hour'
               AND NOT EXISTS (SELECT 1 FROM payments_operation o WHERE o.rate_id = r.id)
               AND NOT EXISTS (SELECT 1 FROM payments_invoice i WHERE i.rate_id = r.id)
               AND NOT EXISTS (SELECT 1 FROM payments_quote q WHERE q.rate_id = r.id)
               AND NOT EXISTS (SELECT 1 FROM payments_future f WHERE f.rate_id = r.id)
        """,
    )
)
PRUNE_QUOTES = doorbell.register(
    Bell(
        task="payments.tasks.prune_quotes",
        queue="work",
        due_sql=f"""
            SELECT 1 FROM payments_quote q
             WHERE release_at < {clock.now_sql()} - interval '7 days 1 hour'
               AND NOT EXISTS (SELECT 1 FROM payments_exchange x WHERE x.quote_id = q.id)
        """,  # noqa: S608 - an expression of the program's own
    )
)
WORK_EXCHANGES = doorbell.register(
    Bell(task="payments.tasks.work_exchanges", queue="sender", due_sql=exchange_sending.DUE_SQL)
)
EXPIRE_INVOICES = doorbell.register(
    Bell(
        task="payments.tasks.expire_invoices",
        queue="work",
        due_sql=f"""
            SELECT 1 FROM payments_invoice
             WHERE status IN ('pending', 'processing') AND release_at <= {clock.now_sql()}
        """,  # noqa: S608 - an expression of the program's own
    )
)
SEND_APPROVED = doorbell.register(
    Bell(task="payments.tasks.send_approved", queue="sender", due_sql=sending.SEND_DUE_SQL)
)
ASK_WITHDRAWALS = doorbell.register(
    Bell(task="payments.tasks.ask_withdrawals", queue="sender", due_sql=sending.ASK_DUE_SQL)
)
RECONCILE = doorbell.register(
    Bell(task="payments.tasks.reconcile", queue="sender", due_sql=reconciliation.due_sql())
)
TELL_STUCK = doorbell.register(
    Bell(task="payments.tasks.tell_stuck", queue="work", due_sql=outcomes.due_sql())
)
MAIL_ALERTS = doorbell.register(
    Bell(task="payments.tasks.mail_alerts", queue="work", due_sql=alerts.MAIL_DUE_SQL)
)
EXPIRE_WITHDRAWALS = doorbell.register(
    Bell(task="payments.tasks.expire_withdrawals", queue="work", due_sql=approvals.DUE_SQL)
)
END_OVERDUE_KEYS = doorbell.register(
    Bell(
        task="merchants.tasks.end_overdue_keys",
        queue="work",
        due_sql=END_OVERDUE_DUE_SQL,
    )
)
SEND_MAIL = doorbell.register(Bell(task="merchants.tasks.send_mail", queue="work", due_sql=SEND_MAIL_DUE_SQL))
WRITE_AUDIT_HEAD = doorbell.register(
    Bell(task="merchants.tasks.write_audit_head", queue="work", due_sql=WRITE_AUDIT_HEAD_DUE_SQL)
)
FORGET = doorbell.register(Bell(task="merchants.tasks.forget", queue="work", due_sql=FORGET_DUE_SQL))
"""Merchants cannot ring by itself: the bells hang here, above it."""


@shared_task(name="payments.tasks.tick", expires=5, time_limit=20, soft_time_limit=15)
def tick(**_ignored: Any) -> None:
    """Once a second: rings every bell whose queue has something due."""
    doorbell.tick()


@shared_task(name=FILL_POOLS.task, time_limit=120, soft_time_limit=100)
def fill_pools(**_ignored: Any) -> None:
    """Fills the address pools of every active processor."""
    doorbell.drain(FILL_POOLS, fill_once)


@shared_task(name=REFRESH_RATES.task, time_limit=60, soft_time_limit=50)
def refresh_rates(**_ignored: Any) -> None:
    """Reads every active processor's prices."""
    refresh_once()


@shared_task(name=PRUNE_RATES.task, time_limit=120, soft_time_limit=100)
def prune_rates(**_ignored: Any) -> None:
    """Forgets prices that nothing refers to any more; once an hour at the most."""
    rates.prune()


@shared_task(name=EXPIRE_INVOICES.task, time_limit=60, soft_time_limit=50)
def expire_invoices(**_ignored: Any) -> None:
    """Fails the invoices whose time is up."""
    doorbell.drain(EXPIRE_INVOICES, expire_once)


def expire_once() -> int:
    """One batch of invoices whose time is up."""
    return invoices.expire_due(now=clock.now())


@shared_task(name=PRUNE_QUOTES.task, time_limit=120, soft_time_limit=100)
def prune_quotes(**_ignored: Any) -> None:
    """Forgets promised prices that nobody took up; once an hour at the most."""
    exchanges.prune(now=clock.now())


@shared_task(name=WORK_EXCHANGES.task, time_limit=290, soft_time_limit=280)
def work_exchanges(**_ignored: Any) -> None:
    """Hands exchanges to their processors, and asks what became of those that are open."""
    doorbell.drain(WORK_EXCHANGES, work_exchanges_once)


def work_exchanges_once() -> int:
    """A batch of each processor's exchanges; 0 when nothing is due."""
    return sum(_work_exchanges(processor) for processor in Processor.objects.filter(is_active=True))


@shared_task(name=SEND_APPROVED.task, time_limit=120)
def send_approved(**_ignored: Any) -> None:
    """Hands approved withdrawals to their processors, one after another."""
    doorbell.drain(SEND_APPROVED, send_once)


@shared_task(name=ASK_WITHDRAWALS.task, time_limit=120)
def ask_withdrawals(**_ignored: Any) -> None:
    """Asks processors what became of the orders whose outcome is open."""
    doorbell.drain(ASK_WITHDRAWALS, ask_once)


@shared_task(name=RECONCILE.task, time_limit=120)
def reconcile(**_ignored: Any) -> None:
    """Sets what processors say of our balances beside the books."""
    reconcile_once()


@shared_task(name=TELL_STUCK.task, time_limit=60, soft_time_limit=50)
def tell_stuck(**_ignored: Any) -> None:
    """Tells people which withdrawals hang."""
    doorbell.drain(TELL_STUCK, lambda: outcomes.tell_stuck(now=clock.now()))


@shared_task(name=MAIL_ALERTS.task, time_limit=60, soft_time_limit=50)
def mail_alerts(**_ignored: Any) -> None:
    """Writes the letters about alerts."""
    doorbell.drain(MAIL_ALERTS, lambda: alerts.mail_due(now=clock.now()))


@shared_task(name=EXPIRE_WITHDRAWALS.task, time_limit=60, soft_time_limit=50)
def expire_withdrawals(**_ignored: Any) -> None:
    """Gives the money of withdrawals back that nobody approved in time."""
    doorbell.drain(EXPIRE_WITHDRAWALS, expire_withdrawals_once)


def expire_withdrawals_once() -> int:
    """One batch of withdrawals that nobody approved in time."""
    return approvals.expire_due(now=clock.now())


def send_once() -> int:
    """One withdrawal of each active processor; 0 when none is due."""
    return _each(Processor.objects.filter(is_active=True), "withdrawals", sending.send_due)


def ask_once() -> int:
    """One open order of each processor, an inactive one's too; 0 when none is due."""
    return _each(Processor.objects.all(), "open orders", sending.ask_due)


def reconcile_once() -> int:
    """How many balances were compared; a processor that does not answer is left in peace for a minute."""

    def look(*, processor: Processor, outbound: Outbound, now: datetime) -> int:
        if time.monotonic() < _silent_until.get(processor.pk, 0):
            return 0
        _silent_until[processor.pk] = time.monotonic() + _SILENCE_SECONDS
        rows = reconciliation.look(processor=processor, outbound=outbound, now=now)
        del _silent_until[processor.pk]
        return len(rows)

    return _each(Processor.objects.filter(is_active=True), "balances", look)


_SILENCE_SECONDS = 60.0
_silent_until: dict[int, float] = {}


class _Work(Protocol):
    def __call__(self, *, processor: Processor, outbound: Outbound, now: datetime) -> int: ...


def _each(processors: Iterable[Processor], what: str, work: _Work) -> int:
    """Does the work of each processor whose credentials this process holds; one's fault is its own."""
    done = 0
    for processor in processors:
        try:
            done += work(processor=processor, outbound=registry.outbound(processor.code), now=clock.now())
        except ProcessorError as error:
            log.warning("%s of %s: %s", what, processor.code, error)
    return done


def fill_once() -> int:
    """One batch of each processor's pools; 0 when they are full, or when another process is filling."""
    return sum(_fill(processor) for processor in Processor.objects.filter(is_active=True))


def refresh_once() -> int:
    """How many prices were read; a processor that does not answer is tried again at the next look."""
    return sum(_refresh(processor) for processor in Processor.objects.filter(is_active=True))


def _fill(processor: Processor) -> int:
    if not _alone("pools", processor):
        return 0
    try:
        return addresses.fill(processor=processor, outbound=registry.outbound(processor.code))
    except ProcessorError as error:
        log.warning("pools of %s not filled: %s", processor.code, error)
        return 0
    finally:
        _release("pools", processor)


def _refresh(processor: Processor) -> int:
    try:
        return rates.refresh(processor=processor, outbound=registry.outbound(processor.code))
    except ProcessorError as error:
        log.warning("prices of %s not read: %s", processor.code, error)
        return 0


def _work_exchanges(processor: Processor) -> int:
    try:
        outbound = registry.outbound(processor.code)
        return exchange_sending.work(processor=processor, outbound=outbound, now=clock.now())
    except ProcessorError as error:
        log.warning("exchanges of %s not sent: %s", processor.code, error)
        return 0


def _alone(work: str, processor: Processor) -> bool:
    """True when no other process does this now; ends with `_release`, or with this connection."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(hashtext(%s), %s)", [work, processor.pk])
        return bool(cursor.fetchone()[0])


def _release(work: str, processor: Processor) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_unlock(hashtext(%s), %s)", [work, processor.pk])
