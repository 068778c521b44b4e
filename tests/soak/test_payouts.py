"""The proof of payouts bites: its oracle by made-up runs, its processor over real sockets."""

from __future__ import annotations

import http.client
import json
import os
import socket
from collections import Counter
from decimal import Decimal
from types import SimpleNamespace

import pytest

from merchants import signing
from tests.soak import orders, payer, payout_oracle
from tests.soak.orders import CONFIRMED, EVERY_KIND, HELD, RELEASED, Order
from tests.soak.payout_oracle import Expected, expect
from tests.soak.world import UPSTREAM_KEY, UPSTREAM_SECRET

KINDS = {behaviour.name: behaviour for behaviour in EVERY_KIND}
FUNDS = {(0, "BTC"): Decimal(10)}


def order(number: int = 0, kind: str = "accepted and told", amount: str = "1") -> Order:
    place = orders.destination("BTC", f"test {number}")
    return Order(0, f"wd-{number}", "BTC", Decimal(amount), place, KINDS[kind])


class TestEveryKind:
    def test_is_told_apart_by_its_name_and_ends_in_each_way(self):
        assert len(KINDS) == len(EVERY_KIND)
        assert Counter(kind.end for kind in EVERY_KIND) == {CONFIRMED: 13, HELD: 9, RELEASED: 2}

    def test_is_released_only_where_the_processor_said_so_and_never_where_it_paid(self):
        released = [kind for kind in EVERY_KIND if kind.end == RELEASED]
        assert not any(kind.pays for kind in released)
        assert all(kind.answer == orders.REFUSES or kind.calls == orders.CANCELS for kind in released)

    def test_has_a_destination_of_its_own(self):
        planned = orders.plan("x", EVERY_KIND, shops=2)
        assert len(orders.by_address(planned)) == len(planned)
        assert planned == orders.plan("x", EVERY_KIND, shops=2)
        assert {(one.shop, one.currency) for one in planned} == {
            (0, "BTC"),
            (0, "ETH"),
            (1, "BTC"),
            (1, "ETH"),
        }

    def test_is_refused_a_destination_of_anothers(self):
        with pytest.raises(ValueError, match="two orders with one destination"):
            orders.by_address([order(), order()])


class TestTheOracle:
    def expected(self, end: str, **options: object) -> Expected:
        return expect([order()], {"wd-0": end}, FUNDS, **options)

    def test_takes_the_amount_and_both_fees_of_what_was_paid(self):
        found = self.expected(CONFIRMED)
        assert found.available(0, "BTC") == Decimal("8.99858")
        assert dict(found.house) == {
            ("fee_income", "BTC"): Decimal("0.0013"),
            ("processor_fee", "BTC"): Decimal("-0.0007"),
            ("network_fee", "BTC"): Decimal("-0.00000345"),
            ("at_processor", "BTC"): Decimal("1.00082345"),
        }
        assert found.sums() == {"BTC": Decimal(10)}

    def test_knows_of_no_fee_of_the_processors_where_only_people_called_it_paid(self):
        found = self.expected(CONFIRMED, paid_by_people=frozenset({"wd-0"}))
        assert found.house["at_processor", "BTC"] == Decimal(1)
        assert found.house["network_fee", "BTC"] == Decimal("0.00012")
        assert found.sums() == {"BTC": Decimal(10)}

    def test_holds_what_nobody_knows_and_gives_the_rest_back(self):
        held, released = self.expected(HELD), self.expected(RELEASED)
        assert (held.available(0, "BTC"), held.held[0, "BTC"]) == (Decimal("8.99858"), Decimal("1.00142"))
        assert (released.available(0, "BTC"), released.held[0, "BTC"]) == (Decimal(10), 0)

    def test_finds_money_that_was_paid_twice(self):
        assert payout_oracle.twice(["a", "b", "a"]) == ["a"]

    @pytest.mark.parametrize(
        ("paid", "end", "word"),
        [(False, CONFIRMED, "never paid"), (True, RELEASED, "given back")],
    )
    def test_finds_an_end_that_does_not_fit_the_money(self, paid, end, word):
        one = order()
        (found,) = payout_oracle.contradictions([one], [one.address] if paid else [], {"wd-0": end})
        assert word in found

    @pytest.mark.parametrize(
        ("paid", "end"), [(True, CONFIRMED), (False, RELEASED), (True, HELD), (False, HELD)]
    )
    def test_finds_nothing_where_they_fit(self, paid, end):
        one = order()
        assert payout_oracle.contradictions([one], [one.address] if paid else [], {"wd-0": end}) == []


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0


