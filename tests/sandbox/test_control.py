"""The command that people type: its lines, its JSON, its exit codes."""

from __future__ import annotations

import argparse
import json

import pytest

from sandbox import control as command
from sandbox.server import Sandbox
from tests.sandbox.running import TOKEN, Client


@pytest.fixture(autouse=True)
def _environment(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BURSAR_SANDBOX_CONTROL_URL", sandbox.url)
    monkeypatch.setenv("BURSAR_SANDBOX_CONTROL_TOKEN", TOKEN)


class TestMain:
    def test_prints_a_line_for_each_result(self, client: Client, capsys: pytest.CaptureFixture[str]) -> None:
        address = client.take("BTC")["address"]
        assert command.main(["pay", address, "1", "--parts", "2", "--txid", "f00d"]) == 0
        lines = capsys.readouterr().out.splitlines()
        assert [line.split()[2:] for line in lines] == [["not_confirmed", "0.50000000", "BTC", "f00d"]] * 2
        assert command.main(["block", "2", "--network", "BTC"]) == 0
        lines = capsys.readouterr().out.splitlines()
        assert lines[0] == "heights bitcoin=2"
        assert [line.split()[2] for line in lines[1:]] == ["confirmed", "confirmed"]

    def test_prints_json_on_demand(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert command.main(["--json", "fund", "EUR", "5"]) == 0
        assert json.loads(capsys.readouterr().out) == {"currency": "EUR", "balance": "5.00000000"}

    def test_exits_1_when_refused(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert command.main(["reorg", "nobody"]) == 1
        assert capsys.readouterr().err == "refused: id: No deposit has this id or txid.\n"

    def test_exits_2_when_nobody_listens(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        monkeypatch.setenv("BURSAR_SANDBOX_CONTROL_URL", "http://127.0.0.1:1")
        assert command.main(["state"]) == 2
        assert "cannot be reached" in capsys.readouterr().err

    def test_sets_and_resets_faults(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert command.main(["faults", "silent", "duplicate=3", "fail_withdrawals=No such address"]) == 0
        assert capsys.readouterr().out == "faults silent=True duplicate=3 fail_withdrawals=No such address\n"
        assert command.main(["reset-faults"]) == 0
        assert capsys.readouterr().out == "faults duplicate=1\n"

    def test_shows_the_state(self, client: Client, capsys: pytest.CaptureFixture[str]) -> None:
        command.main(["pay", client.take("BTC")["address"], "0.00001"])
        capsys.readouterr()
        assert command.main(["state"]) == 0
        lines = capsys.readouterr().out.splitlines()
        assert "addresses 1" in lines
        assert lines[-1].startswith("deposit ")
        assert lines[-1].endswith("(Transaction amount less than minimum deposit)")

    def test_moves_the_clock_by_a_readable_time(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert command.main(["wait", "15m"]) == 0
        assert capsys.readouterr().out.startswith("now ")


class TestSeconds:
    @pytest.mark.parametrize(
        ("text", "seconds"), [("90", 90), ("90s", 90), ("15m", 900), ("2h", 7200), ("1d", 86_400)]
    )
    def test_reads_units(self, text: str, seconds: int) -> None:
        assert command.seconds(text) == seconds

    @pytest.mark.parametrize("text", ["", "m", "-5", "1.5h", "１m"])
    def test_refuses_the_rest(self, text: str) -> None:
        with pytest.raises(argparse.ArgumentTypeError):
            command.seconds(text)
