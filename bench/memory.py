"""`memory`: what `./bursar up` takes, at rest and under half load, with all that it starts.

Everything is counted: every role, PostgreSQL, Valkey, the sandbox, the shop and the launcher itself, by
proportional set size, so that shared pages count once. Half load is half of what the whole path is asked to
carry on two cores: fifty deposits a second from the signed callback to the merchant's, with the merchant
reading its balances beside it.

The full size runs in an environment of its own, which `up` makes with what it installs for everybody: the
tools of the tests are found by the libraries and would be loaded into every process. Where none can be made
the present one is measured, and the row says so.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg

from bench import load, measure
from bench.load import Job
from bench.measure import Options
from bench.registry import Row, benchmark
from bench.world import JSON, deposit_body, say
from launcher import wire
from launcher.processes import python
from launcher.state import ROOT, LauncherRefusal
from launcher.up import free_base
from merchants import signing

MOST_MB, MOST_IDLE_PERCENT = 700, 4
DEPOSITS_PER_SECOND, READS_PER_SECOND = 50, 20
ADDRESSES = 10
STARTS_WITHIN_SECONDS = 600.0
"""With an environment that is made first."""
CARRIED_WITHIN_SECONDS = 180.0
_UNDER_WAY = """
SELECT EXISTS (SELECT 1 FROM callbacks_incomingcallback WHERE state <> 'applied')
    OR EXISTS (SELECT 1 FROM callbacks_outgoingcallback WHERE state <> 'delivered')
"""
_DECIDED = ("BURSAR_", "DATABASE_URL", "REDIS_URL", "PYTHON")
_FIRST_ID = 1_000_000_000
"""The upstream's number of the first deposit; the sandbox counts elsewhere."""


@dataclass(frozen=True)
class Length:
    """In seconds. settle: after the start; idle: what the idle CPU is measured over; every: between looks."""

    settle: float
    idle: float
    busy: float
    every: float


FULL, QUICK = Length(20, 60, 600, 30), Length(5, 10, 40, 10)


