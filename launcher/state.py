"""What an installation on this machine keeps between two runs: `var/`, its secrets, where it listens."""

from __future__ import annotations

import base64
import fcntl
import hashlib
import json
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
VAR = Path(os.environ.get("BURSAR_VAR") or ROOT / "var")
RUNNING = VAR / "up.json"
UPSTREAM_PORTS_FROM = 30


class LauncherRefusal(Exception):
    """An anticipated no: its text is the one line that is printed; exit code 2."""


@dataclass(frozen=True)
class Home:
    """Where one installation keeps its files. Each has its own secrets, demo, clockwork and sandbox."""

    directory: Path

    @property
    def demo(self) -> Path:
        """The demo's people and keys."""
        return self.directory / "demo.json"

    @property
    def secrets(self) -> Path:
        return self.directory / "secrets.json"

    @property
    def migrated(self) -> Path:
        """At which migrations its database stands."""
        return self.directory / "migrated"


HOME = Home(VAR)
"""Of the one installation of a plain `up`; in a program of any installation, of its own."""
FRONT, UPSTREAM = Home(VAR / "front"), Home(VAR / "upstream")
"""Of the two of `up --upstream`, which share nothing with the one: what is in them came another way."""


@dataclass(frozen=True)
class Ports:
    """Where each part listens, counted from the port that was asked for."""

    web: int

    @property
    def intake(self) -> int:
        return self.web + 1

    @property
    def sandbox(self) -> int:
        return self.web + 10

    @property
    def shop(self) -> int:
        return self.web + 20

    @property
    def all(self) -> dict[str, int]:
        return {"web": self.web, "intake": self.intake, "sandbox": self.sandbox, "shop": self.shop}

    @property
    def upstream(self) -> Ports:
        """Where the parts of the Bursar behind this one listen."""
        return Ports(self.web + UPSTREAM_PORTS_FROM)

    @property
    def of_both(self) -> dict[str, int]:
        """This one has the shop, the one behind it has the sandbox."""
        behind = self.upstream
        return {
            "web": self.web,
            "intake": self.intake,
            "shop": self.shop,
            "upstream web": behind.web,
            "upstream intake": behind.intake,
            "sandbox": behind.sandbox,
        }


def write_private(path: Path, facts: dict[str, Any]) -> None:
    """JSON that only its owner can read, replaced as a whole."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    fresh = path.with_suffix(".new")
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        json.dump(facts, file, indent=2)
    fresh.replace(path)


def read(path: Path) -> dict[str, Any]:
    """What a file holds; nothing when it is not there."""
    try:
        facts: dict[str, Any] = json.loads(path.read_text())
    except FileNotFoundError:
        return {}
    except ValueError:
        raise LauncherRefusal(f"{path} is damaged; `./bursar reset` starts anew") from None
    return facts


def installation_secrets(home: Home) -> dict[str, str]:
    """This installation's own secrets, made at the first run."""
    known = read(home.secrets)
    if not known:
        known = {
            "secret_key": secrets.token_urlsafe(50),
            "encryption_keys": f"k1:{base64.b64encode(secrets.token_bytes(32)).decode()}",
            "sandbox_key": f"sandbox-{secrets.token_hex(8)}",
            "sandbox_secret": secrets.token_hex(32),
            "control_token": secrets.token_hex(16),
        }
        write_private(home.secrets, known)
    return known


def migrations_stamp() -> str:
    """Changes whenever a migration does."""
    digest = hashlib.sha256()
    for path in sorted(ROOT.glob("*/migrations/*")):
        if path.suffix in {".py", ".sql"}:
            digest.update(path.name.encode() + path.read_bytes())
    return digest.hexdigest()


@contextmanager
def alone() -> Iterator[None]:
    """Holds this `var/` for one `up`. Raises `LauncherRefusal` when another runs."""
    VAR.mkdir(mode=0o700, parents=True, exist_ok=True)
    with (VAR / "up.lock").open("w") as turn:
        try:
            fcntl.flock(turn, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise LauncherRefusal(f"`./bursar up` runs already on {VAR}") from None
        RUNNING.unlink(missing_ok=True)  # left by one that was killed
        try:
            yield
        finally:
            RUNNING.unlink(missing_ok=True)


def running() -> dict[str, Any]:
    """What the running `up` wrote of itself; nothing when none runs or it is not ready yet."""
    if not RUNNING.exists():
        return {}
    with (VAR / "up.lock").open("a") as turn:
        try:
            fcntl.flock(turn, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return read(RUNNING)
    return {}
