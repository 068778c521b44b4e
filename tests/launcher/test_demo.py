"""What the demo takes for a mismatch: each step against a scripted installation on real HTTP."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from launcher import demo
from launcher.demo import Mismatch, Player
from launcher.state import LauncherRefusal
from merchants import signing

ENTRY = {
    "key": "deposit:1:1",
    "postings": [
        {"account": "at_processor", "currency": "BTC", "amount": "-0.015"},
        {"account": "available", "currency": "BTC", "amount": "0.01488"},
        {"account": "fee_income", "currency": "BTC", "amount": "0.00012"},
    ],
}


class Scripted:
    """An installation that answers what a test tells it; it credits a payment once a block is mined."""

    def __init__(self) -> None:
        self.balance, self.credited = Decimal("2"), Decimal("0.01488")
        self.told: list[dict[str, Any]] = []
        self.foreign_id = ""
        self.amount_told = "0.01500000"

    def answer(self, path: str, body: dict[str, Any]) -> tuple[int, Any]:
        name = path.rsplit("/", 1)[-1]
        answers: dict[str, Callable[[dict[str, Any]], tuple[int, Any]]] = {
            "take": self.take,
            "pay": self.pay,
            "block": self.block,
            "list": self.accounts,
            "callbacks.json": lambda _: (200, {"callbacks": [{"body": each} for each in self.told]}),
        }
        return answers[name](body)

    def take(self, body: dict[str, Any]) -> tuple[int, Any]:
        self.foreign_id = body["foreign_id"]
        return 201, {"data": {"address": "the-address"}}

    def pay(self, body: dict[str, Any]) -> tuple[int, Any]:
        self.tell("not_confirmed")
        return 200, {"operations": [{"txid": "the-txid"}]}

    def block(self, body: dict[str, Any]) -> tuple[int, Any]:
        self.tell("confirmed")
        self.balance += self.credited
        return 200, {}

    def accounts(self, body: dict[str, Any]) -> tuple[int, Any]:
        return 200, {"data": [{"currency": "BTC", "balance": str(self.balance)}]}

    def tell(self, status: str) -> None:
        self.told.append(
            {
                "id": 1,
                "status": status,
                "crypto_address": {"foreign_id": self.foreign_id},
                "currency_sent": {"amount": self.amount_told},
                "currency_received": {"amount_minus_fee": "0.01488000"},
            }
        )


@pytest.fixture
def scripted() -> Scripted:
    return Scripted()


@pytest.fixture
def url(scripted: Scripted) -> Iterator[str]:
    class Door(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            raw = self.rfile.read(int(self.headers["Content-Length"]))
            if "/api/" in self.path:
                signature = self.headers[signing.SIGNATURE_HEADER]
                assert signing.verify("the-secret", raw, signature)
            self.reply(*scripted.answer(self.path, json.loads(raw)))

        def do_GET(self) -> None:
            self.reply(*scripted.answer(self.path, {}))

        def reply(self, status: int, answer: Any) -> None:
            raw = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(raw)))
            self.end_headers()
            self.wfile.write(raw)

        def log_message(self, format: str, *arguments: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Door)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


@pytest.fixture
def player(url: str, monkeypatch: pytest.MonkeyPatch) -> Player:
    monkeypatch.setattr(demo, "WAIT_SECONDS", 0.3)
    shown = {"id": 1, "status": "confirmed", "entries": [ENTRY]}
    monkeypatch.setattr(Player, "booked", lambda self, operation: shown)
    running = {"api_url": f"{url}/api/v2", "control_url": url, "control_token": "t", "shop_url": url}
    return Player(running, {"api_key": "the-key", "api_secret": "the-secret", "client_id": 1}, lambda _: None)


class TestPlay:
    def test_times_every_step(self, player):
        demo.play(player)
        assert [step["step"] for step in player.steps] == [
            "take an address over the signed API",
            "pay 0.015 BTC to it in the sandbox",
            "the shop is told: not_confirmed",
            "a block is mined",
            "the shop is told: confirmed",
            "the balance in accounts/list grew by that",
            "the ledger has it, and sums to zero",
        ]
        assert all(step["seconds"] >= 0 for step in player.steps)

    def test_sees_a_balance_that_did_not_move_by_what_was_told(self, player, scripted):
        scripted.credited = Decimal("0.01487")
        with pytest.raises(Mismatch, match=r"the balance: expected 2.01488000, found 2.01487"):
            demo.play(player)

    def test_sees_another_amount_than_was_paid(self, player, scripted):
        scripted.amount_told = "0.01400000"
        with pytest.raises(Mismatch, match=r"the amount told: expected 0.015, found 0.01400000"):
            demo.play(player)

    def test_sees_that_the_shop_was_never_told(self, player, scripted, monkeypatch):
        monkeypatch.setattr(scripted, "tell", lambda status: None)
        with pytest.raises(Mismatch, match="for the shop to be told 'not_confirmed'"):
            demo.play(player)

    def test_sees_a_refusal_of_the_api(self, player, scripted, monkeypatch):
        monkeypatch.setattr(scripted, "take", lambda body: (403, {"error": "Bad key header"}))
        with pytest.raises(Mismatch, match=r"addresses/take: .*Bad key header.*: expected 201, found 403"):
            demo.play(player)

    def test_refuses_when_nothing_answers(self, player):
        player.running |= {"api_url": "http://127.0.0.1:1"}
        with pytest.raises(LauncherRefusal, match=r"http://127.0.0.1:1/accounts/list does not answer"):
            demo.play(player)


class TestCheckBooks:
    CREDITED = Decimal("0.01488")

    def shown(self, **changes: Any) -> dict[str, Any]:
        return {"id": 1, "status": "confirmed", "entries": [ENTRY]} | changes

    def test_accepts_an_entry_that_sums_to_zero(self):
        assert demo.check_books(self.shown(), self.CREDITED) == {"entry": "deposit:1:1", "postings": 3}

    def test_sees_an_entry_that_does_not(self):
        entry = ENTRY | {"postings": ENTRY["postings"][1:]}
        with pytest.raises(Mismatch, match="the entry's sum: expected 0, found"):
            demo.check_books(self.shown(entries=[entry]), self.CREDITED)

    def test_sees_a_second_credit(self):
        with pytest.raises(Mismatch, match="the number of entries: expected 1, found 2"):
            demo.check_books(self.shown(entries=[ENTRY, ENTRY]), self.CREDITED)

    def test_sees_another_status(self):
        with pytest.raises(Mismatch, match="status: expected confirmed, found not_confirmed"):
            demo.check_books(self.shown(status="not_confirmed"), self.CREDITED)

    def test_sees_another_credit_than_was_told(self):
        with pytest.raises(Mismatch, match=r"credited: expected 0\.01, found"):
            demo.check_books(self.shown(), Decimal("0.01"))


class TestReport:
    def test_tells_success_for_machines(self, player):
        demo.play(player)
        facts = json.loads(demo.report(player, None))
        assert (facts["ok"], facts["error"], len(facts["steps"])) == (True, None, 7)

    def test_tells_a_mismatch_with_the_steps_before_it(self, player):
        facts = json.loads(demo.report(player, Mismatch("the balance: expected 1, found 2")))
        assert facts == {"ok": False, "error": "the balance: expected 1, found 2", "steps": []}
