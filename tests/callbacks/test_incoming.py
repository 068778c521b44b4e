"""The inbox: what is acknowledged is stored, what is stored is applied once or set aside with its reason."""

from __future__ import annotations

import hashlib
import logging
import threading
from datetime import timedelta
from typing import Any

import pytest
from django.db import OperationalError, connection
from django.utils import timezone

from callbacks import incoming
from callbacks.incoming import NotQuarantined, TooLarge
from callbacks.models import IncomingCallback, IncomingState, OutgoingCallback
from payments import deposits
from payments.models import Address, Operation, Processor
from payments.processors.base import BadSignature
from payments.processors.registry import UnknownProcessor
from tests import factories
from tests.callbacks import upstream
from tests.factories import NOW

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("intake")]


def receive(body: bytes, **signer: str) -> bool:
    return incoming.receive(processor_code="sandbox", request=upstream.request(body, **signer))


def the_row() -> IncomingCallback:
    return IncomingCallback.objects.get()


def due_again() -> None:
    """As if the wait, or the lease, were over."""
    IncomingCallback.objects.update(next_attempt_at=timezone.now() - timedelta(seconds=1))


def seconds_to_wait(row: IncomingCallback) -> float:
    return (row.next_attempt_at - timezone.now()).total_seconds()


class Killed(BaseException):
    """What `kill -9` looks like from inside: nothing after it happens."""


class Failing:
    """Stands in for `deposits.record_many` and fails on the deposits that it is told to."""

    def __init__(self, error: Exception, *numbers: str) -> None:
        self.error, self.numbers, self.calls = error, numbers, 0
        self._really = deposits.record_many

    def __call__(self, *, processor: Any, notices: Any, now: Any) -> None:
        self.calls += 1
        self._really(processor=processor, notices=notices, now=now)
        if any(notice.external_id in self.numbers for notice in notices):
            raise self.error


class TestReceive:
    def test_stores_the_exact_bytes(self, address: Address) -> None:
        body = upstream.deposit(address)
        assert receive(body) is True
        row = the_row()
        assert bytes(row.raw) == body
        assert bytes(row.sha256) == hashlib.sha256(body).digest()
        assert (row.processor, row.state, row.attempts) == ("sandbox", IncomingState.RECEIVED, 0)
        assert row.headers["x-processing-key"] == upstream.KEY

    def test_stores_the_same_bytes_once(self, address: Address) -> None:
        body = upstream.deposit(address)
        assert [receive(body) for _ in range(3)] == [True, False, False]
        assert IncomingCallback.objects.count() == 1

    def test_stores_other_bytes_of_the_same_deposit_too(self, address: Address) -> None:
        assert receive(upstream.deposit(address, status="not_confirmed"))
        assert receive(upstream.deposit(address))
        assert IncomingCallback.objects.count() == 2

    @pytest.mark.parametrize("signer", [{"secret": "another"}, {"key": "another"}])
    def test_refuses_another_signature(self, address: Address, signer: dict[str, str]) -> None:
        with pytest.raises(BadSignature):
            receive(upstream.deposit(address), **signer)
        assert not IncomingCallback.objects.exists()

    def test_refuses_a_processor_that_is_not_ours(self) -> None:
        with pytest.raises(UnknownProcessor):
            incoming.receive(processor_code="stranger", request=upstream.request(b"{}"))
        assert not IncomingCallback.objects.exists()

    def test_takes_64_kb_and_not_a_byte_more(self) -> None:
        assert receive(b" " * 65_536)
        with pytest.raises(TooLarge):
            receive(b" " * 65_537)
        assert IncomingCallback.objects.count() == 1

    @pytest.mark.parametrize("body", [b"", b"\x00", b'"\\u0000\\ud800"', b"\xff\xfe", b"{not json"])
    def test_stores_any_signed_bytes(self, body: bytes) -> None:
        assert receive(body)
        assert bytes(the_row().raw) == body

    def test_keeps_no_credentials_among_the_headers(self) -> None:
        request = upstream.request(b"{}")
        given = {**request.headers, "cookie": "c", "authorization": "a", "x-odd": "n\x00ul"}
        incoming.receive(processor_code="sandbox", request=type(request)(given, b"{}"))
        headers = the_row().headers
        assert {"cookie", "authorization"}.isdisjoint(headers)
        assert headers["x-odd"] == "n\\x00ul"


