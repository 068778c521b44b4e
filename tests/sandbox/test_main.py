"""The sandbox as its own process."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from sandbox import __main__ as program
from sandbox.control import Control
from tests.sandbox.receiver import Receiver
from tests.sandbox.running import eventually

ROOT = Path(__file__).parents[2]
KEYS = {
    "BURSAR_SANDBOX_KEY": "k",
    "BURSAR_SANDBOX_SECRET": "s",
    "BURSAR_SANDBOX_CONTROL_TOKEN": "t",
}


class TestProcess:
    @pytest.fixture
    def process(self, tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
        command = [
            sys.executable,
            "-m",
            "sandbox",
            "--port",
            "0",
            "--state",
            str(tmp_path / "s" / "x.sqlite3"),
        ]
        with subprocess.Popen(
            [*command, "--block-every", "0.1"],
            cwd=ROOT,
            env={**os.environ, **KEYS},
            stdout=subprocess.PIPE,
            text=True,
        ) as process:
            yield process
            process.kill()

    def test_says_where_it_listens_mines_by_itself_and_ends_on_sigterm(
        self, process: subprocess.Popen[str]
    ) -> None:
        assert process.stdout is not None
        url = process.stdout.readline().removeprefix("sandbox: ").strip()
        control = Control(url=url, token="t")
        eventually(lambda: control.call("state")["heights"]["bitcoin"] >= 2)
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0


class TestMain:
    def test_exits_2_without_its_keys(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
    ) -> None:
        for name in KEYS:
            monkeypatch.delenv(name, raising=False)
        assert program.main(["--state", str(tmp_path / "x")]) == 2
        assert capsys.readouterr().err == f"sandbox: set {', '.join(KEYS)}\n"
        assert not (tmp_path / "x").exists()

    def test_exits_2_on_a_busy_port(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
    ) -> None:
        for name, value in KEYS.items():
            monkeypatch.setenv(name, value)
        busy = Receiver()
        assert program.main(["--state", str(tmp_path / "x"), "--port", str(busy.port)]) == 2
        busy.close()
        assert capsys.readouterr().err == f"sandbox: 127.0.0.1:{busy.port}: Address already in use\n"
