"""Booking: the five statements behind `post_many`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import NamedTuple

from django.db import connection

from payments.ledger.lines import AccountKey, InsufficientFunds, Line, NewEntry, Unbalanced
from payments.models.account import MERCHANT_KINDS, AccountKind
from payments.money import CONTEXT, Money


def post(entry: NewEntry) -> None:
    """Books one entry; see `post_many`."""
    post_many([entry])


def post_many(entries: Sequence[NewEntry]) -> None:
    """Books `entries` in order, all or none; inside the caller's transaction.

    Raises `InsufficientFunds` when a merchant's balance would go below zero, `Unbalanced` for an entry
    that does not sum to zero, and `IntegrityError` for a key that was booked before.
    """
    entries = [_without_zeros(entry) for entry in entries]
    if not entries:
        return
    if not connection.in_atomic_block:
        raise RuntimeError("entries are booked inside a transaction")
    for entry in entries:
        _demand_wire_precision(entry)
        _demand_zero_sum(entry)
    accounts = _accounts({key for entry in entries for key in _keys(entry)})
    book = _Book(accounts)
    rows = [row for position, entry in enumerate(entries) for row in book.postings(position, entry)]
    ids = _insert_entries(entries)
    _update_balances(book.changed())
    _insert_postings(ids, rows)


def open_accounts(*, merchant_id: int, currency: str) -> None:
    """Opens a merchant's accounts in `currency`; harmless when they are open."""
    _accounts({AccountKey(merchant_id, None, currency, kind) for kind in MERCHANT_KINDS})


# --- entries -------------------------------------------------------------------------------------


def _without_zeros(entry: NewEntry) -> NewEntry:
    lines = [line for line in entry.lines if line.money]
    if not lines:
        raise Unbalanced(f"{entry.key} moves nothing")
    return NewEntry(entry.key, entry.kind, entry.subject, entry.occurred_at, lines)


def _demand_wire_precision(entry: NewEntry) -> None:
    """PostgreSQL would round what is finer than its column, silently and each line for itself."""
    if any(line.money.rounded_down() != line.money for line in entry.lines):
        raise Unbalanced(f"{entry.key} is finer than the ledger's precision")


def _demand_zero_sum(entry: NewEntry) -> None:
    sums: dict[str, Money] = {}
    for line in entry.lines:
        currency = line.money.currency
        sums[currency] = sums.get(currency, Money.zero(currency)) + line.money
    if any(sums.values()):
        raise Unbalanced(f"{entry.key}: {', '.join(map(str, filter(None, sums.values())))} left over")


def _keys(entry: NewEntry) -> Iterable[AccountKey]:
    for line in entry.lines:
        yield line.key
        if line.spills:
            yield line.debt_key


# --- accounts ------------------------------------------------------------------------------------


class _Row(NamedTuple):
    """An account as locked; balance and seq mean something for kept ones only."""

    id: int
    kept: bool
    balance: Decimal
    seq: int


_FIND = """
SELECT a.merchant_id, a.processor_id, a.currency, a.kind, a.id, a.kept, a.balance, a.seq
  FROM unnest(%s::bigint[], %s::bigint[], %s::text[], %s::text[]) AS k (m, p, c, kind)
  JOIN payments_account a
    ON COALESCE(a.merchant_id, 0) = k.m AND COALESCE(a.processor_id, 0) = k.p
   AND a.currency = k.c AND a.kind = k.kind
"""
_LOCK = _FIND + " WHERE a.kept ORDER BY a.id FOR UPDATE OF a"
_OPEN = """
INSERT INTO payments_account (merchant_id, processor_id, currency, kind, kept, balance, seq)
SELECT NULLIF(m, 0), NULLIF(p, 0), c, kind, kind = ANY(%s), 0, 0
  FROM unnest(%s::bigint[], %s::bigint[], %s::text[], %s::text[]) AS k (m, p, c, kind)
    ON CONFLICT DO NOTHING
"""


def _accounts(keys: set[AccountKey]) -> dict[AccountKey, _Row]:
    """The accounts named, opened where missing; the merchants' ones locked in id order."""
    kept = {key for key in keys if key.kind in MERCHANT_KINDS}
    loose = keys - kept
    found = _select(_LOCK, kept) | _select(_FIND, loose)
    missing = keys - found.keys()
    if missing:
        _open(missing)
        found = _select(_LOCK, kept) | _select(_FIND, loose)
    return found


