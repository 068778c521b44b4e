"""What the demo through two Bursars takes for a mismatch: each step against two scripted installations."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from launcher import demo_upstream
from launcher.demo import Mismatch, Player
from launcher.demo_upstream import Both
from launcher.state import LauncherRefusal

TITLES = [
    "the shop takes an address",
    "a payer pays 0.015 BTC in the sandbox",
    "the shop is told: not_confirmed",
    "a block is mined",
    "the shop is told: confirmed",
    "in front: the shop was credited that",
    "behind: the Bursar in front, what it booked",
    "the shop orders a withdrawal of 0.01 BTC",
    "the shop is told: confirmed",
    "in the sandbox: it was paid, once",
    "in front: the shop paid amount and fees",
    "behind: the Bursar in front, what it booked",
]


def posting(account: str, amount: str, currency: str = "BTC") -> dict[str, str]:
    return {"account": account, "currency": currency, "amount": amount}


def booked(*postings: dict[str, str], external_id: str | None = None) -> dict[str, Any]:
    entries = [{"key": "an-entry", "postings": list(postings)}]
    return {"id": 1, "status": "confirmed", "external_id": external_id, "entries": entries}


class Scripted:
    """Two Bursars and a sandbox that move 0.015 BTC up and 0.01 BTC down, and tell of it as they must."""

    def __init__(self) -> None:
        self.shop, self.front = Decimal("2"), Decimal("2.05")
        self.credited_front, self.paid_front = Decimal("0.01494"), Decimal("0.010015")
        self.payouts: list[dict[str, Any]] = []
        self.books = {
            ("front", 500): booked(
                posting("at_processor", "-0.01494"),
                posting("processor_fee", "-0.00006"),
                posting("available", "0.01488"),
                posting("fee_income", "0.00012"),
                external_id="700",
            ),
            ("behind", 700): booked(
                posting("at_processor", "-0.014985"),
                posting("processor_fee", "-0.000015"),
                posting("available", "0.01494"),
                posting("fee_income", "0.00006"),
            ),
            ("front", 501): booked(
                posting("at_processor", "0.010015"),
                posting("available", "-0.01002"),
                posting("fee_income", "0.000005"),
            ),
        }

    def api(self, who: str, path: str, body: dict[str, Any]) -> Any:
        if path == "accounts/list":
            balance = self.shop if who == "front" else self.front
            return [{"currency": "BTC", "balance": str(balance)}]
        if path == "addresses/take":
            return {"address": "the-address"}
        self.shop -= Decimal("0.01002")
        self.front -= self.paid_front
        leg = {"txid": "the-payout", "amount": "0.01000000"}
        self.payouts.append(
            {"crypto_address": {"address": body["address"]}, "status": "confirmed", "transactions": [leg]}
        )
        return {"id": 501, "status": "processing"}

    def simulate(self, control: str, parameters: dict[str, Any]) -> dict[str, Any]:
        if control == "pay":
            return {"operations": [{"txid": "the-txid"}]}
        if control == "block":
            self.shop += Decimal("0.01488")
            self.front += self.credited_front
            return {}
        return {"operations": self.payouts}

    def told(self, foreign_id: str, status: str) -> dict[str, Any]:
        if foreign_id.startswith("demo-out-"):
            return {
                "id": 501,
                "currency_sent": {"amount": "0.01000000"},
                "transactions": [{"txid": "the-payout"}],
                "fees": [{"type": "withdrawal", "currency": "BTC", "amount": "0.00002000"}],
            }
        received = {"amount_minus_fee": "0.01488000"}
        return {"id": 500, "currency_sent": {"amount": "0.01500000"}, "currency_received": received}


class ScriptedPlayer(Player):
    """A player whose installation answers from the script."""

    script: Scripted

    @property
    def who(self) -> str:
        return str(self.running["who"])

    def api(self, path: str, body: dict[str, Any], expected: int = 200) -> Any:
        return self.script.api(self.who, path, body)

    def simulate(self, control: str, **parameters: Any) -> dict[str, Any]:
        return self.script.simulate(control, parameters)

    def at_shop(self, foreign_id: str, status: str) -> dict[str, Any]:
        return self.script.told(foreign_id, status)

    def booked(self, operation: int) -> dict[str, Any]:
        return self.script.books[self.who, operation]


@pytest.fixture
def script() -> Scripted:
    return Scripted()


@pytest.fixture
def both(script: Scripted) -> Both:
    players = [ScriptedPlayer({"who": who}, {}, lambda _: None) for who in ("front", "behind")]
    for player in players:
        player.script = script
    return Both(*players)


def play(both: Both) -> None:
    demo_upstream.deposit(both)
    demo_upstream.withdraw(both)


class TestPlay:
    def test_times_every_step(self, both):
        play(both)
        assert [step["step"] for step in both.front.steps] == TITLES

    def test_shows_the_balances_of_both(self, both):
        play(both)
        shown = [step["balance"] for step in both.front.steps if "balance" in step]
        assert [str(balance) for balance in shown] == ["2.01488", "2.06494", "2.00486", "2.054925"]

    def test_sees_that_the_one_behind_credited_something_else(self, both, script):
        script.credited_front = Decimal("0.01493")
        with pytest.raises(Mismatch, match=r"balance of the Bursar in front: expected 2\.06494, found 2\.0"):
            play(both)

    def test_sees_that_the_one_behind_booked_something_else(self, both, script):
        script.books["behind", 700]["entries"].append({"key": "another", "postings": []})
        with pytest.raises(Mismatch, match="the number of entries: expected 1, found 2"):
            play(both)

    def test_sees_that_the_one_behind_took_something_else_for_a_withdrawal(self, both, script):
        script.paid_front = Decimal("0.02")
        with pytest.raises(
            Mismatch, match=r"balance of the Bursar in front: expected 2\.054925, found 2\.04494"
        ):
            play(both)

    def test_sees_that_a_withdrawal_was_paid_twice(self, both, script, monkeypatch):
        once = script.simulate
        monkeypatch.setattr(
            script, "simulate", lambda name, more: {k: v * 2 for k, v in once(name, more).items()}
        )
        with pytest.raises(Mismatch, match=r"payouts to .*: expected 1, found 2"):
            play(both)

    def test_sees_that_the_shop_paid_other_fees_than_it_was_told(self, both, script, monkeypatch):
        told = script.told
        monkeypatch.setattr(script, "told", lambda *asked: told(*asked) | {"fees": []})
        with pytest.raises(Mismatch, match=r"the shop's balance: expected 2\.00488"):
            play(both)


class TestDemandTwo:
    def test_accepts_two_and_none(self):
        demo_upstream.demand_two({})
        demo_upstream.demand_two({"upstream": {}})

    def test_refuses_one(self):
        with pytest.raises(LauncherRefusal, match="a single Bursar is running"):
            demo_upstream.demand_two({"pid": 7})
