"""What installations stand on: PostgreSQL and Valkey, shared by all that one launcher runs.

Each installation has a database and a broker's number of its own in them. A service that the environment
names (`DATABASE_URL`, `REDIS_URL`) is used as it is, and only the other is started.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

from launcher.roles import as_role
from launcher.services import Postgres, Valkey
from launcher.state import LauncherRefusal

DATABASE = "bursar"
OWN_LOGINS = {"bursar_app": "DATABASE_URL_APP", "bursar_sender": "DATABASE_URL_SENDER"}


@dataclass(frozen=True)
class Backing:
    """The two services as they run. postgres: None for a server that is not ours."""

    postgres: Postgres | None
    valkey_url: str

    def database(self, beside: str = "") -> Callable[[str], str]:
        """A database's URL by its user; on a server of ours it is made. beside: which of several it is."""
        if self.postgres is None:
            return lambda user: given(os.environ["DATABASE_URL"], user, beside)
        name = f"{DATABASE}{_suffix(beside)}"
        self.postgres.prepare(name)
        return partial(self.postgres.url, database=name)

    def broker(self, number: int = 0) -> str:
        """Valkey's URL, so many database numbers on. Raises `LauncherRefusal` for one without a number."""
        if not number:
            return self.valkey_url
        parts = urlsplit(self.valkey_url)
        here = parts.path.removeprefix("/") or "0"
        if not here.isdecimal():
            raise LauncherRefusal("REDIS_URL must end in a database number: two installations need two")
        return urlunsplit(parts._replace(path=f"/{int(here) + number}"))


@contextmanager
def services(directory: Path) -> Iterator[Backing]:
    """Runs what the environment does not name, with its data in `directory`. Raises `ServiceFailed`."""
    valkey_url = os.environ.get("REDIS_URL")
    postgres = None if os.environ.get("DATABASE_URL") else Postgres(directory / "postgres")
    valkey = None if valkey_url else Valkey(directory / "valkey")
    try:
        if valkey:
            valkey_url = valkey.start()
        if postgres:
            postgres.start()
        yield Backing(postgres, valkey_url or "")
    finally:
        if valkey:
            valkey.stop()
        if postgres:
            postgres.stop()


def given(url: str, user: str, beside: str = "") -> str:
    """A database that is not ours: its URL as owner, or under a role unless another URL is given for it."""
    own = os.environ.get(OWN_LOGINS.get(user, ""))
    there = _named(own or url, beside)
    return there if own or user == "bursar_owner" else as_role(there, user)


def _named(url: str, beside: str) -> str:
    """The database of that URL, or the one beside it: `bursar` and `bursar_upstream`."""
    if not beside:
        return url
    there, question, query = url.partition("?")
    if not urlsplit(there).path.strip("/"):
        raise LauncherRefusal("DATABASE_URL must name its database: two installations need two")
    return f"{there}{_suffix(beside)}{question}{query}"


def _suffix(beside: str) -> str:
    return f"_{beside}" if beside else ""
