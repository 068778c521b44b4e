"""The sandbox's memory: one SQLite file, one writer at a time.

Everything that must survive a kill is a row here, the callbacks that are still to be sent included.
Amounts are decimal text with 8 places; SQLite has no exact numbers of its own.
"""

from __future__ import annotations

import secrets
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path

from payments.money import Money

Db = sqlite3.Connection
Row = sqlite3.Row

_SCHEMA = """
CREATE TABLE IF NOT EXISTS setting (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS balance (currency TEXT PRIMARY KEY, amount TEXT NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS height (network TEXT PRIMARY KEY, tip INTEGER NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS address (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    foreign_id TEXT NOT NULL,
    currency TEXT NOT NULL,
    convert_to TEXT NOT NULL,
    address TEXT NOT NULL,
    tag TEXT,
    end_user_reference TEXT,
    UNIQUE (foreign_id, currency, convert_to)
) STRICT;
CREATE UNIQUE INDEX IF NOT EXISTS address_is_issued_once ON address (address, ifnull(tag, ''));
CREATE TABLE IF NOT EXISTS operation (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    family TEXT NOT NULL CHECK (family IN ('deposit', 'withdrawal', 'exchange')),
    type TEXT NOT NULL,
    status TEXT NOT NULL,
    error TEXT NOT NULL DEFAULT '',
    foreign_id TEXT,
    end_user_reference TEXT,
    address_id INTEGER REFERENCES address,
    address TEXT NOT NULL DEFAULT '',
    tag TEXT,
    sent_currency TEXT NOT NULL,
    sent_amount TEXT NOT NULL,
    received_currency TEXT NOT NULL,
    received_amount TEXT NOT NULL,
    fees TEXT NOT NULL DEFAULT '[]',
    txid TEXT,
    sender_address TEXT,
    riskscore TEXT,
    expected_currency TEXT,
    place TEXT CHECK (place IN ('mempool', 'block', 'nowhere')),
    mined_at INTEGER,
    due_at REAL,
    created_at INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX IF NOT EXISTS foreign_id_is_used_once ON operation (family, foreign_id)
    WHERE foreign_id IS NOT NULL;
CREATE INDEX IF NOT EXISTS operation_by_txid ON operation (txid);
CREATE INDEX IF NOT EXISTS operation_unfinished ON operation (place) WHERE status <> 'confirmed';
CREATE INDEX IF NOT EXISTS operation_due ON operation (due_at) WHERE due_at IS NOT NULL;
CREATE TABLE IF NOT EXISTS quote (
    source TEXT NOT NULL, target TEXT NOT NULL, price TEXT NOT NULL, released_at INTEGER NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS callback (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    operation_id INTEGER NOT NULL REFERENCES operation,
    body BLOB NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0,
    due_at REAL,
    answer TEXT NOT NULL DEFAULT ''
) STRICT;
CREATE INDEX IF NOT EXISTS callback_due ON callback (due_at, id) WHERE due_at IS NOT NULL;
"""

_FIRST_IDS_SINCE = 1_700_000_000
"""A new file begins its ids above those of any older file, so that a lost file repeats none (ids < 2**31)."""


class Store:
    """The file, open; safe to share between threads."""

    def __init__(self, path: Path | str) -> None:
        self._lock = threading.Lock()
        self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        self._db.row_factory = sqlite3.Row
        for pragma in ("journal_mode = WAL", "synchronous = NORMAL", "foreign_keys = ON"):
            self._db.execute(f"PRAGMA {pragma}")
        self._db.executescript(_SCHEMA)
        with self.transaction() as db:
            _seed(db)

    @contextmanager
    def transaction(self) -> Iterator[Db]:
        """The one connection, alone; all of the block's changes are kept, or none. Does not nest."""
        with self._lock:
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield self._db
            except BaseException:
                self._db.execute("ROLLBACK")
                raise
            self._db.execute("COMMIT")

    def close(self) -> None:
        with self._lock:
            self._db.close()


def _seed(db: Db) -> None:
    if db.execute("SELECT 1 FROM setting WHERE name = 'salt'").fetchone():
        return
    put(db, "salt", secrets.token_hex(16))
    first = int(time.time()) - _FIRST_IDS_SINCE
    db.executemany("INSERT INTO sqlite_sequence VALUES (?, ?)", [("address", first), ("operation", first)])


def get(db: Db, name: str, default: str = "") -> str:
    """A setting's value."""
    row = db.execute("SELECT value FROM setting WHERE name = ?", [name]).fetchone()
    return row["value"] if row else default


def put(db: Db, name: str, value: str) -> None:
    db.execute(
        "INSERT INTO setting VALUES (?, ?) ON CONFLICT DO UPDATE SET value = excluded.value", [name, value]
    )


def now(db: Db) -> int:
    """The sandbox's own time in Unix seconds: the real time plus what `wait` has added."""
    return int(time.time()) + int(get(db, "clock_offset", "0"))


def wait(db: Db, seconds: int) -> int:
    """Moves the sandbox's time ahead; returns the new time."""
    put(db, "clock_offset", str(int(get(db, "clock_offset", "0")) + seconds))
    return now(db)


def balance(db: Db, currency: str) -> Money:
    """What Bursar's account at this processor holds; a reorganisation may leave it negative."""
    row = db.execute("SELECT amount FROM balance WHERE currency = ?", [currency]).fetchone()
    return Money(Decimal(row["amount"]), currency) if row else Money.zero(currency)


def balances(db: Db) -> list[Money]:
    """Every account that was ever used, by currency."""
    rows = db.execute("SELECT currency, amount FROM balance ORDER BY currency")
    return [Money(Decimal(row["amount"]), row["currency"]) for row in rows]


def move(db: Db, money: Money) -> None:
    """Adds `money` (negative: takes it) to Bursar's account."""
    after = balance(db, money.currency) + money
    db.execute(
        "INSERT INTO balance VALUES (?, ?) ON CONFLICT DO UPDATE SET amount = excluded.amount",
        [money.currency, f"{after.amount:f}"],
    )


def sent(row: Row) -> Money:
    """What an operation moves, before any fee."""
    return Money(Decimal(row["sent_amount"]), row["sent_currency"])


def received(row: Row) -> Money:
    """What it becomes, before any fee."""
    return Money(Decimal(row["received_amount"]), row["received_currency"])


def operation(db: Db, operation_id: int) -> Row:
    """The operation's row. Raises `LookupError`."""
    row: Row | None = db.execute("SELECT * FROM operation WHERE id = ?", [operation_id]).fetchone()
    if row is None:
        raise LookupError(f"no operation {operation_id}")
    return row


def add(db: Db, table: str, **values: object) -> int:
    """Inserts a row and returns its id. Raises `sqlite3.IntegrityError`."""
    names, marks = ", ".join(values), ", ".join("?" * len(values))
    cursor = db.execute(f"INSERT INTO {table} ({names}) VALUES ({marks})", list(values.values()))  # noqa: S608 - names are ours
    return cursor.lastrowid or 0


def change(db: Db, operation_id: int, **values: object) -> Row:
    """Sets columns of an operation; returns its row after it."""
    pairs = ", ".join(f"{name} = ?" for name in values)
    db.execute(f"UPDATE operation SET {pairs} WHERE id = ?", [*values.values(), operation_id])  # noqa: S608 - names are ours
    return operation(db, operation_id)
