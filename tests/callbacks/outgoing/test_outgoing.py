"""What merchants are told: written with the change, in the wire's bytes, as their switches say."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import transaction
from django.utils import timezone

from callbacks import outgoing
from callbacks.models import Health, OutgoingCallback, OutgoingState
from callbacks.outgoing import BeingSent, NotTheLatest, NowhereToSend, queue
from callbacks.outgoing.queue import Try
from payments import bodies, deposits
from payments.models import Address, Operation, Origin
from payments.processors.base import DepositStatus
from tests import factories, payouts
from tests.callbacks.outbox import callback, endpoint, seconds_to_wait, state
from tests.factories import NOW

pytestmark = pytest.mark.django_db


def record(to: Address, **options: Any) -> Operation:
    """A deposit goes through the verb, and with it through the listener."""
    notice = factories.notice(to, **options)
    with transaction.atomic():
        deposits.record_many(processor=to.processor, notices=[notice], now=NOW)
    return Operation.objects.get(external_id=notice.external_id)


def rows() -> list[OutgoingCallback]:
    return list(OutgoingCallback.objects.order_by("id"))


class TestEnqueue:
    def test_keeps_the_bytes_that_the_wire_would_show(self, address: Address) -> None:
        place = endpoint(merchant=address.merchant)
        operation = record(address)
        (row,) = rows()
        whole = Operation.objects.for_bodies().get()
        assert bytes(row.body) == bodies.render(bodies.operation_body(whole))
        assert (row.subject_kind, row.subject_id, row.version) == ("operation", operation.pk, 1)
        assert (row.merchant_id, row.endpoint, row.state) == (address.merchant_id, place, OutgoingState.DUE)
        assert -60 < seconds_to_wait(row) <= 0

    def test_tells_each_change_and_never_rewrites_what_was_told(self, address: Address) -> None:
        endpoint(merchant=address.merchant)
        record(address, external_id="up-x", status=DepositStatus.NOT_CONFIRMED)
        first = bytes(rows()[0].body)
        record(address, external_id="up-x")
        assert [row.version for row in rows()] == [1, 2]
        assert bytes(rows()[0].body) == first
        assert b'"status":"not_confirmed"' in first
        assert b'"status":"confirmed"' in bytes(rows()[1].body)

    def test_tells_nothing_twice(self, address: Address) -> None:
        endpoint(merchant=address.merchant)
        for _ in range(2):
            record(address, external_id="up-x")
        assert len(rows()) == 1

    def test_goes_when_the_change_does(self, address: Address) -> None:
        endpoint(merchant=address.merchant)
        with pytest.raises(ZeroDivisionError), transaction.atomic():
            record(address)
            raise ZeroDivisionError
        assert rows() == []

    def test_takes_the_change_with_it_when_it_fails(self, address: Address, monkeypatch: Any) -> None:
        endpoint(merchant=address.merchant)

        def fail(*_: Any, **__: Any) -> None:
            raise ZeroDivisionError

        monkeypatch.setattr(bodies, "render", fail)
        with pytest.raises(ZeroDivisionError):
            record(address)
        assert not Operation.objects.exists()

    def test_keeps_unsent_what_a_merchant_without_url_is_told(self, address: Address) -> None:
        record(address)
        endpoint("", merchant=address.merchant)
        record(address)
        assert [row.state for row in rows()] == [OutgoingState.UNADDRESSED] * 2
        assert queue.claim(health=Health.HEALTHY, limit=8) == []


class TestSwitches:
    def test_leave_out_deposits_below_the_minimum(self, address: Address) -> None:
        place = endpoint(merchant=address.merchant)
        record(address, amount="0.00000900")
        assert len(rows()) == 1
        place.switch({"below_minimum": False})
        record(address, amount="0.00000900")
        record(address)
        assert len(rows()) == 2

    def test_leave_out_deposits_in_another_currency(self) -> None:
        factories.terms("ETH")
        token = factories.address(factories.merchant(), "USDTE")
        place = endpoint(merchant=token.merchant)
        ether = factories.money("0.05000000", "ETH")
        record(token, sent=ether, expected_currency="USDTE")
        assert len(rows()) == 1
        place.switch({"cross_currency": False})
        record(token, sent=ether, expected_currency="USDTE")
        assert len(rows()) == 1

    def test_leave_out_addresses_that_staff_made_unless_asked_for(self) -> None:
        factories.terms()
        portal = factories.address(factories.merchant(), origin="portal")
        record(portal)
        place = endpoint(merchant=portal.merchant)
        record(portal)
        assert rows() == []
        place.switch({"staff_operations": True})
        record(portal)
        assert len(rows()) == 1

    def test_leave_out_withdrawals_of_staff_unless_asked_for(self) -> None:
        merchant = payouts.merchant()
        by = payouts.owner(merchant)
        payouts.limit(merchant, everything=True, origin=Origin.STAFF)
        payouts.ask(merchant, foreign_id=None, origin=Origin.STAFF, by=by)
        place = endpoint(merchant=merchant)
        payouts.ask(merchant, foreign_id=None, origin=Origin.STAFF, by=by)
        assert rows() == []
        place.switch({"staff_operations": True})
        operation = payouts.ask(merchant, foreign_id=None, origin=Origin.STAFF, by=by)
        assert [row.subject_id for row in rows()] == [operation.pk]

    def test_never_tell_of_refunds_nor_of_what_is_under_way(self) -> None:
        merchant = payouts.merchant()
        endpoint(merchant=merchant, staff_operations=True)
        refund = payouts.ask(merchant, foreign_id="refund-1", origin=Origin.REFUND)
        payouts.approve(refund)
        payouts.ask(merchant)
        assert rows() == []

    def test_tell_both_merchants_of_money_between_them(self) -> None:
        giver, taker = payouts.merchant(), payouts.merchant()
        payouts.ask(giver, address=payouts.address_of(taker).address)
        told = {row.merchant_id: bytes(row.body) for row in rows()}
        assert b'"type":"withdrawal"' in told[giver.pk]
        assert b'"type":"deposit"' in told[taker.pk]

    def test_tell_the_payers_address_when_asked_for(self, address: Address) -> None:
        place = endpoint(merchant=address.merchant)
        record(address, sender_address="2Npayer")
        assert b"2Npayer" not in bytes(rows()[0].body)
        place.switch({"sender_address": True})
        record(address, sender_address="2Npayer")
        assert b'"sender":{"address":"2Npayer"}' in bytes(rows()[1].body)


class TestResend:
    def test_makes_a_delivered_callback_due_at_once(self) -> None:
        row = callback(endpoint(), state=OutgoingState.DELIVERED, attempts=1)
        outgoing.resend(callback_id=row.pk)
        assert state(row) == OutgoingState.DUE
        assert len(queue.claim(health=Health.HEALTHY, limit=8)) == 1

    def test_restarts_the_schedule(self) -> None:
        row = callback(endpoint(), state=OutgoingState.EXHAUSTED, attempts=13)
        outgoing.resend(callback_id=row.pk)
        (parcel,) = queue.claim(health=Health.HEALTHY, limit=8)
        assert (parcel.attempts, parcel.run) == (14, 1)
        queue.record(tries=[Try(parcel, status=500)])
        assert 50 < seconds_to_wait(row) <= 60
        assert state(row) == OutgoingState.DUE

    def test_makes_a_waiting_callback_due_at_once(self) -> None:
        later = timezone.now() + timedelta(hours=4)
        row = callback(endpoint(), attempts=9, next_attempt_at=later)
        outgoing.resend(callback_id=row.pk)
        assert seconds_to_wait(row) <= 0

    def test_sends_what_had_no_url_once_there_is_one(self, address: Address) -> None:
        record(address)
        place = endpoint(merchant=address.merchant)
        outgoing.resend(callback_id=rows()[0].pk)
        assert (rows()[0].state, rows()[0].endpoint) == (OutgoingState.DUE, place)

    def test_refuses_all_but_the_latest(self) -> None:
        place = endpoint()
        row = callback(place, subject=1, version=1, state=OutgoingState.DELIVERED, attempts=1)
        callback(place, subject=1, version=2, state=OutgoingState.DELIVERED, attempts=1)
        with pytest.raises(NotTheLatest):
            outgoing.resend(callback_id=row.pk)
        assert state(row) == OutgoingState.DELIVERED

    def test_refuses_what_is_being_sent(self) -> None:
        row = callback(endpoint())
        queue.claim(health=Health.HEALTHY, limit=8)
        with pytest.raises(BeingSent):
            outgoing.resend(callback_id=row.pk)
        row.refresh_from_db()
        assert row.schedule_from == 0

    def test_refuses_when_there_is_no_url(self) -> None:
        row = callback(endpoint(""), state=OutgoingState.EXHAUSTED, attempts=13)
        with pytest.raises(NowhereToSend):
            outgoing.resend(callback_id=row.pk)
        assert state(row) == OutgoingState.EXHAUSTED


class TestResendSince:
    def test_takes_the_latest_undelivered_of_the_range(self) -> None:
        place, now = endpoint(), timezone.now()
        old = callback(place, state=OutgoingState.EXHAUSTED, attempts=13, created_at=now - timedelta(days=3))
        lost = callback(place, state=OutgoingState.EXHAUSTED, attempts=13)
        told = callback(place, state=OutgoingState.DELIVERED, attempts=1)
        outdated = callback(place, subject=1, version=1, state=OutgoingState.EXHAUSTED, attempts=13)
        callback(place, subject=1, version=2, state=OutgoingState.DELIVERED, attempts=1)
        others = callback(endpoint(), state=OutgoingState.EXHAUSTED, attempts=13)
        since = now - timedelta(days=1)
        assert outgoing.resend_since(merchant=place.merchant, since=since) == 1
        assert state(lost) == OutgoingState.DUE
        assert (lost.schedule_from, lost.attempts) == (13, 13)
        assert [state(row) for row in (old, told, outdated, others)] == [
            "exhausted",
            "delivered",
            "exhausted",
            "exhausted",
        ]

    def test_takes_delivered_ones_when_asked_to(self) -> None:
        place = endpoint()
        callback(place, state=OutgoingState.DELIVERED, attempts=1)
        since = timezone.now() - timedelta(days=1)
        assert outgoing.resend_since(merchant=place.merchant, since=since, delivered=True) == 1

    def test_ends_before_its_end(self) -> None:
        place, now = endpoint(), timezone.now()
        callback(place, state=OutgoingState.EXHAUSTED, attempts=13, created_at=now)
        since = now - timedelta(days=1)
        assert outgoing.resend_since(merchant=place.merchant, since=since, until=now) == 0
        assert outgoing.resend_since(merchant=place.merchant, since=now) == 1

    def test_leaves_alone_what_is_being_sent(self) -> None:
        place = endpoint()
        callback(place)
        queue.claim(health=Health.HEALTHY, limit=8)
        assert outgoing.resend_since(merchant=place.merchant, since=timezone.now() - timedelta(days=1)) == 0
