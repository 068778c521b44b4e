"""The last hop through the real connector, against the sandbox with its faults on.

Whatever strikes between the order and its answer, the sandbox has at most one order, and the money is where
that order's outcome says once it is known.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

import pytest

from merchants.models import Merchant
from payments import address_formats, ledger, sending
from payments.models import Alert, Withdrawal
from payments.processors.gateway import GatewayOutbound
from sandbox.control import Control
from sandbox.server import Sandbox
from tests import factories
from tests.constraints import judge_now
from tests.factories import NOW
from tests.payments import upstream_of_payouts as up
from tests.sandbox.running import KEY, SECRET, Client, control_of, eventually, settings

pytestmark = pytest.mark.django_db


@dataclass
class Scene:
    """A merchant with 10 BTC here, and 0.3 BTC of ours at the sandbox."""

    shop: Merchant
    outbound: GatewayOutbound
    control: Control
    client: Client

    def faults(self, **given: object) -> None:
        self.control.call("faults", api_path="withdrawal/crypto", **given)

    def orders(self) -> list[dict[str, object]]:
        shown = self.control.call("state")["operations"]
        return [one for one in shown if one["type"] == "withdrawal"]

    def send(self) -> int:
        return sending.send_due(processor=factories.processor(), outbound=self.outbound, now=NOW)

    def ask(self) -> int:
        up.time_to_ask()
        return sending.ask_due(processor=factories.processor(), outbound=self.outbound, now=NOW)

    def ask_until_closed(self, row: Withdrawal) -> None:
        """The sandbox carries orders out a moment later."""

        def is_closed() -> bool:
            self.ask()
            row.refresh_from_db()
            return row.is_closed

        eventually(is_closed)
        judge_now()

    def balance(self) -> tuple[Decimal, Decimal]:
        one = next(one for one in ledger.balances(self.shop) if one.currency == "BTC")
        return one.available, one.held


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    sandbox = Sandbox(settings(tmp_path / "upstream.sqlite3"))
    sandbox.start()
    try:
        client, control = Client(sandbox), control_of(sandbox)
        control.call("pay", address=client.take("BTC")["address"], amount="0.3", currency="BTC")
        control.call("block", count=6)
        outbound = GatewayOutbound(url=sandbox.url, key=KEY, secret=SECRET, deadline=1)
        yield Scene(up.payer_out(), outbound, control, client)
    finally:
        sandbox.stop()


STRIKES = {
    "hang": {"api_hang": 3},
    "reset": {"api_reset": True},
    "502": {"api_status": 502},
    "200 with rubbish": {"api_status": 200},
    "401": {"api_status": 401},
    "429": {"api_status": 429},
    "truncated": {"api_truncate": True},
    "already used": {"used_foreign_id": True},
}


@pytest.mark.parametrize("before", [False, True], ids=["after it was done", "before it was done"])
@pytest.mark.parametrize("fault", STRIKES)
def test_no_strike_makes_a_second_order_or_frees_money(scene, fault, before):
    row = up.approved(scene.shop)
    scene.faults(**STRIKES[fault], api_before=before)
    assert [scene.send(), scene.send()] == [1, 0]
    row.refresh_from_db()
    assert row.state == "unknown"
    assert scene.balance()[1] == row.held
    taken = 0 if before or fault == "already used" else 1
    assert len(scene.orders()) == taken
    scene.control.call("reset_faults")
    if taken:
        scene.ask_until_closed(row)
    else:
        scene.ask()
    row.refresh_from_db()
    assert row.state == ("confirmed" if taken else "unknown")
    assert scene.balance()[1] == (0 if taken else row.held)
    assert len(scene.orders()) == taken
    assert scene.send() == 0


def test_an_order_is_taken_and_confirmed(scene):
    row = up.approved(scene.shop)
    scene.send()
    row.refresh_from_db()
    assert row.state == "sent"
    assert row.external_id == str(scene.orders()[0]["id"])
    scene.ask_until_closed(row)
    assert row.state == "confirmed"
    assert row.operation.legs.get(type="withdrawal").txid


def test_an_order_that_the_processor_has_no_money_for_is_refused(scene):
    row = up.approved(scene.shop, "0.4")
    scene.send()
    judge_now()
    row.refresh_from_db()
    assert row.state == "failed"
    assert scene.orders() == []
    assert scene.balance() == (Decimal(10), Decimal(0))


def test_an_order_that_the_processor_cancels_gives_the_money_back(scene):
    row = up.approved(scene.shop)
    scene.control.call("faults", fail_withdrawals="Rejected by the network")
    scene.send()
    scene.ask_until_closed(row)
    assert (row.state, row.operation.status) == ("failed", "cancelled")
    assert scene.balance() == (Decimal(10), Decimal(0))


def test_an_order_that_never_moves_is_asked_about_on_and_on(scene):
    row = up.approved(scene.shop)
    scene.control.call("faults", hold_withdrawals=True)
    scene.send()
    for _ in range(3):
        scene.ask()
    row.refresh_from_db()
    assert (row.state, row.asks) == ("sent", 3)
    assert not Alert.objects.exists()


def test_an_address_of_the_other_net_never_leaves(scene):
    row = up.approved(scene.shop)
    mainnet = address_formats.make("bitcoin", b"x", testnet=False)
    up.meddle(f"UPDATE payments_withdrawal SET address = '{mainnet}', lookup = '{mainnet}'")
    scene.send()
    row.refresh_from_db()
    assert row.state == "approved"
    assert scene.orders() == []
