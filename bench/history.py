"""History as years of deposits leave it, laid in set-based: operations, legs, fees, books, inbox, outbox.

The first batch is laid in under every rule of the database (foreign keys, entries that sum to zero, accounts
that continue their chains). The others are the same statements, left unjudged, since judging takes most of
the time; in the end the books are added up.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import psycopg

from bench.world import Place, say

Execute = Callable[..., Any]
"""`execute(statement, parameters)` of a cursor or a connection."""
BATCH = 20_000
SAID_EVERY = 200_000
_FIRST_EXTERNAL = 3_000_000_000
TABLES = (
    "payments_operation",
    "payments_leg",
    "payments_operationfee",
    "payments_entry",
    "payments_posting",
    "payments_account",
    "callbacks_incomingcallback",
    "callbacks_outgoingcallback",
    "callbacks_deliveryattempt",
)

_WRONG = """
SELECT 'currency ' || currency FROM payments_posting GROUP BY currency HAVING sum(amount) <> 0
 UNION ALL
SELECT 'account ' || a.id FROM payments_account a JOIN payments_posting p ON p.account_id = a.id
 WHERE a.kept GROUP BY a.id HAVING a.balance <> sum(p.amount) OR a.seq <> count(*)
"""

# One batch of n = first..last, spread over the merchants; each deposit is 0.015 BTC, 0.8 % of it our fee.
_SHOPS = """
CREATE TEMPORARY TABLE shop AS
SELECT m.place, m.merchant_id, a.id AS available, d.id AS address_id, d.address, e.id AS endpoint_id,
       t.id AS terms_id, d.processor_id
  FROM (SELECT id AS merchant_id, row_number() OVER (ORDER BY id) - 1 AS place
          FROM unnest(%s::bigint[]) AS id) m
  JOIN payments_account a ON a.merchant_id = m.merchant_id AND a.currency = 'BTC' AND a.kind = 'available'
  JOIN payments_address d ON d.merchant_id = m.merchant_id AND d.origin = 'api' AND d.currency = 'BTC'
  JOIN callbacks_endpoint e ON e.merchant_id = m.merchant_id
  JOIN payments_terms t ON t.merchant_id = m.merchant_id AND t.currency = 'BTC'
"""
_NUMBERS = """
CREATE TEMPORARY TABLE batch AS
SELECT n, nextval('payments_operation_id_seq') AS id, nextval('payments_entry_id_seq') AS entry_id,
       nextval('operation_wire_id') AS wire_id, nextval('leg_wire_id') AS leg_wire_id,
       now() - (%s - n) * interval '20 seconds' AS at, s.*,
       row_number() OVER (PARTITION BY s.merchant_id ORDER BY n) AS number
  FROM generate_series(%s::bigint, %s::bigint) n JOIN shop s ON s.place = n %% (SELECT count(*) FROM shop)
"""
_OPERATIONS = """
INSERT INTO payments_operation
       (id, merchant_id, wire_id, kind, status, version, processor_id, external_id, address_id, replaces,
        currency_sent, amount_sent, currency_received, amount_received, amount_minus_fee, credited,
        credited_to, bookings, error, terms_id, created_at, changed_at)
SELECT id, merchant_id, wire_id, 'deposit', 'confirmed', 1, processor_id, (%s + n)::text, address_id, '',
       'BTC', 0.015, 'BTC', 0.015, 0.01488, 0.015, 'available', 1, '', terms_id, at, at
  FROM batch ORDER BY n
"""
_LEGS = """
INSERT INTO payments_leg
       (merchant_id, operation_id, wire_id, transaction_type, type, currency, currency_to, address, amount,
        txid, risk_asked, confirmations, sender_address)
SELECT merchant_id, id, leg_wire_id, 'blockchain', 'deposit', 'BTC', '', address, 0.015,
       encode(sha256(n::text::bytea), 'hex'), false, 1, ''
  FROM batch ORDER BY n
"""
_FEES = """
INSERT INTO payments_operationfee (operation_id, type, currency, amount)
SELECT id, 'deposit', 'BTC', 0.00012 FROM batch ORDER BY n
"""
_ENTRIES = """
INSERT INTO payments_entry (id, key, kind, subject, occurred_at)
SELECT entry_id, 'deposit:' || id || ':1', 'deposit', 'operation:' || id, at FROM batch ORDER BY n
"""
_BALANCES = """
UPDATE payments_account a SET balance = a.balance + t.count * 0.01488, seq = a.seq + t.count
  FROM (SELECT available, count(*) FROM batch GROUP BY available) t WHERE a.id = t.available
