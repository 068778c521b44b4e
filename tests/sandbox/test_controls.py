"""The door of `/sim/*` and the controls that belong to no other subject."""

from __future__ import annotations

import json

import pytest

from sandbox.control import Control, ControlRefused
from tests.sandbox.running import TOKEN, Client


class TestAnswer:
    @pytest.mark.parametrize("token", ["", "wrong"])
    def test_refuses_without_the_token_and_does_nothing(
        self, client: Client, control: Control, token: str
    ) -> None:
        status, body = client.raw("/sim/block", b"{}", headers={"X-Sandbox-Token": token})
        assert (status, json.loads(body)["code"]) == (403, "bad_sandbox_token")
        assert control.call("state")["heights"]["bitcoin"] == 0

    def test_knows_no_other_control(self, control: Control) -> None:
        with pytest.raises(ControlRefused, match="Not found"):
            control.call("steal")

    def test_refuses_bytes_that_are_no_json(self, client: Client) -> None:
        status, _ = client.raw("/sim/block", b"{", headers={"X-Sandbox-Token": TOKEN})
        assert status == 400


class TestFund:
    def test_adds_to_the_account(self, client: Client, control: Control) -> None:
        control.call("fund", currency="EUR", amount="100")
        assert control.call("fund", currency="EUR", amount="0.5")["balance"] == "100.50000000"
        assert client.balance("EUR") == "100.50000000"

    def test_refuses_what_is_no_amount(self, control: Control) -> None:
        with pytest.raises(ControlRefused, match="amount"):
            control.call("fund", currency="EUR", amount="-1")


class TestWait:
    def test_moves_the_clock_and_adds_up(self, control: Control) -> None:
        before = control.call("state")["now"]
        control.call("wait", seconds=900)
        assert 1800 <= control.call("wait", seconds=900)["now"] - before <= 1805

    def test_never_moves_it_back(self, control: Control) -> None:
        with pytest.raises(ControlRefused, match="seconds"):
            control.call("wait", seconds=-1)


class TestState:
    def test_shows_what_exists(self, client: Client, control: Control) -> None:
        address = client.take("BTC")["address"]
        paid = control.call("pay", address=address, amount="1")["operations"][0]
        control.call("block", network="bitcoin")
        state = control.call("state")
        assert state["heights"]["bitcoin"] == 1
        assert state["balances"] == [{"currency": "BTC", "amount": "0.99900000"}]
        assert state["addresses"] == 1
        assert [operation["id"] for operation in state["operations"]] == [paid["id"]]