def _columns(keys: Iterable[AccountKey]) -> list[list[int] | list[str]]:
    ordered = sorted(
        keys, key=lambda key: (key.merchant_id or 0, key.processor_id or 0, key.currency, key.kind)
    )
    return [
        [key.merchant_id or 0 for key in ordered],
        [key.processor_id or 0 for key in ordered],
        [key.currency for key in ordered],
        [str(key.kind) for key in ordered],
    ]


def _select(statement: str, keys: set[AccountKey]) -> dict[AccountKey, _Row]:
    if not keys:
        return {}
    with connection.cursor() as cursor:
        cursor.execute(statement, _columns(keys))
        return {AccountKey(*row[:4]): _Row(*row[4:]) for row in cursor.fetchall()}


def _open(keys: set[AccountKey]) -> None:
    with connection.cursor() as cursor:
        cursor.execute(_OPEN, [list(map(str, MERCHANT_KINDS)), *_columns(keys)])


# --- balances ------------------------------------------------------------------------------------


class _PostingRow(NamedTuple):
    entry: int
    account_id: int
    currency: str
    amount: Decimal
    seq: int | None
    balance_after: Decimal | None


class _Book:
    """The locked accounts while entries are applied to them in memory."""

    def __init__(self, accounts: dict[AccountKey, _Row]) -> None:
        self._accounts = accounts
        self._before = dict(accounts)

    def postings(self, position: int, entry: NewEntry) -> list[_PostingRow]:
        return [
            self._apply(position, key, money)
            for line in entry.lines
            for key, money in self._split(line)
            if money
        ]

    def changed(self) -> list[_Row]:
        return [row for key, row in self._accounts.items() if row.seq != self._before[key].seq]

    def _split(self, line: Line) -> list[tuple[AccountKey, Money]]:
        """A spilling line in two: what the merchant's debt takes, and what the available balance takes."""
        if not line.spills:
            return [(line.key, line.money)]
        currency = line.money.currency
        if line.money.amount > 0:
            debt = Money(-self._accounts[line.debt_key].balance, currency)
            on_debt = min(debt, line.money)
        else:
            balance = Money(self._accounts[line.key].balance, currency)
            on_debt = min(Money.zero(currency), balance + line.money)
        return [(line.debt_key, on_debt), (line.key, line.money - on_debt)]

    def _apply(self, position: int, key: AccountKey, money: Money) -> _PostingRow:
        row = self._accounts[key]
        if not row.kept:
            return _PostingRow(position, row.id, key.currency, money.amount, None, None)
        balance = CONTEXT.add(row.balance, money.amount)
        if balance < 0 and key.kind != AccountKind.RECEIVABLE:
            raise InsufficientFunds
        row = row._replace(balance=balance, seq=row.seq + 1)
        self._accounts[key] = row
        return _PostingRow(position, row.id, key.currency, money.amount, row.seq, balance)


# --- statements ----------------------------------------------------------------------------------


def _insert_entries(entries: Sequence[NewEntry]) -> list[int]:
    """The new ids, in the order of `entries`."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            INSERT INTO payments_entry (key, kind, subject, occurred_at)
            SELECT * FROM unnest(%s::text[], %s::text[], %s::text[], %s::timestamptz[])
            RETURNING key, id
            """,
            [
                [entry.key for entry in entries],
                [entry.kind for entry in entries],
                [entry.subject for entry in entries],
                [entry.occurred_at for entry in entries],
            ],
        )
        ids = dict(cursor.fetchall())
    return [ids[entry.key] for entry in entries]


def _update_balances(rows: Sequence[_Row]) -> None:
    if not rows:
        return
    with connection.cursor() as cursor:
        cursor.execute(
            """
            UPDATE payments_account a SET balance = n.balance, seq = n.seq
              FROM unnest(%s::bigint[], %s::numeric[], %s::bigint[]) AS n (id, balance, seq)
             WHERE a.id = n.id
            """,
            [[row.id for row in rows], [row.balance for row in rows], [row.seq for row in rows]],
        )


def _insert_postings(ids: Sequence[int], rows: Sequence[_PostingRow]) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            """
            INSERT INTO payments_posting (entry_id, account_id, currency, amount, seq, balance_after)
            SELECT * FROM unnest(%s::bigint[], %s::bigint[], %s::text[], %s::numeric[],
                                 %s::bigint[], %s::numeric[])
            """,
            [
                [ids[row.entry] for row in rows],
                [row.account_id for row in rows],
                [row.currency for row in rows],
                [row.amount for row in rows],
                [row.seq for row in rows],
                [row.balance_after for row in rows],
            ],
        )
