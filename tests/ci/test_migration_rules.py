"""What a new migration may do beside a running program, operation by operation, on the landed models."""

from __future__ import annotations

import tomllib
from typing import Any

import pytest
from django.contrib.postgres import operations as concurrent
from django.db import migrations, models
from django.db.migrations.loader import MigrationLoader
from django.db.models.functions import Now

from tests.ci.programs import program

rules = program("migration_rules.py")
POSITIVE = models.CheckConstraint(condition=models.Q(amount_sent__gt=0), name="positive")
SEEN = models.Index(fields=["external_id"], name="seen")


@pytest.fixture(scope="module")
def landed():
    return MigrationLoader(None).project_state([("payments", "0002_rules")])


def migration(*operations: Any, atomic: bool = True) -> migrations.Migration:
    made = migrations.Migration("0099_next", "payments")
    made.operations, made.atomic = list(operations), atomic
    return made


def column(field: models.Field[Any, Any], name: str = "note", model: str = "operation") -> Any:
    return migrations.AddField(model, name, field)


def altered(field: models.Field[Any, Any], name: str, model: str = "operation") -> Any:
    return migrations.AlterField(model, name, field)


BAD = {
    "a column that must be filled": (column(models.TextField()), rules.REQUIRED),
    "a default that only Python knows": (column(models.TextField(default="")), rules.REQUIRED),
    "the same on a small table": (column(models.TextField(default=""), model="terms"), rules.REQUIRED),
    "a column with an index": (column(models.TextField(null=True, db_index=True)), rules.BLOCKS),
    "a unique column": (column(models.TextField(null=True, unique=True)), rules.BLOCKS),
    "a checked reference": (
        column(models.ForeignKey("payments.Rate", models.PROTECT, null=True, db_index=False)),
        rules.SCANS,
    ),
    "a column computed for each row": (
        column(
            models.GeneratedField(
                expression=models.F("wire_id") + 1, output_field=models.BigIntegerField(), db_persist=True
            )
        ),
        rules.REWRITE,
    ),
    "NULL forbidden": (altered(models.CharField(max_length=255), "end_user_reference"), rules.NARROWS),
    "another type": (altered(models.BigIntegerField(), "external_id"), rules.REWRITE),
    "a narrower text": (altered(models.CharField(max_length=3), "external_id"), rules.REWRITE),
    "an index on a column": (altered(models.IntegerField(db_index=True), "version"), rules.BLOCKS),
    "a column taken away": (migrations.RemoveField("operation", "error"), rules.CONTRACTS),
    "a column renamed": (migrations.RenameField("operation", "error", "reason"), rules.CONTRACTS),
    "a table taken away": (migrations.DeleteModel("OperationFee"), rules.CONTRACTS),
    "a table renamed": (migrations.RenameModel("OperationFee", "Fee"), rules.CONTRACTS),
    "a table moved": (migrations.AlterModelTable("operationfee", "fees"), rules.CONTRACTS),
    "an index built in the way": (migrations.AddIndex("operation", SEEN), rules.BLOCKS),
    "an index dropped in the way": (migrations.RemoveIndex("operation", "seen"), rules.BLOCKS),
    "CONCURRENTLY in a transaction": (concurrent.AddIndexConcurrently("operation", SEEN), rules.BLOCKS),
    "a check of every row": (migrations.AddConstraint("operation", POSITIVE), rules.SCANS),
    "a unique key": (
        migrations.AddConstraint("operation", models.UniqueConstraint(fields=["wire_id"], name="one")),
        rules.BLOCKS,
    ),
    "rows by Python": (migrations.RunPython(migrations.RunPython.noop), rules.REWRITE),
    "rows by SQL": (migrations.RunSQL("UPDATE payments_operation SET error = ''"), rules.REWRITE),
    "rows removed": (migrations.RunSQL("DELETE FROM payments_leg WHERE id < 7"), rules.REWRITE),
    "rows copied": (
        migrations.RunSQL("INSERT INTO payments_rate SELECT * FROM payments_rate"),
        rules.REWRITE,
    ),
    "rows in a block": (
        migrations.RunSQL("DO $$ BEGIN UPDATE payments_leg SET id = id; END $$;"),
        rules.REWRITE,
    ),
    "an index by SQL": (
        migrations.RunSQL("CREATE UNIQUE INDEX one ON payments_posting (id)"),
        rules.BLOCKS,
    ),
    "a check by SQL": (
        migrations.RunSQL("ALTER TABLE payments_leg ADD CONSTRAINT a CHECK (id > 0)"),
        rules.SCANS,
    ),
    "NOT NULL by SQL": (
        migrations.RunSQL("ALTER TABLE payments_leg ALTER COLUMN id SET NOT NULL"),
        rules.NARROWS,
    ),
    "a type by SQL": (
        migrations.RunSQL("ALTER TABLE payments_leg ALTER COLUMN id TYPE text"),
        rules.REWRITE,
    ),
    "a column gone by SQL": (migrations.RunSQL("ALTER TABLE payments_leg DROP COLUMN id"), rules.CONTRACTS),
    "a table gone by SQL": (migrations.RunSQL("DROP TABLE IF EXISTS payments_leg"), rules.CONTRACTS),
    "a required column by SQL": (
        migrations.RunSQL("ALTER TABLE payments_leg ADD COLUMN a int NOT NULL"),
        rules.REQUIRED,
    ),
    "a lock": (migrations.RunSQL("LOCK TABLE payments_leg"), rules.BLOCKS),
    "one of several": (migrations.RunSQL(["SELECT 1", ("DROP TABLE payments_leg", None)]), rules.CONTRACTS),
    "hidden in the database's half": (
        migrations.SeparateDatabaseAndState([migrations.RemoveField("operation", "error")], []),
        rules.CONTRACTS,
    ),
}

