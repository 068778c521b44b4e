"""The installation under soak: its own PostgreSQL and Valkey, every role a real process, a proxy between.

`World` is what scenarios and the nemesis hold. The roles are the very programs of `./bursar up`, each with
its own environment and database user; what is killed is started again at once, as a process manager would.
PostgreSQL is durable (nothing acknowledged may go), can be stopped on the spot and started on its data.
With `proxied`, the roles reach it over `proxy`; `World.ask` always goes straight to it.

    with running(directory, seed=1) as world:
        (shop,) = world.stage([NewShop("R1 first", terms={"BTC": {"deposit_fee_percent": "0.008"}},
                                       places=(Place("BTC"),))])
        world.call(shop, "accounts/list")
        world.kill("worker"); world.stop_postgres(); world.start_postgres(); world.heal()
        world.ask("SELECT count(*) FROM callbacks_incomingcallback")
"""

from __future__ import annotations

import json
import os
import random
import secrets
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import psycopg
import redis
import requests

from launcher.processes import Child, Program, python
from launcher.roles import Installation
from launcher.services import Postgres, Valkey
from launcher.state import ROOT, LauncherRefusal, Ports
from launcher.up import demand_free
from merchants import signing
from tests.soak.defects.registry import DEFECTS
from tests.soak.proxy import Proxy
from tests.soak.shops import NewShop, Shop, made_of, wish

ROLES = ("web", "intake", "worker", "worker2", "deliver", "deliver_slow", "beat")
"""What runs unless a scenario asks for something else; `worker2` is a second worker, for killing one."""
UPSTREAM_KEY, UPSTREAM_SECRET = "soak-upstream", "soak-upstream-secret"
BREAKERS = Path(__file__).parent / "defects"
STARTS_WITHIN_SECONDS = 60.0
_LOOK_EVERY_SECONDS = 0.1
_LIVE_BACKENDS = """
SELECT pid FROM pg_stat_activity
 WHERE backend_type = 'client backend' AND usename IN ('bursar_app', 'bursar_sender') ORDER BY pid
"""
T = TypeVar("T")


