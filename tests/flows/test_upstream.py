"""One Bursar behind another, each with all its processes: money up to a shop, and down from it.

The one in front is a merchant of the one behind and has it for its processor. Between them is nothing but
HTTP: the signed API one way, signed callbacks the other.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any, ClassVar

import pytest

from launcher.backing import Backing
from payments import address_formats
from tests.flows.installation import Installation, until
from tests.flows.test_deposit import check_books

pytestmark = [pytest.mark.flow]

ROLES = ("web", "intake", "sender", "worker", "deliver", "deliver_slow", "beat")


class Door:
    """In the place of a merchant's receiver: the intake of the Bursar in front."""

    secret = ""

    def __init__(self, url: str) -> None:
        self.url = url

    def start(self) -> str:
        return self.url

    def stop(self) -> None:
        pass


class Behind(Installation):
    """It has the sandbox, and the one in front for its merchant."""

    def __init__(self, directory: Path, *, valkey: str, calls_back: str) -> None:
        super().__init__(directory, valkey=valkey)
        self._name += "_behind"  # both were named in the same moment
        self.receiver = Door(calls_back)  # type: ignore[assignment]

    def prepare(self) -> None:
        super().prepare()
        for currency in ("EUR", "USD"):
            self.control.call("fund", currency=currency, amount="10000")

    def manage(self, *arguments: str, role: str = "manage") -> str:
        more = ("--banked", "--merchant", "bursar") if arguments[0] == "seed_demo" else ()
        return super().manage(*arguments, *more, role=role)


class Front(Installation):
    """It has no sandbox, but the one behind."""

    behind: Behind

    @property
    def intake_url(self) -> str:
        return f"http://127.0.0.1:{self._intake}/callbacks/upstream/"

    def start(self, *roles: str) -> None:
        super().start(*(role for role in roles if role != "sandbox"))

    def manage(self, *arguments: str, role: str = "manage") -> str:
        more = ("--banked", "--processor", "upstream") if arguments[0] == "seed_demo" else ()
        return super().manage(*arguments, *more, role=role)

    def _environment(self, role: str) -> dict[str, str]:
        environment = super()._environment(role)
        if "BURSAR_PROCESSORS" in environment:
            key = {"key": self.behind.demo["api_key"], "secret": self.behind.demo["api_secret"]}
            upstream = {"connector": "gateway", "url": self.behind.web_url} | key
            environment["BURSAR_PROCESSORS"] = json.dumps({"upstream": upstream})
        return environment


@pytest.fixture(scope="module")
def front(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Front]:
    """Both, with everything running; one pair for all, since they are sixteen processes."""
    brokers = Backing(None, os.environ["REDIS_URL"])
    front = Front(tmp_path_factory.mktemp("front"), valkey=brokers.broker(0))
    front.behind = Behind(
        tmp_path_factory.mktemp("behind"), valkey=brokers.broker(1), calls_back=front.intake_url
    )
    try:
        for each in (front.behind, front):
            each.prepare()
            each.start(*ROLES)
        yield front
    finally:
        front.close()
        front.behind.close()


@pytest.fixture
def behind(front: Front) -> Behind:
    return front.behind


def take(front: Front, customer: str, **more: str) -> str:
    """An address, once the pools of both have some of the kind."""

    def ask() -> str | None:
        answer = front.call("addresses/take", {"foreign_id": customer, "currency": "BTC"} | more)
        assert answer.status_code in {201, 400}, answer.text
        return str(answer.json()["data"]["address"]) if answer.status_code == 201 else None

    return str(until(ask, what="an address"))


def pay(behind: Behind, address: str, amount: str) -> int:
    """The sandbox's operation."""
    return int(behind.control.call("pay", address=address, amount=amount)["operations"][0]["id"])


def mine(behind: Behind) -> None:
    behind.control.call("block", network="BTC", count=1)


def told(front: Front, name: str, status: str) -> dict[str, Any]:
    """What the shop was told of a customer's deposit or of its own order, once it was."""

    def look() -> dict[str, Any] | None:
        for body in front.receiver.bodies:
            known_as = body.get("foreign_id") or body["crypto_address"].get("foreign_id")
            if (known_as, body["status"]) == (name, status):
                return body
        return None

    body: dict[str, Any] = until(look, what=f"the shop to be told of {name}: {status}")
    return body


def balances(front: Front, currency: str = "BTC") -> tuple[Decimal, Decimal]:
    """What the shop has in front, and what the one in front has behind."""
    return Decimal(front.balance(currency)), Decimal(front.behind.balance(currency))


def held_at_processor(installation: Installation, currency: str = "BTC") -> Decimal:
    """What an installation's ledger says that its processor holds for it."""
    ((total,),) = installation.query(
        "SELECT COALESCE(-sum(p.amount), 0) FROM payments_posting p JOIN payments_account a"
        f" ON a.id = p.account_id WHERE a.kind = 'at_processor' AND p.currency = '{currency}'"
    )
    return Decimal(total)


def check_both(front: Front) -> None:
    """Both ledgers are sound, and the one in front holds behind what the one behind owes it."""
    for each in (front, front.behind):
        check_books(each)
    for currency in ("BTC", "EUR"):
        assert held_at_processor(front, currency) == Decimal(front.behind.balance(currency))


