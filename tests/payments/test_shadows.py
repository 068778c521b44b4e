"""The rules in the database look at the real tables, whatever a session has put before them."""

from __future__ import annotations

import pytest
from django.db import IntegrityError, connection, transaction

from merchants import audit
from tests import factories
from tests.factories import NOW, money

pytestmark = pytest.mark.django_db

AN_ENTRY = "INSERT INTO payments_entry (key, kind, subject, occurred_at) VALUES ('x', 'x', 'x', now())"


def refused_in_the_shadow(constraint: str, table: str, *statements: str, rows: str = "") -> None:
    """As the application's role, with a temporary `table` of the same name, which is found first."""
    with (
        pytest.raises(IntegrityError) as caught,
        transaction.atomic(),
        connection.cursor() as cursor,
    ):
        cursor.execute("SET LOCAL ROLE bursar_app")
        cursor.execute(f"CREATE TEMP TABLE {table} ON COMMIT DROP AS SELECT * FROM public.{table} {rows}")
        for statement in statements:
            cursor.execute(statement)
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
    assert caught.value.__cause__.diag.constraint_name == constraint  # type: ignore[union-attr]


@pytest.fixture
def account() -> int:
    """The id of an available balance of 1 BTC, at its first posting."""
    merchant = factories.merchant()
    factories.fund(merchant, money("1"))
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT id FROM payments_account WHERE merchant_id = %s AND kind = 'available'", [merchant.pk]
        )
        return int(cursor.fetchone()[0])


class TestLedger:
    def test_sees_through_postings_that_are_not_there(self, account: int) -> None:
        refused_in_the_shadow(
            "balance_changes_with_a_posting",
            "payments_posting",
            "INSERT INTO pg_temp.payments_posting (account_id, seq, balance_after)"
            f" VALUES ({account}, 2, 99)",
            f"UPDATE public.payments_account SET balance = 99, seq = 2 WHERE id = {account}",
        )

    def test_sees_through_accounts_that_are_not_there(self, account: int) -> None:
        refused_in_the_shadow(
            "posting_continues_its_account",
            "payments_account",
            AN_ENTRY,
            "INSERT INTO payments_posting (entry_id, account_id, currency, amount, seq, balance_after)"
            f" SELECT e.id, {account}, 'BTC', amount, seq, balance FROM payments_entry e,"
            " (VALUES (98, 7, 99), (-98, 8, 1)) AS v (amount, seq, balance) WHERE key = 'x'",
            rows="WHERE false",
        )

    def test_sees_through_an_entrys_postings_that_are_not_there(self) -> None:
        refused_in_the_shadow(
            "entry_has_postings",
            "payments_posting",
            AN_ENTRY,
            "INSERT INTO pg_temp.payments_posting (entry_id) SELECT id FROM payments_entry WHERE key = 'x'",
        )


class TestAudit:
    def test_sees_through_records_that_are_not_there(self) -> None:
        audit.record(act="test.act", now=NOW)
        refused_in_the_shadow(
            "audit_head_moves_by_one",
            "merchants_auditrecord",
            "INSERT INTO pg_temp.merchants_auditrecord (number, hash, previous_hash)"
            " SELECT number + 1, '\\x00', hash FROM merchants_audithead",
            "UPDATE public.merchants_audithead SET number = number + 1, hash = '\\x00'",
        )


class TestEveryRule:
    def test_that_reads_a_table_names_where_it_looks(self) -> None:
        with connection.cursor() as cursor:
            cursor.execute(
                """
                SELECT p.proname, COALESCE(p.proconfig::text, '') FROM pg_proc p
                  JOIN pg_namespace n ON n.oid = p.pronamespace AND n.nspname = 'public'
                 WHERE p.prorettype = 'trigger'::regtype
                   AND p.prosrc ~* '(from|join)[[:space:]]+[a-z]+_[a-z]+'
                """
            )
            found = dict(cursor.fetchall())
        assert "posting_is_judged" in found
        assert {
            path for path in found.values() if "search_path=pg_catalog, public, pg_temp" not in path
        } == set()
