"""A whole installation for a test: its own database, every role as a real process, a merchant's receiver.

Everything between the parts is real: PostgreSQL, Valkey (or a dead port in its place), HTTP, signals. Each
role can be killed with -9 and started again.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import psycopg
import requests

from launcher.roles import as_role
from merchants import signing
from sandbox.control import Control

ROOT = Path(__file__).parents[2]
DEAD_VALKEY = "redis://127.0.0.1:1/0"
SECONDS_TO_START = 40.0
UPSTREAM = {"BURSAR_SANDBOX_KEY": "upstream-key", "BURSAR_SANDBOX_SECRET": "upstream-secret"}
CONTROL_TOKEN = "control-token"
QUEUES = {
    "worker": "work,tick",
    "deliver": "deliver,tick",
    "deliver_slow": "deliver_slow,tick",
    "sender": "sender",
}


def until(condition: Callable[[], Any], *, seconds: float = 30.0, what: str = "it") -> Any:
    """What `condition` answers once it is true; fails the test when it never is."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        answer = condition()
        if answer:
            return answer
        time.sleep(0.05)
    raise AssertionError(f"waited {seconds} s for {what}")


@dataclass
class Receiver:
    """A merchant's server: verifies every callback and keeps its body; `answers` is the status it gives."""

    secret: str = ""
    answer: int = 200
    bodies: list[dict[str, Any]] = field(default_factory=list)
    unsigned: int = 0

    url: str = ""

    def start(self) -> str:
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                raw = self.rfile.read(int(self.headers["Content-Length"]))
                if signing.verify(receiver.secret, raw, self.headers.get(signing.SIGNATURE_HEADER, "")):
                    receiver.bodies.append(json.loads(raw))
                else:
                    receiver.unsigned += 1
                self.send_response(receiver.answer)
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/callbacks"
        return self.url

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def statuses(self, operation: int) -> list[str]:
        return [body["status"] for body in self.bodies if body["id"] == operation]


