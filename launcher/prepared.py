"""What is done for an installation before its programs start: its database migrated, its demo made.

One installation stands alone, with a sandbox for its processor. Two stand one behind the other: the one
behind has the sandbox, and its demo merchant is the one in front, which it calls back at its intake.
"""

from __future__ import annotations

import hashlib
import os
import subprocess

from launcher.backing import Backing
from launcher.processes import python
from launcher.roles import Installation, Upstream, intake_url
from launcher.state import (
    FRONT,
    HOME,
    ROOT,
    UPSTREAM,
    LauncherRefusal,
    Ports,
    installation_secrets,
    migrations_stamp,
    read,
)


def one(*, host: str, ports: Ports, backing: Backing, block_every: float) -> list[Installation]:
    """The installation of a plain `up`, ready to be started. Raises `LauncherRefusal`."""
    only = Installation(
        host=host,
        ports=ports,
        database=backing.database(),
        valkey=backing.broker(),
        secrets=installation_secrets(HOME),
        block_every=block_every,
        home=HOME,
    )
    prepare(only)
    return [only]


def two(*, host: str, ports: Ports, backing: Backing, block_every: float) -> list[Installation]:
    """The one behind and then the one in front, ready to be started in this order.

    The one behind is reached by another name than the one in front: to browsers, ports of one host share
    their cookies, and who signs in to one would be signed out of the other. It serves one merchant, and has
    one process where the other has one for each processor core. Raises `LauncherRefusal`.
    """
    behind = Installation(
        host="127.0.0.1" if host == "localhost" else "localhost",
        ports=ports.upstream,
        database=backing.database("upstream"),
        valkey=backing.broker(1),
        secrets=installation_secrets(UPSTREAM),
        block_every=block_every,
        home=UPSTREAM,
        called_back=intake_url(ports, "upstream"),
        hands=1,
    )
    prepare(behind)
    merchant = read(UPSTREAM.demo)
    front = Installation(
        host=host,
        ports=ports,
        database=backing.database("front"),
        valkey=backing.broker(),
        secrets=installation_secrets(FRONT),
        home=FRONT,
        upstream=Upstream(
            f"http://127.0.0.1:{behind.ports.web}", merchant["api_key"], merchant["api_secret"]
        ),
    )
    prepare(front)
    return [behind, front]


def prepare(installation: Installation) -> None:
    """Migrates the database and makes the demo, as far as either is still to be done."""
    migrate(installation)
    seed(installation)


def migrate(installation: Installation) -> None:
    """Migrates as the owner, unless this very database stands at these migrations already."""
    owner = installation.environment("manage", "bursar_owner")
    stamp = hashlib.sha256(f"{migrations_stamp()}{owner['DATABASE_URL']}".encode()).hexdigest()
    embedded, migrated = not os.environ.get("DATABASE_URL"), installation.home.migrated
    if embedded and migrated.exists() and migrated.read_text() == stamp:
        return
    _manage(owner, "migrate", "--noinput", "-v0")
    migrated.write_text(stamp)


def seed(installation: Installation) -> None:
    """The demo, once; and its callback address again, when its merchant has moved to another port."""
    kept = installation.home.demo
    if kept.exists() and read(kept).get("callback_url") == installation.merchant_url:
        return
    _manage(
        installation.environment("manage"),
        *("seed_demo", "--json-out", str(kept), "--shop-url", installation.merchant_url),
        *("--processor", installation.processor, "--banked", "--merchant", installation.merchant),
    )
    if not kept.exists():
        raise LauncherRefusal(f"the demo is in the database but {kept} is gone; `./bursar reset` starts anew")


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
