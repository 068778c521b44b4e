"""The outbox as a queue: fair claims, leases, order within a subject, and what becomes of a try."""

from __future__ import annotations

import threading
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from callbacks.models import DeliveryAttempt, Health, OutgoingCallback, OutgoingState
from callbacks.outgoing import queue
from callbacks.outgoing.queue import Parcel, Try
from payments import doorbell
from tests.callbacks.outbox import all_due, callback, endpoint, leases_end, seconds_to_wait, state

pytestmark = pytest.mark.django_db


def claim(limit: int = 100, health: Health = Health.HEALTHY) -> list[Parcel]:
    return queue.claim(health=health, limit=limit)


def fail(parcel: Parcel, **options: Any) -> None:
    queue.record(tries=[Try(parcel, status=500, **options)])


def deliver(parcel: Parcel) -> None:
    queue.record(tries=[Try(parcel, status=200)])


def fail_once(row: OutgoingCallback) -> None:
    (parcel,) = [one for one in claim() if one.id == row.pk]
    fail(parcel)


class TestClaim:
    def test_hands_out_what_a_courier_needs(self) -> None:
        place = endpoint("http://127.0.0.1:9/shop", preset="2023")
        row = callback(place)
        (parcel,) = claim()
        assert (parcel.id, parcel.merchant_id, parcel.endpoint_id) == (row.pk, place.merchant_id, place.pk)
        assert (parcel.url, parcel.preset, parcel.health) == ("http://127.0.0.1:9/shop", "2023", "healthy")
        assert (parcel.attempts, parcel.run, parcel.body) == (1, 1, bytes(row.body))
        assert 20 < parcel.lease_left <= queue.LEASE_SECONDS

    def test_leases_and_counts_before_anything_is_sent(self) -> None:
        row = callback(endpoint())
        claim()
        row.refresh_from_db()
        assert (row.attempts, row.state) == (1, OutgoingState.DUE)
        assert row.leased_until is not None
        assert claim() == []

    def test_takes_at_most_two_of_an_endpoint_and_counts_those_on_their_way(self) -> None:
        place = endpoint()
        for _ in range(5):
            callback(place)
        first = claim()
        assert len(first) == 2
        assert claim() == []
        deliver(first[0])
        assert len(claim()) == 1

    def test_takes_two_of_every_endpoint(self) -> None:
        places = [endpoint() for _ in range(3)]
        for place in places:
            for _ in range(4):
                callback(place)
        taken = [parcel.endpoint_id for parcel in claim()]
        assert sorted(taken) == sorted([place.pk for place in places] * 2)

    def test_takes_no_more_than_asked(self) -> None:
        for _ in range(5):
            place = endpoint()
            callback(place)
            callback(place)
        assert len(claim(3)) == 3

    def test_takes_the_longest_due_first(self) -> None:
        place = endpoint()
        now = timezone.now()
        rows = [callback(place, next_attempt_at=now - timedelta(minutes=n)) for n in (1, 3, 2)]
        assert {parcel.id for parcel in claim()} == {rows[1].pk, rows[2].pk}

    def test_leaves_what_is_not_due(self) -> None:
        callback(endpoint(), next_attempt_at=timezone.now() + timedelta(minutes=1))
        for other in (OutgoingState.DELIVERED, OutgoingState.EXHAUSTED, OutgoingState.SUPERSEDED):
            callback(endpoint(), state=other)
        assert claim() == []

    def test_leaves_endpoints_without_a_url_and_paused_ones(self) -> None:
        callback(endpoint(""))
        callback(endpoint(paused_until=timezone.now() + timedelta(seconds=5)))
        callback(endpoint(paused_until=timezone.now() - timedelta(seconds=5)))
        assert len(claim()) == 1

    def test_keeps_failing_endpoints_apart(self) -> None:
        healthy, failing = callback(endpoint()), callback(endpoint(health=Health.FAILING))
        assert [parcel.id for parcel in claim()] == [healthy.pk]
        assert [parcel.id for parcel in claim(health=Health.FAILING)] == [failing.pk]

    def test_is_fair_to_a_newcomer_behind_long_queues(self) -> None:
        now = timezone.now()
        for _ in range(4):
            place = endpoint()
            for _ in range(30):
                callback(place, next_attempt_at=now - timedelta(hours=1))
        newcomer = callback(endpoint())
        for _ in range(40):
            for parcel in (parcels := claim(2)):
                deliver(parcel)
            if newcomer.pk in {parcel.id for parcel in parcels}:
                return
        raise AssertionError("the newcomer was never served")


