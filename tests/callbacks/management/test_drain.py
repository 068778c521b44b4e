"""`manage.py drain`: the queues are worked with no broker anywhere."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.management import call_command

from callbacks import incoming
from callbacks.models import OutgoingCallback, OutgoingState
from payments import addresses, doorbell, rates
from payments.models import Address
from tests import factories
from tests.callbacks import upstream
from tests.callbacks.outbox import callback, endpoint
from tests.callbacks.receivers import Receiver, answers

pytestmark = pytest.mark.django_db


class TestDrain:
    @pytest.fixture(autouse=True)
    def _no_broker(self, settings: Any, monkeypatch: Any) -> None:
        monkeypatch.setattr(doorbell, "ring", lambda bell: False)

    def test_takes_a_deposit_from_inbox_to_receiver(self, address: Address, settings: Any) -> None:
        settings.PROCESSORS = upstream.PROCESSORS
        body = upstream.deposit(address)
        incoming.receive(processor_code="sandbox", request=upstream.request(body))
        settings.PROCESSORS = {}
        factories.active_key(address.merchant)  # type: ignore[arg-type] # it was taken
        with Receiver(answers()) as receiver:
            endpoint(receiver.url, merchant=address.merchant)
            call_command("drain")
            assert len(receiver.requests) == 1
        assert OutgoingCallback.objects.get().state == OutgoingState.DELIVERED

    def test_serves_failing_endpoints_too(self) -> None:
        merchant = factories.merchant()
        factories.active_key(merchant)
        with Receiver(answers()) as receiver:
            callback(endpoint(receiver.url, merchant=merchant, health="failing"))
            call_command("drain")
            assert len(receiver.requests) == 1

    def test_leaves_the_senders_work_to_who_holds_its_secrets(self, settings: Any, monkeypatch: Any) -> None:
        factories.processor()
        asked = []
        monkeypatch.setattr(addresses, "fill", lambda **_: asked.append("fill") or 0)
        monkeypatch.setattr(rates, "refresh", lambda **_: asked.append("refresh") or 0)
        settings.PROCESSORS = {}
        call_command("drain")
        assert asked == []
        settings.PROCESSORS = upstream.PROCESSORS
        call_command("drain")
        assert asked == ["refresh", "fill"]

    def test_keeps_looking_for_as_long_as_it_is_told(self, monkeypatch: Any) -> None:
        looks = []
        monkeypatch.setattr(incoming, "process", lambda **_: looks.append(1) or 0)
        call_command("drain", seconds=0.5)
        assert len(looks) >= 2
