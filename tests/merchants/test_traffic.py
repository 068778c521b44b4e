"""Key traffic: nothing counted is lost but by a kill, and a database that is down costs no request."""

from __future__ import annotations

import os
import time
from datetime import UTC, datetime

import pytest
import time_machine
from django.db import DatabaseError

from merchants import keys, traffic
from merchants.models import KeyTraffic, Outcome
from tests import constraints
from tests.factories import NOW

pytestmark = pytest.mark.django_db


def count(times=1, **options):
    for _ in range(times):
        traffic.count(
            **{"key_id": None, "ip": "203.0.113.7", "endpoint": "ping", "outcome": Outcome.NO_KEY} | options
        )


def counts():
    return sorted(KeyTraffic.objects.values_list("endpoint", "ip", "outcome", "count"))


class TestFlush:
    def test_writes_each_counter_once(self):
        count(3)
        count(2, endpoint="accounts/list", ip="2001:db8::7")
        assert traffic.flush() == 2
        assert counts() == [
            ("accounts/list", "2001:db8::7", "required_header_key", 2),
            ("ping", "203.0.113.7", "required_header_key", 3),
        ]

    def test_files_a_count_under_its_hour(self):
        with time_machine.travel(datetime(2026, 5, 4, 12, 59, 59, tzinfo=UTC), tick=False):
            count()
        traffic.flush()
        assert KeyTraffic.objects.get().hour == datetime(2026, 5, 4, 12, tzinfo=UTC)

    def test_adds_to_what_is_there_also_for_unknown_keys(self, merchant):
        key = keys.generate(merchant=merchant, by=None, now=NOW)
        for _ in range(3):
            count(2)
            count(key_id=key.pk)
            traffic.flush()
        assert set(KeyTraffic.objects.values_list("key_id", "count")) == {(None, 6), (key.pk, 3)}

    def test_writes_all_in_one_statement(self, django_assert_num_queries):
        for number in range(100):
            count(endpoint=f"e{number}")
        with django_assert_num_queries(1):
            assert traffic.flush() == 100

    def test_does_nothing_when_nothing_was_counted(self, django_assert_num_queries):
        with django_assert_num_queries(0):
            assert traffic.flush() == 0

    def test_keeps_the_counts_while_the_database_is_down(self, monkeypatch):
        def down(counts):
            raise DatabaseError("down")

        count(2)
        with monkeypatch.context() as patch:
            patch.setattr(traffic, "_write", down)
            assert traffic.flush() == 0
            count()
        assert traffic.flush() == 1
        assert counts() == [("ping", "203.0.113.7", "required_header_key", 3)]


class TestCount:
    def test_keeps_what_a_stranger_can_fill_within_bounds(self, monkeypatch):
        monkeypatch.setattr(traffic, "MOST_COUNTERS", 10)
        for number in range(500):
            count(ip=f"10.0.{number // 256}.{number % 256}")
        traffic.flush()
        assert KeyTraffic.objects.count() == 11
        assert KeyTraffic.objects.get(ip=None).count == 490

    def test_cuts_an_endpoint_to_what_its_column_holds(self):
        count(endpoint="e" * 1000)
        traffic.flush()
        assert counts()[0][0] == "e" * 64

    @pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")
    def test_leaves_a_forked_child_without_its_parents_counts(self):
        count(5)
        reader, writer = os.pipe()
        child = os.fork()
        if child == 0:
            os.write(writer, str(len(traffic._counters.counts)).encode())
            os._exit(0)
        os.waitpid(child, 0)
        assert os.read(reader, 10) == b"0"
        assert sum(traffic._counters.counts.values()) == 5

    def test_starts_no_thread_outside_serving_processes(self):
        count()
        assert traffic._counters.writer is None


@pytest.mark.django_db(transaction=True)
class TestTheWriter:
    @pytest.fixture
    def serving(self, settings, monkeypatch):
        """A process that serves: its counters write by themselves, every few milliseconds."""
        settings.ROLE = "web"
        monkeypatch.setattr(traffic, "FLUSH_SECONDS", 0.02)
        monkeypatch.setattr(traffic.atexit, "register", lambda function: None)
        counters = traffic._Counters()
        monkeypatch.setattr(traffic, "_counters", counters)
        yield counters
        counters.stop.set()
        counters.writer.join(timeout=10)

    def written(self):
        return sum(KeyTraffic.objects.values_list("count", flat=True))

    def test_begins_with_the_first_count_and_writes_without_being_asked(self, serving):
        assert serving.writer is None
        count(3)
        deadline = time.monotonic() + 10
        while self.written() < 3 and time.monotonic() < deadline:
            time.sleep(0.02)
        assert self.written() == 3
        assert serving.writer.daemon

    def test_writes_what_is_left_when_it_ends(self, serving, monkeypatch):
        monkeypatch.setattr(traffic, "FLUSH_SECONDS", 60)
        count(2)
        serving.stop.set()
        serving.writer.join(timeout=10)
        assert self.written() == 2


class TestTheDatabase:
    def insert(self, key="NULL", ip="NULL", outcome="accepted"):
        return (
            "INSERT INTO merchants_keytraffic (key_id, hour, ip, endpoint, outcome, count)"
            f" VALUES ({key}, '2026-05-04 12:00Z', {ip}, 'ping', '{outcome}', 1)"
        )

    def test_holds_one_row_an_hour_also_without_key_and_address(self):
        constraints.refused("key_traffic_is_one_row_an_hour", self.insert(), self.insert())

    def test_knows_no_other_outcome(self):
        constraints.refused("key_traffic_outcome_is_known", self.insert(outcome="rubbish"))
