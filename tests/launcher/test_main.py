"""The command line: what is in the way is one line and exit 2, never a traceback."""

from __future__ import annotations

import os
import socket
import subprocess
import sys

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
        timeout=60,
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
