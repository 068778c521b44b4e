"""Business time: the database's clock, and in the sandbox the offset that moves it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection

from merchants import clock
from merchants.models import ClockOffset
from tests import constraints

pytestmark = pytest.mark.django_db


def database_now():
    with connection.cursor() as cursor:
        cursor.execute("SELECT now()")
        return cursor.fetchone()[0]


class TestNow:
    def test_is_the_databases_clock(self):
        assert clock.now() == database_now()
        assert clock.now().utcoffset() == timedelta(0)
        assert abs(clock.now() - datetime.now(UTC)) < timedelta(minutes=5)

    def test_runs_ahead_by_the_sandboxs_offset(self):
        assert clock.shift(by=timedelta(minutes=15)) == timedelta(minutes=15)
        assert clock.shift(by=timedelta(seconds=30)) == timedelta(minutes=15, seconds=30)
        assert clock.now() == database_now() + timedelta(minutes=15, seconds=30)

    def test_knows_no_offset_in_production(self, settings):
        ClockOffset.objects.create(pk=1, offset=timedelta(days=1))
        settings.PRODUCTION = True
        assert clock.now() == database_now()


class TestShift:
    def test_refuses_in_production(self, settings):
        settings.PRODUCTION = True
        with pytest.raises(clock.NotInProduction):
            clock.shift(by=timedelta(seconds=1))
        assert not ClockOffset.objects.exists()

    def test_refuses_to_go_backwards(self):
        with pytest.raises(clock.Backwards):
            clock.shift(by=timedelta(seconds=-1))
        assert not ClockOffset.objects.exists()


class TestClockOffset:
    def test_is_one_row(self):
        constraints.refused(
            "clock_offset_is_one_row",
            """INSERT INTO merchants_clockoffset (id, "offset") VALUES (2, '1 hour')""",
        )

    def test_is_not_negative(self):
        constraints.refused(
            "clock_offset_is_not_negative",
            """INSERT INTO merchants_clockoffset (id, "offset") VALUES (1, '-1 second')""",
        )
