"""How often a client may ask: a counter in Valkey for each address, and a minute's pause beyond the limit.

Expendable, like all that is in Valkey: while it cannot be reached, nobody is refused.
"""

from __future__ import annotations

import logging
import time
from functools import cache

import redis
from django.conf import settings
from django.http import HttpRequest

from merchants import client_address
from payments.doorbell import BREAKER_SECONDS, TIMEOUT_SECONDS

log = logging.getLogger(__name__)

MINUTE = 60
REFUSED = {"errors": {"limit": "Too many requests. Try again in one minute."}}
RETRY = {"Retry-After": str(MINUTE)}


class _Broken:
    """Remembers that Valkey was away, so that requests do not wait for it one by one."""

    until = 0.0


@cache
def _valkey() -> redis.Redis:
    return redis.Redis.from_url(
        settings.REDIS_URL,
        socket_timeout=TIMEOUT_SECONDS,
        socket_connect_timeout=TIMEOUT_SECONDS,
        retry=None,
    )


def allows(request: HttpRequest, *, what: str, a_minute: int) -> bool:
    """Counts a request of this client for `what`; False beyond `a_minute` of them, and for a minute more."""
    if time.monotonic() < _Broken.until:
        return True
    try:
        return _count(f"pace:{what}:{client_address.text_of(request)}", a_minute)
    except redis.RedisError as error:
        _Broken.until = time.monotonic() + BREAKER_SECONDS
        log.warning("requests for %s are not counted: %s", what, error)
        return True


def _count(key: str, a_minute: int) -> bool:
    """The first request begins a minute; the one too many begins the pause, and more do not prolong it."""
    asked = _valkey().pipeline(transaction=True)
    asked.exists(f"{key}:paused")
    asked.incr(key)
    asked.expire(key, MINUTE, nx=True)
    paused, count, _ = asked.execute()
    if paused:
        return False
    if count <= a_minute:
        return True
    begun = _valkey().pipeline(transaction=True)
    begun.set(f"{key}:paused", 1, ex=MINUTE, nx=True)
    begun.delete(key)
    begun.execute()
    return False
