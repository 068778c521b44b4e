"""Who may write what of withdrawals and of what bounds them: every right of both database roles, by name."""

from __future__ import annotations

import pytest
from django.db import ProgrammingError, connection, transaction

from payments.models import Withdrawal
from tests.constraints import refused
from tests.payments.models import withdrawal_rows as rows
from tests.payments.models.withdrawal_rows import S, acting_as

pytestmark = pytest.mark.django_db
DECISIONS = {"state", "decided_by_id", "decided_at", "decision_reason", "approved_hash"}
OUTCOMES = {
    *("outcome", "outcome_reason", "outcome_txid", "outcome_said_by_id", "outcome_said_at"),
    "outcome_agreed_by_id",
}
MAY_CHANGE = {
    ("bursar_app", "withdrawal"): {
        *DECISIONS,
        *OUTCOMES,
        "external_id",
        "closed_at",
        "next_ask_at",
        "stuck_at",
    },
    ("bursar_sender", "withdrawal"): {
        *("state", "prepared", "prepared_at", "submitted_at", "external_id", "unknown_at", "unknown_reason"),
        *("asks", "next_ask_at", "stuck_at", "closed_at"),
    },
    ("bursar_app", "withdrawallimit"): "all",
    ("bursar_app", "limitrecipient"): "all",
    ("bursar_app", "contact"): {"name", "removed_at"},
    ("bursar_app", "alert"): {"cleared_at", "cleared_by_id", "mailed_at"},
    ("bursar_sender", "alert"): {"cleared_at", "cleared_by_id"},
}
"""Columns; nothing where a pair is not named."""
MAY_ADD = {
    "bursar_app": {"withdrawal", "withdrawallimit", "limitrecipient", "contact", "stop", "alert"},
    "bursar_sender": {"stop", "alert", "reconciliation"},
}
MAY_REMOVE = {"bursar_app": {"withdrawallimit", "limitrecipient"}, "bursar_sender": set()}
TABLES = (
    *("withdrawal", "withdrawallimit", "limitrecipient", "contact", "cap", "stop", "alert"),
    "reconciliation",
)
ROLES = ("bursar_app", "bursar_sender")


def has(role: str, table: str, right: str) -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT has_table_privilege(%s, %s, %s)", [role, f"payments_{table}", right])
        return bool(cursor.fetchone()[0])


def changeable(role: str, table: str) -> set[str]:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT attname, has_column_privilege(%s, attrelid, attnum, 'UPDATE') FROM pg_attribute"
            " WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped",
            [role, f"payments_{table}"],
        )
        columns = dict(cursor.fetchall())
    return {"all"} if all(columns.values()) else {name for name, may in columns.items() if may}


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("table", TABLES)
class TestARole:
    def test_reads(self, role, table):
        assert has(role, table, "SELECT")

    def test_changes_only_what_is_its(self, role, table):
        wanted = MAY_CHANGE.get((role, table), set())
        assert changeable(role, table) == ({"all"} if wanted == "all" else wanted)

    def test_adds_only_what_is_its(self, role, table):
        assert has(role, table, "INSERT") is (table in MAY_ADD[role])

    def test_removes_only_what_is_its(self, role, table):
        assert has(role, table, "DELETE") is (table in MAY_REMOVE[role])
        assert not has(role, table, "TRUNCATE")
        assert not has(role, table, "TRIGGER")
        assert not has(role, table, "REFERENCES")


