"""Thin alarm clocks of merchants."""

from __future__ import annotations

import time
from typing import Any

from celery import shared_task

from merchants import clock, keys, mail, sessions, throttle, witness

END_OVERDUE_DUE_SQL = "SELECT 1 FROM merchants_apikey WHERE state = 'active' AND retires_at <= now()"
"""For whoever rings by what is due: a key whose rotation is over by real time."""
SEND_MAIL_DUE_SQL = mail.DUE_SQL
WRITE_AUDIT_HEAD_DUE_SQL = witness.DUE_SQL
FORGET_DUE_SQL = """
    SELECT 1 FROM merchants_throttle WHERE last_at < now() - interval '2 hours'
    UNION ALL SELECT 1 FROM django_session WHERE expire_date < now() - interval '1 hour'
    UNION ALL SELECT 1 FROM merchants_signedinsession WHERE last_seen_at < now() - interval '30 days 1 hour'
    UNION ALL SELECT 1 FROM merchants_mailmessage
               WHERE state <> 'queued' AND next_attempt_at < now() - interval '30 days 1 hour'
"""
_MAIL_SECONDS = 5.0


@shared_task(name="merchants.tasks.end_overdue_keys", time_limit=60, soft_time_limit=50)
def end_overdue_keys(**_ignored: Any) -> None:
    """Ends the older keys of rotations that are over."""
    keys.end_overdue(now=clock.now())


@shared_task(name="merchants.tasks.send_mail", time_limit=120, soft_time_limit=100)
def send_mail(**_ignored: Any) -> None:
    """Sends the letters that are due, for a few seconds; the next tick rings for the rest."""
    until = time.monotonic() + _MAIL_SECONDS
    while mail.send_due() and time.monotonic() < until:
        pass


@shared_task(name="merchants.tasks.write_audit_head", time_limit=60, soft_time_limit=50)
def write_audit_head(**_ignored: Any) -> None:
    """Writes the audit's head outside the database."""
    witness.write(now=clock.now())


@shared_task(name="merchants.tasks.forget", time_limit=120, soft_time_limit=100)
def forget(**_ignored: Any) -> None:
    """Removes what is over: counters, sessions, letters."""
    throttle.prune()
    sessions.prune()
    mail.prune()
