"""The supervisor: every role as a process of its own, with just the environment that the role may have.

A role that ends is started again, after a growing pause. Telling the supervisor to stop ends all of them; a
supervisor that is killed takes them along, since each asked the kernel to be told.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from launcher.state import ROOT, LauncherRefusal

_PR_SET_PDEATHSIG = 1
PAUSES = (1.0, 2.0, 5.0, 10.0, 30.0)
SETTLED_AFTER = 60.0
GRACE_SECONDS = 12.0
_libc = ctypes.CDLL(None, use_errno=True)


def die_with_the_launcher() -> None:
    """In a child before it starts its program: SIGTERM when its parent is gone."""
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)


@dataclass(frozen=True)
class Program:
    """What to run. is_ready: answers whether it serves, given the log it wrote since its start."""

    name: str
    command: list[str]
    environment: dict[str, str] = field(repr=False)
    is_ready: Callable[[str], bool] = lambda log: True


class Child:
    """One program as it runs now."""

    def __init__(self, program: Program, logs: Path) -> None:
        self.program = program
        self.log = logs / f"{program.name}.log"
        self.failures = 0
        self.start()

    def start(self) -> None:
        self.began = time.monotonic()
        self._from = self.log.stat().st_size if self.log.exists() else 0
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                self.program.command,
                cwd=ROOT,
                env=self.program.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=die_with_the_launcher,
            )

    def written(self) -> str:
        """What it logged since it was started."""
        with self.log.open("rb") as log:
            log.seek(self._from)
            return log.read().decode(errors="replace")

    def signal(self, number: int) -> None:
        """To the process and all that it started."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, number)

    @property
    def pause(self) -> float:
        return PAUSES[min(self.failures, len(PAUSES)) - 1]


class Supervisor:
    """Starts programs side by side, keeps them running, stops them."""

    def __init__(self, logs: Path, say: Callable[[str], None]) -> None:
        logs.mkdir(parents=True, exist_ok=True)
        self._logs, self._say = logs, say
        self._children: list[Child] = []
        self._stopping = threading.Event()

    def start(self, programs: Iterable[Program]) -> None:
        self._children += [Child(program, self._logs) for program in programs]

    def wait_until_ready(self, seconds: float = 60.0) -> None:
        """Raises `LauncherRefusal` when a program ends, or is not ready in time."""
        waiting, end = list(self._children), time.monotonic() + seconds
        while waiting and not self._stopping.is_set():
            waiting = [child for child in waiting if not child.program.is_ready(child.written())]
            for child in waiting:
                if child.process.poll() is not None or time.monotonic() > end:
                    raise LauncherRefusal(f"{child.program.name} did not start; see {child.log}")
            time.sleep(0.05)

    def run(self) -> None:
        """Keeps everything running until `stop` is called."""
        while not self._stopping.wait(0.5):
            for child in self._children:
                if child.process.poll() is not None:
                    self._revive(child)

    def stop(self) -> None:
        self._stopping.set()

    @property
    def is_stopping(self) -> bool:
        return self._stopping.is_set()

    def end(self) -> None:
        """Ends all children, those that were started last first; after a grace, by force."""
        self._stopping.set()
        for child in reversed(self._children):
            child.signal(signal.SIGTERM)
        end = time.monotonic() + GRACE_SECONDS
        for child in self._children:
            try:
                child.process.wait(max(0.1, end - time.monotonic()))
            except subprocess.TimeoutExpired:
                self._say(f"{child.program.name} did not stop in time and was killed")
            child.signal(signal.SIGKILL)
            child.process.wait()

    def _revive(self, child: Child) -> None:
        if time.monotonic() - child.began > SETTLED_AFTER:
            child.failures = 0
        child.failures += 1
        self._say(
            f"{child.program.name} ended with {child.process.returncode}; starting it again (see {child.log})"
        )
        if not self._stopping.wait(child.pause):
            child.start()


def python(*arguments: str) -> list[str]:
    return [sys.executable, *arguments]