class TestTheApplication:
    def test_does_not_send(self):
        withdrawal = rows.standing(S.APPROVED)
        with connection.cursor() as cursor:
            refused(
                "withdrawal_is_sent_by_the_sender",
                "SET LOCAL ROLE bursar_app",
                "UPDATE payments_withdrawal SET state = 'sending'",
            )
            cursor.execute("RESET ROLE")
        withdrawal.refresh_from_db()
        assert withdrawal.state == S.APPROVED

    @pytest.mark.parametrize("state", [S.APPROVED, S.SENDING, S.UNKNOWN])
    @pytest.mark.parametrize(
        "change",
        [
            "prepared = 'forged'",
            "submitted_at = NULL",
            "amount = 1000",
            "address = '2Nmine'",
            "our_id = 'again'",
            "state = 'sending', prepared = 'forged'",
            "\"limit\" = ''",
            "asks = 0",
        ],
    )
    def test_does_not_touch_what_is_sent(self, change, state):
        rows.standing(state)
        with (
            pytest.raises(ProgrammingError, match="permission denied"),
            acting_as("bursar_app"),
            connection.cursor() as cursor,
        ):
            cursor.execute(f"UPDATE payments_withdrawal SET {change}")

    @pytest.mark.parametrize(
        "statement",
        [
            "UPDATE payments_stop SET lifted_at = now(), lifted_by = 'me', lift_reason = 'so'",
            "DELETE FROM payments_stop",
            "INSERT INTO payments_cap (currency, per_day) VALUES ('', 1000000)",
            "UPDATE payments_cap SET per_day = NULL",
            "DELETE FROM payments_cap",
            "ALTER TABLE payments_withdrawal DISABLE TRIGGER ALL",
            "SET session_replication_role = 'replica'",
            "SET ROLE bursar_sender",
        ],
    )
    def test_does_not_lift_its_own_bounds(self, statement):
        words = "permission denied|must be owner"
        with (
            pytest.raises(ProgrammingError, match=words),
            transaction.atomic(),
            connection.cursor() as cursor,
        ):
            cursor.execute("SET LOCAL SESSION AUTHORIZATION bursar_app")
            cursor.execute(statement)

    def test_approves_declines_and_hears_what_became_of_it(self):
        waiting, refused_one, sent = (
            rows.standing(S.PENDING),
            rows.standing(S.PENDING),
            rows.standing(S.SENT),
        )
        with acting_as("bursar_app"):
            for withdrawal, to in ((waiting, S.APPROVED), (refused_one, S.DECLINED), (sent, S.CONFIRMED)):
                as_the_application(withdrawal, to)


class TestTheSender:
    def test_sends(self):
        withdrawal = rows.standing(S.APPROVED)
        with acting_as("bursar_sender"):
            rows.move(withdrawal, S.SENDING)
            rows.move(withdrawal, S.UNKNOWN, unknown_reason="no answer")
        assert bytes(Withdrawal.objects.get().prepared) == b"withdrawal/crypto\n{}"

    @pytest.mark.parametrize(
        "change",
        [
            "decided_by_id = 1",
            "approved_hash = 'x'",
            "amount = 1000",
            "address = '2Nmine'",
            "outcome = 'not_paid'",
            "outcome_agreed_by_id = 1",
        ],
    )
    def test_neither_decides_nor_rewrites(self, change):
        rows.standing(S.PENDING)
        with (
            pytest.raises(ProgrammingError, match="permission denied"),
            acting_as("bursar_sender"),
            connection.cursor() as cursor,
        ):
            cursor.execute(f"UPDATE payments_withdrawal SET {change}")

    def test_does_not_let_pass_what_waits_for_approval(self):
        rows.standing(S.PENDING)
        with connection.cursor() as cursor:
            refused(
                "withdrawal_state_moves_legally",
                "SET LOCAL ROLE bursar_sender",
                "UPDATE payments_withdrawal SET state = 'sending', prepared = 'x'",
            )
            refused(
                "withdrawal_approval_keeps_what_was_seen",
                "SET LOCAL ROLE bursar_sender",
                "UPDATE payments_withdrawal SET state = 'approved'",
            )
            cursor.execute("RESET ROLE")

    def test_adds_no_withdrawal(self):
        with (
            pytest.raises(ProgrammingError, match="permission denied"),
            acting_as("bursar_sender"),
            connection.cursor() as cursor,
        ):
            cursor.execute("INSERT INTO payments_withdrawal (our_id) VALUES ('x')")


def as_the_application(withdrawal: Withdrawal, to: str) -> None:
    """The operator of the test's approvals is looked up by the application too."""
    rows.move(withdrawal, to)
    assert withdrawal.state == to
