"""Callbacks: queued in the transaction that changes the operation, sent by a thread until answered 200.

A row is sent for as long as it takes; only the pauses grow. The queue is on disk, so a restart goes on
where the last process stopped, and a callback may then arrive twice.
"""

from __future__ import annotations

import logging
import threading
import time

import requests

from merchants import signing
from payments.wire import php_json
from sandbox import faults, store
from sandbox.bodies import operation_body
from sandbox.store import Db, Row, Store

log = logging.getLogger(__name__)

PAUSES_SECONDS = (1, 2, 5, 10, 30)
"""Between tries; the last one repeats."""
TIMEOUT_SECONDS = 10
GATHER_SECONDS = 0.5
IDLE_SECONDS = 0.2


def queue(db: Db, row: Row) -> None:
    """Queues the operation's present state, as often and as late as the faults in force say."""
    in_force = faults.load(db)
    if in_force.silent:
        return
    due_at = time.time() + in_force.delay + (GATHER_SECONDS if in_force.reorder else 0)
    for _ in range(in_force.duplicate):
        enqueue(db, row, due_at=due_at)


def enqueue(db: Db, row: Row, *, due_at: float) -> None:
    """Queues the operation's present state whatever the faults."""
    body = php_json(operation_body(db, row))
    store.add(db, "callback", operation_id=row["id"], body=body, due_at=due_at)


def next_due(db: Db) -> Row | None:
    """The callback to send now: the oldest that is due or, with `reorder`, the newest that waits with it."""
    row: Row | None = db.execute(
        "SELECT * FROM callback WHERE due_at <= ? ORDER BY due_at, id LIMIT 1", [time.time()]
    ).fetchone()
    if row is not None and row["attempts"] == 0 and faults.load(db).reorder:
        row = db.execute(
            "SELECT * FROM callback WHERE due_at IS NOT NULL AND attempts = 0 ORDER BY id DESC LIMIT 1"
        ).fetchone()
    return row


def record(db: Db, row: Row, answer: str, *, taken: bool) -> None:
    """Notes how a try went; one that was not taken is due again after a pause."""
    attempts = row["attempts"] + 1
    due_at = None if taken else time.time() + pause_after(attempts)
    db.execute(
        "UPDATE callback SET attempts = ?, answer = ?, due_at = ? WHERE id = ?",
        [attempts, answer, due_at, row["id"]],
    )


def pause_after(attempts: int) -> int:
    """Seconds until the next try after so many."""
    return PAUSES_SECONDS[min(attempts, len(PAUSES_SECONDS)) - 1]


class Courier(threading.Thread):
    """Sends what is due, one after the other over one connection, until stopped."""

    def __init__(self, store: Store, *, url: str, key: str, secret: str) -> None:
        super().__init__(name="courier", daemon=True)
        self._store, self._url, self._key, self._secret = store, url, key, secret
        self._stopping = threading.Event()

    def run(self) -> None:
        with requests.Session() as session:
            session.trust_env = False
            while not self._stopping.is_set():
                self._go(session)

    def stop(self) -> None:
        """Ends the thread after the try that is under way."""
        self._stopping.set()
        self.join(TIMEOUT_SECONDS + 1)

    def _go(self, session: requests.Session) -> None:
        with self._store.transaction() as db:
            row = next_due(db)
        if row is None:
            self._stopping.wait(IDLE_SECONDS)
            return
        answer, taken = self._post(session, row["body"])
        if not taken:
            log.info("callback of operation %s: %s", row["operation_id"], answer)
        with self._store.transaction() as db:
            record(db, row, answer, taken=taken)

    def _post(self, session: requests.Session, body: bytes) -> tuple[str, bool]:
        headers = {
            "Content-Type": "application/json",
            signing.KEY_HEADER: self._key,
            signing.SIGNATURE_HEADER: signing.sign(self._secret, body),
        }
        try:
            answer = session.post(
                self._url, data=body, headers=headers, timeout=TIMEOUT_SECONDS, allow_redirects=False
            )
        except requests.RequestException as error:
            return type(error).__name__, False
        return str(answer.status_code), answer.status_code == 200
