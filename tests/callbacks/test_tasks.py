"""The alarm clocks: each works its queue to the end, whatever it is called with."""

from __future__ import annotations

from typing import Any

import pytest

from callbacks import incoming, tasks
from callbacks.models import Health, IncomingCallback, IncomingState, OutgoingCallback, OutgoingState
from payments import doorbell
from payments.models import Address, Operation
from tests import factories
from tests.callbacks import upstream
from tests.callbacks.outbox import callback, endpoint
from tests.callbacks.receivers import Receiver, answers

pytestmark = pytest.mark.django_db


class TestProcessIncoming:
    @pytest.mark.usefixtures("intake")
    def test_applies_all_that_is_due(self, address: Address) -> None:
        for number in range(1, 46):
            body = upstream.deposit(address, number=number)
            incoming.receive(processor_code="sandbox", request=upstream.request(body))
        tasks.process_incoming(added_by_a_newer_release=True)
        assert IncomingCallback.objects.filter(state=IncomingState.APPLIED).count() == 45
        assert Operation.objects.count() == 45

    @pytest.mark.usefixtures("intake")
    def test_needs_none_of_the_upstreams_secrets(self, address: Address, settings: Any) -> None:
        body = upstream.deposit(address)
        incoming.receive(processor_code="sandbox", request=upstream.request(body))
        settings.PROCESSORS = {}
        tasks.process_incoming()
        assert IncomingCallback.objects.get().state == IncomingState.APPLIED


class TestDeliver:
    def test_serves_the_endpoints_that_answer(self) -> None:
        with Receiver(answers()) as receiver:
            rows = self.rows(receiver)
            tasks.deliver(added_by_a_newer_release=True)
        assert self.delivered() == {rows[Health.HEALTHY].pk}

    def test_slow_serves_the_failing(self) -> None:
        with Receiver(answers()) as receiver:
            rows = self.rows(receiver)
            tasks.deliver_slow()
        assert self.delivered() == {rows[Health.FAILING].pk}

    def rows(self, receiver: Receiver) -> dict[Health, OutgoingCallback]:
        rows = {}
        for health in Health:
            merchant = factories.merchant()
            factories.active_key(merchant)
            rows[health] = callback(endpoint(receiver.url, merchant=merchant, health=health))
        return rows

    def delivered(self) -> set[int]:
        done = OutgoingCallback.objects.filter(state=OutgoingState.DELIVERED)
        return set(done.values_list("pk", flat=True))


class TestBells:
    def test_name_the_queue_of_the_role_that_works_them(self) -> None:
        queues = {bell.task: bell.queue for bell in doorbell.BELLS if bell.task.startswith("callbacks.")}
        assert queues == {
            "callbacks.tasks.process_incoming": "work",
            "callbacks.tasks.deliver": "deliver",
            "callbacks.tasks.deliver_slow": "deliver_slow",
        }

    def test_name_tasks_that_exist(self) -> None:
        for task in (tasks.process_incoming, tasks.deliver, tasks.deliver_slow):
            assert task.name in {bell.task for bell in doorbell.BELLS}
            assert task.time_limit == 60
