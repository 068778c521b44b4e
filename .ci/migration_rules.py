"""New migrations run beside the old program and never stop it: `python .ci/migration_rules.py`.

Expand, backfill, contract: a migration adds what the program that still runs need not know; rows are filled
by a command in small pieces; what nobody uses any longer goes in a later release. Landed migrations are
listed with their fingerprints in `landed-migrations.toml` and never change; all others are judged here,
without a database. An exception stands in the same file with its reason.
"""

from __future__ import annotations

import hashlib
import os
import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

from django.contrib.postgres import operations as concurrent  # noqa: E402 - the settings are named first
from django.db import connection, migrations, models  # noqa: E402
from django.db.migrations.operations.base import Operation  # noqa: E402
from django.db.migrations.state import ProjectState  # noqa: E402

LISTED = ROOT / ".ci" / "landed-migrations.toml"
APPS = ("merchants", "payments", "callbacks")
SMALL = {
    *("merchants.merchant", "merchants.user", "merchants.membership", "merchants.apikey"),
    *("merchants.allowlistentry", "merchants.totpdevice", "merchants.clockoffset", "merchants.audithead"),
    *("payments.processor", "payments.route", "payments.terms", "payments.addresspool", "callbacks.endpoint"),
}
"""Tables that people fill by hand: an ordinary index or check takes no time there. All others grow."""

REWRITE = "rewrites rows: fill them by a command, in small pieces"
REQUIRED = "the program that still runs leaves it out: allow NULL, or give it a db_default"
NARROWS = "the program that still runs breaks it: check NOT VALID, backfill, validate first"
CONTRACTS = (
    "the program that still runs uses it: take it out of the code first, and of the table a release later"
)
BLOCKS = "writes wait for it: build it CONCURRENTLY, in a migration that is not atomic"
SCANS = "writes wait while every row is checked: add it NOT VALID"
TOO_SOON = "validating belongs into a later migration than adding: one transaction would hold both locks"


def judge(
    migration: migrations.Migration, landed: ProjectState, before: ProjectState | None = None
) -> Iterator[str]:
    """What is wrong with a migration beside a program that runs on `landed`; tables not in it are free.

    before: where the migration starts, when others that have not landed lie between.
    """
    state, added = (before or landed).clone(), set()
    for operation in migration.operations:
        for part in _in_the_database(operation):
            fault = _fault(part, state, landed, migration)
            if isinstance(part, concurrent.AddConstraintNotValid):
                added.add(part.constraint.name)
            if isinstance(part, concurrent.ValidateConstraint) and part.name in added:
                fault = TOO_SOON
            if fault:
                yield f"{migration.app_label}.{migration.name}: {_told(part)}: {fault}"
        operation.state_forwards(migration.app_label, state)


def _in_the_database(operation: Operation) -> list[Operation]:
    if isinstance(operation, migrations.SeparateDatabaseAndState):
        return list(operation.database_operations)
    return [operation]


def _told(operation: Operation) -> str:
    return type(operation).__name__ if isinstance(operation, migrations.RunSQL) else operation.describe()


def _fault(
    part: Any, state: ProjectState, landed: ProjectState, migration: migrations.Migration
) -> str | None:
    if isinstance(part, migrations.RunPython):
        return REWRITE
    if isinstance(part, migrations.RunSQL):
        return _of_sql(_text(part.sql), landed, migration)
    app, model = migration.app_label, _model(part)
    if (app, model) not in landed.models:
        return None
    if isinstance(part, USED):
        return CONTRACTS
    grows = f"{app}.{model}" not in SMALL
    if isinstance(part, migrations.AddField):
        return _of_column(part.field, grows)
    if isinstance(part, migrations.AlterField):
        return _of_change(state.models[app, model].fields[part.name], part.field, grows)
    return _of_index(part, grows, migration.atomic)


USED = (
    migrations.RemoveField,
    migrations.DeleteModel,
    migrations.RenameField,
    migrations.RenameModel,
    migrations.AlterModelTable,
)


