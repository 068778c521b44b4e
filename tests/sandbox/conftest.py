"""A sandbox on a free port, its controls, a signed client and a receiver of its callbacks."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from sandbox.control import Control
from sandbox.server import Sandbox
from tests.sandbox.receiver import Receiver
from tests.sandbox.running import Client, control_of, settings


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    receiver = Receiver()
    yield receiver
    receiver.close()


@pytest.fixture
def sandbox(tmp_path: Path, receiver: Receiver) -> Iterator[Sandbox]:
    sandbox = Sandbox(settings(tmp_path / "sandbox.sqlite3", callback_url=receiver.url))
    sandbox.start()
    yield sandbox
    sandbox.stop()


@pytest.fixture
def control(sandbox: Sandbox) -> Control:
    return control_of(sandbox)


@pytest.fixture
def client(sandbox: Sandbox) -> Client:
    return Client(sandbox)
