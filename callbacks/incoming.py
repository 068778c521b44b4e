"""The inbox: what processors tell us, stored before it is acknowledged and applied after.

`receive` promises that a 200 is given only for bytes that are committed, once per processor and content;
it decides nothing else. `process` promises that each stored callback is applied once: claimed rows are
parsed and handed to the verb in one transaction that also marks them applied. A batch that fails is
replayed row by row; a row that fails alone backs off and in the end is quarantined with its reason, and so
is, at once, what cannot be read or contradicts the books. Nothing is dropped; people replay.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby

from django.db import InterfaceError, OperationalError, connection, transaction

from callbacks import dispatch
from callbacks.models import IncomingCallback, IncomingState
from merchants.errors import Refusal
from payments.deposits import Contradiction
from payments.models import Processor
from payments.processors import registry
from payments.processors.base import Notice, RawRequest, Unreadable
from payments.wire import MAX_BODY_BYTES

log = logging.getLogger(__name__)

BATCH = 20
"""Rows per transaction; more gained nothing and make a failed batch dearer to replay."""
LEASE_SECONDS = 15
"""From the claim until the rows are locked by the transaction that applies them."""
BACKOFF_SECONDS = (1, 5, 30, 120, 600)
MOST_UNFINISHED = 10
SUSPECT_FROM = 2
"""Claims of which nothing more was heard, before a row is tried alone and before it is given up."""
MOST_RETRIES = 5
_RETRIED = {"40001", "40P01"}
"""Serialization failure and deadlock: nobody's fault, gone at the next try."""
_OUTAGES = {"", "080", "530", "531", "532", "533", "57P", "58P"}
"""Beginnings of the codes for a lost connection, no room, a shutdown; no code: the client noticed first."""
DUE_SQL = """
    SELECT 1 FROM callbacks_incomingcallback
     WHERE state = 'received' AND next_attempt_at <= statement_timestamp()
"""
_PRIVATE_HEADERS = {"authorization", "cookie"}


class TooLarge(Refusal):
    """Bad content format"""


class NotQuarantined(Refusal):
    """Only a quarantined callback can be replayed."""


def receive(*, processor_code: str, request: RawRequest) -> bool:
    """Verifies and stores a callback; True when there is something to apply, False when it waits already.

    Bytes that were applied before are looked at again: the processor may have said otherwise since.
    Committed on return, unless the caller holds a transaction. Raises `TooLarge`, `UnknownProcessor`,
    `BadSignature`.
    """
    if len(request.body) > MAX_BODY_BYTES:
        raise TooLarge
    registry.inbound(processor_code).verify(request)
    with connection.cursor() as cursor:
        cursor.execute(
            """
            INSERT INTO callbacks_incomingcallback AS c
                   (processor, sha256, raw, headers, state, attempts, failures, unfinished, error)
            VALUES (%s, %s, %s, %s, 'received', 0, 0, 0, '')
                ON CONFLICT (processor, sha256) DO UPDATE
                   SET state = 'received', applied_at = NULL, next_attempt_at = statement_timestamp(),
                       failures = 0, unfinished = 0, repeated_at = statement_timestamp(), is_repeat = true
                 WHERE c.state = 'applied'
            """,
            [
                processor_code,
                hashlib.sha256(request.body).digest(),
                request.body,
                json.dumps(_kept(request.headers)),
            ],
        )
        return bool(cursor.rowcount)


def process(*, now: datetime, limit: int = BATCH) -> int:
    """Applies up to `limit` due callbacks; returns how many it looked at, 0 when none was due."""
    claims = _claim(limit)
    if not claims:
        return 0
    processors = Processor.objects.in_bulk({claim.processor for claim in claims}, field_name="code")
    readable = [reading for claim in claims if (reading := _read(claim, processors))]
    readable.sort(key=lambda reading: (*reading.batch, reading.claim.id))
    for _, batch in groupby(readable, key=lambda reading: reading.batch):
        _apply_batch(list(batch), now)
    return len(claims)


