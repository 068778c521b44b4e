"""`python -m bench.apply ours|ideal`: one worker process that applies what it lays into the inbox itself.

`ours` calls the verb that the worker's task calls, until nothing is due. `ideal` is what can be had by hand:
psycopg with prepared statements, one transaction for a deposit, statement by statement into the same tables
with the same constraints and triggers (inbox, operation, leg, fee, entry, four postings, balance, outbox).
It judges nothing, reads no terms and forgives nothing: a floor, no alternative. What it writes is made of
rows that `ours` has written before.

A line of JSON on stdin is an order: what to lay in (`fill`: the bodies) or to apply (`apply`: how many);
each is answered by a line.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import psycopg
from psycopg.rows import dict_row

Row = dict[str, Any]
FILL = """
INSERT INTO callbacks_incomingcallback
       (processor, sha256, raw, headers, state, attempts, failures, unfinished, error)
SELECT 'sandbox', sha256(raw), raw, '{}', 'received', 0, 0, 0, '' FROM unnest(%s::bytea[]) AS raw
"""
_MARK = """
UPDATE callbacks_incomingcallback c
   SET state = 'applied', attempts = attempts + 1, applied_at = statement_timestamp()
 WHERE id = (SELECT id FROM callbacks_incomingcallback
              WHERE state = 'received' AND next_attempt_at <= statement_timestamp()
              ORDER BY next_attempt_at, id LIMIT 1 FOR UPDATE SKIP LOCKED)
RETURNING raw
"""
_ADDRESS = "SELECT id, merchant_id, address FROM payments_address WHERE processor_id = %s AND lookup = %s"
_LOCK = """
SELECT id, balance, seq FROM payments_account
 WHERE merchant_id = %s AND currency = 'BTC' AND kind = 'available' FOR UPDATE
"""
_BALANCE = "UPDATE payments_account SET balance = %s, seq = %s WHERE id = %s"


class Ideal:
    """A deposit by hand. The rows of one that Bursar applied are the pattern of what is written."""

    def __init__(self, connection: psycopg.Connection[Any]) -> None:
        self._connection = connection
        self._cursor = connection.cursor(row_factory=dict_row)
        self._operation = self._last("payments_operation", "kind = 'deposit' AND status = 'confirmed'")
        number = self._operation["id"]
        self._leg = self._last("payments_leg", f"operation_id = {number}")
        self._fee = self._last("payments_operationfee", f"operation_id = {number}")
        self._entry = self._last("payments_entry", f"subject = 'operation:{number}'")
        self._outbox = self._last("callbacks_outgoingcallback", f"subject_id = {number}")
        self._postings = self._all("payments_posting", f"entry_id = {self._entry['id']}")
        connection.commit()

    def apply(self) -> bool:
        """False when nothing was due."""
        cursor = self._cursor
        cursor.execute(_MARK)
        due = cursor.fetchone()
        if due is None:
            self._connection.rollback()
            return False
        told = json.loads(due["raw"])
        cursor.execute(_ADDRESS, [self._operation["processor_id"], told["crypto_address"]["address"]])
        address = _one(cursor)
        merchant = {"merchant_id": address["merchant_id"]}
        facts = merchant | {"address_id": address["id"], "external_id": str(told["id"])}
        number = self._insert("payments_operation", self._operation | facts, wire_id="operation_wire_id")
        about = {"operation_id": number}
        leg = merchant | about | {"address": address["address"], "txid": told["transactions"][0]["txid"]}
        self._insert("payments_leg", self._leg | leg, wire_id="leg_wire_id")
        self._insert("payments_operationfee", self._fee | about)
        body = json.dumps(told, separators=(",", ":")).encode()
        self._insert(
            "callbacks_outgoingcallback", self._outbox | merchant | {"subject_id": number, "body": body}
        )
        self._book(number, address["merchant_id"])
        self._connection.commit()
        return True

    def _book(self, number: int, merchant_id: int) -> None:
        cursor = self._cursor
        cursor.execute(_LOCK, [merchant_id])
        account = _one(cursor)
        facts = {"key": f"deposit:{number}:1", "subject": f"operation:{number}"}
        entry = self._insert("payments_entry", self._entry | facts)
        postings = [row | {"entry_id": entry} for row in self._postings]
        for row in postings:
            if row["seq"] is not None:
                row["account_id"], row["seq"] = account["id"], account["seq"] + 1
                row["balance_after"] = account["balance"] + row["amount"]
                cursor.execute(_BALANCE, [row["balance_after"], row["seq"], account["id"]])
        self._insert_all("payments_posting", postings)

    def _insert(self, table: str, row: Row, **sequences: str) -> int:
        columns = [name for name in row if name != "id"]
        made = [f"nextval('{sequences[name]}')" if name in sequences else "%s" for name in columns]
        self._cursor.execute(
            f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({', '.join(made)}) RETURNING id",
            [row[name] for name in columns if name not in sequences],
        )
        new: int = _one(self._cursor)["id"]
        return new

    def _insert_all(self, table: str, rows: Sequence[Row]) -> None:
        columns = [name for name in rows[0] if name != "id"]
        one = f"({', '.join(['%s'] * len(columns))})"
        self._cursor.execute(
            f"INSERT INTO {table} ({', '.join(columns)}) VALUES {', '.join([one] * len(rows))}",
            [row[name] for row in rows for name in columns],
        )

    def _last(self, table: str, which: str) -> Row:
        return self._all(table, which)[-1]

    def _all(self, table: str, which: str) -> list[Row]:
        self._cursor.execute(f"SELECT * FROM {table} WHERE {which} ORDER BY id")
        return self._cursor.fetchall()


def _one(cursor: psycopg.Cursor[Row]) -> Row:
    found = cursor.fetchone()
    assert found is not None
    return found


def ideal() -> Callable[[int], int]:
    by_hand = Ideal(psycopg.connect(os.environ["DATABASE_URL"]))
    return lambda count: sum(by_hand.apply() for _ in range(count))


def ours() -> Callable[[int], int]:
    """As `callbacks.tasks.process_incoming` does, until nothing is due."""
    import django

    django.setup()
    from callbacks import incoming
    from merchants import clock

    def apply(count: int) -> int:
        done = 0
        while done < count and (found := incoming.process(now=clock.now())):
            done += found
        return done

    return apply


def fill(bodies: Sequence[str]) -> None:
    with psycopg.connect(os.environ["DATABASE_URL"], autocommit=True) as connection:
        connection.execute(FILL, [[body.encode() for body in bodies]])


def obey(order: Mapping[str, Any], apply: Callable[[int], int]) -> dict[str, Any]:
    if "fill" in order:
        fill(order["fill"])
        return {}
    began, spent = time.monotonic(), time.process_time()
    count = apply(order["apply"])
    return {"count": count, "seconds": time.monotonic() - began, "cpu": time.process_time() - spent}


def main() -> None:
    apply = {"ours": ours, "ideal": ideal}[sys.argv[1]]()
    for line in sys.stdin:
        print(json.dumps(obey(json.loads(line), apply)), flush=True)


if __name__ == "__main__":
    main()
