"""The gateway on the shared suite, against a live sandbox."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from payments.money import Money
from payments.processors.base import Issued, RawRequest
from payments.processors.gateway import GatewayInbound, GatewayOutbound
from sandbox.server import Sandbox
from tests.payments.processors.contract import ProcessorContract
from tests.sandbox.receiver import Receiver
from tests.sandbox.running import KEY, SECRET, control_of, settings


class Upstream:
    """The contract's playground, played by the sandbox."""

    payable_address = "2MyznGQqCPWqADodvVMCDyM3K45Hdvm5ocn"

    def __init__(self, sandbox: Sandbox, receiver: Receiver) -> None:
        self._control, self._receiver = control_of(sandbox), receiver
        self.inbound = GatewayInbound(key=KEY, secret=SECRET)
        self.parser = GatewayInbound()
        self.outbound = GatewayOutbound(url=sandbox.url, key=KEY, secret=SECRET, deadline=5)

    def received(self) -> list[RawRequest]:
        return [
            RawRequest({name.lower(): value for name, value in headers.items()}, body)
            for headers, body in zip(self._receiver.headers, list(self._receiver.bodies), strict=False)
        ]

    def pay(self, issued: Issued, amount: str) -> None:
        self._control.call("pay", address=issued.address, tag=issued.tag, amount=amount)

    def mine(self) -> None:
        self._control.call("block", count=200)

    def fund(self, money: Money) -> None:
        self._control.call("fund", currency=money.currency, amount=f"{money.amount:f}")

    def lose_answers(self) -> None:
        self._control.call("faults", api_truncate=True)

    def be_unreachable(self) -> None:
        self._control.call("faults", api_reset=True, api_before=True)

    def recover(self) -> None:
        self._control.call("reset_faults")


class TestGateway(ProcessorContract):
    @pytest.fixture
    def playground(self, tmp_path: Path) -> Iterator[Upstream]:
        receiver = Receiver()
        sandbox = Sandbox(settings(tmp_path / "upstream.sqlite3", callback_url=receiver.url))
        sandbox.start()
        yield Upstream(sandbox, receiver)
        sandbox.stop()
        receiver.close()
