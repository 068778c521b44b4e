"""The supervisor: every role as a process of its own, with just the environment that the role may have.

A role that ends is started again, after a growing pause. Telling the supervisor to stop ends all of them; a
supervisor that is killed takes them along, since each asked the kernel to be told.
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from launcher.services import die_with_parent
from launcher.state import ROOT, LauncherRefusal

PAUSES = (1.0, 2.0, 5.0, 10.0, 30.0)
SETTLED_AFTER = 60.0
GRACE_SECONDS = 12.0
LARGEST_LOG = 10_000_000
_COMPLAINT = re.compile(r"(?<!%)\b(WARNING|ERROR|CRITICAL)\b")


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
        if self.log.exists() and self.log.stat().st_size > LARGEST_LOG:
            self.log.replace(self.log.with_suffix(".log.1"))
        self._from = self._looked_at = self.log.stat().st_size if self.log.exists() else 0
        launcher = os.getpid()
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                self.program.command,
                cwd=ROOT,
                env=self.program.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=lambda: die_with_parent(signal.SIGTERM, launcher),
            )

    def written(self) -> str:
        """What it logged since it was started."""
        with self.log.open("rb") as log:
            log.seek(self._from)
            return log.read().decode(errors="replace")

    def complaints(self) -> list[str]:
        """The warnings and errors that it logged since the last look, whole lines only."""
        with self.log.open("rb") as log:
            log.seek(self._looked_at)
            fresh = log.read()
        whole, _, _ = fresh.rpartition(b"\n")
        self._looked_at += len(whole) + 1 if whole else 0
        return [line for line in whole.decode(errors="replace").splitlines() if _COMPLAINT.search(line)]

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
                for line in child.complaints():
                    self._say(f"{child.program.name}: {line}")
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