class TestProcess:
    def test_applies_a_deposit_and_tells_the_merchant(self, address: Address) -> None:
        receive(upstream.deposit(address))
        assert incoming.process(now=NOW) == 1
        row = the_row()
        assert (row.state, row.attempts, row.failures, row.error) == (IncomingState.APPLIED, 1, 0, "")
        operation = Operation.objects.get()
        assert (operation.external_id, str(operation.status)) == ("1", "confirmed")
        assert OutgoingCallback.objects.get().subject_id == operation.pk

    def test_finds_nothing_when_nothing_is_due(self) -> None:
        assert incoming.process(now=NOW) == 0

    def test_applies_a_row_once(self, address: Address) -> None:
        receive(upstream.deposit(address))
        assert [incoming.process(now=NOW) for _ in range(2)] == [1, 0]
        assert Operation.objects.get().bookings == 1

    def test_applies_a_batch_by_one_call(self, address: Address, monkeypatch: Any) -> None:
        for number in range(1, 26):
            receive(upstream.deposit(address, number=number))
        counting = Failing(RuntimeError())
        monkeypatch.setattr(deposits, "record_many", counting)
        assert incoming.process(now=NOW) == 20
        assert counting.calls == 1
        assert incoming.process(now=NOW) == 5
        assert Operation.objects.count() == 25

    def test_applies_each_processors_rows_to_it(self, address: Address, settings: Any) -> None:
        settings.PROCESSORS = upstream.PROCESSORS | {"second": upstream.PROCESSORS["sandbox"]}
        other = factories.address(factories.merchant(), processor=factories.processor("second"))
        receive(upstream.deposit(address))
        incoming.receive(processor_code="second", request=upstream.request(upstream.deposit(other)))
        assert incoming.process(now=NOW) == 2
        assert set(Operation.objects.values_list("processor__code", "address")) == {
            ("sandbox", address.pk),
            ("second", other.pk),
        }

    def test_claims_with_lease_and_attempts_before_the_work(self, address: Address, monkeypatch: Any) -> None:
        receive(upstream.deposit(address))
        seen = []

        def look(*_: Any, **__: Any) -> None:
            row = the_row()
            seen.append((row.attempts, row.unfinished, 0 < seconds_to_wait(row) <= incoming.LEASE_SECONDS))

        monkeypatch.setattr(incoming, "_apply", look)
        incoming.process(now=NOW)
        assert seen == [(1, 1, True)]