class World:
    """A running installation. Made by `running`; safe to use from several threads."""

    def __init__(self, directory: Path, *, seed: int, defect: str, proxied: bool) -> None:
        self.directory, self.seed, self.defect = directory, seed, defect
        self.postgres = Postgres(directory / "postgres")
        self.valkey = Valkey(directory / "valkey")
        self.proxy = Proxy(self.postgres.sockets / ".s.PGSQL.5432", seed)
        self._proxied = proxied
        self._logs = directory / "log"
        self._logs.mkdir()
        self._programs: dict[str, Program] = {}
        self._children: dict[str, Child] = {}
        self._held: set[str] = set()
        self._closing = threading.Event()
        # Who starts a process must outlive it: the kernel tells children when their parent's thread ends.
        self._keeper = ThreadPoolExecutor(1, thread_name_prefix="keeper")
        self._watcher = threading.Thread(target=self._watch, name="watcher", daemon=True)

    # --- life ---

    def open(self, roles: Sequence[str]) -> None:
        """Services, migrations and `roles`; returns when they serve."""
        self._by_keeper(self.postgres.start)
        self.postgres.prepare()
        self.proxy.start()
        valkey = self._by_keeper(self.valkey.start)
        self.installation = Installation(
            "127.0.0.1", _free_ports(), self._database, valkey, _secrets(), block_every=0
        )
        self._run_python("manage.py", "migrate", "--noinput", "-v0", environment=self.as_owner)
        if self.defect and DEFECTS[self.defect].sql:
            self.ask(DEFECTS[self.defect].sql)
        self._programs = self._all_programs()
        self.start(*roles)
        self._watcher.start()

    def close(self) -> None:
        self._closing.set()
        self.proxy.heal()
        children = list(self._children.values())
        for child in children:
            child.signal(signal.SIGCONT)
            child.signal(signal.SIGKILL)
        for child in children:
            child.process.wait()
        self.proxy.stop()
        self.valkey.stop()
        self.postgres.stop()
        self._keeper.shutdown()

    def start(self, *names: str) -> None:
        """Starts programs side by side; returns when they serve. `sandbox` and `sender` may be named too."""
        for name in names:
            self._held.discard(name)
            self._by_keeper(lambda name=name: self._start(name))
        self.await_ready(*names)

    def await_ready(self, *names: str, seconds: float = STARTS_WITHIN_SECONDS) -> None:
        """Raises `LauncherRefusal` when one does not serve in time; without names, for all that run."""
        end = time.monotonic() + seconds
        for name in names or tuple(self._children):
            child = self._children[name]
            while not (child.process.poll() is None and child.program.is_ready(child.written())):
                if time.monotonic() > end:
                    raise LauncherRefusal(f"{name} did not start: {child.written()[-3000:]}")
                time.sleep(0.05)

    def heal(self) -> None:
        """Ends every disturbance: services, roles and line as they were, all of them serving."""
        self.proxy.heal()
        self.start_postgres()
        self.start_valkey()
        for name in list(self._children):
            self.thaw(name)
        self.start(*self._held)
        self.await_ready()

    # --- processes ---

    @property
    def names(self) -> list[str]:
        """The programs that are meant to run."""
        return [name for name in self._children if name not in self._held]

    def pids(self, name: str) -> list[int]:
        """The program's process and all below it, parents first."""
        return list(_tree(self._children[name].process.pid))

    def kill(self, name: str) -> None:
        """-9 for the program and all its children: nobody gets to tidy up. It is started again."""
        self._children[name].signal(signal.SIGKILL)

    def kill_child(self, name: str, which: int) -> None:
        """-9 for one process of the program's pool, or for itself where it has none."""
        below = self.pids(name)[1:] or self.pids(name)
        with suppress(ProcessLookupError):
            os.kill(below[which % len(below)], signal.SIGKILL)

    def hold(self, name: str) -> None:
        """Kills the program and keeps it down until `start` or `heal`."""
        self._held.add(name)
        self.kill(name)

    def freeze(self, name: str) -> None:
        self._children[name].signal(signal.SIGSTOP)

    def thaw(self, name: str) -> None:
        self._children[name].signal(signal.SIGCONT)

    def written(self, name: str) -> str:
        """The program's whole log."""
        return self._children[name].log.read_text(errors="replace")

    # --- services ---

    def stop_postgres(self) -> None:
        """The immediate stop: no checkpoint, no farewell, recovery at the next start."""
        process = self.postgres.process
        if process and process.poll() is None:
            process.send_signal(signal.SIGQUIT)
            process.wait()

    def start_postgres(self) -> float:
        """Starts it on its data; returns how many seconds it took until it answered."""
        began = time.monotonic()
        if not self.postgres_runs:
            self._by_keeper(self.postgres.start)
        return time.monotonic() - began

    @property
    def postgres_runs(self) -> bool:
        return self.postgres.process is not None and self.postgres.process.poll() is None

    def backends(self) -> list[int]:
        """The server's processes that serve the roles."""
        return [row[0] for row in self.ask(_LIVE_BACKENDS)]

    def terminate_backend(self, pid: int) -> None:
        self.ask("SELECT pg_terminate_backend(%s)", [pid])

    def kill_valkey(self) -> None:
        if self.valkey.process and self.valkey.process.poll() is None:
            self.valkey.process.kill()
            self.valkey.process.wait()

    def start_valkey(self) -> None:
        if self.valkey.process is None or self.valkey.process.poll() is not None:
            self._by_keeper(self.valkey.start)

    def flush_valkey(self) -> None:
        with suppress(redis.RedisError):
            redis.Redis.from_url(self.installation.valkey, socket_timeout=2).flushall()

    # --- use ---

    def stage(self, shops: Sequence[NewShop]) -> list[Shop]:
        """Makes merchants, with people, keys, terms and addresses."""
        wanted = [wish(shop) for shop in shops]
        return [made_of(*all_of) for all_of in zip(shops, wanted, self._stage("make", wanted), strict=True)]

    def spend(self, shop: Shop, currency: str) -> str:
        """Takes the merchant's whole available balance away, by an adjustment; returns how much it was."""
        return str(self._stage("spend", {"merchant": shop.id, "currency": currency}))

    def stage_act(self, act: str, wanted: Any) -> Any:
        """What one of `stage`'s acts makes of `wanted`."""
        return self._stage(act, wanted)

    def call(
        self, shop: Shop, path: str, body: dict[str, Any] | None = None, timeout: float = 30
    ) -> requests.Response:
        """A signed API call of the merchant."""
        raw = json.dumps(body or {}).encode()
        headers = {
            "Content-Type": "application/json",
            signing.KEY_HEADER: shop.key,
            signing.SIGNATURE_HEADER: signing.sign(shop.secret, raw),
        }
        url = f"{self.installation.public_url}/api/v2/{path}"
        return requests.post(url, data=raw, headers=headers, timeout=timeout)

    @property
    def intake(self) -> tuple[str, int]:
        """Where processors call back."""
        return "127.0.0.1", self.installation.ports.intake

    def ask(self, statement: str, values: Sequence[Any] = ()) -> list[Any]:
        """Rows, straight from the database, as its superuser.

        Raises `psycopg.OperationalError` while it is down.
        """
        with psycopg.connect(self.postgres.url("bursar_super"), autocommit=True) as connection:
            cursor = connection.execute(statement, values or None)
            return cursor.fetchall() if cursor.description else []

    def manage(self, *arguments: str, role: str = "manage") -> str:
        """A management command with the environment of `role`; what it printed."""
        return self._run_python("manage.py", *arguments, environment=self.environment(role))

    @property
    def as_owner(self) -> dict[str, str]:
        return self.installation.environment("manage", "bursar_owner")

    def environment(self, role: str) -> dict[str, str]:
        user = "bursar_sender" if role == "sender" else "bursar_app"
        return self.installation.environment(role, user) | self._injected

    # --- inside ---

    @property
    def _injected(self) -> dict[str, str]:
        """What makes a role's Python import the named defect first."""
        return {"PYTHONPATH": str(BREAKERS), "BURSAR_SOAK_DEFECT": self.defect} if self.defect else {}

    def _database(self, user: str) -> str:
        if self._proxied and user in {"bursar_app", "bursar_sender"}:
            return (
                f"postgresql://{user}@127.0.0.1:{self.proxy.port}/bursar?sslmode=disable&gssencmode=disable"
            )
        return self.postgres.url(user)

    def _all_programs(self) -> dict[str, Program]:
        programs = {program.name: program for program in self.installation.programs()}
        for name, program in programs.items():
            if name not in {"sandbox", "shop"}:
                programs[name] = replace(program, environment=program.environment | self._injected)
        second = [part.replace("worker@", "worker2@") for part in programs["worker"].command]
        return programs | {"worker2": replace(programs["worker"], name="worker2", command=second)}

    def _start(self, name: str) -> None:
        child = self._children.get(name)
        if child is None:
            self._children[name] = Child(self._programs[name], self._logs)
        elif child.process.poll() is not None:
            child.start()

    def _watch(self) -> None:
        """The process manager."""
        while not self._closing.wait(_LOOK_EVERY_SECONDS):
            for name, child in list(self._children.items()):
                if child.process.poll() is not None and name not in self._held and not self._closing.is_set():
                    child.signal(signal.SIGKILL)  # what it left behind
                    self._by_keeper(lambda name=name: self._start(name))

    def _stage(self, act: str, wanted: Any) -> Any:
        environment = self.as_owner | {"DJANGO_SETTINGS_MODULE": "config.settings"}
        command = ("-m", "tests.soak.stage", act)
        return json.loads(self._run_python(*command, environment=environment, given=json.dumps(wanted)))

    def _by_keeper(self, act: Callable[[], T]) -> T:
        return self._keeper.submit(act).result()

    def _run_python(self, *command: str, environment: dict[str, str], given: str = "") -> str:
        done = subprocess.run(
            python(*command),
            cwd=ROOT,
            env=environment,
            input=given,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise LauncherRefusal(f"{command} failed: {done.stderr[-3000:]}")
        return done.stdout


@contextmanager
def running(
    directory: Path,
    *,
    seed: int = 1,
    roles: Sequence[str] = ROLES,
    defect: str = "",
    proxied: bool = True,
) -> Iterator[World]:
    """An installation that runs `roles`; it is gone afterwards.

    `BURSAR_VAR` must have named `directory` when `launcher` was imported: programs keep their files there.
    """
    if os.environ.get("BURSAR_VAR") != str(directory):
        raise LauncherRefusal("BURSAR_VAR must name the world's directory")
    world = World(directory, seed=seed, defect=defect, proxied=proxied)
    try:
        world.open(roles)
        yield world
    finally:
        world.close()


def _secrets() -> dict[str, str]:
    """The upstream's are known, since the scripted upstream signs with them."""
    return {
        "secret_key": secrets.token_urlsafe(50),
        "encryption_keys": "soak:" + "A" * 43 + "=",
        "sandbox_key": UPSTREAM_KEY,
        "sandbox_secret": UPSTREAM_SECRET,
        "control_token": secrets.token_hex(16),
    }


def _free_ports() -> Ports:
    """Anywhere free, away from where people start theirs and from what the kernel gives to clients."""
    while True:
        ports = Ports(random.SystemRandom().randrange(20_000, 32_000, 30))
        with suppress(LauncherRefusal):
            demand_free("127.0.0.1", ports)
            return ports


def _tree(pid: int) -> Iterable[int]:
    """A process and all below it."""
    yield pid
    for children in Path(f"/proc/{pid}/task").glob("*/children"):
        with suppress(OSError):
            for child in children.read_text().split():
                yield from _tree(int(child))
