"""Pruning: what is kept for a time only, removed once that is over.

Tries of callbacks that were delivered or superseded for 90 days, processors' callbacks that were applied for
180, key traffic for 13 months; what still waits for somebody stays, and so do ledger and audit, for ever. No
process may remove any of it: this takes the database owner's rights. Ages are by the database's real clock.
"""

from __future__ import annotations

from dataclasses import dataclass

from django.db import ProgrammingError, connection

from merchants.errors import Refusal

BATCH = 10_000
"""Rows to a statement, each committed by itself: no lock is held for long."""
_OLD = {
    "attempts": (
        "callbacks_deliveryattempt",
        """SELECT a.id FROM callbacks_deliveryattempt a
             JOIN callbacks_outgoingcallback c ON c.id = a.callback_id
            WHERE a.at < now() - interval '90 days' AND c.state IN ('delivered', 'superseded')""",
    ),
    "incoming": (
        "callbacks_incomingcallback",
        """SELECT id FROM callbacks_incomingcallback
            WHERE received_at < now() - interval '180 days' AND state = 'applied'
              AND COALESCE(repeated_at, received_at) < now() - interval '180 days'""",
    ),
    "traffic": (
        "merchants_keytraffic",
        "SELECT id FROM merchants_keytraffic WHERE hour < now() - interval '13 months'",
    ),
}


class NotTheDatabaseOwner(Refusal):
    """This needs the rights of the database's owner: run it on the server, with the owner's DATABASE_URL."""


@dataclass(frozen=True, slots=True)
class Pruned:
    """How many rows were removed of each kind."""

    attempts: int
    incoming: int
    traffic: int


def prune() -> Pruned:
    """Removes what is old enough, batch by batch; not inside a transaction. Raises `NotTheDatabaseOwner`."""
    try:
        return Pruned(**{kind: _remove(table, old) for kind, (table, old) in _OLD.items()})
    except ProgrammingError as error:
        if "permission denied" not in str(error):
            raise
        raise NotTheDatabaseOwner from error


def _remove(table: str, old: str) -> int:
    removed = 0
    while True:
        with connection.cursor() as cursor:
            cursor.execute(
                f"DELETE FROM {table} WHERE id IN ({old} LIMIT %s)",  # noqa: S608 - constants of this module
                [BATCH],
            )
            gone = int(cursor.rowcount)
        removed += gone
        if gone < BATCH:
            return removed
