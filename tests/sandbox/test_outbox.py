"""Callbacks over real HTTP: signed, repeated until taken, kept over a restart."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from merchants import signing
from payments.processors.base import RawRequest
from payments.processors.gateway import GatewayInbound
from sandbox import outbox
from sandbox.control import Control
from sandbox.server import Sandbox
from tests.sandbox.receiver import Receiver
from tests.sandbox.running import KEY, SECRET, Client, control_of, eventually, settings


def pay(client: Client, control: Control, amount: str = "1") -> dict[str, Any]:
    address = client.take("BTC")["address"]
    operation: dict[str, Any] = control.call("pay", address=address, amount=amount)["operations"][0]
    return operation


class TestCourier:
    def test_signs_the_exact_bytes(self, client: Client, control: Control, receiver: Receiver) -> None:
        pay(client, control)
        receiver.wait_for(1)
        headers = receiver.headers[0]
        assert headers["Content-Type"] == "application/json"
        assert headers["X-Processing-Key"] == KEY
        assert headers["X-Processing-Signature"] == signing.sign(SECRET, receiver.bodies[0])
        request = RawRequest({name.lower(): value for name, value in headers.items()}, receiver.bodies[0])
        GatewayInbound(key=KEY, secret=SECRET).verify(request)

    def test_repeats_the_same_bytes_until_200(
        self, client: Client, control: Control, receiver: Receiver
    ) -> None:
        receiver.answers = [500]
        pay(client, control)
        receiver.wait_for(2)
        assert receiver.bodies[0] == receiver.bodies[1]
        eventually(lambda: control.call("state")["callbacks"]["waiting"] == 0)
        assert control.call("state")["callbacks"] == {"waiting": 0, "sent": 1, "most_attempts": 2}

    def test_does_not_hold_a_redirect_to_be_taken(
        self, client: Client, control: Control, receiver: Receiver
    ) -> None:
        receiver.answers = [302]
        pay(client, control)
        receiver.wait_for(2)

    def test_waits_for_a_receiver_that_is_down(
        self, client: Client, control: Control, receiver: Receiver
    ) -> None:
        receiver.close()
        pay(client, control)
        eventually(lambda: control.call("state")["callbacks"]["most_attempts"] >= 1)
        back = Receiver(receiver.port)
        assert back.wait_for(1)[0]["status"] == "not_confirmed"
        back.close()

    def test_goes_on_after_a_restart(self, tmp_path: Path, receiver: Receiver) -> None:
        state = tmp_path / "kept.sqlite3"
        first = Sandbox(settings(state))
        first.start()
        paid = pay(Client(first), control_of(first))
        first.stop()
        assert receiver.bodies == []
        second = Sandbox(settings(state, callback_url=receiver.url))
        second.start()
        assert receiver.wait_for(1)[0]["id"] == paid["id"]
        assert control_of(second).call("state")["operations"][0]["id"] == paid["id"]
        second.stop()


class TestRepeat:
    def test_sends_the_present_state_again_even_when_silent(
        self, client: Client, control: Control, receiver: Receiver
    ) -> None:
        control.call("faults", silent=True)
        paid = pay(client, control)
        control.call("block")
        control.call("repeat", id=paid["id"])
        assert receiver.wait_for(1)[0]["status"] == "confirmed"


class TestPauseAfter:
    def test_grows_from_try_to_try(self) -> None:
        assert [outbox.pause_after(attempts) for attempts in range(1, 8)] == [1, 2, 5, 10, 30, 30, 30]