@benchmark("memory", alone=True)
def run(options: Options) -> list[Row]:
    """The whole system's memory after the start and after ten minutes of half load, and its idle CPU."""
    length = QUICK if options.quick else FULL
    with (
        tempfile.TemporaryDirectory(prefix="bursar-bench-", ignore_cleanup_errors=True) as name,
        _up(Path(name), own_environment=not options.quick) as system,
    ):
        time.sleep(length.settle)
        idle = system.cpu_percent(length.idle)
        before = system.memory()
        looks = _under_load(system, length)
        system.await_carried()
        after = system.memory()
        where = "with the tests' tools installed" if system.environment == sys.prefix else "as installed"
    return [
        _row("whole system after the start", before, where),
        _row(f"whole system after {length.busy / 60:.3g} min of half load", after, where),
        Row(
            "growth in the second half of it",
            looks[-1] - looks[len(looks) // 2],
            "MB",
            note=f"looks, in MB: {' '.join(f'{look:.0f}' for look in looks)}",
        ),
        Row("idle CPU, of one core", idle, "%", at_most=MOST_IDLE_PERCENT),
    ]


@dataclass
class System:
    """A running `./bursar up`."""

    pid: int
    secrets: dict[str, str]
    here: dict[str, Any]
    demo: dict[str, Any]
    addresses: list[str] = field(default_factory=list)
    environment: str = ""

    def memory(self) -> dict[str, float]:
        """MB of proportional set size, by what it belongs to."""
        taken: dict[str, float] = {}
        for pid in measure.tree(self.pid):
            name = _name(pid)
            taken[name] = taken.get(name, 0.0) + _pss_kb(pid) / 1024
        return taken

    def cpu_percent(self, seconds: float) -> float:
        """Of one core, over so long."""
        before = measure.cpu_seconds(measure.tree(self.pid))
        time.sleep(seconds)
        return 100 * (measure.cpu_seconds(measure.tree(self.pid)) - before) / seconds

    def call(self, path: str, body: dict[str, Any]) -> tuple[int, Any]:
        key, secret = self.demo["api_key"], self.demo["api_secret"]
        return wire.signed(self.here["api_url"], key, secret, path, body)

    def await_carried(self) -> None:
        """Waits until all of it is applied and delivered; half load that is not carried proves nothing."""

        def is_carried() -> bool:
            with psycopg.connect(self.here["owner_environment"]["DATABASE_URL"]) as connection:
                found = connection.execute(_UNDER_WAY).fetchone()
            return found == (False,)

        measure.await_true(is_carried, CARRIED_WITHIN_SECONDS, "half load to be carried")

    def take_addresses(self) -> None:
        for number in range(ADDRESSES):
            status, answer = self.call("addresses/take", {"foreign_id": f"bench-{number}", "currency": "BTC"})
            if status not in {200, 201}:
                raise LauncherRefusal(f"no address: {status} {answer}")
            self.addresses.append(answer["data"]["address"])


@contextmanager
def _up(directory: Path, *, own_environment: bool) -> Iterator[System]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith(_DECIDED)}
    environment |= {"BURSAR_VAR": str(directory), "BURSAR_VENV": sys.prefix}
    if own_environment and _is_made(directory / "environment", environment):
        environment |= {"BURSAR_VENV": str(directory / "environment")}
    with (directory / "up.log").open("wb") as log:
        process = subprocess.Popen(
            python("bursar", "up", "--port", str(free_base())),
            cwd=ROOT,
            env=environment,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        _await_up(process, directory)
        facts = [json.loads((directory / f"{name}.json").read_text()) for name in ("secrets", "up", "demo")]
        system = System(process.pid, *facts, environment=environment["BURSAR_VENV"])
        system.take_addresses()
        yield system
    finally:
        process.send_signal(signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            process.wait(60)
        process.kill()
        process.wait()


def _is_made(path: Path, environment: dict[str, str]) -> bool:
    """Whether there is now an environment with what `up` installs; making it takes a minute."""
    say("  making an environment with what `up` installs …")
    command = python(
        "bursar", "manage", "version"
    )  # refuses, since nothing runs; the environment is made first
    subprocess.run(
        command, cwd=ROOT, env=environment | {"BURSAR_VENV": str(path)}, capture_output=True, check=False
    )
    made = (path / ".bursar-stamp").exists()
    if not made:
        say("  it cannot be made; the present one is measured")
    return made


def _await_up(process: subprocess.Popen[bytes], directory: Path) -> None:
    log = directory / "up.log"

    def is_up() -> bool:
        if process.poll() is not None:
            raise LauncherRefusal(f"`up` ended: {log.read_text()[-2000:]}")
        return "] up in " in log.read_text()

    measure.await_true(is_up, STARTS_WITHIN_SECONDS, "`up`")


def _under_load(system: System, length: Length) -> list[float]:
    """The whole system's MB at every look while it works."""
    jobs = [
        Job(_intake(system), _deposits(system, length), 4, length.busy, DEPOSITS_PER_SECOND, again=False),
        Job(_web(system), [_read(system)], 2, length.busy, READS_PER_SECOND),
    ]
    threads = [threading.Thread(target=lambda job=job: load.run(job).sample()) for job in jobs]
    for thread in threads:
        thread.start()
    looks = [sum(system.memory().values())]
    while any(thread.is_alive() for thread in threads):
        threads[0].join(length.every)
        looks.append(sum(system.memory().values()))
    return looks


def _web(system: System) -> tuple[str, int]:
    host, _, port = system.here["base_url"].removeprefix("http://").partition(":")
    return host, int(port)


def _intake(system: System) -> tuple[str, int]:
    host, port = _web(system)
    return host, port + 1


def _read(system: System) -> bytes:
    key, secret = system.demo["api_key"], system.demo["api_secret"]
    signed = {signing.KEY_HEADER: key, signing.SIGNATURE_HEADER: signing.sign(secret, b"{}")}
    return load.request("/api/v2/accounts/list", b"{}", JSON | signed)


def _deposits(system: System, length: Length) -> list[bytes]:
    return [_deposit(system, number) for number in range(int(length.busy * DEPOSITS_PER_SECOND))]


def _deposit(system: System, number: int) -> bytes:
    body = deposit_body(system.addresses[number % ADDRESSES], _FIRST_ID + number)
    raw = json.dumps(body, separators=(",", ":")).encode()
    signed = {
        signing.KEY_HEADER: system.secrets["sandbox_key"],
        signing.SIGNATURE_HEADER: signing.sign(system.secrets["sandbox_secret"], raw),
    }
    return load.request("/callbacks/sandbox/", raw, JSON | signed)


def _row(what: str, memory: dict[str, float], where: str) -> Row:
    largest = sorted(memory.items(), key=lambda each: -each[1])
    return Row(
        what,
        sum(memory.values()),
        "MB",
        at_most=MOST_MB,
        note=f"{where}: {', '.join(f'{name} {taken:.0f}' for name, taken in largest)}",
    )


def _name(pid: int) -> str:
    """The program that a process belongs to, by its command and environment."""
    with suppress(OSError):
        environment = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
        for entry in environment:
            if entry.startswith(b"BURSAR_ROLE="):
                return entry.partition(b"=")[2].decode()
    with suppress(OSError):
        command = Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace")
        for word, name in (("postgres", "PostgreSQL"), ("valkey", "Valkey"), ("sandbox", "sandbox")):
            if word in command:
                return name
        return "shop" if "launcher.shop" in command else "launcher"
    return "gone"


def _pss_kb(pid: int) -> int:
    with suppress(OSError):
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1])
    return 0
