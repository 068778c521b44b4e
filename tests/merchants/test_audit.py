"""The audit: a chain that shows every change, whatever made it; and grants that allow none."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal

import pytest
from django.core.management import CommandError, call_command
from django.db import connection, transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from merchants import audit
from merchants.audit import BadRow
from merchants.models import AuditHead, AuditRecord
from tests import constraints
from tests.factories import NOW

pytestmark = pytest.mark.django_db


def fill(count=5):
    for number in range(count):
        audit.record(act="test.act", subject=f"thing:{number}", after={"number": number}, now=NOW)


def tamper(statement):
    """As somebody would who owns the database: with the triggers put aside."""
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL session_replication_role = 'replica'")
        cursor.execute(statement)
        cursor.execute("SET LOCAL session_replication_role = 'origin'")


class TestRecord:
    def test_keeps_who_did_what_from_where(self, owner, merchant):
        audit.record(
            actor=owner,
            act="keys.activate",
            merchant=merchant,
            subject="api_key:17",
            before={"state": "generated"},
            after={"state": "active"},
            ip="2001:db8::7",
            second_factor=True,
            now=NOW,
        )
        row = AuditRecord.objects.order_by("-number").first()
        assert (row.actor, row.actor_label, row.merchant) == (owner, "owner@shop.test", merchant)
        assert (row.act, row.subject, row.ip, row.second_factor) == (
            "keys.activate", "api_key:17", "2001:db8::7", True,
        )  # fmt: skip
        assert (row.before, row.after, row.at) == ('{"state":"generated"}', '{"state":"active"}', NOW)

    def test_calls_itself_the_system_without_a_person(self):
        assert audit.record(act="test.act", now=NOW).actor_label == "system"
        assert audit.record(act="test.act", actor_label="beat", now=NOW).actor_label == "beat"

    def test_numbers_from_one_without_gaps_and_chains(self):
        fill(3)
        rows = list(AuditRecord.objects.order_by("number"))
        assert [row.number for row in rows] == [1, 2, 3]
        assert bytes(rows[0].previous_hash) == b"\0" * 32
        assert bytes(rows[1].previous_hash) == bytes(rows[0].hash)
        head = AuditHead.objects.get()
        assert (head.number, bytes(head.hash)) == (3, bytes(rows[2].hash))

    def test_leaves_nothing_when_the_facts_are_not_plain(self):
        with pytest.raises(TypeError):
            audit.record(act="test.act", after={"thing": object()}, now=NOW)
        assert AuditRecord.objects.count() == 0
        assert audit.record(act="test.act", now=NOW).number == 1


class TestCanonical:
    def test_is_one_text_for_equal_facts(self):
        assert audit.canonical({"b": 1, "a": [True, None, "é"]}) == '{"a":[true,null,"\\u00e9"],"b":1}'

    def test_writes_amounts_and_moments_plainly(self):
        facts = {
            "amount": Decimal("1E-8"),
            "at": datetime(2026, 5, 4, 14, tzinfo=timezone(timedelta(hours=2))),
            "on": date(2026, 5, 4),
        }
        assert json.loads(audit.canonical(facts)) == {
            "amount": "0.00000001",
            "at": "2026-05-04T12:00:00+00:00",
            "on": "2026-05-04",
        }

    def test_refuses_nan(self):
        with pytest.raises(ValueError, match="JSON"):
            audit.canonical({"x": float("nan")})

    def test_holds_even_what_jsonb_could_not(self):
        audit.record(act="test.act", after={"text": "\x00\ud800"}, now=NOW)
        assert audit.verify() is None


class TestVerify:
    def test_finds_nothing_wrong_with_an_empty_or_whole_chain(self, owner, merchant):
        assert audit.verify() is None
        fill()
        audit.record(actor=owner, act="a", merchant=merchant, ip="::ffff:1.2.3.4", now=datetime.now(UTC))
        assert audit.verify() is None

    @pytest.mark.parametrize(
        "change",
        [
            "act = 'other'",
            "subject = 'thing:9'",
            "after = '{}'",
            "before = '{}'",
            "at = at + interval '1 microsecond'",
            "actor_label = 'somebody'",
            "ip = '10.0.0.1'",
            "second_factor = true",
            "hash = sha256('x')",
        ],
    )
    def test_names_the_record_that_was_changed(self, change):
        fill()
        tamper(f"UPDATE merchants_auditrecord SET {change} WHERE number = 3")
        assert audit.verify() == BadRow(3, "its content is not what was written")

    def test_names_the_record_that_was_removed(self):
        fill()
        tamper("DELETE FROM merchants_auditrecord WHERE number = 3")
        assert audit.verify() == BadRow(3, "the record is missing")

    def test_names_the_tail_that_was_cut_off(self):
        fill()
        tamper("DELETE FROM merchants_auditrecord WHERE number > 3")
        assert audit.verify() == BadRow(4, "the record is missing")

    def test_names_the_record_that_was_put_in_anothers_place(self):
        fill()
        tamper("UPDATE merchants_auditrecord SET number = 99 WHERE number = 3")
        tamper("UPDATE merchants_auditrecord SET number = 3 WHERE number = 4")
        tamper("UPDATE merchants_auditrecord SET number = 4 WHERE number = 99")
        assert audit.verify() == BadRow(3, "it does not follow the record before it")

    def test_notices_a_missing_head(self):
        fill()
        tamper("DELETE FROM merchants_audithead")
        assert audit.verify() == BadRow(5, "the head is missing")

    def test_notices_a_head_of_another_chain(self):
        fill()
        tamper("UPDATE merchants_audithead SET hash = sha256('x')")
        assert audit.verify() == BadRow(5, "the head does not name it")

    def test_is_a_command_that_fails_on_a_bad_record(self, capsys):
        fill(2)
        call_command("audit_verify")
        assert capsys.readouterr().out == ("The audit is whole. Heads written outside the database: 0.\n")
        tamper("UPDATE merchants_auditrecord SET act = 'other' WHERE number = 2")
        with pytest.raises(CommandError, match=r"Record 2: its content is not what was written\."):
            call_command("audit_verify")


class TestTheChain:
    @settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
    @given(
        facts=st.dictionaries(
            st.text(), st.none() | st.booleans() | st.integers() | st.text() | st.decimals(allow_nan=False)
        ),
        number=st.integers(1, 3),
        column=st.sampled_from(["act", "subject", "before", "after", "actor_label"]),
        text=st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=40),
    )
    def test_shows_whatever_was_changed_in_whichever_record(self, facts, number, column, text):
        with transaction.atomic():
            for _ in range(3):
                audit.record(act="test.act", before=facts, after=facts, now=NOW)
            first = AuditRecord.objects.order_by("number").first().number
            row = AuditRecord.objects.get(number=first + number - 1)
            assert audit.verify() is None
            with connection.cursor() as cursor:
                cursor.execute("SET LOCAL session_replication_role = 'replica'")
            AuditRecord.objects.filter(pk=row.pk).update(**{column: text})
            changed = getattr(row, column) != text
            wrong = BadRow(row.number, "its content is not what was written")
            assert audit.verify() == (wrong if changed else None)
            transaction.set_rollback(True)


class TestTheDatabase:
    @pytest.mark.parametrize(
        "statement",
        [
            "UPDATE merchants_auditrecord SET act = 'other'",
            "DELETE FROM merchants_auditrecord",
            "TRUNCATE merchants_auditrecord",
        ],
    )
    def test_refuses_to_change_a_record_even_for_its_owner(self, statement):
        fill(1)
        constraints.judge_now()
        constraints.refused("audit_is_append_only", statement)

    @pytest.mark.parametrize(
        "statement",
        [
            "UPDATE merchants_audithead SET number = number + 1",
            "UPDATE merchants_audithead SET number = 0",
            "UPDATE merchants_audithead SET hash = sha256('x')",
            "DELETE FROM merchants_audithead",
            "TRUNCATE merchants_audithead",
        ],
    )
    def test_refuses_to_move_the_head_but_with_its_record(self, statement):
        fill(1)
        constraints.refused("audit_head_moves_by_one", statement)

    def test_holds_one_head(self):
        constraints.refused(
            "audit_head_is_one_row",
            "INSERT INTO merchants_audithead (id, number, hash) VALUES (2, 0, sha256('x'))",
        )

    def insert(self, number, previous):
        return f"""
            INSERT INTO merchants_auditrecord
                   (number, at, actor_label, act, subject, second_factor, previous_hash, hash)
            VALUES ({number}, now(), 'x', 'x', 'x', false, {previous}, sha256('x'))
        """

    def test_refuses_a_fork_of_the_chain(self):
        fill(2)
        constraints.refused(
            "previous_hash", self.insert(9, "(SELECT hash FROM merchants_auditrecord LIMIT 1)")
        )

    def test_refuses_a_number_below_one(self):
        constraints.refused("audit_number_starts_at_one", self.insert(0, "sha256('y')"))