GOOD = {
    "a column that may be empty": column(models.TextField(null=True)),
    "a column that the database fills": column(models.DateTimeField(db_default=Now())),
    "a reference without its check": column(
        models.ForeignKey("payments.Rate", models.PROTECT, null=True, db_index=False, db_constraint=False)
    ),
    "a wider text": altered(models.CharField(max_length=4000), "external_id"),
    "NULL allowed": altered(models.IntegerField(null=True), "version"),
    "an index on a small table": migrations.AddIndex("terms", models.Index(fields=["currency"], name="a")),
    "a check that looks at new rows": concurrent.AddConstraintNotValid("operation", POSITIVE),
    "a check of what stands": concurrent.ValidateConstraint("operation", "positive"),
    "a table": migrations.CreateModel("Note", [("id", models.BigAutoField(primary_key=True))]),
    "a forgotten column": migrations.SeparateDatabaseAndState(
        [], [migrations.RemoveField("operation", "error")]
    ),
    "a function that writes when it is called": migrations.RunSQL(
        "CREATE FUNCTION a() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
        "UPDATE payments_leg SET id = 1; END $$;"
    ),
    "words": migrations.RunSQL("SELECT 'DROP TABLE payments_leg' -- DROP TABLE payments_leg"),
    "a check of new rows by SQL": migrations.RunSQL(
        "ALTER TABLE payments_leg ADD CONSTRAINT a CHECK (id > 0) NOT VALID"
    ),
    "anything on a new table": migrations.RunSQL("CREATE INDEX a ON payments_note (id)"),
}


class TestJudge:
    @pytest.mark.parametrize("case", BAD)
    def test_refuses(self, case, landed):
        operation, fault = BAD[case]
        found = list(rules.judge(migration(operation), landed))
        assert len(found) == 1
        assert found[0].startswith("payments.0099_next: ")
        assert found[0].endswith(fault)

    @pytest.mark.parametrize("case", GOOD)
    def test_allows(self, case, landed):
        assert list(rules.judge(migration(GOOD[case]), landed)) == []

    def test_allows_an_index_that_nobody_waits_for(self, landed):
        built = concurrent.AddIndexConcurrently("operation", SEEN)
        by_hand = migrations.RunSQL("CREATE INDEX CONCURRENTLY a ON payments_leg (id)")
        assert list(rules.judge(migration(built, by_hand, atomic=False), landed)) == []

    def test_refuses_to_validate_in_the_same_breath(self, landed):
        added = concurrent.AddConstraintNotValid("operation", POSITIVE)
        checked = concurrent.ValidateConstraint("operation", "positive")
        assert [one.endswith(rules.TOO_SOON) for one in rules.judge(migration(added, checked), landed)] == [
            True
        ]

    def test_sees_what_the_migration_itself_has_changed(self, landed):
        first = migrations.CreateModel("Note", [("id", models.BigAutoField(primary_key=True))])
        then = [column(models.TextField(default=""), model="note"), migrations.DeleteModel("Note")]
        assert list(rules.judge(migration(first, *then), landed)) == []


class TestLanded:
    def test_never_change(self):
        path = "payments/migrations/0001_initial.py"
        assert rules.changed({path: "0" * 64}) == [f"{path}: a landed migration never changes"]
        assert rules.changed({"payments/migrations/0000_gone.py": "0" * 64}) != []


class TestLand:
    def test_adds_what_is_new_before_the_exceptions(self):
        known = next(iter(rules.fingerprints()))
        text = f'[landed]\n"{known}" = "as it was"\n\n[[allowed]]\nwhere = "a"\nwhy = "b"\n'
        landed = tomllib.loads(rules.land(text))
        assert landed["landed"] == rules.fingerprints() | {known: "as it was"}
        assert landed["allowed"] == [{"where": "a", "why": "b"}]


class TestFaults:
    def test_are_none_where_nothing_runs_yet(self):
        found = rules.faults({"landed": {}})
        assert (
            any(one.startswith("payments.0002_rules: ") for one in found) is False
        )  # all its tables are new
        assert found == []

    def test_are_excused_with_a_reason_alone(self, monkeypatch):
        monkeypatch.setattr(rules, "judge", lambda migration, *_: [f"payments.{migration.name}: RunSQL: no"])
        listed = {"landed": {}}
        excuse = {"where": "payments.0002_rules", "why": "nobody runs it yet, as was agreed"}
        every = set(rules.faults(listed))
        assert every - set(rules.faults(listed | {"allowed": [excuse]})) == {
            "payments.0002_rules: RunSQL: no"
        }
        assert set(rules.faults(listed | {"allowed": [excuse | {"why": "because"}]})) == every
