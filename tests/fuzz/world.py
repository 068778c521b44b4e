"""The installation under trial: its own PostgreSQL and Valkey, and the roles web, intake and worker.

The roles are the very programs of `./bursar up`, each a process of its own with its own environment; no
sandbox runs, since `stage` laid in what the upstream would have given. `World` also tells what can be seen
from outside: memory, process numbers, logs, rows.
"""

from __future__ import annotations

import os
import random
import re
import secrets
import signal
import subprocess
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import psycopg

from launcher.processes import Child, python
from launcher.roles import Installation
from launcher.services import Postgres, Valkey
from launcher.state import ROOT, LauncherRefusal, Ports
from launcher.up import demand_free
from tests.fuzz import stage
from tests.fuzz.wire import Door

ROLES = ("web", "intake", "worker")
DEFECTS = Path(__file__).parent / "defects"
_STARTS_WITHIN_SECONDS = 60.0
_COMPLAINT = re.compile(r"Traceback|\b(?:ERROR|CRITICAL)\b")
_BY_DESIGN = re.compile(r"ERROR callbacks\.incoming callback \d+ of sandbox quarantined: ")
"""An accepted callback that says nothing readable is shown to people; that is no failure of ours."""
_TABLES = "SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace"
_OUT_OF_BALANCE = """
SELECT 'currency ' || currency FROM payments_posting GROUP BY currency HAVING sum(amount) <> 0
 UNION ALL
SELECT 'account ' || a.id FROM payments_account a LEFT JOIN payments_posting p ON p.account_id = a.id
 WHERE a.kept GROUP BY a.id, a.balance HAVING a.balance <> COALESCE(sum(p.amount), 0)
"""


@dataclass(frozen=True)
class Stored:
    """A callback in the inbox, by the SHA-256 of its bytes."""

    sha256: bytes
    state: str
    failures: int
    error: str


