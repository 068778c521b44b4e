"""The ledger's invariants (R8), asked straight from the database: every 5 seconds during a run, and after.

Written here once more, on purpose not with Bursar's own queries: each currency sums to zero; every kept
balance is the sum of its postings, the last `balance_after` and the last number; nobody but `receivable` is
below zero, and that never above.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg

from tests.soak.world import World

EVERY_SECONDS = 5.0
_BROKEN = """
WITH last AS (
    SELECT DISTINCT ON (account_id) account_id, seq, balance_after FROM payments_posting
     WHERE seq IS NOT NULL ORDER BY account_id, seq DESC),
sums AS (SELECT account_id, sum(amount) AS total, count(*) AS postings FROM payments_posting GROUP BY 1)
SELECT 'currency ' || currency || ' sums to ' || sum(amount) FROM payments_posting
 GROUP BY currency HAVING sum(amount) <> 0
UNION ALL
SELECT 'entry ' || entry_id || ' sums to ' || sum(amount) || ' ' || currency FROM payments_posting
 GROUP BY entry_id, currency HAVING sum(amount) <> 0
UNION ALL
SELECT 'account ' || a.id || ' holds ' || a.balance || ', its postings sum to ' || COALESCE(s.total, 0)
  FROM payments_account a LEFT JOIN sums s ON s.account_id = a.id
 WHERE a.kept AND a.balance <> COALESCE(s.total, 0)
UNION ALL
SELECT 'account ' || a.id || ' holds ' || a.balance || ', its last posting says '
       || COALESCE(l.balance_after, 0)
  FROM payments_account a LEFT JOIN last l ON l.account_id = a.id
 WHERE a.kept AND a.balance <> COALESCE(l.balance_after, 0)
UNION ALL
SELECT 'account ' || a.id || ' is at number ' || a.seq || ' after ' || COALESCE(s.postings, 0) || ' postings'
  FROM payments_account a LEFT JOIN sums s ON s.account_id = a.id
 WHERE a.kept AND a.seq <> COALESCE(s.postings, 0)
UNION ALL
SELECT kind || ' ' || id || ' stands at ' || balance FROM payments_account
 WHERE kept AND CASE kind WHEN 'receivable' THEN balance > 0 ELSE balance < 0 END
UNION ALL
SELECT 'entry ' || e.key || ' has no postings' FROM payments_entry e
 WHERE NOT EXISTS (SELECT 1 FROM payments_posting p WHERE p.entry_id = e.id)
"""


class Books:
    """Looks at one installation's ledger. looks: how often; missed: how often PostgreSQL was down."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.looks = self.missed = 0
        self.broken: list[str] = []

    def look(self) -> None:
        """Asks in one statement, hence of one moment."""
        try:
            rows = self._world.ask(_BROKEN)
        except psycopg.OperationalError:
            self.missed += 1
            return
        self.looks += 1
        self.broken += [text for (text,) in rows if text not in self.broken]

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Looks every 5 seconds, and once more at the end."""
        over = threading.Event()

        def watch() -> None:
            while not over.wait(EVERY_SECONDS):
                self.look()

        watcher = threading.Thread(target=watch, name="books", daemon=True)
        watcher.start()
        try:
            yield
        finally:
            over.set()
            watcher.join()
            self.look()
