"""The proof: walks the books offline, trusting no trigger and no constraint, and names the first bad row.

Plain SQL over the ledger's tables, so that a dump restored anywhere can be proved with nothing else running.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal

from django.db import connection

from payments.ledger.lines import AccountKey


@dataclass(frozen=True, slots=True)
class Flaw:
    """row: what is wrong, as a person would look it up; reason: in what way."""

    row: str
    reason: str


_QUESTIONS = (
    (
        "the entry has no postings",
        """SELECT 'entry ' || e.id || ' (' || e.key || ')' FROM payments_entry e
            WHERE NOT EXISTS (SELECT 1 FROM payments_posting p WHERE p.entry_id = e.id)
            ORDER BY e.id LIMIT 1""",
    ),
    (
        "the posting belongs to no entry",
        """SELECT 'posting ' || p.id FROM payments_posting p
            WHERE NOT EXISTS (SELECT 1 FROM payments_entry e WHERE e.id = p.entry_id)
            ORDER BY p.id LIMIT 1""",
    ),
    (
        "its key was booked before",
        """SELECT 'entry ' || max(id) || ' (' || key || ')' FROM payments_entry
            GROUP BY key HAVING count(*) > 1 ORDER BY max(id) LIMIT 1""",
    ),
    (
        "its postings do not sum to zero",
        """SELECT 'entry ' || s.entry_id || ' (' || e.key || ')'
             FROM (SELECT entry_id FROM payments_posting GROUP BY entry_id, currency
                   HAVING sum(amount) <> 0 ORDER BY entry_id LIMIT 1) s
             JOIN payments_entry e ON e.id = s.entry_id""",
    ),
    (
        "it has not its account's currency, or no account",
        """SELECT 'posting ' || p.id FROM payments_posting p
             LEFT JOIN payments_account a ON a.id = p.account_id
            WHERE a.id IS NULL OR a.currency <> p.currency ORDER BY p.id LIMIT 1""",
    ),
    (
        "its number or balance does not continue its account's",
        """SELECT 'posting ' || id FROM (
             SELECT p.id, p.seq, p.balance_after,
                    row_number() OVER chain AS due, sum(p.amount) OVER chain AS balance
               FROM payments_posting p JOIN payments_account a ON a.id = p.account_id AND a.kept
             WINDOW chain AS (PARTITION BY p.account_id ORDER BY p.seq, p.id)) walked
            WHERE seq IS DISTINCT FROM due OR balance_after IS DISTINCT FROM balance
            ORDER BY id LIMIT 1""",
    ),
    (
        "its balance or number is not that of its last posting",
        """SELECT 'account ' || a.id || ' (' || a.kind || ' ' || a.currency || ')'
             FROM payments_account a
             LEFT JOIN LATERAL (SELECT p.seq, p.balance_after FROM payments_posting p
                                 WHERE p.account_id = a.id ORDER BY p.seq DESC NULLS LAST LIMIT 1) last
               ON a.kept
            WHERE a.balance <> COALESCE(last.balance_after, 0) OR a.seq <> COALESCE(last.seq, 0)
            ORDER BY a.id LIMIT 1""",
    ),
    (
        "it is overdrawn",
        """SELECT 'posting ' || p.id FROM payments_posting p JOIN payments_account a ON a.id = p.account_id
            WHERE CASE a.kind WHEN 'receivable' THEN p.balance_after > 0 ELSE p.balance_after < 0 END
            ORDER BY p.id LIMIT 1""",
    ),
)


def flaws() -> Iterator[Flaw]:
    """The first row that each question finds wrong, in the order of the questions; none when all is well."""
    for reason, question in _QUESTIONS:
        with connection.cursor() as cursor:
            cursor.execute(question)
            found = cursor.fetchone()
        if found:
            yield Flaw(found[0], reason)


def amounts_of(key: str) -> dict[AccountKey, Decimal]:
    """What the entry of that key booked, by account; empty where there is none."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT a.merchant_id, a.processor_id, a.currency, a.kind, sum(p.amount)
              FROM payments_entry e JOIN payments_posting p ON p.entry_id = e.id
              JOIN payments_account a ON a.id = p.account_id
             WHERE e.key = %s GROUP BY 1, 2, 3, 4
            """,
            [key],
        )
        return {AccountKey(*row[:4]): row[4] for row in cursor.fetchall()}


def at_processor(processor_id: int) -> dict[str, Decimal]:
    """What lies at a processor by the books, by currency: what is owned is positive here."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT a.currency, COALESCE(-sum(p.amount), 0)
              FROM payments_account a LEFT JOIN payments_posting p ON p.account_id = a.id
             WHERE a.processor_id = %s AND a.kind = 'at_processor' GROUP BY a.currency
            """,
            [processor_id],
        )
        return dict(cursor.fetchall())