def _model(part: Any) -> str:
    return (
        getattr(part, "model_name", "") or getattr(part, "old_name", "") or getattr(part, "name", "")
    ).lower()


def _of_index(part: Any, grows: bool, atomic: bool) -> str | None:
    match part:
        case concurrent.AddIndexConcurrently() | concurrent.RemoveIndexConcurrently():
            return BLOCKS if atomic else None
        case concurrent.AddConstraintNotValid():
            return None
        case migrations.AddConstraint(constraint=models.CheckConstraint()):
            return SCANS if grows else None
        case (
            migrations.AddConstraint()
            | migrations.AddIndex()
            | migrations.RemoveIndex()
            | migrations.AlterUniqueTogether()
        ):
            return BLOCKS if grows else None
    return None


def _of_column(field: models.Field[Any, Any], grows: bool) -> str | None:
    if isinstance(field, models.GeneratedField):
        return REWRITE if grows else None
    if not field.null and not field.has_db_default() and not field.many_to_many:
        return REQUIRED
    if grows and (field.unique or field.db_index):
        return BLOCKS
    return SCANS if grows and field.is_relation and getattr(field, "db_constraint", False) else None


def _of_change(old: models.Field[Any, Any], new: models.Field[Any, Any], grows: bool) -> str | None:
    if old.null and not new.null:
        return NARROWS
    if old.has_db_default() and not new.has_db_default() and not new.null:
        return REQUIRED
    if _type(old) != _type(new) and not _is_wider(old, new):
        return REWRITE
    return BLOCKS if grows and (new.unique or new.db_index) and not (old.unique or old.db_index) else None


def _type(field: models.Field[Any, Any]) -> str | None:
    """A reference is of the type of what it refers to, which has no model to ask here."""
    return str(field.remote_field.model).lower() if field.is_relation else field.db_type(connection)


def _is_wider(old: models.Field[Any, Any], new: models.Field[Any, Any]) -> bool:
    """Texts grow without being written again."""
    texts = isinstance(old, models.CharField) and isinstance(new, models.CharField | models.TextField)
    return texts and (new.max_length is None or new.max_length >= (old.max_length or 0))


def _text(sql: Any) -> str:
    """A RunSQL's statements, whichever of its forms they have."""
    parts = [sql] if isinstance(sql, str) else [one if isinstance(one, str) else one[0] for one in sql or ()]
    return ";\n".join(parts)


_NO_STATEMENTS = re.compile(
    r"--[^\n]*|/\*.*?\*/|'(?:[^']|'')*'|(?:RETURNS|AS)\b(?:(?!\$)[^;])*(\$\w*\$).*?\1",
    re.DOTALL | re.IGNORECASE,
)
"""Comments, texts, and the bodies of functions, which run later."""
_TABLE = r"(?:ONLY\s+|IF\s+(?:NOT\s+)?EXISTS\s+)*\"?([a-z_]+)\"?"
_SQL: tuple[tuple[str, str, str], ...] = (
    (
        r"(?:^|\bBEGIN|\bTHEN|\bLOOP|\bELSE|\))\s*(?:UPDATE|DELETE\s+FROM|MERGE\s+INTO|INSERT\s+INTO)\s+"
        + _TABLE
        + r"(?!.*\bVALUES\b)",
        "any",
        REWRITE,
    ),
    (
        r"ALTER\s+TABLE\s+" + _TABLE + r".*\bALTER\s+(?:COLUMN\s+)?\S+\s+(?:SET\s+DATA\s+)?TYPE\b",
        "any",
        REWRITE,
    ),
    (r"ALTER\s+TABLE\s+" + _TABLE + r".*\bSET\s+NOT\s+NULL\b", "any", NARROWS),
    (r"ALTER\s+TABLE\s+" + _TABLE + r".*\bADD\s+COLUMN\b(?!.*\bDEFAULT\b).*\bNOT\s+NULL\b", "any", REQUIRED),
    (r"ALTER\s+TABLE\s+" + _TABLE + r".*\b(?:DROP\s+COLUMN|RENAME)\b", "any", CONTRACTS),
    (r"DROP\s+TABLE\s+" + _TABLE, "any", CONTRACTS),
    (r"(?:TRUNCATE|LOCK|CLUSTER|VACUUM\s+FULL)\s+(?:TABLE\s+)?" + _TABLE, "any", BLOCKS),
    (r"CREATE\s+(?:UNIQUE\s+)?INDEX\s+(?!CONCURRENTLY).*\bON\s+" + _TABLE, "grows", BLOCKS),
    (
        r"ALTER\s+TABLE\s+" + _TABLE + r".*\bADD\s+CONSTRAINT\b(?!.*(?:NOT\s+VALID|USING\s+INDEX))",
        "grows",
        SCANS,
    ),
)


