"""The one listener on payments' port, and the check that it is one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.db import transaction

from callbacks import checks, receivers
from payments import deposits, doorbell
from payments.events import transactions_changed_signal
from payments.models import Address
from tests import factories
from tests.callbacks.outbox import endpoint
from tests.factories import NOW


@pytest.fixture
def rung(monkeypatch: Any) -> list[str]:
    """The bells that were rung."""
    names: list[str] = []
    monkeypatch.setattr(doorbell, "ring", lambda bell: names.append(bell.task))
    return names


@pytest.mark.django_db
class TestTellMerchants:
    def record(self, to: Address) -> None:
        with transaction.atomic():
            deposits.record_many(processor=to.processor, notices=[factories.notice(to)], now=NOW)

    def test_rings_once_the_change_is_committed(
        self, address: Address, rung: list[str], django_capture_on_commit_callbacks: Callable[..., Any]
    ) -> None:
        endpoint(merchant=address.merchant)
        with django_capture_on_commit_callbacks(execute=True):
            self.record(address)
            assert rung == []
        assert rung == ["callbacks.tasks.deliver"]

    def test_stays_silent_when_there_is_nothing_to_deliver(
        self, address: Address, rung: list[str], django_capture_on_commit_callbacks: Callable[..., Any]
    ) -> None:
        with django_capture_on_commit_callbacks(execute=True):
            self.record(address)
        assert rung == []


class TestCheck:
    @pytest.fixture
    def another(self) -> Iterator[None]:
        def listen(**_: Any) -> None: ...

        transactions_changed_signal.connect(listen)
        yield
        transactions_changed_signal.disconnect(listen)

    def test_is_content_with_the_one(self) -> None:
        assert checks.one_listener_tells_merchants(None) == []

    @pytest.mark.usefixtures("another")
    def test_refuses_a_second(self) -> None:
        (error,) = checks.one_listener_tells_merchants(None)
        assert (error.id, error.msg) == (
            "callbacks.E001",
            "transactions_changed has 2 receivers; it must have exactly one.",
        )

    def test_refuses_none(self) -> None:
        uid = "callbacks.receivers.tell_merchants"
        assert transactions_changed_signal.disconnect(dispatch_uid=uid)
        try:
            (error,) = checks.one_listener_tells_merchants(None)
            assert error.id == "callbacks.E001"
        finally:
            transactions_changed_signal.connect(receivers.tell_merchants, dispatch_uid=uid)