class TestDeposit:
    def test_is_credited_by_both_and_told_to_the_shop(self, front, behind):
        shop, owed = balances(front)
        pay(behind, take(front, "u-1"), "0.015")
        seen = told(front, "u-1", "not_confirmed")
        mine(behind)
        body = told(front, "u-1", "confirmed")
        assert body["id"] == seen["id"]
        assert body["currency_sent"] == {"currency": "BTC", "amount": "0.01500000"}
        assert body["currency_received"]["amount_minus_fee"] == "0.01488000"
        assert balances(front) == (shop + Decimal("0.01488"), owed + Decimal("0.01494"))
        assert front.receiver.unsigned == 0
        check_both(front)

    def test_is_converted_behind_and_credited_in_front(self, front, behind):
        shop, owed = balances(front, "EUR")
        pay(behind, take(front, "u-2", convert_to="EUR"), "0.01")
        mine(behind)
        body = told(front, "u-2", "confirmed")
        assert body["type"] == "deposit_exchange"
        credited = Decimal(body["currency_received"]["amount_minus_fee"])
        assert credited > 0
        assert Decimal(front.balance("EUR")) == shop + credited
        assert Decimal(behind.balance("EUR")) > owed + credited  # its share is smaller
        check_both(front)

    def test_is_taken_back_by_both_when_the_chain_turns(self, front, behind):
        shop, owed = balances(front)
        operation = pay(behind, take(front, "u-3"), "0.02")
        mine(behind)
        told(front, "u-3", "confirmed")
        behind.control.call("reorg", id=str(operation))
        told(front, "u-3", "cancelled")
        assert balances(front) == (shop, owed)
        check_both(front)

    def test_is_credited_once_even_though_a_worker_of_each_dies(self, front, behind):
        shop, owed = balances(front)
        address = take(front, "u-4")
        for each in (front, behind):
            each.kill("worker")
        pay(behind, address, "0.015")
        mine(behind)
        until(
            lambda: behind.query("SELECT 1 FROM callbacks_incomingcallback WHERE state = 'received'"),
            what="a callback that nobody works",
        )
        behind.start("worker")
        until(
            lambda: front.query("SELECT 1 FROM callbacks_incomingcallback WHERE state = 'received'"),
            what="a callback of the one behind that nobody works",
        )
        front.start("worker")
        told(front, "u-4", "confirmed")
        assert balances(front) == (shop + Decimal("0.01488"), owed + Decimal("0.01494"))
        check_both(front)


class TestPrices:
    def test_are_those_of_the_one_behind(self, front, behind):
        def prices(installation: Installation) -> dict[tuple[str, str], str]:
            rows = installation.call("currencies/rates").json()["data"]
            return {
                (row["currency_from"]["currency"], row["currency_to"]["currency"]): row["rate_to"]
                for row in rows
            }

        until(lambda: ("BTC", "EUR") in prices(front), what="a price in front")
        assert prices(front)["BTC", "EUR"] == prices(behind)["BTC", "EUR"]


def payee() -> str:
    """A bitcoin address that neither issued."""
    return address_formats.make("bitcoin", os.urandom(16), testnet=True)


def payouts(behind: Behind, address: str) -> list[dict[str, Any]]:
    """What the sandbox paid there."""
    operations = behind.control.call("state")["operations"]
    return [each for each in operations if each.get("crypto_address", {}).get("address") == address]


class TestWithdrawal:
    ORDER: ClassVar = {"currency": "BTC", "amount": "0.01"}

    @pytest.fixture(autouse=True)
    def _funds(self, front, behind) -> None:
        payer = f"funds-{os.urandom(4).hex()}"
        pay(behind, take(front, payer), "0.05")
        mine(behind)
        told(front, payer, "confirmed")

    def test_is_paid_once_and_told_to_the_shop(self, front, behind):
        shop, owed = balances(front)
        order = self.ORDER | {"foreign_id": "out-1", "address": payee()}
        answer = front.call("withdrawal/crypto", order)
        assert (answer.status_code, answer.json()["data"]["status"]) == (201, "processing")
        assert front.call("withdrawal/crypto", order).status_code == 400

        body = told(front, "out-1", "confirmed")
        (paid,) = payouts(behind, order["address"])
        assert paid["transactions"][0]["txid"] == body["transactions"][0]["txid"]
        assert body["id"] == answer.json()["data"]["id"]
        assert body["currency_sent"] == {"currency": "BTC", "amount": "0.01000000"}
        fees = sum(Decimal(fee["amount"]) for fee in body["fees"])
        assert balances(front)[0] == shop - Decimal("0.01") - fees
        assert balances(front)[1] < owed - Decimal("0.01")
        check_both(front)

    def test_is_returned_by_both_when_the_network_refuses_it(self, front, behind):
        before = balances(front)
        behind.control.call("faults", fail_withdrawals="Rejected by the network")
        order = self.ORDER | {"foreign_id": "out-2", "address": payee()}
        try:
            assert front.call("withdrawal/crypto", order).status_code == 201
            body = told(front, "out-2", "cancelled")
        finally:
            behind.control.call("reset_faults")
        assert "currency_sent" not in body
        assert body["error"]
        assert balances(front) == before
        check_both(front)