def _of_sql(text: str, landed: ProjectState, migration: migrations.Migration) -> str | None:
    tables = {f"{app}_{name}": f"{app}.{name}" not in SMALL for app, name in landed.models if app in APPS}
    for statement in _NO_STATEMENTS.sub(" ", text).split(";"):
        flat = " ".join(statement.split())
        if re.search(r"\bINDEX CONCURRENTLY\b", flat, re.IGNORECASE) and migration.atomic:
            return BLOCKS
        for pattern, which, fault in _SQL:
            hit = re.search(pattern, flat, re.IGNORECASE)
            if hit and hit[1].lower() in tables and (which == "any" or tables[hit[1].lower()]):
                return fault
    return None


# --- the tree ------------------------------------------------------------------------------------


def files() -> Iterator[Path]:
    for app in APPS:
        folder = ROOT / app / "migrations"
        found = sorted(path for path in folder.iterdir() if path.suffix in {".py", ".sql"})
        yield from (path for path in found if path.name != "__init__.py")


def fingerprints() -> dict[str, str]:
    return {str(p.relative_to(ROOT)): hashlib.sha256(p.read_bytes()).hexdigest() for p in files()}


def land(text: str) -> str:
    """The list with what is new added after the last fingerprint."""
    known = tomllib.loads(text)["landed"]
    new = [f'"{path}" = "{sha}"\n' for path, sha in fingerprints().items() if path not in known]
    head, mark, rest = text.partition("\n[[allowed]]")
    return head + "".join(new) + mark + rest


def changed(landed: dict[str, str]) -> list[str]:
    """The landed files that are not what they were."""
    now = fingerprints()
    return [
        f"{path}: a landed migration never changes" for path, was in landed.items() if now.get(path) != was
    ]


def faults(listed: dict[str, Any]) -> list[str]:
    """Everything wrong with the tree's migrations, less the exceptions."""
    from django.db.migrations.loader import MigrationLoader

    loader = MigrationLoader(None)
    ours = [key for key in loader.disk_migrations if key[0] in APPS]
    new = {key for key in ours if f"{key[0]}/migrations/{key[1]}.py" not in listed["landed"]}
    landed, state = loader.project_state(sorted(set(loader.disk_migrations) - new)), ProjectState()
    found = []
    plans = [loader.graph.forwards_plan(leaf) for leaf in loader.graph.leaf_nodes()]
    for key in dict.fromkeys(key for plan in plans for key in plan):
        if key in new:
            found += judge(loader.disk_migrations[key], landed, state)
        loader.disk_migrations[key].mutate_state(state, preserve=False)
    excused = {entry["where"] for entry in listed.get("allowed", []) if len(entry["why"]) >= 15}
    return changed(listed["landed"]) + [one for one in found if one.partition(":")[0] not in excused]


def main() -> int:
    import django

    django.setup()
    text = LISTED.read_text()
    found = faults(tomllib.loads(text))
    if "--land" in sys.argv and not found:
        LISTED.write_text(land(text))
    print("\n".join(found) or "landed migrations are as they were, and no new one stops a running program")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
