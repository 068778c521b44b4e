"""`./bursar up`: services, migration, demo, every role; then it stays until it is told to stop."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import hmac
import os
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TextIO

from launcher import demo
from launcher.processes import Supervisor, python
from launcher.roles import Installation, as_role
from launcher.services import Postgres, ServiceFailed, Valkey, die_with_parent
from launcher.state import (
    DEMO,
    MIGRATED,
    ROOT,
    RUNNING,
    VAR,
    LauncherRefusal,
    Ports,
    alone,
    installation_secrets,
    migrations_stamp,
    read,
    running,
    write_private,
)

FUNDING = (("BTC", "2.1", 2), ("ETH", "20.5", 12))
"""Currency, amount and blocks of the demo's first deposits; fees leave at least 2 BTC and 20 ETH."""
BANK_TRANSFERS = (("EUR", "10000"), ("USD", "10000"))


def say(text: str, to: TextIO | None = None) -> None:
    print(f"[bursar] {text}", flush=True, file=to)


def demand_free(host: str, ports: Ports) -> None:
    """Raises `LauncherRefusal` naming the first port that is taken."""
    for name, port in ports.all.items():
        where = host if name == "web" else "127.0.0.1"
        if not 0 < port < 65536:
            raise LauncherRefusal(f"port {port} ({name}) is no port; choose another with --port")
        try:
            socket.create_server((where, port)).close()
        except OSError as error:
            raise LauncherRefusal(
                f"{where}:{port} ({name}) is not free: {error.strerror}; try --port"
            ) from None


@contextmanager
def services() -> Iterator[tuple[Callable[[str], str], str]]:
    """(the database's URL for a user, Valkey's URL); only what the environment does not name is started."""
    given, valkey_url = os.environ.get("DATABASE_URL"), os.environ.get("REDIS_URL")
    postgres = None if given else Postgres(VAR / "postgres")
    valkey = None if valkey_url else Valkey(VAR / "valkey")
    try:
        if valkey:
            valkey_url = valkey.start()
        if postgres:
            postgres.start()
            postgres.prepare()
        yield (postgres.url if postgres else lambda user: _given(given or "", user)), valkey_url or ""
    finally:
        if valkey:
            valkey.stop()
        if postgres:
            postgres.stop()


def _given(url: str, user: str) -> str:
    """A database that is not ours: its URL as owner, or under a role unless another URL is given for it."""
    if user == "bursar_owner":
        return url
    own = {"bursar_app": "DATABASE_URL_APP", "bursar_sender": "DATABASE_URL_SENDER"}[user]
    return os.environ.get(own) or as_role(url, user)


def run(*, host: str, port: int, block_every: float) -> int:
    """Runs until SIGINT or SIGTERM; returns 0. Raises `LauncherRefusal` for what is in the way."""
    began, ports = time.monotonic(), Ports(port)
    supervisor = Supervisor(VAR / "log", say)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: supervisor.stop())
    with alone():
        demand_free(host, ports)
        try:
            with services() as (database, valkey):
                installation = Installation(
                    host, ports, database, valkey, installation_secrets(), block_every
                )
                _bring_up(installation, supervisor, began)
        except ServiceFailed as error:
            raise LauncherRefusal(str(error)) from None
    say("stopped")
    return 0


def _bring_up(installation: Installation, supervisor: Supervisor, began: float) -> None:
    migrate(installation)
    _seed(installation)
    try:
        supervisor.start(installation.programs())
        supervisor.wait_until_ready()
        if supervisor.is_stopping:
            return
        facts = _announce(installation)
        _fund(facts)
        print(table(facts), flush=True)
        say(f"up in {time.monotonic() - began:.1f} s; Ctrl-C stops it, logs are in {VAR / 'log'}")
        supervisor.run()
    finally:
        supervisor.end()


def migrate(installation: Installation) -> None:
    """Migrates as the owner, unless this very database stands at these migrations already."""
    owner = installation.environment("manage", "bursar_owner")
    stamp = hashlib.sha256(f"{migrations_stamp()}{owner['DATABASE_URL']}".encode()).hexdigest()
    embedded = not os.environ.get("DATABASE_URL")
    if embedded and MIGRATED.exists() and MIGRATED.read_text() == stamp:
        return
    _manage(owner, "migrate", "--noinput", "-v0")
    MIGRATED.write_text(stamp)


def _seed(installation: Installation) -> None:
    """The demo, once; and its callback address again, when the shop has moved to another port."""
    if DEMO.exists() and read(DEMO).get("shop_url", installation.shop_url) == installation.shop_url:
        return
    shop = f"{installation.shop_url}/callbacks"
    environment = installation.environment("manage")
    _manage(environment, "seed_demo", "--json-out", str(DEMO), "--shop-url", shop)
    if not DEMO.exists():
        raise LauncherRefusal(f"the demo is in the database but {DEMO} is gone; `./bursar reset` starts anew")