class TestFailure:
    def test_of_one_row_holds_up_no_other(self, address: Address, monkeypatch: Any, caplog: Any) -> None:
        for number in (1, 2, 3):
            receive(upstream.deposit(address, number=number))
        monkeypatch.setattr(deposits, "record_many", Failing(RuntimeError("no luck"), "2"))
        incoming.process(now=NOW)
        assert set(Operation.objects.values_list("external_id", flat=True)) == {"1", "3"}
        culprit = IncomingCallback.objects.exclude(state=IncomingState.APPLIED).get()
        assert (culprit.state, culprit.failures, culprit.error) == (
            IncomingState.RECEIVED,
            1,
            "RuntimeError: no luck",
        )
        assert "replayed one by one" in caplog.text

    def test_backs_off_and_then_quarantines_loudly(
        self, address: Address, monkeypatch: Any, caplog: Any
    ) -> None:
        receive(upstream.deposit(address))
        monkeypatch.setattr(deposits, "record_many", Failing(RuntimeError("no luck"), "1"))
        waits = []
        for _ in range(5):
            assert incoming.process(now=NOW) == 1
            waits.append(round(seconds_to_wait(the_row())))
            assert incoming.process(now=NOW) == 0
            due_again()
        assert waits == [1, 5, 30, 120, 600]
        assert not [record for record in caplog.records if record.levelno >= logging.ERROR]
        incoming.process(now=NOW)
        row = the_row()
        assert (row.state, row.error) == (IncomingState.QUARANTINED, "RuntimeError: no luck")
        assert [record.levelname for record in caplog.records if record.levelno >= logging.ERROR] == ["ERROR"]
        assert not Operation.objects.exists()

    def test_recovers_when_the_cause_is_gone(self, address: Address, monkeypatch: Any) -> None:
        receive(upstream.deposit(address))
        with monkeypatch.context() as broken:
            broken.setattr(deposits, "record_many", Failing(RuntimeError("no luck"), "1"))
            incoming.process(now=NOW)
        due_again()
        incoming.process(now=NOW)
        row = the_row()
        assert (row.state, row.attempts, row.failures, row.error) == (IncomingState.APPLIED, 2, 1, "")

    def test_to_read_quarantines_at_once(self, address: Address) -> None:
        receive(b"{not json")
        receive(upstream.deposit(address))
        assert incoming.process(now=NOW) == 2
        row = IncomingCallback.objects.get(state=IncomingState.QUARANTINED)
        assert row.error == "no strict JSON object of reasonable size"
        assert Operation.objects.count() == 1

    @pytest.mark.parametrize("body", [b'{"type":"\\u0000"}', b'{"type":"\\ud800"}', b'{"type":"a\xcc\x80"}'])
    def test_to_read_odd_text_is_stored_as_a_reason(self, body: bytes) -> None:
        factories.processor()
        receive(body)
        incoming.process(now=NOW)
        assert the_row().state == IncomingState.QUARANTINED

    def test_by_contradiction_quarantines_at_once(self, address: Address) -> None:
        receive(upstream.deposit(address))
        incoming.process(now=NOW)
        receive(upstream.deposit(address, amount="0.02000000"))
        incoming.process(now=NOW)
        row = IncomingCallback.objects.get(state=IncomingState.QUARANTINED)
        assert row.error.startswith("The processor contradicts what is recorded:")
        assert str(Operation.objects.get().amount_sent) == "0.01500000"

    def test_by_contradiction_lets_the_rest_of_its_batch_pass(self, address: Address) -> None:
        receive(upstream.deposit(address))
        receive(upstream.deposit(address, amount="0.02000000"))
        receive(upstream.deposit(address, number=2))
        incoming.process(now=NOW)
        assert set(
            IncomingCallback.objects.values_list("id", "state").order_by("id").values_list("state", flat=True)
        ) == {
            IncomingState.APPLIED,
            IncomingState.QUARANTINED,
        }
        assert Operation.objects.count() == 2

    @pytest.mark.parametrize("kind", ["withdrawal", "exchange"])
    def test_for_want_of_an_order_quarantines_with_that_reason(self, address: Address, kind: str) -> None:
        receive(upstream.deposit(address, type=kind, foreign_id="w-1"))
        incoming.process(now=NOW)
        row = the_row()
        assert row.state == IncomingState.QUARANTINED
        assert row.error.startswith("The processor contradicts what is recorded: ")

    def test_for_want_of_the_processors_row_is_put_off(self) -> None:
        assert not Processor.objects.exists()
        receive(b"{}")
        incoming.process(now=NOW)
        row = the_row()
        assert (row.state, row.failures, row.error) == (IncomingState.RECEIVED, 1, "KeyError: 'sandbox'")


class TestLostWorker:
    @pytest.fixture
    def dying(self, monkeypatch: Any) -> None:
        """A worker that dies between claim and work: nothing after the claim happens."""

        def die(*_: Any, **__: Any) -> None:
            raise Killed

        monkeypatch.setattr(incoming, "_apply", die)

    def die(self) -> None:
        with pytest.raises(Killed):
            incoming.process(now=NOW)

    def test_leaves_its_rows_to_others_after_the_lease(self, address: Address, monkeypatch: Any) -> None:
        receive(upstream.deposit(address))
        claims = incoming._claim(20)
        assert incoming.process(now=NOW) == 0
        due_again()
        assert incoming.process(now=NOW) == 1
        row = the_row()
        assert (row.state, row.attempts, row.unfinished) == (IncomingState.APPLIED, 2, 0)
        assert claims[0].attempts == 1

    def test_that_wakes_up_late_applies_nothing(self, address: Address) -> None:
        receive(upstream.deposit(address))
        (late,) = incoming._claim(20)
        due_again()
        (current,) = incoming._claim(20)
        processors = Processor.objects.in_bulk(["sandbox"], field_name="code")
        reading = incoming._read(late, processors)
        assert reading is not None
        incoming._apply([reading], NOW)
        assert the_row().state == IncomingState.RECEIVED
        assert not Operation.objects.exists()
        incoming._put_off(late, RuntimeError("late"))
        assert (the_row().failures, the_row().attempts) == (0, current.attempts)

    @pytest.mark.usefixtures("dying")
    def test_twice_makes_a_row_suspect_and_has_it_tried_alone(self, address: Address) -> None:
        for number in (1, 2):
            receive(upstream.deposit(address, number=number))
        for _ in range(2):
            self.die()
            due_again()
        receive(upstream.deposit(address, number=3))
        assert [claim.raw for claim in incoming._claim(20)] == [upstream.deposit(address, number=3)]
        assert len(incoming._claim(20)) == 1

    @pytest.mark.usefixtures("dying")
    def test_ten_times_quarantines_the_row(self, address: Address) -> None:
        receive(upstream.deposit(address))
        for _ in range(10):
            self.die()
            due_again()
        assert the_row().state == IncomingState.RECEIVED
        incoming.process(now=NOW)
        row = the_row()
        assert (row.state, row.error) == (IncomingState.QUARANTINED, "its worker died 10 times")