class TestOrder:
    def test_an_older_version_has_its_first_try_first(self) -> None:
        place = endpoint()
        newer = callback(place, subject=1, version=2)
        older = callback(place, subject=1, version=1)
        first = claim()
        assert [parcel.id for parcel in first] == [older.pk]
        assert claim() == []
        deliver(first[0])
        assert [parcel.id for parcel in claim()] == [newer.pk]

    def test_a_failed_older_version_is_not_sent_again_once_there_is_a_newer(self) -> None:
        place = endpoint()
        older = callback(place, subject=1, version=1)
        fail_once(older)
        newer = callback(place, subject=1, version=2)
        place.point_to(place.url)
        all_due()
        assert [parcel.id for parcel in claim()] == [newer.pk]

    def test_a_failed_older_version_is_superseded_when_the_newer_was_tried(self) -> None:
        place = endpoint()
        older = callback(place, subject=1, version=1)
        fail_once(older)
        callback(place, subject=1, version=2)
        place.point_to(place.url)
        assert state(older) == OutgoingState.DUE
        (parcel,) = claim()
        fail(parcel)
        assert state(older) == OutgoingState.SUPERSEDED

    def test_an_older_version_that_fails_behind_a_newer_is_superseded_at_once(self) -> None:
        place = endpoint()
        older = callback(place, subject=1, version=1)
        newer = callback(place, subject=1, version=2)
        fail_once(older)
        assert (state(older), state(newer)) == (OutgoingState.SUPERSEDED, OutgoingState.DUE)

    def test_an_older_version_is_never_sent_after_a_newer_was_delivered(self) -> None:
        place = endpoint()
        rows = [callback(place, subject=1, version=version) for version in (1, 2, 3)]
        sent = []
        for _ in range(10):
            all_due()
            place.point_to(place.url)
            for parcel in claim():
                version = next(row.version for row in rows if row.pk == parcel.id)
                sent.append(version)
                deliver(parcel) if version == 2 else fail(parcel)
        assert sent == sorted(sent)
        assert sent[:2] == [1, 2]
        assert [state(row) for row in rows[:2]] == [OutgoingState.SUPERSEDED, OutgoingState.DELIVERED]

    def test_other_subjects_of_the_merchant_do_not_wait(self) -> None:
        place = endpoint()
        callback(place, subject=1, version=1)
        callback(place, subject=1, version=2)
        callback(place, subject=2, version=1)
        assert len(claim()) == 2