"""
_POSTINGS = """
INSERT INTO payments_posting (entry_id, account_id, currency, amount, seq, balance_after)
SELECT b.entry_id, line.account_id, 'BTC', line.amount, line.seq, line.balance_after
  FROM batch b
  JOIN payments_account a ON a.id = b.available
  JOIN (SELECT available, count(*) FROM batch GROUP BY available) t ON t.available = b.available
 CROSS JOIN LATERAL (VALUES
       ((SELECT id FROM payments_account WHERE processor_id = b.processor_id AND currency = 'BTC'
                                           AND kind = 'at_processor'), -0.015, NULL, NULL),
       (b.available, 0.01488, a.seq - t.count + b.number, a.balance - (t.count - b.number) * 0.01488),
       ((SELECT id FROM payments_account WHERE merchant_id IS NULL AND processor_id IS NULL
                                           AND currency = 'BTC' AND kind = 'fee_income'), 0.00012, NULL, NULL)
       ) AS line(account_id, amount, seq, balance_after)
 ORDER BY b.n
"""
_INBOX = """
INSERT INTO callbacks_incomingcallback
       (processor, sha256, raw, headers, received_at, state, attempts, failures, unfinished, applied_at,
        error)
SELECT 'sandbox', sha256(raw), raw, '{}', at, 'applied', 1, 0, 0, at, ''
  FROM (SELECT at, n, convert_to(rpad('{"id":' || %s + n || '}', 700), 'UTF8') AS raw FROM batch) b ORDER BY n
"""
_OUTBOX = """
WITH told AS (
    INSERT INTO callbacks_outgoingcallback
           (subject_kind, subject_id, version, merchant_id, endpoint_id, body, state, attempts, schedule_from,
            created_at, next_attempt_at, last_attempt_at)
    SELECT 'operation', id, 1, merchant_id, endpoint_id,
           convert_to(rpad('{"id":' || wire_id || '}', 700), 'UTF8'), 'delivered', 1, 0, at, at, at
      FROM batch ORDER BY n
    RETURNING id, created_at)
INSERT INTO callbacks_deliveryattempt
       (callback_id, number, at, url, request_headers, status, response_headers, response_body, ms, error)
SELECT id, 1, created_at, 'http://127.0.0.1/callbacks', '{}', 200, '{}', 'OK', 3, '' FROM told ORDER BY id
"""


def lay_in(place: Place, first: int, last: int) -> None:
    """Deposits number `first` to `last` of the place's merchants, all credited, told and delivered.

    Each merchant must have got one deposit by the way that Bursar books it, which opens the accounts.
    """
    with psycopg.connect(place.world.postgres.url("bursar_super")) as connection:
        gather(connection.execute, [merchant.id for merchant in place.merchants])
        connection.commit()
        for low in range(first, last + 1, BATCH):
            high = min(low + BATCH - 1, last)
            book(connection.execute, low, high, newest=last)
            connection.commit()
            connection.execute("SET session_replication_role = replica")
            if high % SAID_EVERY < BATCH:
                say(f"  history: {high:,} deposits")
        wrong = connection.execute(_WRONG).fetchall()
        assert not wrong, f"the history's books do not add up: {wrong}"


def gather(execute: Execute, merchants: Sequence[int]) -> None:
    """Notes whose history it is, for the rest of the session."""
    execute(_SHOPS, [list(merchants)])


def book(execute: Execute, low: int, high: int, *, newest: int) -> None:
    """Deposits `low` to `high` in one transaction, twenty seconds apart; number `newest` is now."""
    execute(_NUMBERS, [newest, low, high])
    execute(_OPERATIONS, [_FIRST_EXTERNAL])
    for statement in (_LEGS, _FEES, _ENTRIES, _BALANCES, _POSTINGS, _OUTBOX):
        execute(statement)
    execute(_INBOX, [_FIRST_EXTERNAL])
    execute("DROP TABLE batch")


def tidy(place: Place) -> None:
    """What autovacuum would have done in time."""
    for table in TABLES:
        place.world.ask(f"VACUUM (ANALYZE) {table}")
    place.world.ask("CHECKPOINT")
