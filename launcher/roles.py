"""Which programs an installation consists of, and what each may know: spine of `./bursar up`.

The processors' secrets go to `intake` and `sender` alone; each role comes to the database as its own user.
"""

from __future__ import annotations

import http.client
import json
import os
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from urllib.parse import quote

from launcher.processes import Program, python
from launcher.state import HOME, Home, Ports

CELERY = {
    "worker": ("work,tick", "prefork", 0),
    "deliver": ("deliver,tick", "threads", 8),
    "deliver_slow": ("deliver_slow,tick", "threads", 8),
    "sender": ("sender", "prefork", 1),
}
"""Queues, pool and concurrency (0: the installation's hands) of each role that works a queue; whoever has a
hand free takes the tick."""


@dataclass(frozen=True)
class Upstream:
    """Another Bursar as an installation's processor: what `intake` and `sender` need to know of it."""

    url: str
    key: str
    secret: str = field(repr=False)


@dataclass(frozen=True)
class Installation:
    """All that is decided before a program starts. database: a role's URL by its database user.

    upstream: the Bursar behind this one; without it the processor is a sandbox, which it then runs itself.
    called_back: where its demo merchant is; without it there is a shop, which it then runs itself.
    hands: how many processes of web, and of worker, share the work.
    """

    host: str
    ports: Ports
    database: Callable[[str], str]
    valkey: str
    secrets: dict[str, str]
    block_every: float = 15.0
    home: Home = HOME
    upstream: Upstream | None = None
    called_back: str = ""
    hands: int = os.cpu_count() or 1

    @property
    def processor(self) -> str:
        """What its processor is called, in its settings and in the address of its callbacks."""
        return "upstream" if self.upstream else "sandbox"

    @property
    def label(self) -> str:
        """Before its programs' names, so that those of two installations are told apart."""
        return "upstream-" if self.called_back else ""

    @property
    def intake_url(self) -> str:
        """Where its processor calls back."""
        return intake_url(self.ports, self.processor)

    @property
    def merchant(self) -> str:
        """Who its demo merchant is."""
        return "bursar" if self.called_back else "shop"

    @property
    def merchant_url(self) -> str:
        """Where its demo merchant is called back."""
        return self.called_back or f"{self.shop_url}/callbacks"

    @property
    def public_url(self) -> str:
        return f"http://{self.host}:{self.ports.web}"

    @property
    def control_url(self) -> str:
        return f"http://127.0.0.1:{self.ports.sandbox}"

    @property
    def shop_url(self) -> str:
        return f"http://127.0.0.1:{self.ports.shop}"

    def environment(self, role: str, user: str = "bursar_app") -> dict[str, str]:
        """What a process of `role` gets to know."""
        known = self._bare() | {
            "BURSAR_ROLE": role,
            "BURSAR_ENV": "sandbox",
            "BURSAR_SECRET_KEY": self.secrets["secret_key"],
            "BURSAR_ENCRYPTION_KEYS": self.secrets["encryption_keys"],
            "BURSAR_PUBLIC_URL": self.public_url,
            "BURSAR_ALLOWED_HOSTS": f"{self.host},127.0.0.1,localhost,[::1]",
            "DATABASE_URL": self.database(user),
            "REDIS_URL": self.valkey,
        }
        if not self.upstream:
            known["BURSAR_SANDBOX_CONTROL_URL"] = self.control_url
            known["BURSAR_SANDBOX_CONTROL_TOKEN"] = self.secrets["control_token"]
        if role in {"intake", "sender"}:
            known["BURSAR_PROCESSORS"] = json.dumps({self.processor: self._credentials()})
        return known

    def programs(self) -> list[Program]:
        """Every program, in the order in which they are started."""
        around = [] if self.upstream else [self._sandbox()]
        around += [] if self.called_back else [self._shop()]
        all_of_them = [*around, self._web(), self._intake(), *self._queues(), self._beat()]
        return [replace(program, name=f"{self.label}{program.name}") for program in all_of_them]

    def _credentials(self) -> dict[str, str]:
        known = self.upstream or Upstream(
            self.control_url, self.secrets["sandbox_key"], self.secrets["sandbox_secret"]
        )
        return {"connector": "gateway", "url": known.url, "key": known.key, "secret": known.secret}

    def _sandbox(self) -> Program:
        environment = self._bare() | {
            "BURSAR_SANDBOX_KEY": self.secrets["sandbox_key"],
            "BURSAR_SANDBOX_SECRET": self.secrets["sandbox_secret"],
            "BURSAR_SANDBOX_CONTROL_TOKEN": self.secrets["control_token"],
        }
        command = python(
            *("-m", "sandbox", "--port", str(self.ports.sandbox)),
            *("--state", str(self.home.directory / "sandbox.sqlite3")),
            *("--callback-url", self.intake_url),
            *("--block-every", str(self.block_every)),
        )
        return Program("sandbox", command, environment, _answers(self.ports.sandbox, "/api/v2/ping"))

    def _shop(self) -> Program:
        command = python("-m", "launcher.shop", "--port", str(self.ports.shop))
        return Program("shop", command, self._bare(), _answers(self.ports.shop, "/healthz"))

    def _web(self) -> Program:
        bind = f"{self.host}:{self.ports.web}"
        command = _gunicorn(bind, workers=self.hands)
        return Program(
            "web", command, self.environment("web"), _answers(self.ports.web, "/healthz", self.host)
        )

    def _intake(self) -> Program:
        command = _gunicorn(f"127.0.0.1:{self.ports.intake}", workers=1)
        return Program("intake", command, self.environment("intake"), _answers(self.ports.intake, "/healthz"))

    def _queues(self) -> list[Program]:
        return [
            Program(
                role,
                _celery(role, queue, pool, concurrency or self.hands),
                self.environment(role, "bursar_sender" if role == "sender" else "bursar_app"),
                lambda log: " ready." in log,
            )
            for role, (queue, pool, concurrency) in CELERY.items()
        ]

    def _beat(self) -> Program:
        command = python(
            *("-m", "config.queues", "beat", "-l", "warning"),
            *("-s", str(self.home.directory / "beat-schedule"), "--pidfile="),
        )
        return Program("beat", command, self.environment("beat"))

    def _bare(self) -> dict[str, str]:
        """For what is no part of Bursar: not even the database."""
        theirs = {name: value for name, value in os.environ.items() if not _is_ours(name)}
        return _THRIFT | theirs | {"BURSAR_VAR": str(self.home.directory)}