class Installation:
    """The processes of one installation, and what a test does with them."""

    def __init__(self, directory: Path, *, valkey: str) -> None:
        self.directory = directory
        self.receiver = Receiver()
        self._valkey = valkey
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._name = f"flow_{os.getpid()}_{int(time.monotonic() * 1000)}"
        self._web, self._intake, self._upstream = _free_ports(3)
        self._server = os.environ["DATABASE_URL"]

    # --- life ---

    def prepare(self) -> None:
        """The database, the sandbox and the demo merchant; no role runs yet."""
        with psycopg.connect(self._server, autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {self._name}")
        self.manage("migrate", "-v0")
        self.start("sandbox")
        out = self.directory / "demo.json"
        self.manage("seed_demo", "--json-out", str(out), "--shop-url", self.receiver.start())
        self.demo = json.loads(out.read_text())
        self.receiver.secret = self.demo["api_secret"]
        self.control = Control(url=f"http://127.0.0.1:{self._upstream}", token=CONTROL_TOKEN)

    def close(self) -> None:
        for role in list(self._processes):
            self.kill(role)
        self.receiver.stop()
        with psycopg.connect(self._server, autocommit=True) as connection:
            connection.execute(f"DROP DATABASE IF EXISTS {self._name} WITH (FORCE)")

    def start(self, *roles: str) -> None:
        """Starts roles side by side and returns once those that serve HTTP answer."""
        for role in roles:
            with (self.directory / f"{role}.log").open("ab") as log:
                self._processes[role] = subprocess.Popen(
                    self._command(role),
                    cwd=ROOT,
                    env=self._environment(role),
                    stdout=log,
                    stderr=log,
                    start_new_session=True,
                )
        for role in roles:
            self._wait_for(role)

    def kill(self, role: str) -> None:
        """-9, for the process and all its children: nobody gets to tidy up."""
        process = self._processes.pop(role)
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()

    def manage(self, *arguments: str, role: str = "manage") -> str:
        command = [sys.executable, "manage.py", *arguments]
        done = subprocess.run(
            command, cwd=ROOT, env=self._environment(role), capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, f"{arguments}: {done.stdout}{done.stderr}"
        return done.stdout

    def begin(self, *arguments: str, role: str = "manage") -> subprocess.Popen[bytes]:
        """A command in the background, for a test that kills it."""
        return subprocess.Popen(
            [sys.executable, "manage.py", *arguments],
            cwd=ROOT,
            env=self._environment(role),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    # --- use ---

    def call(self, path: str, body: dict[str, Any] | None = None) -> requests.Response:
        """A signed API call of the demo merchant."""
        raw = json.dumps(body or {}).encode()
        headers = {
            "Content-Type": "application/json",
            signing.KEY_HEADER: self.demo["api_key"],
            signing.SIGNATURE_HEADER: signing.sign(self.demo["api_secret"], raw),
        }
        return requests.post(
            f"http://127.0.0.1:{self._web}/api/v2/{path}", data=raw, headers=headers, timeout=30
        )

    @property
    def web_url(self) -> str:
        return f"http://127.0.0.1:{self._web}"

    def take(self, foreign_id: str, currency: str = "BTC", **more: str) -> str:
        answer = self.call("addresses/take", {"foreign_id": foreign_id, "currency": currency} | more)
        assert answer.status_code == 201, answer.text
        return str(answer.json()["data"]["address"])

    def balance(self, currency: str = "BTC") -> str:
        rows = self.call("accounts/list").json()["data"]
        return next(row["balance"] for row in rows if row["currency"] == currency)

    def query(self, statement: str) -> list[tuple[Any, ...]]:
        """What the database holds, for assertions about what no door shows."""
        with psycopg.connect(self._url()) as connection:
            return connection.execute(statement).fetchall()

    # --- processes ---

    def _command(self, role: str) -> list[str]:
        python = sys.executable
        if role == "sandbox":
            return [
                *(python, "-m", "sandbox", "--port", str(self._upstream)),
                *("--state", str(self.directory / "sandbox.sqlite3")),
                *("--callback-url", f"http://127.0.0.1:{self._intake}/callbacks/sandbox/"),
            ]
        if role in {"web", "intake"}:
            port = self._web if role == "web" else self._intake
            return [
                *(python, "-m", "gunicorn", "config.wsgi", "-b", f"127.0.0.1:{port}", "-k", "gthread"),
                *("-w", "1", "--threads", "4", "--no-control-socket"),
            ]
        if role == "beat":
            schedule = str(self.directory / "beat")
            return [python, "-m", "celery", "-A", "config", "beat", "-l", "warning", "-s", schedule]
        pool = "threads" if role.startswith("deliver") else "prefork"
        return [
            *(python, "-m", "celery", "-A", "config", "worker", "-l", "warning", "-P", pool, "-c", "1"),
            *("-Q", QUEUES[role], "-n", f"{role}@{self._name}"),
            *("--without-gossip", "--without-mingle", "--without-heartbeat"),
        ]

    def _environment(self, role: str) -> dict[str, str]:
        environment = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
        environment |= {
            "BURSAR_ROLE": role if role != "sandbox" else "manage",
            "DATABASE_URL": self._url_of(role),
            "REDIS_URL": self._valkey,
            "BURSAR_SANDBOX_CONTROL_TOKEN": CONTROL_TOKEN,
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        if role == "sandbox":
            environment |= UPSTREAM
        if role in {"intake", "sender"}:
            upstream = {
                "connector": "gateway",
                "url": f"http://127.0.0.1:{self._upstream}",
                "key": UPSTREAM["BURSAR_SANDBOX_KEY"],
                "secret": UPSTREAM["BURSAR_SANDBOX_SECRET"],
            }
            environment["BURSAR_PROCESSORS"] = json.dumps({"sandbox": upstream})
        return environment

    def _url_of(self, role: str) -> str:
        """As in production, no role but the one that migrates owns anything."""
        if role in {"manage", "sandbox"}:
            return self._url()
        return as_role(self._url(), "bursar_sender" if role == "sender" else "bursar_app")

    def _url(self) -> str:
        return urlunsplit(urlsplit(self._server)._replace(path=f"/{self._name}"))

    def _wait_for(self, role: str) -> None:
        port = {"web": self._web, "intake": self._intake, "sandbox": self._upstream}.get(role)
        if port is None:
            return
        path = "api/v2/ping" if role == "sandbox" else "healthz"

        def answers() -> bool:
            assert self._processes[role].poll() is None, (self.directory / f"{role}.log").read_text()[-2000:]
            try:
                return requests.get(f"http://127.0.0.1:{port}/{path}", timeout=2).status_code == 200
            except requests.RequestException:
                return False

        until(answers, seconds=SECONDS_TO_START, what=role)


def _free_ports(count: int) -> list[int]:
    import socket

    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


@contextmanager
def installed(directory: Path, *, valkey: str) -> Iterator[Installation]:
    installation = Installation(directory, valkey=valkey)
    try:
        installation.prepare()
        yield installation
    finally:
        installation.close()