def replay(*, callback_id: int) -> None:
    """A quarantined callback becomes due again with all its tries. Raises `NotQuarantined`."""
    moved = IncomingCallback.objects.filter(pk=callback_id, state=IncomingState.QUARANTINED).again()
    if not moved:
        raise NotQuarantined


@dataclass(frozen=True, slots=True)
class _Claim:
    """A row of which this process is the only one to work, until its lease ends.

    attempts is also the fence: who comes back after the lease finds another number.
    """

    id: int
    processor: str
    raw: bytes
    attempts: int
    failures: int
    unfinished: int
    heard_at: datetime
    is_repeat: bool


@dataclass(frozen=True, slots=True)
class _Reading:
    """What a claimed row says: notices of one kind."""

    claim: _Claim
    processor: Processor
    kind: type[Notice]
    notices: Sequence[Notice]

    @property
    def batch(self) -> tuple[int, str]:
        """What shares a transaction, which locks accounts once, last: one processor's notices of one kind."""
        return self.processor.pk, self.kind.__name__


# --- claiming ---


def _claim(limit: int) -> list[_Claim]:
    """Due rows with lease and attempts committed; a row that seems to kill its workers comes alone."""
    return _claimed(f"unfinished < {SUSPECT_FROM}", limit) or _claimed(f"unfinished >= {SUSPECT_FROM}", 1)


def _claimed(which: str, limit: int) -> list[_Claim]:
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            WITH due AS MATERIALIZED (
                SELECT id FROM callbacks_incomingcallback
                 WHERE state = 'received' AND next_attempt_at <= statement_timestamp() AND {which}
                 ORDER BY next_attempt_at, id
                 LIMIT %s FOR UPDATE SKIP LOCKED)
            UPDATE callbacks_incomingcallback c
               SET attempts = c.attempts + 1, unfinished = c.unfinished + 1,
                   next_attempt_at = statement_timestamp() + %s * interval '1 second'
              FROM due WHERE c.id = due.id
            RETURNING c.id, c.processor, c.raw, c.attempts, c.failures, c.unfinished,
                      COALESCE(c.repeated_at, c.received_at), c.is_repeat
            """,  # noqa: S608 - `which` is one of two texts of this module
            [limit, LEASE_SECONDS],
        )
        return sorted((_Claim(*row) for row in cursor.fetchall()), key=lambda claim: claim.id)


# --- reading ---


def _read(claim: _Claim, processors: Mapping[str, Processor]) -> _Reading | None:
    """What the row says; None when it was quarantined or put off instead."""
    if claim.unfinished > MOST_UNFINISHED:
        _quarantine(claim, f"its worker died {MOST_UNFINISHED} times")
        return None
    try:
        processor = processors[claim.processor]
        notices = registry.inbound_parser(processor.connector).parse(claim.raw)
        told = [
            dispatch.told(notice, heard_at=claim.heard_at, repeated=claim.is_repeat) for notice in notices
        ]
        return _Reading(claim, processor, dispatch.kind_of(notices), told)
    except (Unreadable, dispatch.MixedNotices) as error:
        _quarantine(claim, str(error))
    except Exception as error:  # noqa: BLE001 - one row's fault must not stop the others
        _put_off(claim, error)
    return None


# --- applying ---


def _apply_batch(readings: Sequence[_Reading], now: datetime) -> None:
    try:
        _again_when_nobodys_fault(lambda: _apply(readings, now))
    except Exception as error:  # noqa: BLE001 - whatever it is, the innocent rows are tried without it
        _raise_outage(error)
        _apply_one_by_one(readings, now, error)


@transaction.atomic
def _apply(readings: Sequence[_Reading], now: datetime) -> None:
    """Marks the rows of one batch and books what they say, in one transaction; not what others took over."""
    mine = _mark_applied([reading.claim for reading in readings])
    notices = [notice for reading in readings if reading.claim.id in mine for notice in reading.notices]
    dispatch.record_many(readings[0].kind, processor=readings[0].processor, notices=notices, now=now)


def _apply_one_by_one(readings: Sequence[_Reading], now: datetime, error: Exception) -> None:
    if len(readings) == 1:
        _judge(readings[0].claim, error)
        return
    log.warning("a batch of %s callbacks failed and is replayed one by one: %r", len(readings), error)
    for reading in readings:
        _apply_alone(reading, now)


def _apply_alone(reading: _Reading, now: datetime) -> None:
    try:
        _again_when_nobodys_fault(lambda: _apply([reading], now))
    except Exception as error:  # noqa: BLE001 - the culprit is put off or quarantined with its reason
        _raise_outage(error)
        _judge(reading.claim, error)


def _judge(claim: _Claim, error: Exception) -> None:
    if isinstance(error, Contradiction):
        _quarantine(claim, str(error))
    else:
        _put_off(claim, error)


def _again_when_nobodys_fault(work: Callable[[], None]) -> None:
    """Runs a transaction, and again when the database only asks for that."""
    for retries_left in reversed(range(MOST_RETRIES + 1)):
        try:
            work()
        except OperationalError as error:
            if not retries_left or _sqlstate(error) not in _RETRIED:
                raise
        else:
            return


def _sqlstate(error: Exception) -> str:
    """PostgreSQL's code for the error; empty when it did not come from the server."""
    return getattr(error.__cause__, "sqlstate", None) or ""


