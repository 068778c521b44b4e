"""A kept connection: trusted for a second, then asked, and replaced when it no longer works."""

from __future__ import annotations

import time

import pytest
from django.db import OperationalError, connection, transaction

from config.database import base


@pytest.fixture
def kept(transactional_db, monkeypatch):
    """A connection as a request finds it, and a clock to move."""
    clock = {"ahead": 0.0}
    began = time.monotonic()
    monkeypatch.setattr(base.time, "monotonic", lambda: began + clock["ahead"])
    connection.close()
    connection.connect()
    monkeypatch.setattr(connection, "health_check_enabled", True)
    monkeypatch.setattr(connection, "health_check_done", False)
    yield clock
    connection.close()


def end_the_connection() -> None:
    with connection.cursor() as cursor, pytest.raises(OperationalError):
        cursor.execute("SELECT pg_terminate_backend(pg_backend_pid())")


def asks() -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
        row = cursor.fetchone()
    return row[0]


class TestKeptConnection:
    def test_is_not_asked_within_the_second(self, kept, monkeypatch):
        monkeypatch.setattr(connection, "is_usable", lambda: pytest.fail("it was asked"))
        kept["ahead"] = 0.9
        assert asks() == 1

    def test_is_asked_after_a_second_and_replaced_when_it_broke(self, kept):
        connection.health_check_done = True
        end_the_connection()
        connection.needs_rollback = connection.errors_occurred = False
        connection.health_check_done = False
        kept["ahead"] = 1.1
        assert asks() == 1

    def test_is_trusted_again_for_a_second_once_it_answered(self, kept, monkeypatch):
        kept["ahead"] = 1.1
        assert asks() == 1
        connection.health_check_done = False
        monkeypatch.setattr(connection, "is_usable", lambda: pytest.fail("it was asked"))
        kept["ahead"] = 2.0
        assert asks() == 1

    def test_is_not_asked_at_the_end_of_a_transaction_that_took_longer(self, kept, monkeypatch):
        told = []
        with transaction.atomic():
            transaction.on_commit(lambda: told.append("committed"))
            assert asks() == 1
            kept["ahead"] = 5.0
        assert told == ["committed"]
        assert connection.get_autocommit()
        assert asks() == 1
