"""The supervisor, over small real programs."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from launcher import processes
from launcher.processes import Program, Supervisor
from launcher.state import LauncherRefusal
from tests.launcher.test_services import ROOT, is_alive

SLEEPS = "import time; print('here', flush=True); time.sleep(60)"
STUBBORN = "import signal, time; signal.signal(15, signal.SIG_IGN); print('here', flush=True); time.sleep(60)"
WITH_A_CHILD = (
    "import subprocess, sys, time\n"
    "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])\n"
    "print('child', child.pid, flush=True)\n"
    "time.sleep(60)"
)


def until(condition: Callable[[], object], seconds: float = 20.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)


def program(name: str, script: str) -> Program:
    return Program(
        name, [sys.executable, "-c", script], {"PATH": os.environ["PATH"]}, lambda log: bool(log.strip())
    )


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def supervisor(tmp_path: Path, said: list[str]) -> Iterator[Supervisor]:
    supervisor = Supervisor(tmp_path, said.append)
    yield supervisor
    supervisor.end()


@pytest.fixture
def runs(supervisor: Supervisor) -> Iterator[Callable[[], None]]:
    """Lets the supervisor watch in the background."""
    thread = threading.Thread(target=supervisor.run)
    yield thread.start
    supervisor.stop()
    thread.join(20)


class TestStart:
    def test_gives_a_program_its_own_environment_only(self, supervisor, tmp_path, monkeypatch):
        monkeypatch.setenv("ANOTHERS_SECRET", "1")
        script = "import os; print(sorted(set(os.environ) - {'LC_CTYPE'}), flush=True)"
        supervisor.start([program("one", script)])
        until((tmp_path / "one.log").read_text)
        assert (tmp_path / "one.log").read_text() == "['PATH']\n"

    def test_sets_a_log_aside_that_has_grown_large(self, supervisor, tmp_path, monkeypatch):
        monkeypatch.setattr(processes, "LARGEST_LOG", 10)
        (tmp_path / "one.log").write_text("x" * 11)
        supervisor.start([program("one", SLEEPS)])
        supervisor.wait_until_ready()
        assert (tmp_path / "one.log.1").read_text() == "x" * 11
        assert (tmp_path / "one.log").read_text() == "here\n"


class TestWaitUntilReady:
    def test_returns_once_all_are(self, supervisor):
        supervisor.start([program("one", SLEEPS), program("two", SLEEPS)])
        supervisor.wait_until_ready()

    def test_is_not_deceived_by_an_earlier_runs_log(self, supervisor, tmp_path):
        (tmp_path / "one.log").write_text("here\n")
        supervisor.start([program("one", "import time; time.sleep(60)")])
        with pytest.raises(LauncherRefusal, match="one did not start; see"):
            supervisor.wait_until_ready(seconds=0.3)

    def test_refuses_when_one_ends(self, supervisor):
        supervisor.start([program("one", "raise SystemExit(3)")])
        with pytest.raises(LauncherRefusal, match="one did not start; see"):
            supervisor.wait_until_ready()


class TestRun:
    def test_starts_again_what_ended(self, supervisor, runs, said, tmp_path, monkeypatch):
        monkeypatch.setattr(processes, "PAUSES", (0.01,))
        supervisor.start([program("one", SLEEPS)])
        supervisor.wait_until_ready()
        (child,) = supervisor._children
        first = child.process.pid
        runs()
        child.process.kill()
        until(lambda: (tmp_path / "one.log").read_text().count("here") == 2)
        assert child.process.pid != first
        assert "one ended with -9; starting it again" in said[0]

    def test_shows_warnings_and_errors_and_nothing_else(self, supervisor, runs, said):
        lines = "INFO fine\\n2026 WARNING odd\\nERROR bad\\n . logfile -> [stderr]@%WARNING\\n"
        supervisor.start([program("one", f"import time; print('{lines}', flush=True); time.sleep(60)")])
        supervisor.wait_until_ready()
        runs()
        until(lambda: len(said) == 2)
        assert said == ["one: 2026 WARNING odd", "one: ERROR bad"]


class TestPause:
    def test_grows_up_to_half_a_minute(self, supervisor):
        supervisor.start([program("one", SLEEPS)])
        (child,) = supervisor._children
        pauses = []
        for failures in range(1, 8):
            child.failures = failures
            pauses.append(child.pause)
        assert pauses == [1.0, 2.0, 5.0, 10.0, 30.0, 30.0, 30.0]


class TestEnd:
    def test_leaves_no_child_and_no_grandchild(self, supervisor, tmp_path):
        supervisor.start([program("one", WITH_A_CHILD), program("two", SLEEPS)])
        supervisor.wait_until_ready()
        numbers = [child.process.pid for child in supervisor._children]
        numbers.append(int((tmp_path / "one.log").read_text().split()[1]))
        supervisor.end()
        until(lambda: not any(is_alive(number) for number in numbers))

    def test_kills_what_does_not_listen(self, supervisor, said, monkeypatch):
        monkeypatch.setattr(processes, "GRACE_SECONDS", 0.2)
        supervisor.start([program("one", STUBBORN)])
        supervisor.wait_until_ready()
        (child,) = supervisor._children
        supervisor.end()
        assert child.process.returncode == -signal.SIGKILL
        assert said == ["one did not stop in time and was killed"]


class TestKilledSupervisor:
    def test_takes_its_children_along(self, tmp_path):
        script = textwrap.dedent(f"""
            import sys
            from pathlib import Path
            from launcher.processes import Program, Supervisor
            supervisor = Supervisor(Path({str(tmp_path)!r}), print)
            command = [sys.executable, "-c", {SLEEPS!r}]
            supervisor.start([Program("one", command, {{}}, lambda log: "here" in log)])
            supervisor.wait_until_ready()
            print(supervisor._children[0].process.pid, flush=True)
            supervisor.run()
        """)
        command = [sys.executable, "-c", script]
        with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as launcher:
            child = int(launcher.stdout.readline())
            assert is_alive(child)
            launcher.send_signal(signal.SIGKILL)
        until(lambda: not is_alive(child))
