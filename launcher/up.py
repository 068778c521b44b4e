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
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TextIO

from launcher import demo, prepared
from launcher.backing import services
from launcher.processes import Supervisor, python
from launcher.roles import Installation
from launcher.services import ServiceFailed, die_with_parent
from launcher.state import ROOT, RUNNING, VAR, LauncherRefusal, Ports, alone, read, running, write_private

FUNDING = (("BTC", "2.1", 2), ("ETH", "20.5", 12))
"""Currency, amount and blocks of the demo's first deposits; fees leave at least 2 BTC and 20 ETH."""
BANK_TRANSFERS = (("EUR", "10000"), ("USD", "10000"))
STARTS_WITHIN_SECONDS = 120.0
"""Of each installation."""
PEOPLE = ("operator", "owner", "second_owner", "viewer")


def say(text: str, to: TextIO | None = None) -> None:
    print(f"[bursar] {text}", flush=True, file=to)


def demand_free(host: str, ports: Ports, *, upstream: bool = False) -> None:
    """Raises `LauncherRefusal` naming the first port that is taken, of one installation or of two."""
    for name, port in (ports.of_both if upstream else ports.all).items():
        where = host if name == "web" else "127.0.0.1"
        if not 0 < port < 65536:
            raise LauncherRefusal(f"port {port} ({name}) is no port; choose another with --port")
        try:
            socket.create_server((where, port)).close()
        except OSError as error:
            raise LauncherRefusal(
                f"{where}:{port} ({name}) is not free: {error.strerror}; try --port"
            ) from None


def run(*, host: str, port: int, block_every: float, upstream: bool = False) -> int:
    """Runs until SIGINT or SIGTERM; returns 0. Raises `LauncherRefusal` for what is in the way.

    upstream: another Bursar is this one's processor, and has the sandbox behind it.
    """
    began, ports = time.monotonic(), Ports(port)
    supervisor = Supervisor(VAR / "log", say)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: supervisor.stop())
    prepare = prepared.two if upstream else prepared.one
    with alone():
        demand_free(host, ports, upstream=upstream)
        try:
            with services(VAR) as backing:
                installations = prepare(host=host, ports=ports, backing=backing, block_every=block_every)
                _bring_up(installations, supervisor, began)
        except ServiceFailed as error:
            raise LauncherRefusal(str(error)) from None
    say("stopped")
    return 0


def _bring_up(installations: Sequence[Installation], supervisor: Supervisor, began: float) -> None:
    """Each in turn, as the next one asks the one before it for addresses and prices."""
    try:
        for installation in installations:
            first, *others = installation.programs()
            supervisor.start([first])
            if not installation.upstream:
                _transfer(installation, supervisor)
            supervisor.start(others)
            supervisor.wait_until_ready()
            if supervisor.is_stopping:
                return
        here = _announce(installations)
        _fund(here)
        print(table(here), flush=True)
        say(f"up in {time.monotonic() - began:.1f} s; Ctrl-C stops it, logs are in {VAR / 'log'}")
        supervisor.run()
    finally:
        supervisor.end()


def _announce(installations: Sequence[Installation]) -> dict[str, Any]:
    """Writes where everything is, for commands and for people; returns it.

    What it says is of the last one, the merchants'; the one behind that is under `upstream`. The sandbox is
    one for both.
    """
    *behind, front = installations
    here = _where(front)
    for each in behind:
        here["upstream"] = _where(each)
        here |= {name: here["upstream"][name] for name in ("control_url", "control_token")}
    write_private(RUNNING, here)
    return here


def _where(installation: Installation) -> dict[str, Any]:
    """Where one installation is found, and how commands enter it. Its demo's file is told as much."""
    urls = {
        "base_url": installation.public_url,
        "api_url": f"{installation.public_url}/api/v2",
        "backoffice_url": f"{installation.public_url}/",
        "operator_url": f"{installation.public_url}/operator/",
        "shop_url": installation.shop_url,
        "callback_url": installation.merchant_url,
    }
    if installation.called_back:
        del urls["shop_url"]
    write_private(installation.home.demo, read(installation.home.demo) | urls)
    return urls | {
        "pid": os.getpid(),
        "demo": str(installation.home.demo),
        **_sandbox_of(installation),
        "environment": installation.environment("manage"),
        "owner_environment": installation.environment("manage", "bursar_owner"),
    }


def _sandbox_of(installation: Installation) -> dict[str, str]:
    return {
        "control_url": installation.control_url,
        "control_token": installation.secrets["control_token"],
    }