def _manage(environment: dict[str, str], *arguments: str) -> None:
    done = subprocess.run(
        python("manage.py", *arguments),
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        last = (done.stderr.strip() or done.stdout.strip() or "no reason given").splitlines()[-1]
        raise LauncherRefusal(f"`manage.py {arguments[0]}` failed: {last}")


def _announce(installation: Installation) -> dict[str, Any]:
    """Writes where everything is, for `demo` and for people; returns the demo's facts."""
    urls = {
        "base_url": installation.public_url,
        "api_url": f"{installation.public_url}/api/v2",
        "backoffice_url": f"{installation.public_url}/",
        "operator_url": f"{installation.public_url}/operator/",
        "shop_url": installation.shop_url,
    }
    here = urls | {
        "pid": os.getpid(),
        "control_url": installation.control_url,
        "control_token": installation.secrets["control_token"],
        "environment": installation.environment("manage"),
        "owner_environment": installation.environment("manage", "bursar_owner"),
    }
    write_private(RUNNING, here)
    facts = urls | {name: value for name, value in read(DEMO).items() if name not in urls}
    write_private(DEMO, facts)
    return facts


def _fund(facts: dict[str, Any]) -> None:
    """The demo's balances, once: coins by real deposits, fiat at the sandbox to match the top-ups."""
    if facts.get("funded"):
        return
    player = demo.Player(running(), facts, say)
    try:
        for currency, amount in BANK_TRANSFERS:
            player.simulate("fund", currency=currency, amount=amount)
        for currency, amount, blocks in FUNDING:
            demo.fund(player, currency, amount, blocks)
    except demo.Mismatch as mismatch:
        raise LauncherRefusal(f"the demo's first deposits failed: {mismatch}") from None
    write_private(DEMO, facts | {"funded": True})


def code_now(secret: str) -> str:
    """The authenticator's present code (RFC 6238: SHA-1, 30 s, 6 digits) for a base32 secret."""
    key = base64.b32decode(secret + "=" * (-len(secret) % 8))
    digest = hmac.new(key, struct.pack(">Q", int(time.time()) // 30), hashlib.sha1).digest()
    start = digest[-1] & 15
    number = struct.unpack(">I", digest[start : start + 4])[0] & 0x7FFFFFFF
    return f"{number % 1_000_000:06d}"


def table(facts: dict[str, Any]) -> str:
    """What a person needs to try it."""
    rows = [
        ("API", facts["api_url"]),
        ("Back-office", facts["backoffice_url"]),
        ("Operator admin", facts["operator_url"]),
        ("Demo shop", facts["shop_url"]),
        ("API key", facts["api_key"]),
        ("API secret", facts["api_secret"]),
    ]
    for title in ("operator", "owner", "second_owner", "viewer"):
        person = facts[title]
        rows.append((title.replace("_", " ").capitalize(), f"{person['email']}  {person['password']}"))
        rows.append(("", f"authenticator {person['totp_secret']}, now {code_now(person['totp_secret'])}"))
    width = max(len(title) for title, _ in rows)
    return "\n".join(f"  {title:<{width}}  {value}" for title, value in rows)


class Background:
    """An `up` of our own for a command that found none running."""

    def __enter__(self) -> None:
        port = free_base()
        say(f"nothing is running; starting an installation of our own at port {port}", to=sys.stderr)
        parent, self._last = os.getpid(), "no reason given"
        self._process = subprocess.Popen(
            python("-m", "launcher", "up", "--port", str(port)),
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
            preexec_fn=lambda: die_with_parent(signal.SIGTERM, parent),
        )
        threading.Thread(target=self._listen, daemon=True).start()
        end = time.monotonic() + 120
        while not (running() and read(DEMO).get("funded")):
            if self._process.poll() is not None or time.monotonic() > end:
                self.__exit__()
                raise LauncherRefusal(f"it did not start: {self._last}")
            time.sleep(0.1)

    def _listen(self) -> None:
        for line in self._process.stdout or ():
            self._last = line.strip() or self._last

    def __exit__(self, *_: object) -> None:
        self._process.send_signal(signal.SIGTERM)
        self._process.wait(60)


def free_base() -> int:
    """A port whose neighbours that we use are free as well."""
    for base in range(8000, 20_000, 100):
        with contextlib.suppress(LauncherRefusal):
            demand_free("127.0.0.1", Ports(base))
            return base
    raise LauncherRefusal("no ports are free")
