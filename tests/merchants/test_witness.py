"""The witness: heads of the audit outside the database show what the chain alone cannot."""

from __future__ import annotations

import hashlib
import json
from datetime import timedelta

import pytest
from django.core.management import CommandError, call_command
from django.db import connection

from merchants import audit, tasks, witness
from merchants.models import AuditHead, AuditRecord, AuditWitness
from tests import constraints
from tests.factories import NOW

pytestmark = pytest.mark.django_db
OLD, NEW = {"old": b"o" * 32}, {"new": b"n" * 32}


@pytest.fixture(autouse=True)
def file(settings, tmp_path):
    settings.AUDIT_HEAD_FILE = str(tmp_path / "elsewhere" / "heads.jsonl")
    return tmp_path / "elsewhere" / "heads.jsonl"


def fill(count, act="test.act"):
    for _ in range(count):
        audit.record(act=act, now=NOW)


def rewrite_history():
    """What somebody with every right in the database does: another past, with hashes that fit."""
    rows = list(AuditRecord.objects.order_by("number"))
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL session_replication_role = 'replica'")
        previous = b"\0" * 32
        cursor.execute("UPDATE merchants_auditrecord SET previous_hash = sha256(previous_hash)")
        for row in rows:
            row.act = "forged" if row.number == 2 else row.act
            row.previous_hash = previous
            row.hash = previous = audit.digest(row)
            cursor.execute(
                "UPDATE merchants_auditrecord SET act = %s, previous_hash = %s, hash = %s WHERE number = %s",
                [row.act, row.previous_hash, row.hash, row.number],
            )
        cursor.execute("UPDATE merchants_audithead SET hash = %s", [previous])
        cursor.execute("SET LOCAL session_replication_role = 'origin'")


def is_due():
    with connection.cursor() as cursor:
        cursor.execute(witness.DUE_SQL)
        return cursor.fetchone() is not None


class TestWrite:
    def test_adds_a_signed_line_for_its_owners_eyes(self, file):
        fill(3)
        assert witness.write(now=NOW) == 3
        line = json.loads(file.read_text())
        assert (line["number"], line["hash"], line["kid"]) == (
            3,
            bytes(AuditHead.objects.get().hash).hex(),
            "sandbox",
        )
        assert file.stat().st_mode & 0o777 == 0o600

    def test_adds_nothing_while_the_head_stands(self, file):
        assert witness.write(now=NOW) is None
        fill(1)
        assert (witness.write(now=NOW), witness.write(now=NOW)) == (1, None)
        fill(1)
        tasks.write_audit_head()
        assert [json.loads(line)["number"] for line in file.read_text().splitlines()] == [1, 2]

    def test_is_due_at_once_and_then_five_minutes_after_the_last(self):
        assert not is_due()
        fill(1)
        assert is_due()
        witness.write(now=NOW)
        fill(1)
        assert not is_due()
        AuditWitness.objects.update(written_at=NOW - timedelta(days=1))
        assert is_due()


class TestVerify:
    def test_compares_the_chain_with_every_line(self):
        for _ in range(3):
            fill(2)
            witness.write(now=NOW)
        assert witness.verify() == witness.Report(None, 3, 0)

    def test_shows_a_past_that_was_rewritten_with_hashes_that_fit(self, capsys):
        for _ in range(3):
            fill(2)
            witness.write(now=NOW)
        rewrite_history()
        assert audit.verify() is None  # the chain alone is taken in
        bad = witness.verify().bad
        assert (bad.number, bad.reason) == (
            2,
            "the chain up to it is not the one that was written outside the database",
        )
        with pytest.raises(CommandError, match="Record 2: the chain up to it"):
            call_command("audit_verify")

    def test_names_the_first_of_several_wrong_records(self):
        fill(4)
        witness.write(now=NOW)
        with connection.cursor() as cursor:
            cursor.execute("SET LOCAL session_replication_role = 'replica'")
            cursor.execute("UPDATE merchants_auditrecord SET act = 'x' WHERE number = 3")
            cursor.execute("SET LOCAL session_replication_role = 'origin'")
        assert witness.verify().bad.number == 3

    def test_believes_no_line_that_was_changed(self, file):
        fill(2)
        witness.write(now=NOW)
        line = json.loads(file.read_text())
        file.write_text(json.dumps(line | {"hash": hashlib.sha256(b"x").hexdigest()}) + "\nhalf a li")
        report = witness.verify()
        assert (report.bad, report.compared, report.unread) == (None, 0, 1)

    def test_misses_lines_that_were_taken_out(self, file):
        fill(2)
        witness.write(now=NOW)
        file.write_text("")
        assert witness.verify().bad == audit.BadRow(2, "the file outside the database does not reach it")

    def test_says_which_lines_no_key_of_the_ring_signed(self, settings, capsys):
        settings.ENCRYPTION_KEYS = OLD
        fill(1)
        witness.write(now=NOW)
        settings.ENCRYPTION_KEYS = NEW
        fill(1)
        witness.write(now=NOW)
        assert witness.verify() == witness.Report(None, 1, 1)
        call_command("audit_verify")
        assert "1 written heads are under no key of the ring: not compared." in capsys.readouterr().out

    def test_ignores_the_lines_of_another_installation(self, file):
        fill(1)
        witness.write(now=NOW)
        line = json.loads(file.read_text())
        other = line | {"chain": "00000000-0000-4000-8000-000000000000", "hash": "00" * 32}
        file.write_text(json.dumps(other) + "\n" + json.dumps(line) + "\n")
        assert witness.verify() == witness.Report(None, 1, 0)


class TestTheDatabase:
    def test_keeps_one_witness(self):
        fill(1)
        witness.write(now=NOW)
        constraints.refused("audit_witness_is_one_row", "UPDATE merchants_auditwitness SET id = 2")