def _transfer(installation: Installation, supervisor: Supervisor) -> None:
    """The bank transfers behind the demo's top-ups, once, and before anybody compares the balances."""
    facts = read(installation.home.demo)
    if facts.get("transferred") or facts.get("funded"):
        return
    supervisor.wait_until_ready()
    if supervisor.is_stopping:
        return
    player = demo.Player(_sandbox_of(installation), facts, say)
    try:
        for currency, amount in BANK_TRANSFERS:
            player.simulate("fund", currency=currency, amount=amount)
    except demo.Mismatch as mismatch:
        raise LauncherRefusal(f"the demo's bank transfers failed: {mismatch}") from None
    write_private(installation.home.demo, facts | {"transferred": True})


def _fund(here: dict[str, Any]) -> None:
    """The demo's balances in coins, once, by real deposits."""
    facts = read(Path(here["demo"]))
    if facts.get("funded"):
        return
    player = demo.Player.of(here, say)
    try:
        for currency, amount, blocks in FUNDING:
            demo.fund(player, currency, amount, blocks)
    except demo.Mismatch as mismatch:
        raise LauncherRefusal(f"the demo's first deposits failed: {mismatch}") from None
    write_private(Path(here["demo"]), facts | {"funded": True})


def code_now(secret: str) -> str:
    """The authenticator's present code (RFC 6238: SHA-1, 30 s, 6 digits) for a base32 secret."""
    key = base64.b32decode(secret + "=" * (-len(secret) % 8))
    digest = hmac.new(key, struct.pack(">Q", int(time.time()) // 30), hashlib.sha1).digest()
    start = digest[-1] & 15
    number = struct.unpack(">I", digest[start : start + 4])[0] & 0x7FFFFFFF
    return f"{number % 1_000_000:06d}"


def table(here: dict[str, Any]) -> str:
    """What a person needs to try it."""
    facts = read(Path(here["demo"]))
    rows = [
        ("API", facts["api_url"]),
        ("Back-office", facts["backoffice_url"]),
        ("Operator admin", facts["operator_url"]),
        ("Demo shop", facts["shop_url"]),
        ("API key", facts["api_key"]),
        ("API secret", facts["api_secret"]),
        *_people(facts, PEOPLE),
    ]
    if "upstream" in here:
        behind = read(Path(here["upstream"]["demo"]))
        rows += [
            ("", ""),
            ("Behind it", "another Bursar, whose merchant the one above is; the sandbox is behind that"),
            ("Back-office", behind["backoffice_url"]),
            ("Operator admin", behind["operator_url"]),
            *_people(behind, ("operator", "owner")),
        ]
    width = max(len(title) for title, _ in rows)
    return "\n".join(f"  {title:<{width}}  {value}".rstrip() for title, value in rows)


def _people(facts: dict[str, Any], titles: Sequence[str]) -> list[tuple[str, str]]:
    rows = []
    for title in titles:
        person = facts[title]
        rows.append((title.replace("_", " ").capitalize(), f"{person['email']}  {person['password']}"))
        rows.append(("", f"authenticator {person['totp_secret']}, now {code_now(person['totp_secret'])}"))
    return rows


class Background:
    """An `up` of our own for a command that found none running."""

    def __init__(self, *, upstream: bool = False) -> None:
        self._upstream = upstream

    def __enter__(self) -> None:
        port = free_base(upstream=self._upstream)
        say(f"nothing is running; starting an installation of our own at port {port}", to=sys.stderr)
        parent, self._last = os.getpid(), "no reason given"
        self._process = subprocess.Popen(
            python("-m", "launcher", "up", "--port", str(port), *(["--upstream"] if self._upstream else [])),
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
            preexec_fn=lambda: die_with_parent(signal.SIGTERM, parent),
        )
        threading.Thread(target=self._listen, daemon=True).start()
        end = time.monotonic() + STARTS_WITHIN_SECONDS * (2 if self._upstream else 1)
        while not self._is_funded():
            if self._process.poll() is not None or time.monotonic() > end:
                self.__exit__()
                raise LauncherRefusal(f"it did not start: {self._last}")
            time.sleep(0.1)

    def _is_funded(self) -> bool:
        here = running()
        return bool(here) and bool(read(Path(here["demo"])).get("funded"))

    def _listen(self) -> None:
        for line in self._process.stdout or ():
            self._last = line.strip() or self._last

    def __exit__(self, *_: object) -> None:
        self._process.send_signal(signal.SIGTERM)
        self._process.wait(60)


def free_base(*, upstream: bool = False) -> int:
    """A port whose neighbours that we use are free as well."""
    for base in range(8000, 20_000, 100):
        with contextlib.suppress(LauncherRefusal):
            demand_free("127.0.0.1", Ports(base), upstream=upstream)
            return base
    raise LauncherRefusal("no ports are free")
