"""The doorbell, on a real Valkey and on a dead one."""

from __future__ import annotations

import time

import pytest
import redis
from django.conf import settings as django_settings

from payments import doorbell
from payments.doorbell import Bell

DUE = Bell(task="tests.due", queue="nobody-listens", due_sql="SELECT 1")
IDLE = Bell(task="tests.idle", queue="nobody-listens", due_sql="SELECT 1 WHERE false")


@pytest.fixture(autouse=True)
def _fresh():
    """No bell hangs over from another test, and no task is left behind."""
    valkey = redis.Redis.from_url(django_settings.REDIS_URL)
    doorbell._breaker.closed_after = 0.0
    doorbell._valkey.cache_clear()
    valkey.delete("bell:tests.due", "bell:tests.idle", "nobody-listens")
    yield
    valkey.delete("bell:tests.due", "bell:tests.idle", "nobody-listens")
    doorbell._breaker.closed_after = 0.0
    doorbell._valkey.cache_clear()


@pytest.fixture
def queue():
    return lambda: redis.Redis.from_url(django_settings.REDIS_URL).llen("nobody-listens")


class TestRing:
    def test_sends_one_task_however_often_it_is_rung(self, queue):
        assert doorbell.ring(DUE) is True
        assert doorbell.ring(DUE) is False
        assert queue() == 1

    def test_sends_another_once_a_drain_has_begun(self, queue):
        doorbell.ring(DUE)
        doorbell.drain(DUE, lambda: 0)
        assert doorbell.ring(DUE) is True
        assert queue() == 2


class TestDeadBroker:
    @pytest.fixture(autouse=True)
    def _dead(self, settings):
        settings.REDIS_URL = "redis://127.0.0.1:1/0"

    def test_fails_nobody_and_is_not_asked_again_at_once(self):
        assert doorbell.ring(DUE) is False
        began = time.monotonic()
        assert [doorbell.ring(DUE) for _ in range(100)] == [False] * 100
        assert time.monotonic() - began < doorbell.BREAKER_SECONDS

    def test_does_not_stop_a_drain(self):
        steps = iter([3, 2, 0])
        assert doorbell.drain(DUE, lambda: next(steps)) == 5


class TestDrain:
    def test_ends_when_there_is_nothing_more(self):
        steps = iter([3, 2, 0, 99])
        assert doorbell.drain(DUE, lambda: next(steps)) == 5

    def test_ends_when_its_time_is_up(self):
        assert doorbell.drain(DUE, lambda: 1, seconds=0.05) > 0

    def test_rings_for_the_rest_when_its_time_was_up(self, queue):
        doorbell.drain(DUE, lambda: 1, seconds=0.05)
        assert queue() == 1

    def test_rings_no_more_when_nothing_is_left(self, queue):
        doorbell.drain(DUE, lambda: 0)
        assert queue() == 0


class TestLingering:
    def test_waits_a_while_for_more(self):
        steps = iter([2, 0, 0, 3])
        assert doorbell.drain(DUE, lambda: next(steps, 0), linger=0.1) == 5

    def test_spares_those_who_ring_meanwhile_a_task(self, queue):
        rung = []
        doorbell.drain(DUE, lambda: rung.append(doorbell.ring(DUE)) or 0, linger=0.1)
        assert len(rung) > 3
        assert rung[1:-1] == [False] * len(rung[1:-1])
        assert queue() == 2  # before it was held, and at the last look

    def test_looks_once_more_after_the_bell_was_lifted(self):
        valkey, seen = redis.Redis.from_url(django_settings.REDIS_URL), []
        doorbell.drain(DUE, lambda: seen.append(valkey.exists("bell:tests.due")) or 0, linger=0.1)
        assert seen[0] == 0
        assert seen[1:-1] == [1] * len(seen[1:-1])
        assert seen[-1] == 0
        assert doorbell.ring(DUE) is True

    def test_goes_on_with_what_that_look_finds(self):
        valkey, late = redis.Redis.from_url(django_settings.REDIS_URL), iter([4])
        looks = []

        def step() -> int:
            looks.append(valkey.exists("bell:tests.due"))
            return next(late, 0) if looks[-2:] == [1, 0] else 0

        assert doorbell.drain(DUE, step, linger=0.05) == 4
        assert looks[-1] == 0

    def test_rings_for_the_rest_although_it_held_the_bell(self, queue):
        doorbell.drain(DUE, lambda: 0, seconds=0.05, linger=1.0)
        assert queue() == 1

    def test_lets_others_be_rung_while_there_is_work(self, queue):
        rung = []
        doorbell.drain(DUE, lambda: rung.append(doorbell.ring(DUE)) or 1, seconds=0.05, linger=1.0)
        assert rung[0] is True

    def test_holds_a_bell_for_no_longer_than_a_ring_does(self):
        doorbell._hold(DUE)
        valkey = redis.Redis.from_url(django_settings.REDIS_URL)
        assert 0 < valkey.pttl("bell:tests.due") <= doorbell.HOLD_SECONDS * 1000


@pytest.mark.django_db
class TestTick:
    def test_rings_what_is_due_and_nothing_else(self, monkeypatch, queue):
        monkeypatch.setattr(doorbell, "BELLS", [DUE, IDLE])
        assert doorbell.tick() == ["tests.due"]
        assert queue() == 1

    def test_asks_the_database_once_for_all(self, monkeypatch, django_assert_num_queries):
        monkeypatch.setattr(doorbell, "BELLS", [DUE, IDLE, DUE, IDLE])
        with django_assert_num_queries(1):
            doorbell.tick()

    def test_asks_every_registered_bell_in_valid_sql(self):
        from payments import tasks

        assert tasks.FILL_POOLS in doorbell.BELLS
        doorbell.tick()
