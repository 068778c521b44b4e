"""Several senders at once, and a stop among them, over real connections."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable

import pytest
from django.db import connection

from payments import controls
from payments.models import Stop, Withdrawal
from tests.payments import upstream_of_payouts as up
from tests.payments.upstream_of_payouts import NOW, Payer, approved, send

pytestmark = pytest.mark.django_db(transaction=True)


def together(*works: Callable[[], None]) -> None:
    """Runs each on its own thread and connection; raises what one raised."""
    errors: list[BaseException] = []
    start = threading.Barrier(len(works))

    def run(work: Callable[[], None]) -> None:
        try:
            start.wait()
            work()
        except BaseException as error:  # noqa: BLE001 - raised in the test's own thread
            errors.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=[work]) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]


def drain(payer: Payer) -> Callable[[], None]:
    def work() -> None:
        while send(payer):
            pass

    return work


def test_senders_share_the_work_and_hand_each_over_once():
    shop = up.payer_out()
    rows = [approved(shop, "0.001") for _ in range(12)]
    payers = [Payer(), Payer(), Payer()]
    together(*[drain(payer) for payer in payers])
    assert sum((payer.paid for payer in payers), Counter()) == {row.our_id: 1 for row in rows}
    assert set(Withdrawal.objects.values_list("state", flat=True)) == {"sent"}


def test_senders_together_stay_below_a_cap():
    shop = up.payer_out()
    for _ in range(12):
        approved(shop, "0.001")
    up.capped(per_hour="0.005")
    payers = [Payer(), Payer(), Payer()]
    together(*[drain(payer) for payer in payers])
    assert sum(sum(payer.paid.values()) for payer in payers) == 5


def test_a_stop_that_has_returned_lets_nothing_more_begin():
    """Both senders have an order on its way while everything is stopped; no other follows."""
    shop = up.payer_out()
    for _ in range(10):
        approved(shop, "0.001")
    operator, on_the_way, stopped = up.operator(), threading.Semaphore(0), threading.Event()

    def waits(payer, prepared):
        on_the_way.release()
        stopped.wait(timeout=30)
        return up.accepts(payer, prepared)

    def stops() -> None:
        for _ in range(2):
            on_the_way.acquire(timeout=30)
        controls.stop(merchant=None, reason="now", by=operator, now=NOW)
        stopped.set()

    payers = [Payer(waits), Payer(waits)]
    together(stops, *[drain(payer) for payer in payers])
    assert [len(payer.submitted) for payer in payers] == [1, 1]
    assert Withdrawal.objects.filter(state="approved").count() == 8
    assert Stop.objects.filter(lifted_at=None).count() == 1


def test_two_stops_at_once_are_one():
    shop, operator = up.payer_out(), up.operator()
    refusals = []

    def stops() -> None:
        try:
            controls.stop(merchant=shop, reason="now", by=operator, now=NOW)
        except controls.AlreadyStopped as refusal:
            refusals.append(refusal)

    together(stops, stops, stops)
    assert (Stop.objects.count(), len(refusals)) == (1, 2)