class TestDatabaseTrouble:
    def deadlock(self) -> OperationalError:
        cause = Exception()
        cause.sqlstate = "40P01"  # type: ignore[attr-defined]
        error = OperationalError("deadlock detected")
        error.__cause__ = cause
        return error

    @pytest.mark.parametrize(("times", "state"), [(5, "applied"), (6, "received")])
    def test_a_deadlock_is_tried_again_five_times(
        self, address: Address, monkeypatch: Any, times: int, state: str
    ) -> None:
        receive(upstream.deposit(address))
        really, left = deposits.record_many, [times]

        def deadlock_first(**notices: Any) -> None:
            if left[0]:
                left[0] -= 1
                raise self.deadlock()
            really(**notices)

        monkeypatch.setattr(deposits, "record_many", deadlock_first)
        incoming.process(now=NOW)
        assert the_row().state == state

    @pytest.mark.django_db(transaction=True)
    def test_a_lost_connection_is_no_rows_fault(self, address: Address, monkeypatch: Any) -> None:
        receive(upstream.deposit(address))

        def cut(**_: Any) -> None:
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_terminate_backend(pg_backend_pid())")

        with monkeypatch.context() as broken:
            broken.setattr(deposits, "record_many", cut)
            with pytest.raises(OperationalError):
                incoming.process(now=NOW)
        connection.close()
        row = the_row()
        assert (row.state, row.failures, row.unfinished) == (IncomingState.RECEIVED, 0, 1)
        due_again()
        incoming.process(now=NOW)
        assert the_row().state == IncomingState.APPLIED


class TestReplay:
    def test_gives_a_quarantined_row_all_its_tries_again(self, address: Address, monkeypatch: Any) -> None:
        receive(upstream.deposit(address))
        with monkeypatch.context() as broken:
            broken.setattr(deposits, "record_many", Failing(deposits.Contradiction(what="so"), "1"))
            incoming.process(now=NOW)
        assert the_row().state == IncomingState.QUARANTINED
        incoming.replay(callback_id=the_row().pk)
        assert (the_row().state, the_row().failures, the_row().error) == (IncomingState.RECEIVED, 0, "")
        assert incoming.process(now=NOW) == 1
        assert Operation.objects.count() == 1

    def test_refuses_what_is_not_quarantined(self, address: Address) -> None:
        receive(upstream.deposit(address))
        incoming.process(now=NOW)
        for callback_id in (the_row().pk, 0):
            with pytest.raises(NotQuarantined):
                incoming.replay(callback_id=callback_id)
        assert the_row().state == IncomingState.APPLIED


@pytest.mark.django_db(transaction=True)
class TestSideBySide:
    def test_claims_never_overlap(self, address: Address) -> None:
        for number in range(1, 61):
            receive(upstream.deposit(address, number=number))
        claimed: list[int] = []
        together = threading.Barrier(4)

        def claim() -> None:
            together.wait()
            while claims := incoming._claim(5):
                claimed.extend(one.id for one in claims)
            connection.close()

        threads = [threading.Thread(target=claim) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(claimed) == 60
        assert len(set(claimed)) == 60

    def test_the_same_bytes_are_new_once(self, address: Address) -> None:
        body = upstream.deposit(address)
        news: list[bool] = []
        together = threading.Barrier(4)

        def send() -> None:
            together.wait()
            news.append(receive(body))
            connection.close()

        threads = [threading.Thread(target=send) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(news) == [False, False, False, True]

    def test_workers_apply_everything_once(self, address: Address) -> None:
        for number in range(1, 41):
            receive(upstream.deposit(address, number=number, amount="1.00000000"))
        together = threading.Barrier(3)

        def work() -> None:
            together.wait()
            while incoming.process(now=NOW, limit=7):
                pass
            connection.close()

        threads = [threading.Thread(target=work) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert IncomingCallback.objects.filter(state=IncomingState.APPLIED).count() == 40
        assert Operation.objects.filter(bookings=1).count() == 40
