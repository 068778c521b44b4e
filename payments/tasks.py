"""Thin alarm clocks: each task makes one verb call. Tables say what is due, bells only when to look."""

from __future__ import annotations

import logging
from typing import Any

from celery import shared_task
from django.db import connection, transaction

from merchants.tasks import (
    END_OVERDUE_DUE_SQL,
    FORGET_DUE_SQL,
    SEND_MAIL_DUE_SQL,
    WRITE_AUDIT_HEAD_DUE_SQL,
)
from payments import addresses, doorbell, rates
from payments.doorbell import Bell
from payments.models import Processor
from payments.processors import registry
from payments.processors.base import ProcessorError

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
        """,
    )
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


def _alone(work: str, processor: Processor) -> bool:
    """True when no other process does this now; ends with `_release`, or with this connection."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(hashtext(%s), %s)", [work, processor.pk])
        return bool(cursor.fetchone()[0])


def _release(work: str, processor: Processor) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_unlock(hashtext(%s), %s)", [work, processor.pk])
