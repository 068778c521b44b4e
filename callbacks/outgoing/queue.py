"""The outbox as a queue: who may send what now, and what came of it. Set-based statements, few round trips.

Fair: a claim first takes endpoints, in random order and each for itself, then at most two rows of each, so
a merchant with a long queue costs the others nothing. Safe: lease and raised attempts are committed before
the POST; one row per subject is leased at a time (a unique index says so too); a first try of an older
version goes before a newer one; an older one that has failed is not sent again once there is a newer.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from django.db import connection, transaction

from callbacks import schedule
from callbacks.models import Health, OutgoingState

AT_ONCE_PER_ENDPOINT = 2
LEASE_SECONDS = 25
"""Longer than a whole try, shorter than anybody's patience: a dead worker's rows are due again after it."""
PAUSE_SECONDS = 10

# An endpoint `e` that may be served now and has something due.
_READY = f"""
    e.url <> '' AND (e.paused_until IS NULL OR e.paused_until <= statement_timestamp())
    AND EXISTS (
        SELECT 1 FROM callbacks_outgoingcallback c
         WHERE c.endpoint_id = e.id AND c.state = 'due' AND c.leased_until IS NULL
           AND c.next_attempt_at <= statement_timestamp())
    AND (SELECT count(*) FROM callbacks_outgoingcallback l
          WHERE l.endpoint_id = e.id AND l.leased_until IS NOT NULL) < {AT_ONCE_PER_ENDPOINT}
"""  # noqa: S608 - a constant of this module

# Row `c` may go: no older version waits for its first try or is being sent, and it is not outdated itself.
_ITS_TURN = """
    NOT EXISTS (
        SELECT 1 FROM callbacks_outgoingcallback o
         WHERE o.subject_kind = c.subject_kind AND o.subject_id = c.subject_id AND o.version < c.version
           AND o.state = 'due' AND (o.attempts = o.schedule_from OR o.leased_until IS NOT NULL))
    AND (c.attempts = c.schedule_from OR NOT EXISTS (
        SELECT 1 FROM callbacks_outgoingcallback n
         WHERE n.subject_kind = c.subject_kind AND n.subject_id = c.subject_id AND n.version > c.version))
"""


@dataclass(frozen=True, slots=True)
class Parcel:
    """A claimed callback. run: which try of the present schedule this is, from 1.

    is_retried: false for a test, which fails at once or not at all.
    """

    id: int
    merchant_id: int
    endpoint_id: int
    attempts: int
    run: int
    preset: str
    health: str
    url: str
    body: bytes
    is_retried: bool = True
    claimed_at: float = field(default_factory=time.monotonic, kw_only=True)

    @property
    def lease_left(self) -> float:
        """Seconds, by the monotonic clock."""
        return self.claimed_at + LEASE_SECONDS - time.monotonic()


@dataclass(frozen=True, slots=True)
class Try:
    """What came of a parcel. status: the HTTP answer, or None with an `error`.

    age: seconds since the request had been written, from which the next delay counts.
    """

    parcel: Parcel
    request_headers: Mapping[str, str] = field(default_factory=dict)
    status: int | None = None
    response_headers: Mapping[str, str] = field(default_factory=dict)
    response_body: bytes = b""
    ms: int = 0
    age: float = 0.0
    address: str | None = None
    error: str = ""

    @property
    def is_delivered(self) -> bool:
        return self.status == 200


def due_sql(health: Health) -> str:
    """A query that returns a row when a claim for `health` would find something."""
    return f"SELECT 1 FROM callbacks_endpoint e WHERE e.health = '{health}' AND {_READY}"  # noqa: S608 - an enum and a constant


LOST_SQL = "SELECT 1 FROM callbacks_outgoingcallback WHERE leased_until < statement_timestamp()"


@transaction.atomic
def claim(*, health: Health, limit: int) -> list[Parcel]:
    """Up to `limit` due callbacks to endpoints of that health, leased to the caller.

    Endpoint rows are locked first, in a statement of their own, so that the second sees every lease there is.
    """
    claimed_at = time.monotonic()
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            SELECT e.id FROM callbacks_endpoint e WHERE e.health = %s AND {_READY}
             ORDER BY random() LIMIT %s FOR NO KEY UPDATE SKIP LOCKED
            """,  # noqa: S608 - constants of this module
            [str(health), limit],
        )
        endpoints = [row[0] for row in cursor.fetchall()]
        if not endpoints:
            return []
        cursor.execute(
            f"""
            WITH picked AS MATERIALIZED (
                SELECT c.id FROM unnest(%s::bigint[]) AS e(id) CROSS JOIN LATERAL (
                    SELECT c.id FROM callbacks_outgoingcallback c
                     WHERE c.endpoint_id = e.id AND c.state = 'due' AND c.leased_until IS NULL
                       AND c.next_attempt_at <= statement_timestamp() AND {_ITS_TURN}
                     ORDER BY c.next_attempt_at, c.id
                     LIMIT {AT_ONCE_PER_ENDPOINT} - (
                           SELECT count(*) FROM callbacks_outgoingcallback l
                            WHERE l.endpoint_id = e.id AND l.leased_until IS NOT NULL)
                       FOR UPDATE SKIP LOCKED) c
                 LIMIT %s)
            UPDATE callbacks_outgoingcallback c
               SET attempts = c.attempts + 1, leased_until = statement_timestamp() + %s * interval '1 second'
              FROM picked, callbacks_endpoint e WHERE c.id = picked.id AND e.id = c.endpoint_id
            RETURNING c.id, c.merchant_id, c.endpoint_id, c.attempts, c.attempts - c.schedule_from,
                      e.preset, e.health, e.url, c.body, c.subject_kind <> 'test'
            """,  # noqa: S608 - constants of this module
            [endpoints, limit, LEASE_SECONDS],
        )
        return [Parcel(*row, claimed_at=claimed_at) for row in cursor.fetchall()]


