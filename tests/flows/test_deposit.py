"""A deposit from end to end, across real processes: undisturbed, with workers killed, and without Valkey."""

from __future__ import annotations

import os
import signal
import time

import pytest

from tests.flows.installation import DEAD_VALKEY, Installation, installed, until

pytestmark = [pytest.mark.flow]

CONFIRMED_ONCE = "SELECT count(*) FROM payments_entry WHERE kind = 'deposit'"


def pay(installation: Installation, address: str, amount: str = "0.015") -> None:
    installation.control.call("pay", address=address, amount=amount)


def mine(installation: Installation) -> None:
    installation.control.call("block", network="BTC", count=1)


def the_operation(installation: Installation) -> int:
    (row,) = installation.query("SELECT wire_id FROM payments_operation")
    return int(row[0])


def check_books(installation: Installation) -> None:
    """Zero per currency, and every kept balance at its last posting."""
    assert not installation.query(
        "SELECT currency FROM payments_posting GROUP BY currency HAVING sum(amount) <> 0"
    )
    assert not installation.query(
        "SELECT a.id FROM payments_account a LEFT JOIN payments_posting p ON p.account_id = a.id"
        " WHERE a.kept GROUP BY a.id, a.balance HAVING a.balance <> COALESCE(sum(p.amount), 0)"
    )


class TestWithEverythingRunning:
    @pytest.fixture
    def installation(self, tmp_path):
        with installed(tmp_path, valkey=os.environ["REDIS_URL"]) as running:
            running.start("web", "intake", "sender", "worker", "deliver", "deliver_slow", "beat")
            yield running

    def test_is_credited_and_told_even_though_workers_die(self, installation):
        address = installation.take("u-77")
        pay(installation, address)
        operation = until(lambda: installation.receiver.bodies, what="the first callback")[0]["id"]
        assert installation.receiver.statuses(operation) == ["not_confirmed"]

        installation.kill("worker")
        mine(installation)
        until(
            lambda: installation.query("SELECT 1 FROM callbacks_incomingcallback WHERE state = 'received'"),
            what="a callback in the inbox that nobody works",
        )
        installation.kill("deliver")
        installation.start("worker", "deliver")
        until(lambda: "confirmed" in installation.receiver.statuses(operation), what="the second callback")

        assert installation.balance() == "0.01488000"
        assert installation.query(CONFIRMED_ONCE) == [(1,)]
        assert set(installation.receiver.statuses(operation)) == {"not_confirmed", "confirmed"}
        assert installation.receiver.unsigned == 0
        body = installation.receiver.bodies[-1]
        assert body["currency_received"]["amount_minus_fee"] == "0.01488000"
        assert body["crypto_address"]["foreign_id"] == "u-77"
        check_books(installation)


class TestWithValkeyDead:
    """The broker carries doorbells only: with none at all, the same queues are worked by a command."""

    @pytest.fixture
    def installation(self, tmp_path):
        with installed(tmp_path, valkey=DEAD_VALKEY) as running:
            running.start("web", "intake")
            running.manage("drain", role="sender")
            yield running

    def test_is_credited_and_told_by_the_drain_command(self, installation):
        address = installation.take("u-77")
        pay(installation, address)
        self.until_received(installation, 1)
        installation.manage("drain")
        operation = the_operation(installation)
        assert installation.receiver.statuses(operation) == ["not_confirmed"]

        mine(installation)
        self.until_received(installation, 2)
        self.drain_and_be_killed(installation)
        until(lambda: self.drained(installation), seconds=90, what="the outbox to empty")

        assert installation.receiver.statuses(operation)[-1] == "confirmed"
        assert installation.balance() == "0.01488000"
        assert installation.query(CONFIRMED_ONCE) == [(1,)]
        check_books(installation)

    def until_received(self, installation: Installation, count: int) -> None:
        until(
            lambda: installation.query("SELECT count(*) FROM callbacks_incomingcallback") == [(count,)],
            what="the processor's callback",
        )

    def drain_and_be_killed(self, installation: Installation) -> None:
        process = installation.begin("drain")
        time.sleep(1.0)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()

    def drained(self, installation: Installation) -> bool:
        installation.manage("drain")
        return not installation.query("SELECT 1 FROM callbacks_outgoingcallback WHERE state <> 'delivered'")
