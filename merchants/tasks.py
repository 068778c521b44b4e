"""Thin alarm clocks of merchants."""

from __future__ import annotations

from typing import Any

from celery import shared_task

from merchants import clock, keys

END_OVERDUE_DUE_SQL = "SELECT 1 FROM merchants_apikey WHERE state = 'active' AND retires_at <= now()"
"""For whoever rings by what is due: a key whose rotation is over by real time."""


@shared_task(name="merchants.tasks.end_overdue_keys", time_limit=60, soft_time_limit=50)
def end_overdue_keys(**_ignored: Any) -> None:
    """Ends the older keys of rotations that are over."""
    keys.end_overdue(now=clock.now())
