"""The command line: what is in the way is one line and exit 2, never a traceback."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from typing import ClassVar

import pytest

from launcher import __main__ as command_line
from launcher import up
from tests.launcher.test_services import ROOT

COMMANDS = ("up", "demo", "reset", "check", "test", "manage", "shell", "sandbox")


def bursar(var, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
    """`python -m launcher`, nothing of ours in its environment but where it keeps its data."""
    environment = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    return subprocess.run(
        [sys.executable, "-m", "launcher", *arguments],
        cwd=ROOT,
        env=environment | {"BURSAR_VAR": str(var)} | more,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )


class TestHelp:
    def test_names_every_command(self, capsys):
        with pytest.raises(SystemExit) as ended:
            command_line.main(["--help"])
        assert ended.value.code == 0
        shown = capsys.readouterr().out
        assert all(f"    {name} " in shown for name in COMMANDS)

    @pytest.mark.parametrize("name", COMMANDS)
    def test_is_there_for_each_of_them(self, name, capsys):
        with pytest.raises(SystemExit) as ended:
            command_line.main([name, "--help"])
        assert ended.value.code == 0
        assert f"usage: ./bursar {name}" in capsys.readouterr().out


class TestUp:
    def test_refuses_a_busy_port_before_it_starts_anything(self, tmp_path):
        base = up.free_base()
        with socket.create_server(("127.0.0.1", base + 20)):
            done = bursar(tmp_path / "var", "up", "--port", str(base))
        assert done.returncode == 2
        assert done.stderr.startswith(f"bursar: 127.0.0.1:{base + 20} (shop) is not free")
        assert done.stderr.count("\n") == 1
        assert not (tmp_path / "var" / "postgres").exists()
        assert not (tmp_path / "var" / "secrets.json").exists()

    def test_refuses_a_busy_port_of_the_one_behind(self, tmp_path):
        base = up.free_base(upstream=True)
        with socket.create_server(("127.0.0.1", base + 31)):
            done = bursar(tmp_path / "var", "up", "--upstream", "--port", str(base))
        assert done.returncode == 2
        assert done.stderr.startswith(f"bursar: 127.0.0.1:{base + 31} (upstream intake) is not free")
        assert done.stderr.count("\n") == 1
        assert not (tmp_path / "var" / "postgres").exists()

    def test_refuses_a_database_that_does_not_answer(self, tmp_path):
        url = f"postgresql://nobody@/nothing?host={tmp_path}"
        done = bursar(
            tmp_path / "var", "up", "--port", str(up.free_base()), DATABASE_URL=url, REDIS_URL="redis://h"
        )
        assert done.returncode == 2
        assert done.stderr.startswith("bursar: `manage.py migrate` failed: ")
        assert done.stderr.count("\n") == 1


class TestManage:
    def test_refuses_when_nothing_runs(self, tmp_path):
        done = bursar(tmp_path / "var", "manage", "check")
        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr == (
            "bursar: nothing is running; start it with `./bursar up`, or set DATABASE_URL\n"
        )

    def test_uses_a_database_that_is_named(self, tmp_path):
        done = bursar(tmp_path / "var", "manage", "check", DATABASE_URL="postgresql:///bursar")
        assert (done.returncode, done.stderr) == (0, "")


class TestReset:
    def test_removes_nothing_unless_it_is_meant(self, tmp_path):
        var = tmp_path / "var"
        var.mkdir()
        (var / "demo.json").write_text("{}")
        done = bursar(var, "reset")
        assert done.returncode == 1
        assert (var / "demo.json").exists()

    def test_removes_everything_when_it_is(self, tmp_path):
        var = tmp_path / "var"
        var.mkdir()
        (var / "demo.json").write_text("{}")
        done = bursar(var, "reset", "--yes")
        assert (done.returncode, done.stderr) == (0, "")
        assert not var.exists()


class TestOfTwo:
    """Commands beside `up --upstream`: which of the two each one enters."""

    HERE: ClassVar = {
        "environment": {"IS": "front"},
        "owner_environment": {"IS": "owner of front"},
        "upstream": {"environment": {"IS": "behind"}, "owner_environment": {"IS": "owner of behind"}},
    }

    @pytest.fixture
    def ran(self, monkeypatch):
        ran: list[tuple[list[str], str]] = []

        def run(command: list[str], environment: dict[str, str]) -> int:
            ran.append((command, environment["IS"]))
            return 0

        monkeypatch.setattr(command_line, "_run", run)
        monkeypatch.setattr(command_line, "running", lambda: self.HERE)
        return ran

    def test_manage_the_one_in_front(self, ran):
        assert command_line.main(["manage", "check"]) == 0
        assert command_line.main(["manage", "migrate"]) == 0
        assert ran == [(["manage.py", "check"], "front"), (["manage.py", "migrate"], "owner of front")]

    @pytest.mark.parametrize("command", ["stops", "caps", "prune"])
    def test_manage_with_the_owners_rights_what_no_process_may(self, ran, command):
        command_line.main(["manage", command])
        assert ran == [(["manage.py", command], "owner of front")]

    def test_manage_the_one_behind_when_asked(self, ran):
        command_line.main(["manage", "--upstream", "check"])
        command_line.main(["manage", "--upstream", "migrate"])
        command_line.main(["shell", "--upstream", "-v0"])
        assert ran == [
            (["manage.py", "check"], "behind"),
            (["manage.py", "migrate"], "owner of behind"),
            (["manage.py", "shell", "-v0"], "behind"),
        ]

    def test_play_in_the_sandbox_of_the_one_behind(self, ran):
        command_line.main(["sandbox", "block", "2"])
        assert ran == [(["-m", "sandbox.control", "block", "2"], "behind")]

    def test_move_every_clock(self, ran):
        command_line.main(["sandbox", "wait", "15m"])
        assert ran == [
            (["-m", "sandbox.control", "wait", "15m"], "behind"),
            (["manage.py", "shift_clock", "900"], "behind"),
            (["manage.py", "shift_clock", "900"], "front"),
        ]

    def test_refuse_where_only_one_runs(self, ran, monkeypatch, capsys):
        single = {name: value for name, value in self.HERE.items() if name != "upstream"}
        monkeypatch.setattr(command_line, "running", lambda: single)
        assert command_line.main(["manage", "--upstream", "check"]) == 2
        assert command_line.main(["demo", "--upstream"]) == 2
        assert ran == []
        refused = capsys.readouterr().err.splitlines()
        assert refused[0].startswith("bursar: no Bursar is running behind another; start two with")
        assert refused[1].startswith("bursar: a single Bursar is running; stop it, or start two")
        assert len(refused) == 2


class TestWaited:
    @pytest.mark.parametrize(
        ("arguments", "seconds"),
        [
            (["wait", "15m"], 900),
            (["wait", "90"], 90),
            (["wait", "--json", "2h"], 7200),
            (["--json", "wait", "1d"], 86_400),
            (["block", "--count", "3"], None),
            (["pay", "wait", "1"], None),
            (["wait"], None),
        ],
    )
    def test_is_what_the_sandbox_was_told_to_wait(self, arguments, seconds):
        assert command_line._waited(arguments) == seconds


class TestTest:
    def test_runs_on_services_of_its_own_and_removes_them(self, tmp_path):
        done = bursar(
            tmp_path / "var", "test", "-q", "-p", "no:cacheprovider", "tests/merchants/test_clock.py"
        )
        assert done.returncode == 0, done.stdout[-2000:]
        assert " passed" in done.stdout.splitlines()[-1]
        assert not (tmp_path / "var").exists()
