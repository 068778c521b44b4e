"""The proof: names the first bad row, of whatever kind, past every trigger that should have refused it."""

from __future__ import annotations

import pytest

from merchants import audit
from payments import proof
from payments.models import Withdrawal
from payments.processors.base import PayoutStatus
from tests.factories import NOW
from tests.payments import upstream_of_payouts as up
from tests.payments.upstream_of_payouts import Payer, approved, send

pytestmark = pytest.mark.django_db


@pytest.fixture
def row():
    """A little history: one paid, one refused, one under way."""
    shop = up.payer_out()
    paid, _refused, open_one = approved(shop), approved(shop), approved(shop)
    payer = Payer(up.accepts, up.refuses, up.is_cut_off)
    for _ in range(3):
        send(payer)
    up.hears(paid.our_id, PayoutStatus.CONFIRMED)
    audit.record(act="x", now=NOW)
    audit.record(act="y", now=NOW)
    return open_one


def test_finds_nothing_wrong_with_what_is_right(row):
    assert proof.first_flaw() is None


@pytest.mark.parametrize(
    ("statement", "named", "reason"),
    [
        (
            "UPDATE payments_posting SET amount = amount + 1 WHERE seq IS NULL",
            "entry",
            "its postings do not sum to zero",
        ),
        (
            "DELETE FROM payments_posting WHERE entry_id = (SELECT max(id) FROM payments_entry)",
            "entry",
            "the entry has no postings",
        ),
        ("DELETE FROM payments_entry WHERE kind = 'withdrawal'", "posting", "belongs to no entry"),
        ("UPDATE payments_posting SET currency = 'ETH'", "posting", "currency"),
        (
            "UPDATE payments_posting SET balance_after = balance_after + 1 WHERE seq = 2",
            "posting",
            "does not continue",
        ),
        ("UPDATE payments_posting SET seq = seq + 100 WHERE seq > 1", "posting", "does not continue"),
        (
            "UPDATE payments_account SET balance = balance + 1 WHERE kind = 'available'",
            "account",
            "last posting",
        ),
        ("UPDATE payments_account SET seq = seq + 1 WHERE kind = 'held'", "account", "last posting"),
        (
            "UPDATE payments_withdrawal SET held = held + 1, amount = amount + 1 WHERE state = 'failed'",
            "withdrawal",
            "its hold",
        ),
        (
            "UPDATE payments_withdrawal SET state = 'failed' WHERE state = 'unknown'",
            "withdrawal",
            "not closed",
        ),
        (
            "UPDATE payments_withdrawal SET state = 'confirmed' WHERE state = 'failed'",
            "withdrawal",
            "gave the merchant",
        ),
        (
            "UPDATE payments_withdrawal SET state = 'failed' WHERE state = 'confirmed'",
            "withdrawal",
            "gave the merchant",
        ),
        (
            "UPDATE merchants_auditrecord SET act = 'z' WHERE number = (SELECT max(number) FROM"
            " merchants_auditrecord)",
            "audit record",
            "content",
        ),
    ],
)
def test_names_the_bad_row(row, statement, named, reason):
    up.meddle(statement)
    flaw = proof.first_flaw()
    assert flaw is not None
    assert flaw.row.startswith(named)
    assert reason in flaw.reason


def test_names_an_entry_that_was_booked_twice(row):
    up.meddle(
        "DROP INDEX IF EXISTS nothing",
        "ALTER TABLE payments_entry DROP CONSTRAINT payments_entry_key_key",
        "UPDATE payments_entry SET key = 'twice' WHERE kind = 'withdrawal_hold'",
    )
    flaw = proof.first_flaw()
    assert flaw is not None
    assert flaw.reason == "its key was booked before"
    assert Withdrawal.objects.count() == 3
