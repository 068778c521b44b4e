"""Tests on several workers at once (`./bursar test -n 2 --dist loadfile`): what each has for itself.

PostgreSQL's databases are told apart by pytest-django; the broker's are here, before any setting is read.
"""

from __future__ import annotations

import os
from urllib.parse import urlsplit, urlunsplit

WORKER = os.environ.get("PYTEST_XDIST_WORKER", "")


def _own_broker(url: str) -> str:
    """Another of the broker's numbered databases for each worker; the first belongs to a run without any."""
    number = int(WORKER.removeprefix("gw")) + 1
    return urlunsplit(urlsplit(url)._replace(path=f"/{number}"))


if WORKER and os.environ.get("REDIS_URL"):
    os.environ["REDIS_URL"] = _own_broker(os.environ["REDIS_URL"])
