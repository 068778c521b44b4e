"""Business time: the database's clock, plus, in the sandbox only, an offset that tests and staff move.

Doors and tasks read it once and pass it on as `now`. Leases and delivery schedules use the database's own
clock instead, durations the process's monotonic one.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from django.conf import settings
from django.db import connection
from django.db.models import F

from merchants.errors import Refusal
from merchants.models import ClockOffset

_SANDBOX_NOW = """now() + COALESCE((SELECT "offset" FROM merchants_clockoffset WHERE id = 1), interval '0')"""


class NotInProduction(Refusal):
    """Only the sandbox's clock can be moved."""


class Backwards(Refusal):
    """The sandbox's clock goes forwards only."""

    field = "seconds"


def now() -> datetime:
    """The business time, aware, UTC."""
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {now_sql()}")
        moment: datetime = cursor.fetchone()[0]
    return moment


def now_sql() -> str:
    """The business time as a SQL expression, for statements that compare with it."""
    return "now()" if settings.PRODUCTION else _SANDBOX_NOW


def shift(*, by: timedelta) -> timedelta:
    """Moves the sandbox's clock ahead; returns the whole offset. Raises `NotInProduction`, `Backwards`."""
    if settings.PRODUCTION:
        raise NotInProduction
    if by < timedelta(0):
        raise Backwards
    ClockOffset.objects.get_or_create(pk=1)
    ClockOffset.objects.filter(pk=1).update(offset=F("offset") + by)
    return ClockOffset.objects.get(pk=1).offset