class TestRecord:
    def test_a_200_delivers(self) -> None:
        row = callback(endpoint())
        (parcel,) = claim()
        deliver(parcel)
        row.refresh_from_db()
        assert (row.state, row.leased_until, row.attempts) == (OutgoingState.DELIVERED, None, 1)
        assert row.last_attempt_at is not None

    @pytest.mark.parametrize("status", [100, 201, 202, 204, 301, 302, 400, 403, 404, 500, 503])
    def test_any_other_answer_does_not(self, status: int) -> None:
        row = callback(endpoint())
        (parcel,) = claim()
        queue.record(tries=[Try(parcel, status=status)])
        assert state(row) == OutgoingState.DUE

    def test_follows_the_endpoints_list_to_the_end(self) -> None:
        place = endpoint()
        row = callback(place)
        minutes = []
        for _ in range(12):
            fail_now(row)
            minutes.append(round(seconds_to_wait(row) / 60, 1))
            all_due()
        assert minutes == [1, 5, 15, 30, 60, 90, 120, 180, 240, 240, 240, 240]
        fail_now(row)
        assert state(row) == OutgoingState.EXHAUSTED
        assert row.attempts == 13
        assert claim(health=Health.FAILING) == []

    def test_counts_the_delay_from_when_the_request_was_sent(self) -> None:
        row = callback(endpoint())
        (parcel,) = claim()
        fail(parcel, age=9.5)
        assert 48 < seconds_to_wait(row) < 51

    def test_keeps_every_try(self) -> None:
        row = callback(endpoint("http://127.0.0.1:9/shop"))
        (parcel,) = claim()
        queue.record(
            tries=[
                Try(
                    parcel,
                    request_headers={"X-Processing-Key": "key"},
                    status=500,
                    response_headers={"Server": "odd"},
                    response_body=b"\x00\xff",
                    ms=12,
                    address="127.0.0.1",
                )
            ]
        )
        kept = DeliveryAttempt.objects.get()
        assert (kept.callback_id, kept.number, kept.url) == (row.pk, 1, "http://127.0.0.1:9/shop")
        assert kept.request_headers == {"X-Processing-Key": "key"}
        assert (kept.status, kept.response_headers, bytes(kept.response_body)) == (
            500,
            {"Server": "odd"},
            b"\x00\xff",
        )
        assert (kept.ms, kept.address, kept.error) == (12, "127.0.0.1", "")
        row.refresh_from_db()
        assert kept.at == row.last_attempt_at

    def test_keeps_a_try_without_an_answer(self) -> None:
        callback(endpoint())
        (parcel,) = claim()
        queue.record(tries=[Try(parcel, error="No complete answer within 10 s")])
        kept = DeliveryAttempt.objects.get()
        assert (kept.status, kept.address, kept.error) == (None, None, "No complete answer within 10 s")

    def test_records_many_at_once(self) -> None:
        rows = [callback(endpoint()) for _ in range(4)]
        tries = [Try(parcel, status=200 if parcel.id == rows[0].pk else 500) for parcel in claim()]
        queue.record(tries=tries)
        assert [state(row) for row in rows] == ["delivered", "due", "due", "due"]
        assert DeliveryAttempt.objects.count() == 4

    def test_moves_the_endpoint_between_the_queues(self) -> None:
        place = endpoint()
        callback(place)
        (parcel,) = claim()
        fail(parcel)
        place.refresh_from_db()
        assert place.health == Health.FAILING
        all_due()
        (parcel,) = claim(health=Health.FAILING)
        deliver(parcel)
        place.refresh_from_db()
        assert place.health == Health.HEALTHY


def fail_now(row: OutgoingCallback) -> None:
    """Claims the row wherever its endpoint stands, and fails it."""
    (parcel,) = claim() or claim(health=Health.FAILING)
    assert parcel.id == row.pk
    fail(parcel)


class TestGiveBack:
    def test_spends_no_try_and_pauses_the_endpoint(self) -> None:
        place = endpoint()
        row = callback(place)
        queue.give_back(parcels=claim())
        row.refresh_from_db()
        place.refresh_from_db()
        assert (row.attempts, row.leased_until, row.state) == (0, None, OutgoingState.DUE)
        assert place.paused_until is not None
        assert claim() == []
        assert not DeliveryAttempt.objects.exists()


class TestRecover:
    def test_brings_back_what_a_dead_worker_held(self) -> None:
        row = callback(endpoint())
        claim()
        assert queue.recover() == 0
        leases_end()
        assert queue.recover() == 1
        row.refresh_from_db()
        assert (row.state, row.leased_until, row.attempts) == (OutgoingState.DUE, None, 1)
        kept = DeliveryAttempt.objects.get()
        assert (kept.number, kept.error) == (1, "The worker stopped before it could note the answer")
        assert [parcel.attempts for parcel in claim()] == [2]

    def test_does_not_hold_a_dead_worker_against_the_endpoint(self) -> None:
        place = endpoint()
        callback(place)
        claim()
        leases_end()
        queue.recover()
        place.refresh_from_db()
        assert place.health == Health.HEALTHY

    def test_ends_when_the_schedule_does(self) -> None:
        row = callback(endpoint())
        for _ in range(13):
            claim()
            leases_end()
            queue.recover()
        assert state(row) == OutgoingState.EXHAUSTED

    def test_makes_a_late_answer_void(self) -> None:
        row = callback(endpoint())
        (late,) = claim()
        leases_end()
        queue.recover()
        (current,) = claim()
        deliver(late)
        row.refresh_from_db()
        assert (row.state, row.attempts) == (OutgoingState.DUE, 2)
        fail(current)
        assert DeliveryAttempt.objects.filter(callback=row).count() == 2


