"""What is measured: a whole installation of its own, with merchants, and the bare server beside it.

The roles are the programs of `./bursar up` with their own options. PostgreSQL is durable as there: `fsync`,
`synchronous_commit` and `full_page_writes` are on, 64 MB of shared buffers, over its Unix socket; nothing
that is answered with 200 may go. The servers' CPU is theirs and that of the database's processes.

    with installed(Cast(merchants=100), roles=("intake",)) as place:
        job = Job(place.intake, [place.deposit(merchant, number) for ...])
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from bench import load, measure
from launcher.processes import Child, Program, python
from launcher.state import ROOT, VAR, LauncherRefusal
from merchants import signing
from tests.soak.world import UPSTREAM_KEY, UPSTREAM_SECRET, World, running

JSON = {"Content-Type": "application/json"}
STARTS_WITHIN_SECONDS = 30.0


@dataclass(frozen=True)
class Cast:
    """Who is there. currencies: how many each merchant has, Bitcoin first; spare: free addresses in the pool.

    url: where all of them are called back; empty for nowhere. funds: what each has in Bitcoin.
    """

    merchants: int = 1
    currencies: int = 1
    spare: int = 0
    url: str = ""
    seed: str = "shop"
    funds: str = "0"


@dataclass(frozen=True)
class Merchant:
    id: int
    key: str
    secret: str = field(repr=False)
    address: str = ""


class Place:
    """The running installation. `world` is the soak's: `start`, `kill`, `ask`, `pids`, `environment`."""

    def __init__(self, world: World, directory: Path, cast: Cast) -> None:
        self.world, self._directory = world, directory
        self.merchants = self.cast(cast)
        self._others: dict[str, Child] = {}

    # --- who and where ---

    def cast(self, cast: Cast) -> list[Merchant]:
        """Makes further merchants; the seed must be a new one."""
        made = self.python(
            "-m", "bench.stage", environment=self.world.as_owner, given=json.dumps(asdict(cast))
        )
        return [Merchant(**each) for each in json.loads(made)]

    @property
    def web(self) -> tuple[str, int]:
        return "127.0.0.1", self.world.installation.ports.web

    @property
    def intake(self) -> tuple[str, int]:
        return self.world.intake

    def bare(self, role: str = "web") -> tuple[str, int]:
        """Where the bare view answers, served exactly as `role` is; started when it is first asked for."""
        name = f"bare-{role}"
        if name not in self._others:
            programs = {program.name: program for program in self.world.installation.programs()}
            command, port = list(programs[role].command), free_port()
            command[command.index("config.wsgi")] = "bench.bare"
            command[command.index("-b") + 1] = f"127.0.0.1:{port}"
            settings = {"PORT": str(port), "DJANGO_SETTINGS_MODULE": "bench.bare"}
            environment = programs[role].environment | settings
            self.run(name, command, environment, lambda log: "Booting worker" in log)
        return "127.0.0.1", int(self._others[name].program.environment["PORT"])

    def run(
        self,
        name: str,
        command: Sequence[str],
        environment: dict[str, str],
        is_ready: Any = lambda log: True,
    ) -> Child:
        """A program beside the installation; ended with it."""
        bare = {each: os.environ[each] for each in ("PATH", "HOME", "LANG") if each in os.environ}
        child = Child(Program(name, list(command), bare | environment, is_ready), self._directory)
        self._others[name] = child
        try:
            measure.await_true(lambda: is_ready(child.written()), STARTS_WITHIN_SECONDS, name)
        except TimeoutError:
            raise LauncherRefusal(f"{name} did not start: {child.written()[-2000:]}") from None
        return child

    # --- requests ---

    def call(self, merchant: Merchant, path: str, body: bytes = b"{}", method: str = "POST") -> bytes:
        """The bytes of a signed API request."""
        signed = {
            signing.KEY_HEADER: merchant.key,
            signing.SIGNATURE_HEADER: signing.sign(merchant.secret, body),
        }
        return load.request(f"/api/v2/{path}", body, (JSON if body else {}) | signed, method)

    def deposit(self, merchant: Merchant, number: int) -> bytes:
        """The bytes of the upstream's callback of a confirmed Bitcoin deposit; number: its upstream's id."""
        body = json.dumps(deposit_body(merchant.address, number), separators=(",", ":")).encode()
        signed = {
            signing.KEY_HEADER: UPSTREAM_KEY,
            signing.SIGNATURE_HEADER: signing.sign(UPSTREAM_SECRET, body),
        }
        return load.request("/callbacks/sandbox/", body, JSON | signed)

    # --- programs ---

    def cpu(self, *roles: str) -> float:
        """CPU seconds spent so far by the named programs (ours or those beside) and by PostgreSQL."""
        pids: list[int] = []
        for role in roles:
            child = self._others.get(role)
            pids += measure.tree(child.process.pid) if child else self.world.pids(role)
        if any(role not in self._others for role in roles) and self.world.postgres.process:
            pids += measure.tree(self.world.postgres.process.pid)
        return measure.cpu_seconds(pids)

    def python(self, *command: str, environment: dict[str, str], given: str = "") -> str:
        """Runs a Python program of ours to its end; what it printed."""
        done = subprocess.run(
            python(*command),
            cwd=ROOT,
            env=environment | {"DJANGO_SETTINGS_MODULE": "config.settings"},
            input=given,
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        )
        return done.stdout

    def close(self) -> None:
        for child in self._others.values():
            child.signal(9)
            child.process.wait()


@contextmanager
def installed(cast: Cast, *, roles: Sequence[str]) -> Iterator[Place]:
    """An installation that runs `roles` (of `launcher.roles`) in `VAR`; it is gone afterwards."""
    VAR.mkdir(exist_ok=True)
    try:
        with running(VAR, roles=roles, proxied=False) as world:
            place = Place(world, VAR, cast)
            try:
                yield place
            finally:
                place.close()
    finally:
        for left in VAR.iterdir():
            shutil.rmtree(left, ignore_errors=True) if left.is_dir() else left.unlink()


def deposit_body(address: str, number: int) -> dict[str, Any]:
    """A confirmed deposit of 0.015 BTC in the shape of protocol v2."""
    amount = {"currency": "BTC", "amount": "0.01500000"}
    return {
        "id": number,
        "type": "deposit",
        "crypto_address": {"id": 1, "currency": "BTC", "address": address, "tag": None},
        "currency_sent": amount,
        "currency_received": amount | {"amount_minus_fee": "0.01488000"},
        "transactions": [
            {
                "id": 2 * number,
                "transaction_type": "blockchain",
                "type": "deposit",
                **amount,
                "address": address,
                "tag": None,
                "txid": f"{number:064x}",
                "confirmations": "1",
            }
        ],
        "fees": [{"type": "processing", "currency": "BTC", "amount": "0.00012000"}],
        "error": "",
        "status": "confirmed",
    }


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
    return port


def say(text: str) -> None:
    """Progress, for people who wait."""
    print(text, file=sys.stderr, flush=True)