def intake_url(ports: Ports, processor: str) -> str:
    """Where the installation at these ports takes the callbacks of its processor."""
    return f"http://127.0.0.1:{ports.intake}/callbacks/{processor}/"


def as_role(url: str, role: str) -> str:
    """The same database under another role, for a server whose users are not ours to make."""
    option = f"options={quote(f'-c role={role}')}"
    return f"{url}{'&' if '?' in url else '?'}{option}"


_THRIFT = {"MALLOC_ARENA_MAX": "1", "MALLOC_TRIM_THRESHOLD_": "65536"}
"""For the C library: a dozen Python processes with threads keep a tenth less memory."""
_DECIDED = {"DATABASE_URL", "REDIS_URL", "PYTHONDONTWRITEBYTECODE"}
"""Uncached bytecode would be compiled by each of a dozen processes, at every start."""


def _is_ours(name: str) -> bool:
    """What the launcher decides for each program."""
    return name.startswith("BURSAR_") or name in _DECIDED


def _gunicorn(bind: str, *, workers: int) -> list[str]:
    """What is loaded before the fork is shared between workers; a single one would share it with nobody."""
    command = python(
        *("-m", "gunicorn", "-c", "config/server.py", "config.wsgi", "-b", bind),
        *("-w", str(workers), "--threads", "4", "--no-control-socket"),
        *("--graceful-timeout", "8", "--keep-alive", "15"),
    )
    return [*command, "--preload"] if workers > 1 else command


def _celery(role: str, queue: str, pool: str, concurrency: int) -> list[str]:
    return python(
        *("-m", "config.queues", "worker", "-l", "info", "-n", f"{role}@%h"),
        *("-Q", queue, "-P", pool, "-c", str(concurrency)),
        *("--without-gossip", "--without-mingle", "--without-heartbeat"),
    )


def _answers(port: int, path: str, host: str = "127.0.0.1") -> Callable[[str], bool]:
    def is_ready(log: str) -> bool:
        try:
            connection = http.client.HTTPConnection(host, port, timeout=2)
            connection.request("GET", path)
            return connection.getresponse().status == http.HTTPStatus.OK
        except (OSError, http.client.HTTPException):
            return False

    return is_ready