class TestDue:
    def rung(self, health: Health) -> bool:
        with connection.cursor() as cursor:
            cursor.execute(f"SELECT EXISTS ({queue.due_sql(health)})")
            return bool(cursor.fetchone()[0])

    def test_says_what_a_claim_would_find(self) -> None:
        assert not self.rung(Health.HEALTHY)
        place = endpoint()
        for _ in range(3):
            callback(place)
        assert self.rung(Health.HEALTHY)
        assert not self.rung(Health.FAILING)
        parcels = claim()
        assert not self.rung(Health.HEALTHY)
        fail(parcels[0])
        assert self.rung(Health.FAILING)

    def test_is_part_of_the_tick(self) -> None:
        callback(endpoint())
        bells = {bell.task: bell for bell in doorbell.BELLS}
        with connection.cursor() as cursor:
            for task, due in {"callbacks.tasks.deliver": True, "callbacks.tasks.deliver_slow": False}.items():
                cursor.execute(f"SELECT EXISTS ({bells[task].due_sql})")
                assert cursor.fetchone()[0] is due

    def test_includes_leases_of_the_dead(self) -> None:
        callback(endpoint())
        claim()
        leases_end()
        bells = {bell.task: bell for bell in doorbell.BELLS}
        with connection.cursor() as cursor:
            cursor.execute(f"SELECT EXISTS ({bells['callbacks.tasks.deliver'].due_sql})")
            assert cursor.fetchone()[0] is True


@pytest.mark.django_db(transaction=True)
class TestSideBySide:
    def test_claimers_share_out_and_keep_to_two_per_endpoint(self) -> None:
        places = [endpoint() for _ in range(6)]
        for place in places:
            for _ in range(10):
                callback(place)
        taken: list[Parcel] = []
        lock = threading.Lock()
        most: dict[int, int] = {}
        flying: dict[int, int] = {}
        together = threading.Barrier(4)

        def work() -> None:
            together.wait()
            for _ in range(60):
                parcels = claim(4)
                with lock:
                    for parcel in parcels:
                        taken.append(parcel)
                        flying[parcel.endpoint_id] = flying.get(parcel.endpoint_id, 0) + 1
                        most[parcel.endpoint_id] = max(
                            most.get(parcel.endpoint_id, 0), flying[parcel.endpoint_id]
                        )
                for parcel in parcels:
                    with lock:
                        flying[parcel.endpoint_id] -= 1
                    deliver(parcel)
            connection.close()

        threads = [threading.Thread(target=work) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(taken) == 60
        assert len({parcel.id for parcel in taken}) == 60
        assert max(most.values()) <= 2
        assert not OutgoingCallback.objects.exclude(state=OutgoingState.DELIVERED).exists()

    def test_a_claimer_that_stands_still_stops_only_its_own_endpoints(self) -> None:
        callback(endpoint())
        other = callback(endpoint())
        holding, done = threading.Event(), threading.Event()

        def stand_still() -> None:
            with connection.cursor() as cursor:
                cursor.execute("BEGIN")
                cursor.execute(
                    "SELECT id FROM callbacks_endpoint WHERE id <> %s FOR NO KEY UPDATE", [other.endpoint_id]
                )
                holding.set()
                done.wait(20)
                cursor.execute("ROLLBACK")
            connection.close()

        thread = threading.Thread(target=stand_still)
        thread.start()
        assert holding.wait(10)
        try:
            assert [parcel.id for parcel in claim()] == [other.pk]
        finally:
            done.set()
            thread.join()
