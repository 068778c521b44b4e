"""Each fault as Bursar would meet it."""

from __future__ import annotations

import json
import time
from http.client import BadStatusLine, IncompleteRead, RemoteDisconnected
from typing import Any

import pytest

from sandbox.control import Control, ControlRefused
from tests.sandbox.receiver import Receiver
from tests.sandbox.running import Client

BTC_ADDRESS = "2MyznGQqCPWqADodvVMCDyM3K45Hdvm5ocn"


def withdraw(client: Client, foreign_id: str = "w-1") -> tuple[int, Any]:
    params = {"foreign_id": foreign_id, "amount": "0.1", "currency": "BTC", "address": BTC_ADDRESS}
    return client.call("withdrawal/crypto", params)


@pytest.fixture
def rich(control: Control) -> None:
    control.call("fund", currency="BTC", amount="5")


class TestCallbackFaults:
    def test_silent_sends_nothing(self, client: Client, control: Control, receiver: Receiver) -> None:
        control.call("faults", silent=True)
        address = client.take("BTC")["address"]
        control.call("pay", address=address, amount="1")
        control.call("reset_faults")
        control.call("pay", address=address, amount="2")
        assert receiver.wait_for(1)[0]["currency_sent"]["amount"] == "2.00000000"
        assert control.call("state")["callbacks"]["waiting"] == 0

    def test_duplicate_sends_the_same_bytes_again(
        self, client: Client, control: Control, receiver: Receiver
    ) -> None:
        control.call("faults", duplicate=3)
        control.call("pay", address=client.take("BTC")["address"], amount="1")
        receiver.wait_for(3)
        assert len(set(receiver.bodies)) == 1

    def test_reorder_sends_the_newest_first(
        self, client: Client, control: Control, receiver: Receiver
    ) -> None:
        control.call("faults", reorder=True)
        control.call("pay", address=client.take("BTC")["address"], amount="1")
        control.call("block")
        assert [body["status"] for body in receiver.wait_for(2)] == ["confirmed", "not_confirmed"]

    def test_delay_sends_later(self, client: Client, control: Control, receiver: Receiver) -> None:
        control.call("faults", delay=1)
        started = time.monotonic()
        control.call("pay", address=client.take("BTC")["address"], amount="1")
        receiver.wait_for(1)
        assert time.monotonic() - started >= 1


@pytest.mark.usefixtures("rich")
class TestApiFaults:
    def test_status_hides_that_the_request_was_done(self, client: Client, control: Control) -> None:
        control.call("faults", api_status=502, api_path="withdrawal/")
        with pytest.raises(json.JSONDecodeError):
            withdraw(client)
        assert control.call("state")["operations"][0]["foreign_id"] == "w-1"
        assert client.call("accounts/list")[0] == 200

    def test_may_strike_before_anything_is_done(self, client: Client, control: Control) -> None:
        control.call("faults", api_status=502, api_before=True)
        with pytest.raises(json.JSONDecodeError):
            withdraw(client)
        assert control.call("state")["operations"] == []

    def test_may_strike_a_few_times_only(self, client: Client, control: Control) -> None:
        control.call("faults", api_status=502, api_times=2, api_before=True)
        for _ in range(2):
            with pytest.raises(json.JSONDecodeError):
                withdraw(client)
        assert withdraw(client)[0] == 201

    def test_truncate_ends_an_answer_in_its_middle(self, client: Client, control: Control) -> None:
        control.call("faults", api_truncate=True)
        with pytest.raises(IncompleteRead):
            withdraw(client)

    def test_reset_cuts_the_connection(self, client: Client, control: Control) -> None:
        control.call("faults", api_reset=True)
        with pytest.raises((ConnectionResetError, RemoteDisconnected, BadStatusLine)):
            withdraw(client)
        assert len(control.call("state")["operations"]) == 1

    def test_hang_answers_late(self, client: Client, control: Control) -> None:
        control.call("faults", api_hang=1)
        started = time.monotonic()
        assert withdraw(client)[0] == 201
        assert time.monotonic() - started >= 1


@pytest.mark.usefixtures("rich")
class TestOrderFaults:
    def test_used_foreign_id_refuses_what_was_never_taken(self, client: Client, control: Control) -> None:
        control.call("faults", used_foreign_id=True)
        assert withdraw(client) == (
            400,
            {"errors": {"foreign_id": "The foreign id has already been taken."}},
        )
        assert control.call("state")["operations"] == []

    def test_fail_withdrawals_cancels_and_returns_everything(
        self, client: Client, control: Control, receiver: Receiver
    ) -> None:
        control.call("faults", fail_withdrawals="Destination address was rejected")
        assert withdraw(client)[0] == 201
        told = receiver.wait_for(1)[0]
        assert (told["status"], told["error"]) == ("cancelled", "Destination address was rejected")
        assert (told["fees"], "currency_sent" in told) == ([], False)
        assert client.balance("BTC") == "5.00000000"

    def test_hold_withdrawals_leaves_them_open_until_reset(
        self, client: Client, control: Control, receiver: Receiver
    ) -> None:
        control.call("faults", hold_withdrawals=True)
        withdraw(client)
        time.sleep(0.3)
        assert client.call("transactions/info", {"foreign_id": "w-1"})[1]["status"] == "processing"
        control.call("reset_faults")
        assert receiver.wait_for(1)[0]["status"] == "confirmed"


class TestSetFaults:
    @pytest.mark.parametrize(
        "values", [{"unheard_of": True}, {"silent": "yes"}, {"duplicate": -1}, {"api_hang": 3601}]
    )
    def test_refuses_what_is_no_fault_and_changes_nothing(
        self, control: Control, values: dict[str, Any]
    ) -> None:
        before = control.call("faults")
        with pytest.raises(ControlRefused, match=next(iter(values))):
            control.call("faults", **values)
        assert control.call("faults") == before

    def test_leaves_the_others_on(self, control: Control) -> None:
        control.call("faults", silent=True)
        assert control.call("faults", duplicate=2)["faults"]["silent"] is True
        assert control.call("reset_faults")["faults"]["silent"] is False
