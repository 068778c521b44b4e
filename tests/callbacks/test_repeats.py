"""Words about one deposit that come again, late, or out of turn: the last one that was said stands.

A processor may confirm, take back, and confirm again with the very bytes of the first time. An old message
sent again looks exactly the same, so neither is believed: people ask, and replay.
"""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest
from django.utils import timezone

from callbacks import incoming
from callbacks.models import IncomingCallback, IncomingState
from payments import deposits, ledger
from payments.models import Address, Operation, UnmatchedDeposit
from payments.models.entry import Entry
from tests.callbacks import upstream
from tests.constraints import refused
from tests.factories import NOW

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("intake")]

FULL, NOTHING = Decimal("0.01488"), Decimal(0)


def receive(body: bytes) -> bool:
    return incoming.receive(processor_code="sandbox", request=upstream.request(body))


def say(*bodies: bytes) -> None:
    """Each is received and applied before the next."""
    for body in bodies:
        receive(body)
        assert incoming.process(now=NOW) == 1


def row_of(body: bytes) -> IncomingCallback:
    return IncomingCallback.objects.get(raw=body)


def available(address: Address) -> Decimal:
    return sum((row.available for row in ledger.balances(address.merchant_id or 0)), NOTHING)


@pytest.fixture
def confirmed(address: Address) -> bytes:
    return upstream.deposit(address)


@pytest.fixture
def cancelled(address: Address) -> bytes:
    return upstream.deposit(address, status="cancelled")


class TestSameBytesAgain:
    def test_change_nothing_while_they_stand(self, address: Address, confirmed: bytes) -> None:
        say(confirmed, confirmed, confirmed)
        row = row_of(confirmed)
        assert (row.state, row.is_repeat, row.error) == (IncomingState.APPLIED, False, "")
        assert (Operation.objects.get().version, Entry.objects.count()) == (1, 1)
        assert available(address) == FULL

    def test_are_not_applied_twice_while_they_wait(self, confirmed: bytes) -> None:
        assert [receive(confirmed), receive(confirmed)] == [True, False]
        assert row_of(confirmed).repeated_at is None

    def test_do_not_give_back_by_themselves_what_was_taken_back(
        self, address: Address, confirmed: bytes, cancelled: bytes
    ) -> None:
        say(confirmed, cancelled, confirmed)
        row = row_of(confirmed)
        assert row.state == IncomingState.QUARANTINED
        assert "the same bytes say confirmed again" in row.error
        assert (str(Operation.objects.get().status), available(address)) == ("cancelled", NOTHING)

    def test_give_it_back_once_people_have_asked(
        self, address: Address, confirmed: bytes, cancelled: bytes
    ) -> None:
        say(confirmed, cancelled, confirmed)
        incoming.replay(callback_id=row_of(confirmed).pk)
        assert incoming.process(now=NOW) == 1
        assert row_of(confirmed).state == IncomingState.APPLIED
        operation = Operation.objects.get()
        assert (str(operation.status), operation.version, operation.bookings) == ("confirmed", 3, 3)
        assert available(address) == FULL

    def test_do_not_take_away_by_themselves_what_was_given_again(
        self, address: Address, confirmed: bytes, cancelled: bytes
    ) -> None:
        again = upstream.deposit(address, end_user_reference="other bytes")
        say(confirmed, cancelled, again, cancelled)
        assert row_of(cancelled).state == IncomingState.QUARANTINED
        assert available(address) == FULL

    def test_are_as_harmless_in_suspense(self, address: Address) -> None:
        address.address = "2Nnobodys"
        confirmed, cancelled = upstream.deposit(address), upstream.deposit(address, status="cancelled")
        say(confirmed, confirmed, cancelled, confirmed)
        assert row_of(confirmed).state == IncomingState.QUARANTINED
        unmatched = UnmatchedDeposit.objects.get()
        assert (unmatched.is_booked, unmatched.bookings) == (False, 2)

    def test_are_a_repeat_with_a_time(self, confirmed: bytes) -> None:
        receive(confirmed)
        refused(
            "incoming_callback_repeat_has_its_time",
            "UPDATE callbacks_incomingcallback SET is_repeat = true",
        )


class TestOlderWord:
    """A worker died, or a row was put off: what was said first is applied last, and is no news."""

    def overtake(self, older: bytes, newer: bytes) -> None:
        """`older` is claimed by a worker that dies, `newer` comes and is applied, then the lease ends."""
        receive(older)
        assert incoming._claim(20)
        say(newer)
        IncomingCallback.objects.update(next_attempt_at=timezone.now() - timedelta(seconds=1))
        assert incoming.process(now=NOW) == 1
        assert set(IncomingCallback.objects.values_list("state", flat=True)) == {IncomingState.APPLIED}

    def test_does_not_credit_what_was_cancelled_after_it(
        self, address: Address, confirmed: bytes, cancelled: bytes
    ) -> None:
        say(upstream.deposit(address, status="not_confirmed"))
        self.overtake(confirmed, cancelled)
        assert (str(Operation.objects.get().status), available(address)) == ("cancelled", NOTHING)

    def test_does_not_take_back_what_was_confirmed_after_it(
        self, address: Address, confirmed: bytes, cancelled: bytes
    ) -> None:
        again = upstream.deposit(address, end_user_reference="other bytes")
        say(confirmed)
        self.overtake(cancelled, again)
        assert (str(Operation.objects.get().status), available(address)) == ("confirmed", FULL)

    def test_still_counts_when_it_ranks_higher(self, address: Address, confirmed: bytes) -> None:
        self.overtake(confirmed, upstream.deposit(address, status="not_confirmed"))
        assert (str(Operation.objects.get().status), available(address)) == ("confirmed", FULL)

    def test_is_no_news_when_people_replay_it(
        self, address: Address, confirmed: bytes, cancelled: bytes, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        say(upstream.deposit(address, status="not_confirmed"))
        with monkeypatch.context() as broken:

            def contradict(**_: object) -> None:
                raise deposits.Contradiction(what="so")

            broken.setattr(deposits, "record_many", contradict)
            say(confirmed)
        say(cancelled)
        incoming.replay(callback_id=row_of(confirmed).pk)
        incoming.process(now=NOW)
        assert (str(Operation.objects.get().status), available(address)) == ("cancelled", NOTHING)

    def test_is_not_outlived_by_a_repeat_of_a_still_older_one(
        self, address: Address, confirmed: bytes, cancelled: bytes
    ) -> None:
        say(confirmed)
        receive(cancelled)
        assert incoming._claim(20)
        say(confirmed)
        IncomingCallback.objects.update(next_attempt_at=timezone.now() - timedelta(seconds=1))
        incoming.process(now=NOW)
        assert (str(Operation.objects.get().status), available(address)) == ("cancelled", NOTHING)
