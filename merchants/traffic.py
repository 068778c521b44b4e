"""Key traffic, counted in the process and written every ten seconds in one statement.

Counting costs a request no database work, and a database that is down costs it nothing either: the counts
wait. What a killed process had not written yet is lost, which is accepted; an orderly end writes it.
"""

from __future__ import annotations

import atexit
import logging
import os
import threading
from collections import Counter
from datetime import UTC, datetime
from typing import NamedTuple

from django.conf import settings
from django.db import Error, connection

from merchants.models import Outcome

log = logging.getLogger(__name__)

FLUSH_SECONDS = 10.0
MOST_COUNTERS = 10_000
"""Distinct counters held between two writes; strangers beyond are counted as one crowd without address."""

_INSERT = """
    INSERT INTO merchants_keytraffic (key_id, hour, ip, endpoint, outcome, count)
    SELECT * FROM unnest(%s::bigint[], %s::timestamptz[], %s::inet[], %s::text[], %s::text[], %s::bigint[])
    ON CONFLICT ON CONSTRAINT key_traffic_is_one_row_an_hour
    DO UPDATE SET count = merchants_keytraffic.count + EXCLUDED.count
"""


class _Key(NamedTuple):
    key_id: int | None
    hour: datetime
    ip: str | None
    endpoint: str
    outcome: Outcome

    def order(self) -> tuple[int, datetime, str, str, str]:
        """One order in every process, so that two writers never wait for each other in a circle."""
        return self.key_id or 0, self.hour, self.ip or "", self.endpoint, self.outcome.value


class _Counters:
    """This process's counters, and the thread that writes them."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.counts: Counter[_Key] = Counter()
        self.writer: threading.Thread | None = None
        self.stop = threading.Event()

    def add(self, key: _Key, count: int = 1) -> None:
        with self.lock:
            if len(self.counts) >= MOST_COUNTERS and key not in self.counts:
                key = key._replace(ip=None)
            self.counts[key] += count

    def take(self) -> Counter[_Key]:
        with self.lock:
            taken, self.counts = self.counts, Counter()
        return taken

    def give_back(self, counts: Counter[_Key]) -> None:
        for key, count in counts.items():
            self.add(key, count)

    def ensure_writer(self) -> None:
        """Serving processes write by themselves; commands and tests call `flush`."""
        if self.writer is None and settings.ROLE == "web":
            with self.lock:
                if self.writer is None:
                    self.writer = threading.Thread(
                        target=write_until, args=(self.stop,), name="key-traffic", daemon=True
                    )
                    self.writer.start()
                    atexit.register(flush)


_counters = _Counters()


def _start_afresh() -> None:
    """A forked child has its parent's counts but not its thread: the parent writes those."""
    _counters.__init__()  # type: ignore[misc]  # the same object, as if new


os.register_at_fork(after_in_child=_start_afresh)


def count(*, key_id: int | None, ip: str | None, endpoint: str, outcome: Outcome) -> None:
    """Counts one request. No `key_id`: none was named or it is unknown. Never raises, never waits."""
    hour = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    _counters.add(_Key(key_id, hour, ip, endpoint[:64], outcome))
    _counters.ensure_writer()


def flush() -> int:
    """Writes what was counted; how many rows. A failing database keeps the counts for the next time."""
    counts = _counters.take()
    if not counts:
        return 0
    try:
        _write(counts)
    except Error as error:
        _counters.give_back(counts)
        log.warning("key traffic not written yet: %s", error)
        return 0
    return len(counts)


def _write(counts: Counter[_Key]) -> None:
    rows = sorted(counts, key=_Key.order)
    columns = [list(column) for column in zip(*rows, strict=True)]
    with connection.cursor() as cursor:
        cursor.execute(_INSERT, [*columns, [counts[row] for row in rows]])


def write_until(stop: threading.Event) -> None:
    """The writer's life: writes every ten seconds until `stop` is set, then once more."""
    try:
        while not stop.wait(FLUSH_SECONDS):
            flush()
            connection.close_if_unusable_or_obsolete()
        flush()
    finally:
        connection.close()
