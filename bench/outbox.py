"""Callbacks that are due, laid into the outbox by hand, and the receivers that they go to."""

from __future__ import annotations

import time
from collections.abc import Sequence

from bench import measure, sink
from bench.world import Place, free_port
from launcher.processes import python

MERCHANTS = 20
BODY_BYTES = 900
"""About what a confirmed deposit's body takes."""
PATIENCE_SECONDS = 180.0
_LOOK_SECONDS = 0.1
_FIRST_SUBJECT = 10**12
"""Far from what operations are numbered by."""
_POINT = """
UPDATE callbacks_endpoint e SET url = to_.url
  FROM unnest(%s::bigint[], %s::text[]) AS to_(merchant_id, url) WHERE e.merchant_id = to_.merchant_id
"""
_FILL = """
INSERT INTO callbacks_outgoingcallback
       (subject_kind, subject_id, version, merchant_id, endpoint_id, body, state, attempts, schedule_from)
SELECT 'operation', n, 1, e.merchant_id, e.id, convert_to(rpad('{"id":' || n || '}', %s), 'UTF8'), 'due', 0, 0
  FROM generate_series(%s::bigint, %s::bigint) n
  JOIN (SELECT id, merchant_id, row_number() OVER (ORDER BY id) - 1 AS place FROM callbacks_endpoint
         WHERE merchant_id = ANY(%s)) e ON e.place = n %% %s
"""
_WAITING = """
SELECT count(*) FROM callbacks_outgoingcallback
 WHERE subject_kind = 'operation' AND subject_id BETWEEN %s AND %s AND state <> 'delivered'
"""
_ANYTHING_DUE = """
SELECT 1 FROM callbacks_outgoingcallback WHERE state = 'due' AND leased_until IS NULL
 UNION ALL SELECT 1 FROM callbacks_outgoingcallback WHERE leased_until IS NOT NULL LIMIT 1
"""
_TOOK = """
SELECT EXTRACT(epoch FROM max(a.at) - min(a.at))::float8
  FROM callbacks_outgoingcallback c JOIN callbacks_deliveryattempt a ON a.callback_id = c.id
 WHERE c.subject_kind = 'operation' AND c.subject_id BETWEEN %s AND %s
"""


class Outbox:
    """The outbox of a place whose merchants are called back at a sink."""

    def __init__(self, place: Place) -> None:
        self._place, self._last = place, _FIRST_SUBJECT
        port = free_port()
        count = len(place.merchants)
        self._urls = [f"http://{sink.host(number)}:{port}/callbacks" for number in range(count)]
        self._merchants = [merchant.id for merchant in place.merchants]
        place.run("sink", python("-m", "bench.sink", str(port), str(count)), {}, lambda log: "ready" in log)
        place.world.ask(_POINT, [self._merchants, self._urls])

    @property
    def url(self) -> str:
        """The first merchant's."""
        return self._urls[0]

    def fill(self, count: int, *, endpoints: int) -> tuple[int, int]:
        """Lays in `count` callbacks that are due, spread evenly; returns their first and last subject."""
        first, self._last = self._last + 1, self._last + count
        merchants = self._merchants[:endpoints]
        self._place.world.ask(_FILL, [BODY_BYTES, first, self._last, merchants, endpoints])
        self._place.world.ask("ANALYZE callbacks_outgoingcallback")
        return first, self._last

    def await_delivered(self, subjects: tuple[int, int]) -> float:
        """Waits until all were answered with 200; returns the seconds from the first try to the last."""

        def is_empty() -> bool:
            time.sleep(_LOOK_SECONDS)
            return bool(self._place.world.ask(_WAITING, subjects)[0][0] == 0)

        measure.await_true(is_empty, PATIENCE_SECONDS, "the deliveries")
        ((seconds,),) = self._place.world.ask(_TOOK, subjects)
        return float(seconds)

    def await_empty(self) -> None:
        """Waits until nothing is left to deliver, whoever wrote it."""

        def is_empty() -> bool:
            time.sleep(_LOOK_SECONDS)
            return not self._place.world.ask(_ANYTHING_DUE)

        measure.await_true(is_empty, PATIENCE_SECONDS, "the outbox to be empty")


def spent(place: Place, roles: Sequence[str]) -> float:
    """CPU seconds of the roles' own processes so far, without the database's."""
    return measure.cpu_seconds(pid for role in roles for pid in place.world.pids(role))
