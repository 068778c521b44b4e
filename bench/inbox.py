"""Processor callbacks that are stored and due, laid into the inbox by hand."""

from __future__ import annotations

import hashlib
import json
import time

import psycopg

from bench import measure
from bench.measure import Sample
from bench.world import Place, deposit_body

PATIENCE_SECONDS = 180.0
_LOOK_SECONDS = 0.1
_FIRST_ID = 2_000_000_000
_FILL = """
INSERT INTO callbacks_incomingcallback
       (processor, sha256, raw, headers, state, attempts, failures, unfinished, error)
SELECT 'sandbox', sha256(raw), raw, '{}', 'received', 0, 0, 0, '' FROM unnest(%s::bytea[]) AS raw
"""
_APPLIED = """
SELECT count(*) FILTER (WHERE state = 'applied'), count(*) FILTER (WHERE state = 'quarantined'),
       EXTRACT(epoch FROM max(applied_at) - min(applied_at))::float8
  FROM callbacks_incomingcallback WHERE processor = 'sandbox' AND sha256 = ANY(%s)
"""


class Inbox:
    """The inbox of a place: deposits of the place's merchants, one after the other."""

    def __init__(self, place: Place) -> None:
        self._place, self._last = place, _FIRST_ID

    def apply(self, count: int) -> Sample:
        """Lays in `count` confirmed deposits and waits until workers have applied them all.

        The time is from the first batch's mark to the last one's.
        """
        bodies = [self._body(self._last + number) for number in range(1, count + 1)]
        self._last += count
        prints = [hashlib.sha256(body).digest() for body in bodies]
        with psycopg.connect(self._place.world.postgres.url("bursar_super"), autocommit=True) as connection:
            connection.execute(_FILL, [bodies])
            connection.execute("ANALYZE callbacks_incomingcallback")

            def are_applied() -> bool:
                time.sleep(_LOOK_SECONDS)
                applied, quarantined, self._seconds = connection.execute(_APPLIED, [prints]).fetchone() or ()
                assert not quarantined, "a deposit of ours was quarantined"
                return bool(applied == count)

            measure.await_true(are_applied, PATIENCE_SECONDS, "the deposits to be applied")
        return Sample(count, float(self._seconds))

    def _body(self, number: int) -> bytes:
        merchants = self._place.merchants
        body = deposit_body(merchants[number % len(merchants)].address, number)
        return json.dumps(body, separators=(",", ":")).encode()
