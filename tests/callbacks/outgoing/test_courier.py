"""Delivery over real HTTP: the stored bytes, validly signed, at most two at once, and every try kept."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from django.db import connection

from callbacks import outgoing
from callbacks.models import DeliveryAttempt, Endpoint, Health, OutgoingState
from callbacks.outgoing import courier, queue
from callbacks.outgoing.courier import Courier
from merchants import keys, signing
from merchants.models import ApiKey, Merchant
from tests import factories
from tests.callbacks.outbox import all_due, callback, endpoint, leases_end, state
from tests.callbacks.receivers import Receiver, answers, hangs, in_turn, resets, says
from tests.factories import NOW

pytestmark = pytest.mark.django_db


@pytest.fixture
def merchant() -> Merchant:
    return factories.merchant()


@pytest.fixture
def secret(merchant: Merchant) -> str:
    """The secret of the merchant's active key."""
    return factories.active_key(merchant)[1]


def deliver(health: Health = Health.HEALTHY) -> None:
    """Delivers all that is due to endpoints of that health."""
    with Courier(health=health) as carrying:
        while carrying.step():
            pass


def the_try() -> DeliveryAttempt:
    return DeliveryAttempt.objects.get()


class TestDelivery:
    def test_sends_the_stored_bytes_with_a_valid_signature(self, merchant: Merchant, secret: str) -> None:
        body = b'{"id":1,"url":"https:\\/\\/shop.example\\/","name":"Caf\\u00e9"}'
        with Receiver(answers()) as receiver:
            row = callback(endpoint(receiver.url, merchant=merchant), body=body)
            deliver()
        (request,) = receiver.requests
        assert request.body == body
        assert signing.verify(secret, request.body, request.headers["X-Processing-Signature"])
        assert request.headers["X-Processing-Key"] == ApiKey.objects.get().public_key
        assert request.headers["Content-Type"] == "application/json"
        assert state(row) == OutgoingState.DELIVERED

    def test_keeps_what_was_sent_and_answered(self, merchant: Merchant, secret: str) -> None:
        with Receiver(answers(500, b"oh no", headers="X-Odd: n\x00ul\r\n")) as receiver:
            callback(endpoint(receiver.url, merchant=merchant))
            deliver()
        kept = the_try()
        assert (kept.url, kept.status, bytes(kept.response_body)) == (receiver.url, 500, b"oh no")
        assert kept.response_headers["X-Odd"] == "n\\x00ul"
        assert kept.request_headers == {
            name: receiver.requests[0].headers[name]
            for name in ("X-Processing-Key", "X-Processing-Signature", "Content-Type")
        }
        assert (kept.address, kept.error) == ("127.0.0.1", "")

    @pytest.mark.parametrize(("status", "kept"), [(200, 4096), (500, 65_536)])
    def test_keeps_more_of_a_refusal_than_of_a_success(
        self, merchant: Merchant, secret: str, status: int, kept: int
    ) -> None:
        with Receiver(answers(status, b"x" * 100_000)) as receiver:
            callback(endpoint(receiver.url, merchant=merchant))
            deliver()
        assert bytes(the_try().response_body) == b"x" * kept

    @pytest.mark.parametrize("status", [201, 204, 302, 403, 500])
    def test_takes_200_alone_for_success(self, merchant: Merchant, secret: str, status: int) -> None:
        with Receiver(answers(status, b"")) as receiver:
            row = callback(endpoint(receiver.url, merchant=merchant))
            deliver()
        assert state(row) == OutgoingState.DUE
        assert len(receiver.requests) == 1

    @pytest.mark.parametrize(
        ("behaviour", "error"),
        [
            (resets(), "Connection lost"),
            (says(b"SSH-2.0\r\n"), "Not an HTTP answer"),
            (says(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nOK"), "Connection lost"),
        ],
    )
    def test_notes_why_there_was_no_answer(
        self, merchant: Merchant, secret: str, behaviour: Any, error: str
    ) -> None:
        with Receiver(behaviour) as receiver:
            row = callback(endpoint(receiver.url, merchant=merchant))
            deliver()
        assert the_try().error.startswith(error)
        assert the_try().status is None
        assert state(row) == OutgoingState.DUE

    def test_notes_a_receiver_that_hangs_and_goes_on_with_the_others(
        self, merchant: Merchant, secret: str, monkeypatch: Any
    ) -> None:
        really = courier.connector.post
        monkeypatch.setattr(courier.connector, "post", lambda **options: really(**options, seconds=0.5))
        other = factories.merchant()
        factories.active_key(other)
        with Receiver(hangs()) as dead, Receiver(answers()) as alive:
            stuck = [callback(endpoint(dead.url, merchant=merchant)) for _ in range(1)]
            place = endpoint(alive.url, merchant=other)
            for _ in range(20):
                callback(place)
            began = time.monotonic()
            deliver()
            assert time.monotonic() - began < 10
        assert len(alive.requests) == 20
        assert state(stuck[0]) == OutgoingState.DUE
        assert the_failed().error == "No complete answer within 0.5 s"

    def test_sends_at_most_two_at_once_to_an_endpoint(self, merchant: Merchant, secret: str) -> None:
        def slowly(connection: Any, request: Any) -> bool:
            time.sleep(0.05)
            return answers()(connection, request)

        with Receiver(slowly) as receiver:
            place = endpoint(receiver.url, merchant=merchant)
            for _ in range(8):
                callback(place)
            deliver()
        assert len(receiver.requests) == 8
        assert receiver.most_at_once == 2

    def test_refuses_a_private_address_and_says_so(
        self, merchant: Merchant, secret: str, settings: Any
    ) -> None:
        settings.PRIVATE_TARGETS = []
        with Receiver(answers()) as receiver:
            callback(endpoint(receiver.url, merchant=merchant))
            deliver()
            assert receiver.connections == 0
        assert the_try().error == ("The host 127.0.0.1 leads to 127.0.0.1, which is not a public address.")

    def test_survives_a_fault_of_its_own(self, merchant: Merchant, secret: str, monkeypatch: Any) -> None:
        def fail(**_: Any) -> None:
            raise ZeroDivisionError

        monkeypatch.setattr(courier.connector, "post", fail)
        row = callback(endpoint(merchant=merchant))
        deliver()
        assert the_try().error == "Failed on our side: ZeroDivisionError"
        assert state(row) == OutgoingState.DUE


def the_failed() -> DeliveryAttempt:
    return DeliveryAttempt.objects.exclude(error="").get()


class TestOrder:
    def test_sends_the_versions_of_a_subject_in_order(self, merchant: Merchant, secret: str) -> None:
        with Receiver(answers()) as receiver:
            place = endpoint(receiver.url, merchant=merchant)
            for version in (3, 1, 2):
                callback(place, subject=7, version=version)
            deliver()
        assert [json.loads(request.body)["version"] for request in receiver.requests] == [1, 2, 3]

    def test_never_sends_an_older_version_after_a_newer_was_delivered(
        self, merchant: Merchant, secret: str
    ) -> None:
        with Receiver(in_turn(answers(500), answers(200))) as receiver:
            place = endpoint(receiver.url, merchant=merchant)
            older = callback(place, subject=7, version=1)
            newer = callback(place, subject=7, version=2)
            for _ in range(3):
                deliver()
                deliver(Health.FAILING)
                all_due()
        assert [json.loads(request.body)["version"] for request in receiver.requests] == [1, 2]
        assert (state(older), state(newer)) == (OutgoingState.SUPERSEDED, OutgoingState.DELIVERED)


class TestKeys:
    def test_without_one_callbacks_wait_and_no_try_is_spent(self, merchant: Merchant) -> None:
        with Receiver(answers()) as receiver:
            place = endpoint(receiver.url, merchant=merchant)
            row = callback(place)
            deliver()
            assert receiver.requests == []
            row.refresh_from_db()
            assert (row.state, row.attempts) == (OutgoingState.DUE, 0)
            factories.active_key(merchant)
            Endpoint.objects.update(paused_until=None)
            deliver()
            assert len(receiver.requests) == 1

    def test_that_cannot_be_read_cost_the_merchant_nothing(
        self, merchant: Merchant, secret: str, settings: Any
    ) -> None:
        settings.ENCRYPTION_KEYS = {"other": b"x" * 32}
        with Receiver(answers()) as receiver:
            row = callback(endpoint(receiver.url, merchant=merchant))
            deliver()
            assert receiver.requests == []
        row.refresh_from_db()
        assert (row.state, row.attempts) == (OutgoingState.DUE, 0)

    def test_sign_when_sent_not_when_written(self, merchant: Merchant, secret: str) -> None:
        callbacks = []
        with Receiver(answers()) as receiver:
            callbacks.append(callback(endpoint(receiver.url, merchant=merchant)))
            old = ApiKey.objects.get()
            keys.deactivate(merchant=merchant, key_id=old.pk, by=None, now=NOW)
            _, new_secret = factories.active_key(merchant)
            deliver()
        (request,) = receiver.requests
        assert signing.verify(new_secret, request.body, request.headers["X-Processing-Signature"])

    def test_are_read_once_for_many_callbacks(
        self, merchant: Merchant, secret: str, monkeypatch: Any
    ) -> None:
        read: list[int] = []
        real = keys.signing_key_for
        monkeypatch.setattr(keys, "signing_key_for", lambda one: read.append(one) or real(one))
        monkeypatch.setattr(courier, "CACHE_SECONDS", 60.0)
        with Receiver(answers()) as receiver:
            where = endpoint(receiver.url, merchant=merchant)
            for subject in range(1, 7):
                callback(where, subject_id=subject)
            deliver()
        assert len(receiver.requests) == 6
        assert read == [merchant.pk]

    def test_are_read_anew_once_they_may_no_longer_be_believed(
        self, merchant: Merchant, secret: str, monkeypatch: Any
    ) -> None:
        monkeypatch.setattr(courier, "CACHE_SECONDS", 0.0)
        with Receiver(answers()) as receiver, Courier(health=Health.HEALTHY) as carrying:
            where = endpoint(receiver.url, merchant=merchant)
            callback(where, subject_id=1)
            while carrying.step():
                pass
            old = ApiKey.objects.get(merchant=merchant)
            keys.deactivate(merchant=merchant, key_id=old.pk, by=None, now=NOW, pause=lambda _: None)
            renewed, _ = factories.active_key(merchant)
            callback(where, subject_id=2)
            while carrying.step():
                pass
        assert [one.headers["X-Processing-Key"] for one in receiver.requests] == [old.public_key, renewed]


class TestLostWorker:
    def test_between_lease_and_note_is_made_good(self, merchant: Merchant, secret: str) -> None:
        with Receiver(answers()) as receiver:
            row = callback(endpoint(receiver.url, merchant=merchant))
            queue.claim(health=Health.HEALTHY, limit=8)
            deliver()
            assert receiver.requests == []
            leases_end()
            deliver()
            assert len(receiver.requests) == 1
        assert state(row) == OutgoingState.DELIVERED
        assert list(DeliveryAttempt.objects.order_by("number").values_list("status", flat=True)) == [
            None,
            200,
        ]

    @pytest.mark.django_db(transaction=True)
    def test_has_not_lost_the_answer_when_only_its_connection_died(
        self, merchant: Merchant, secret: str
    ) -> None:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_backend_pid()")
            backend = cursor.fetchone()[0]

        def cut_and_answer(socket: Any, request: Any) -> bool:
            with connection.cursor() as cursor:  # the receiver's thread has a connection of its own
                cursor.execute("SELECT pg_terminate_backend(%s)", [backend])
            connection.close()
            return answers()(socket, request)

        with Receiver(cut_and_answer) as receiver:
            row = callback(endpoint(receiver.url, merchant=merchant))
            deliver()
        assert state(row) == OutgoingState.DELIVERED
        assert [one.status for one in DeliveryAttempt.objects.all()] == [200]
        assert len(receiver.requests) == 1

    def test_that_was_stopped_too_long_sends_nothing(
        self, merchant: Merchant, secret: str, monkeypatch: Any
    ) -> None:
        monkeypatch.setattr(queue, "LEASE_SECONDS", 12)
        with Receiver(answers()) as receiver:
            row = callback(endpoint(receiver.url, merchant=merchant))
            deliver()
            assert receiver.requests == []
        assert state(row) == OutgoingState.DUE
        assert not DeliveryAttempt.objects.exists()


class TestResend:
    def test_reaches_the_endpoints_present_url(self, merchant: Merchant, secret: str) -> None:
        with Receiver(answers()) as before, Receiver(answers()) as after:
            place = endpoint(before.url, merchant=merchant)
            row = callback(place)
            deliver()
            place.point_to(after.url)
            outgoing.resend(callback_id=row.pk)
            deliver()
            assert (len(before.requests), len(after.requests)) == (1, 1)
            assert before.requests[0].body == after.requests[0].body
        assert DeliveryAttempt.objects.count() == 2