class TestThePayer:
    @pytest.fixture
    def world(self):
        # Not of those that the kernel gives to connections: another test's would take it in between.
        ports = SimpleNamespace(sandbox=next(filter(_is_free, range(21_000 + os.getpid() % 5_000, 32_000))))
        killed: list[str] = []
        return SimpleNamespace(
            installation=SimpleNamespace(ports=ports),
            intake=("127.0.0.1", 1),
            ask=lambda *_: [],
            kill=killed.append,
            killed=killed,
        )

    def say(self, world, path: str, body: dict[str, object], secret: str = UPSTREAM_SECRET) -> object:
        raw = json.dumps(body).encode()
        line = http.client.HTTPConnection("127.0.0.1", world.installation.ports.sandbox, timeout=5)
        headers = {signing.KEY_HEADER: UPSTREAM_KEY, signing.SIGNATURE_HEADER: signing.sign(secret, raw)}
        try:
            line.request("POST", f"/api/v2/{path}", raw, headers)
            answer = line.getresponse()
            return answer.status, answer.read()
        except (OSError, http.client.HTTPException) as error:
            return type(error).__name__
        finally:
            line.close()

    def sent(self, one: Order, our_id: str = "ours-1") -> dict[str, object]:
        return one.body | {"foreign_id": our_id}

    @pytest.mark.parametrize(
        ("kind", "answered"),
        [
            ("accepted, never told", 201),
            ("paid and 502", 502),
            ("429 and not paid", 429),
            ("401 and not paid", 401),
            ("paid, 200 with rubbish", 200),
            ("'already used' and not paid", 400),
            ("refused", 400),
            ("paid and reset", "ConnectionResetError"),
            ("paid, the answer cut", "IncompleteRead"),
        ],
    )
    def test_answers_as_its_script_says_and_notes_what_it_paid(self, world, monkeypatch, kind, answered):
        monkeypatch.setattr(payer, "TELLS_FOR_SECONDS", 0.0)
        one = order(kind=kind)
        with payer.listening(world, [one], first_number=1) as server:
            answer = self.say(world, "withdrawal/crypto", self.sent(one))
            assert (answer[0] if isinstance(answer, tuple) else answer) == answered
            assert [paid.address for paid in server.paid] == ([one.address] if one.behaviour.pays else [])
            assert server.strange == []

    def test_pays_again_whatever_the_number_so_that_it_shows(self, world):
        one = order(kind="accepted, never told")
        with payer.listening(world, [one], first_number=1) as server:
            for our_id in ("ours-1", "ours-1", "ours-2"):
                self.say(world, "withdrawal/crypto", self.sent(one, our_id))
            assert len(server.paid) == 3
            assert payout_oracle.twice([paid.address for paid in server.paid]) == [one.address]

    def test_notes_another_amount_another_destination_and_a_wrong_signature(self, world):
        one, other = order(kind="refused"), order(1, kind="refused")
        with payer.listening(world, [one], first_number=1) as server:
            self.say(world, "withdrawal/crypto", self.sent(one) | {"amount": "2"})
            self.say(world, "withdrawal/crypto", self.sent(other))
            self.say(world, "transactions/info", {"foreign_id": "ours-1"}, secret="another")
            assert len(server.strange) == 3

    def test_says_what_became_of_an_order_after_so_many_questions(self, world):
        one = order(kind="paid and reset")
        with payer.listening(world, [one], first_number=1) as server:
            server.silent_first = 2
            self.say(world, "withdrawal/crypto", self.sent(one))
            answers = [self.say(world, "transactions/info", {"foreign_id": "ours-1"}) for _ in range(3)]
            assert [status for status, _ in answers] == [503, 503, 200]
            assert json.loads(answers[2][1])["status"] == "confirmed"
            assert self.say(world, "transactions/info", {"foreign_id": "nobodys"})[0] == 503
            assert server.asked.count("ours-1") == 3

    def test_ends_the_sender_over_an_order_that_says_so(self, world, monkeypatch):
        monkeypatch.setattr(payer, "TELLS_FOR_SECONDS", 0.0)
        one = order(kind="the sender killed after the write, not paid")
        with payer.listening(world, [one], first_number=1):
            assert self.say(world, "withdrawal/crypto", self.sent(one)) == "ConnectionResetError"
        assert world.killed == ["sender"]