def _raise_outage(error: Exception) -> None:
    """Raises `error` on when the database was not there: no row's fault, and the lease brings them back."""
    if isinstance(error, InterfaceError):
        raise error
    if isinstance(error, OperationalError) and _sqlstate(error)[:3] in _OUTAGES:
        raise error


# --- marking ---


def _mark_applied(claims: Sequence[_Claim]) -> set[int]:
    """The rows that were still ours, now marked."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            UPDATE callbacks_incomingcallback c
               SET state = 'applied', applied_at = statement_timestamp(), unfinished = 0, error = '',
                   is_repeat = false
              FROM unnest(%s::bigint[], %s::int[]) AS claim(id, attempts)
             WHERE c.id = claim.id AND c.attempts = claim.attempts AND c.state = 'received'
            RETURNING c.id
            """,
            [[claim.id for claim in claims], [claim.attempts for claim in claims]],
        )
        return {row[0] for row in cursor.fetchall()}


def _put_off(claim: _Claim, error: Exception) -> None:
    """Tried again after a while, longer each time; quarantined after the last."""
    reason = f"{type(error).__name__}: {error}"
    if claim.failures >= len(BACKOFF_SECONDS):
        _quarantine(claim, reason)
        return
    log.warning("callback %s of %s put off: %s", claim.id, claim.processor, reason, exc_info=error)
    _set_aside(claim, IncomingState.RECEIVED, reason, BACKOFF_SECONDS[claim.failures])


def _quarantine(claim: _Claim, reason: str) -> None:
    log.error("callback %s of %s quarantined: %s", claim.id, claim.processor, reason)
    _set_aside(claim, IncomingState.QUARANTINED, reason, 0)


def _set_aside(claim: _Claim, state: IncomingState, reason: str, seconds: int) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            """
            UPDATE callbacks_incomingcallback
               SET state = %s, error = %s, failures = failures + 1, unfinished = 0,
                   next_attempt_at = statement_timestamp() + %s * interval '1 second'
             WHERE id = %s AND attempts = %s AND state = 'received'
            """,
            [state, _storable(reason), seconds, claim.id, claim.attempts],
        )


def _kept(headers: Mapping[str, str]) -> dict[str, str]:
    """The headers as evidence: without what is secret, each in a storable length and form."""
    return {
        _storable(name): _storable(value)[:1000]
        for name, value in headers.items()
        if name.lower() not in _PRIVATE_HEADERS
    }


def _storable(text: str) -> str:
    """PostgreSQL's text holds neither NUL nor half a surrogate pair; hostile input may hold both."""
    return text.encode("utf-8", "backslashreplace").decode().replace("\x00", "\\x00")[:4000]