class World:
    """A running installation. Made by `running`."""

    def __init__(self, installation: Installation, database: str, logs: Path, defect: str) -> None:
        self._database = database
        self._installation = installation
        programs = {program.name: program for program in installation.programs()}
        injected = {"PYTHONPATH": str(DEFECTS), "BURSAR_FUZZ_DEFECT": defect} if defect else {}
        self.children = {
            role: Child(replace(programs[role], environment=programs[role].environment | injected), logs)
            for role in ROLES
        }

    def await_ready(self) -> None:
        """Raises `LauncherRefusal` when a role ends or does not serve in time."""
        end = time.monotonic() + _STARTS_WITHIN_SECONDS
        for role, child in self.children.items():
            while not child.program.is_ready(child.written()):
                if child.process.poll() is not None or time.monotonic() > end:
                    raise LauncherRefusal(f"{role} did not start: {child.written()[-2000:]}")
                time.sleep(0.05)

    def end(self) -> None:
        for child in self.children.values():
            child.signal(signal.SIGTERM)
        for child in self.children.values():
            with suppress(subprocess.TimeoutExpired):
                child.process.wait(12)
            child.signal(signal.SIGKILL)
            child.process.wait()

    def address(self, door: Door) -> tuple[str, int]:
        ports = self._installation.ports
        return "127.0.0.1", ports.web if door is Door.API else ports.intake

    # --- what can be seen ---

    def processes(self) -> dict[str, set[int]]:
        """Each role's process numbers: another set later means that one died or was started anew."""
        return {role: set(_tree(child.process.pid)) for role, child in self.children.items()}

    def memory(self) -> dict[str, int]:
        """Proportional set size of each role and its children, in kB."""
        return {role: sum(map(_pss, _tree(child.process.pid))) for role, child in self.children.items()}

    def complaints(self) -> list[str]:
        """The lines of the logs that nobody may have to read because of a request."""
        return [
            f"{role}: {line}"
            for role, child in self.children.items()
            for line in child.written().splitlines()
            if _COMPLAINT.search(line) and not _BY_DESIGN.search(line)
        ]

    def rows(self) -> dict[str, int]:
        """How many rows each table holds."""
        names = [str(row[0]) for row in self.ask(_TABLES)]
        counts = self.ask(" UNION ALL ".join(f"SELECT '{name}', count(*) FROM \"{name}\"" for name in names))
        return {name: int(count) for name, count in counts}

    def balances(self) -> list[Any]:
        """What each merchant has in each currency, set aside or not; of accounts that hold any."""
        return self.ask(
            "SELECT merchant_id, currency, sum(balance) FROM payments_account WHERE kept"
            " GROUP BY 1, 2 HAVING sum(balance) <> 0 ORDER BY 1, 2"
        )

    def out_of_balance(self) -> list[str]:
        """Currencies that do not sum to zero, accounts that differ from their postings."""
        return [str(row[0]) for row in self.ask(_OUT_OF_BALANCE)]

    def addresses_taken(self) -> set[int]:
        """The wire ids of the addresses that programs took, without those of the stage."""
        statement = (
            "SELECT wire_id FROM payments_address WHERE origin = 'api' AND foreign_id NOT LIKE 'recorded-%'"
        )
        return {int(row[0]) for row in self.ask(statement)}

    def inbox(self) -> list[Stored]:
        rows = self.ask("SELECT sha256, state, failures, error FROM callbacks_incomingcallback")
        return [Stored(bytes(row[0]), *row[1:]) for row in rows]

    def drain(self) -> None:
        """Works what is due in the inbox, beside the worker; what was put off stays put off."""
        done = subprocess.run(
            python("manage.py", "drain"),
            cwd=ROOT,
            env=self._installation.environment("worker"),
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise LauncherRefusal(f"the inbox cannot be drained: {done.stderr[-2000:]}")

    def ask(self, statement: str) -> list[Any]:
        with psycopg.connect(self._database) as connection:
            return connection.execute(statement).fetchall()


@contextmanager
def running(directory: Path, *, addresses: int, defect: str = "") -> Iterator[World]:
    """An installation with enough free addresses for the trial; it is gone afterwards."""
    postgres = Postgres(directory / "postgres", throw_away=True)
    valkey = Valkey(directory / "valkey")
    try:
        postgres.start()
        postgres.prepare()
        installation = Installation("127.0.0.1", _ports(), postgres.url, valkey.start(), _secrets())
        owner = installation.environment("manage", "bursar_owner")
        _run(python("manage.py", "migrate", "--noinput", "-v0"), owner)
        staged = owner | {"DJANGO_SETTINGS_MODULE": "config.settings"}
        _run(python("-m", "tests.fuzz.stage", str(addresses)), staged)
        (directory / "log").mkdir()
        world = World(installation, postgres.url("bursar_super"), directory / "log", defect)
        try:
            world.await_ready()
            yield world
        finally:
            world.end()
    finally:
        valkey.stop()
        postgres.stop()


def _secrets() -> dict[str, str]:
    """The upstream's are the fuzz's own, since requests are signed with them."""
    return {
        "secret_key": secrets.token_urlsafe(50),
        "encryption_keys": "fuzz:" + "A" * 43 + "=",
        "sandbox_key": stage.UPSTREAM_KEY,
        "sandbox_secret": stage.UPSTREAM_SECRET,
        "control_token": secrets.token_hex(16),
    }


def _ports() -> Ports:
    """Anywhere free, away from where people start theirs."""
    while True:
        ports = Ports(random.randrange(20_000, 32_000, 30))
        with suppress(LauncherRefusal):
            demand_free("127.0.0.1", ports)
            return ports


def _run(command: list[str], environment: dict[str, str]) -> None:
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise LauncherRefusal(f"{command[1:4]} failed: {done.stderr[-2000:]}")


def _tree(pid: int) -> Iterable[int]:
    """A process and all below it."""
    yield pid
    for children in Path(f"/proc/{pid}/task").glob("*/children"):
        with suppress(OSError):
            for child in children.read_text().split():
                yield from _tree(int(child))


def _pss(pid: int) -> int:
    with suppress(OSError):
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1])
    return 0


assert os.environ.get("BURSAR_VAR"), "the programs keep their files in BURSAR_VAR: set it before the import"
