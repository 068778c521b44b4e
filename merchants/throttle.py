"""Throttles of sign-in: failed tries make the next one wait, counted in PostgreSQL by real time.

Counted twice: by account (whether it exists or not) and by the network that the tries come from. A try is
counted before it is judged, so that tries side by side cannot slip through, and given back when it was
right. Waits double from one second and stop growing: nobody is locked out for good.
"""

from __future__ import annotations

import hashlib
import ipaddress
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.db import connection, transaction
from django.db.models import F
from django.db.models.functions import Greatest, Now

from merchants.errors import Refusal
from merchants.models import Throttle, ThrottleKind
from merchants.models.user import normalised

FORGOTTEN_AFTER = timedelta(hours=1)
IPV4_PREFIX, IPV6_PREFIX = 24, 48
"""What one household or office has; a single address is too easily changed for another."""


class TooManyTries(Refusal):
    """Too many tries. Try again in {seconds} s."""


@dataclass(frozen=True)
class Limit:
    """free: tries that wait for nothing; longest: seconds that the wait never exceeds."""

    free: int
    longest: int


LIMITS = {
    ThrottleKind.ACCOUNT: Limit(free=5, longest=60),
    ThrottleKind.NETWORK: Limit(free=30, longest=900),
}

_WAIT = (
    "CASE WHEN t.failures < %(free)s THEN interval '0'"
    " ELSE LEAST(%(longest)s, power(2, LEAST(t.failures - %(free)s, 20))) * interval '1 second' END"
)
_TAKE_SQL = f"""
    INSERT INTO merchants_throttle AS t (kind, subject, failures, last_at)
    VALUES (%(kind)s, %(subject)s, 1, clock_timestamp())
    ON CONFLICT (kind, subject) DO UPDATE
       SET failures = CASE WHEN t.last_at < clock_timestamp() - %(forgotten)s THEN 1 ELSE t.failures + 1 END,
           last_at = clock_timestamp()
     WHERE t.last_at + {_WAIT} <= clock_timestamp()
    RETURNING failures
"""  # noqa: S608 - put together from this module's constants
_LEFT_SQL = f"""
    SELECT ceil(extract(epoch FROM t.last_at + {_WAIT} - clock_timestamp()))
      FROM merchants_throttle t WHERE kind = %(kind)s AND subject = %(subject)s
"""  # noqa: S608 - as above


@dataclass(frozen=True)
class Tries:
    """A try that was counted; `forgive` gives it back when it was right."""

    account: bytes
    network: bytes

    def forgive(self) -> None:
        """The account begins anew; of its network only this one try is taken back."""
        Throttle.objects.filter(kind=ThrottleKind.ACCOUNT, subject=self.account).delete()
        mine = Throttle.objects.filter(kind=ThrottleKind.NETWORK, subject=self.network)
        mine.update(failures=Greatest(F("failures") - 1, 0))


def count(*, account: str, ip: str | None, what: str = "sign_in") -> Tries:
    """Counts a try, committed on its own. Raises `TooManyTries` where it must wait, and then counts none.

    what: which tries are counted together. Must not be called inside a transaction.
    """
    tries = Tries(_digest(f"{what}:{normalised(account)}"), _digest(f"{what}:{_network(ip)}"))
    with transaction.atomic(durable=True):
        waits = _take(ThrottleKind.NETWORK, tries.network) or _take(ThrottleKind.ACCOUNT, tries.account)
        if waits:
            transaction.set_rollback(True)
    if waits:
        raise TooManyTries(seconds=waits)
    return tries


def prune() -> int:
    """Removes counters that mean nothing any more; how many."""
    return Throttle.objects.filter(last_at__lt=Now() - FORGOTTEN_AFTER).delete()[0]


def _take(kind: ThrottleKind, subject: bytes) -> int:
    """Counts one; 0, or the seconds that the try must wait."""
    limit = LIMITS[kind]
    parameters: dict[str, Any] = {
        "kind": kind.value,
        "subject": subject,
        "free": limit.free,
        "longest": limit.longest,
        "forgotten": FORGOTTEN_AFTER,
    }
    with connection.cursor() as cursor:
        cursor.execute(_TAKE_SQL, parameters)
        if cursor.fetchone():
            return 0
        cursor.execute(_LEFT_SQL, parameters)
        return max(1, int(cursor.fetchone()[0]))


def _network(ip: str | None) -> str:
    if ip is None:
        return "unknown"
    address = ipaddress.ip_address(ip)
    prefix = IPV4_PREFIX if address.version == 4 else IPV6_PREFIX
    return str(ipaddress.ip_network((address, prefix), strict=False))


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()
