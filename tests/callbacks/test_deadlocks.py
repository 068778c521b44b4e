"""Workers side by side on the same merchants never wait for each other in a circle."""

from __future__ import annotations

import random
import threading
from typing import Any

import pytest
from django.db import OperationalError, connection

from callbacks import incoming
from callbacks.models import IncomingCallback, IncomingState
from payments.models import Operation
from payments.models.entry import Posting
from tests import factories
from tests.callbacks import upstream
from tests.factories import NOW

WORDS = (("not_confirmed", "confirmed"), ("not_confirmed", "confirmed", "cancelled"), ("confirmed",))


@pytest.fixture
def stored(settings: Any) -> None:
    """60 deposits, each seen, confirmed, or taken back, of 4 merchants at 2 processors."""
    settings.PROCESSORS = upstream.PROCESSORS | {"second": upstream.PROCESSORS["sandbox"]}
    factories.terms()
    shops, chance = [factories.merchant() for _ in range(4)], random.Random(1)  # noqa: S311 - not cryptographic
    addresses = {
        code: [factories.address(shop, processor=factories.processor(code)) for shop in shops]
        for code in ("sandbox", "second")
    }
    for number in range(1, 61):
        code = chance.choice(sorted(addresses))
        address = chance.choice(addresses[code])
        for status in chance.choice(WORDS):
            request = upstream.request(upstream.deposit(address, number=number, status=status))
            incoming.receive(processor_code=code, request=request)


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("stored")
def test_four_workers_never_deadlock(monkeypatch: Any) -> None:
    deadlocks: list[str] = []
    really = incoming._apply

    def apply(readings: Any, now: Any) -> None:
        try:
            really(readings, now)
        except OperationalError as error:
            deadlocks.append(incoming._sqlstate(error))
            raise

    monkeypatch.setattr(incoming, "_apply", apply)

    def work() -> None:
        while IncomingCallback.objects.filter(state=IncomingState.RECEIVED).exists():
            incoming.process(now=NOW, limit=7)
        connection.close()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert deadlocks == []
    assert not IncomingCallback.objects.exclude(state=IncomingState.APPLIED).exists()
    assert sum(Posting.objects.values_list("amount", flat=True)) == 0
    for operation in Operation.objects.all():
        assert operation.is_booked == (operation.status == "confirmed")
