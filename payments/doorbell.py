"""Doorbells: the only use of the broker. A bell says "there may be work in the database", no more.

The database is the queue. Ringing sends one Celery task that drains the queue for a few seconds; a key in
Valkey keeps a busy second from sending more than one. Losing every ring changes nothing but delay:
`tick`, once a second, rings every bell whose own query finds something due. Ringing never raises, never
waits longer than 0.2 s and stops trying for a while once the broker is dead.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import redis
from celery import current_app
from django.conf import settings
from django.db import connection, transaction

log = logging.getLogger(__name__)

DRAIN_SECONDS = 5.0
BREAKER_SECONDS = 5.0
TIMEOUT_SECONDS = 0.2
HOLD_SECONDS = 1
"""How long a bell is silent after it was rung, and at most after whoever held it died."""
LOOK_SECONDS = 0.01
"""Between two looks of a drain that lingers."""


@dataclass(frozen=True)
class Bell:
    """A task that drains one queue.

    task: the Celery name; queue: which role works it; due_sql: a query that returns a row when work is
    due (used as `EXISTS (...)`).
    """

    task: str
    queue: str
    due_sql: str


BELLS: list[Bell] = []
"""Every bell of the installation; each `tasks` module adds its own at import."""


def register(bell: Bell) -> Bell:
    BELLS.append(bell)
    return bell


class _Breaker:
    """Remembers that the broker was dead, so that requests do not wait for it one by one."""

    closed_after = 0.0

    def is_open(self) -> bool:
        return time.monotonic() < self.closed_after

    def trip(self) -> None:
        self.closed_after = time.monotonic() + BREAKER_SECONDS


_breaker = _Breaker()


@cache
def _valkey() -> redis.Redis:
    return redis.Redis.from_url(
        settings.REDIS_URL,
        socket_timeout=TIMEOUT_SECONDS,
        socket_connect_timeout=TIMEOUT_SECONDS,
        retry=None,
    )


def ring(bell: Bell) -> bool:
    """Rings unless it was rung within the second; True when a task was sent."""
    if _breaker.is_open():
        return False
    try:
        if not _valkey().set(_key(bell), 1, nx=True, ex=HOLD_SECONDS):
            return False
        current_app.send_task(bell.task, queue=bell.queue, expires=30, retry=False, ignore_result=True)
    except Exception as error:  # noqa: BLE001 - a dead broker, in whatever form, must not fail a request
        _breaker.trip()
        log.warning("doorbell %s not rung: %s", bell.task, error)
        return False
    return True


def ring_on_commit(bell: Bell) -> None:
    transaction.on_commit(lambda: ring(bell))


def drain(bell: Bell, step: Callable[[], int], *, seconds: float = DRAIN_SECONDS, linger: float = 0.0) -> int:
    """Calls `step` until it finds nothing or the time is up; returns how much was done.

    The bell is lifted first, so that work which arrives during the drain's last step rings again; a drain
    that ran out of time rings for the rest by itself, lest it lie until the next tick.

    linger: for how many seconds without work it goes on looking. Meanwhile it holds the bell, since its
    looks cost less than a task for each arrival; then it lifts it and looks a last time, for what rang in
    vain. A drain that finds work at every look holds nothing, so that others are rung to help.
    """
    _lift(bell)
    until = time.monotonic() + seconds
    done, worked_at, held_at = 0, time.monotonic(), 0.0
    while (now := time.monotonic()) < until:
        found = step()
        done += found
        if found:
            worked_at = time.monotonic()
        elif now - worked_at < linger:
            if now - held_at > HOLD_SECONDS / 2:
                _hold(bell)
                held_at = now
            time.sleep(LOOK_SECONDS)
        elif held_at:
            _lift(bell)
            held_at = 0.0
        else:
            return done
    if held_at:
        _lift(bell)
    ring(bell)
    return done


def _lift(bell: Bell) -> None:
    try:
        _valkey().delete(_key(bell))
    except redis.RedisError as error:
        log.warning("doorbell %s not lifted: %s", bell.task, error)


def _hold(bell: Bell) -> None:
    """Nobody rings for a while; when it cannot be held, more tasks come than are needed."""
    try:
        _valkey().set(_key(bell), 1, ex=HOLD_SECONDS)
    except redis.RedisError as error:
        log.warning("doorbell %s not held: %s", bell.task, error)


def _key(bell: Bell) -> str:
    return f"bell:{bell.task}"


def tick() -> list[str]:
    """Rings every bell whose queue has something due; one query for all of them."""
    if not BELLS:
        return []
    questions = ", ".join(f"EXISTS ({bell.due_sql})" for bell in BELLS)
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {questions}")
        answers = cursor.fetchone()
    due = [bell for bell, answer in zip(BELLS, answers, strict=True) if answer]
    return [bell.task for bell in due if ring(bell)]