def give_back(*, parcels: Sequence[Parcel]) -> None:
    """The merchant has no key to sign with: its callbacks wait, and no try is spent."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(
            """
            UPDATE callbacks_outgoingcallback c SET attempts = c.attempts - 1, leased_until = NULL
              FROM unnest(%s::bigint[], %s::int[]) AS p(id, attempts)
             WHERE c.id = p.id AND c.attempts = p.attempts AND c.leased_until IS NOT NULL
            """,
            [[parcel.id for parcel in parcels], [parcel.attempts for parcel in parcels]],
        )
    for endpoint_id in sorted({parcel.endpoint_id for parcel in parcels}):
        _change_endpoint(
            "paused_until = statement_timestamp() + %s * interval '1 second'", PAUSE_SECONDS, endpoint_id
        )


def record(*, tries: Sequence[Try]) -> None:
    """Keeps each try and decides what becomes of its callback, in one statement.

    A try whose lease was given to somebody else meanwhile changes nothing.
    """
    verdicts = [_verdict(one) for one in tries]
    with connection.cursor() as cursor:
        cursor.execute(
            _RECORD,
            [
                [one.parcel.id for one in tries],
                [one.parcel.attempts for one in tries],
                [state for state, _ in verdicts],
                [seconds for _, seconds in verdicts],
                [one.parcel.url for one in tries],
                [json.dumps(dict(one.request_headers)) for one in tries],
                [one.status for one in tries],
                [json.dumps(dict(one.response_headers)) for one in tries],
                [one.response_body for one in tries],
                [one.ms for one in tries],
                [one.address for one in tries],
                [one.error for one in tries],
            ],
        )
    for one in tries:
        _follow_health(one)


_RECORD = """
    WITH tried AS MATERIALIZED (
        SELECT * FROM unnest(
            %s::bigint[], %s::int[], %s::text[], %s::float8[], %s::text[], %s::text[], %s::int[],
            %s::text[], %s::bytea[], %s::int[], %s::text[], %s::text[])
            AS t(id, number, state, delay, url, request_headers, status,
                 response_headers, response_body, ms, address, error)),
    settled AS (
        UPDATE callbacks_outgoingcallback c
           SET leased_until = NULL,
               last_attempt_at = clock_timestamp() - t.ms * interval '1 ms',
               next_attempt_at = clock_timestamp() + t.delay * interval '1 second',
               state = CASE WHEN t.state <> 'delivered' AND EXISTS (
                                SELECT 1 FROM callbacks_outgoingcallback n
                                 WHERE n.subject_kind = c.subject_kind AND n.subject_id = c.subject_id
                                   AND n.version > c.version)
                            THEN 'superseded' ELSE t.state END
          FROM tried t
         WHERE c.id = t.id AND c.attempts = t.number AND c.leased_until IS NOT NULL
        RETURNING c.id, c.subject_kind, c.subject_id, c.version, c.last_attempt_at),
    superseded AS (
        UPDATE callbacks_outgoingcallback o SET state = 'superseded'
          FROM settled s
         WHERE o.subject_kind = s.subject_kind AND o.subject_id = s.subject_id AND o.version < s.version
           AND o.state = 'due' AND o.leased_until IS NULL)
    INSERT INTO callbacks_deliveryattempt
           (callback_id, number, at, url, request_headers, status, response_headers, response_body, ms,
            address, error)
    SELECT t.id, t.number, s.last_attempt_at, t.url, t.request_headers::jsonb, t.status,
           t.response_headers::jsonb, t.response_body, t.ms, t.address::inet, t.error
      FROM settled s JOIN tried t ON t.id = s.id
"""


@transaction.atomic
def recover() -> int:
    """Leases that ran out: their worker died, so it is unknown what the receiver saw, and they are due.

    The try counts, lest a callback that kills its workers were sent for ever.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT c.id, c.merchant_id, c.endpoint_id, c.attempts, c.attempts - c.schedule_from,
                   e.preset, e.health, e.url, ''::bytea, c.subject_kind <> 'test'
              FROM callbacks_outgoingcallback c JOIN callbacks_endpoint e ON e.id = c.endpoint_id
             WHERE c.leased_until < statement_timestamp() FOR UPDATE OF c SKIP LOCKED
            """
        )
        lost = [Try(Parcel(*row), error=_LOST) for row in cursor.fetchall()]
    if lost:
        record(tries=lost)
    return len(lost)


_LOST = "The worker stopped before it could note the answer"


def _verdict(one: Try) -> tuple[OutgoingState, float]:
    """What the callback becomes, and in how many seconds it is due if that is `due`."""
    if one.is_delivered:
        return OutgoingState.DELIVERED, 0.0
    delay = schedule.next_delay(one.parcel.preset, one.parcel.run) if one.parcel.is_retried else None
    if delay is None:
        return OutgoingState.EXHAUSTED, 0.0
    if one.error == _LOST:
        return OutgoingState.DUE, 0.0
    return OutgoingState.DUE, max(0.0, (delay - timedelta(seconds=one.age)).total_seconds())


def _follow_health(one: Try) -> None:
    """Only on a change; each in its own statement, so that two recorders cannot lock each other out."""
    health = Health.HEALTHY if one.is_delivered else Health.FAILING
    if health != one.parcel.health and one.error != _LOST:
        _change_endpoint("health = %s", str(health), one.parcel.endpoint_id)


def _change_endpoint(assignment: str, value: str | int, endpoint_id: int) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            f"UPDATE callbacks_endpoint SET {assignment} WHERE id = %s",  # noqa: S608 - two texts of this module
            [value, endpoint_id],
        )
