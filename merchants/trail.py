"""Reading the audit: a merchant's records for its own people, newest first."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from django.db.models import QuerySet

from merchants.models import AuditRecord, Merchant

PAGE = 50
_FORMULA = re.compile(r"[=+\-@\t\r]")


@dataclass(frozen=True)
class Filters:
    """actor: the beginning of an e-mail address; act: the beginning of an act's name, or `refused`."""

    actor: str = ""
    act: str = ""
    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True)
class Change:
    """One field that an act changed; None where it was or is not there."""

    name: str
    before: str | None
    after: str | None


@dataclass(frozen=True)
class Line:
    """A record as people read it."""

    record: AuditRecord
    changes: list[Change]

    @property
    def is_refused(self) -> bool:
        return self.record.act.endswith(".refused")


def page(*, merchant: Merchant, filters: Filters, older_than: int | None = None) -> list[Line]:
    """The newest `PAGE` records before number `older_than`, and one more where there are more."""
    rows = _chosen(merchant, filters)
    if older_than is not None:
        rows = rows.filter(number__lt=older_than)
    return [Line(row, _changes(row)) for row in rows[: PAGE + 1]]


def as_csv(*, merchant: Merchant, filters: Filters) -> Iterator[bytes]:
    """The same records, all of them, as RFC 4180 writes them; formulas are kept from being calculated."""
    yield _csv_line("number", "at_utc", "actor", "act", "ip", "second_factor", "before", "after", "hash")
    for row in _chosen(merchant, filters).iterator(chunk_size=1000):
        yield _csv_line(
            row.number,
            row.at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            row.actor_label,
            row.act,
            row.ip or "",
            "yes" if row.second_factor else "no",
            row.before or "",
            row.after or "",
            bytes(row.hash).hex(),
        )


def _chosen(merchant: Merchant, filters: Filters) -> QuerySet[AuditRecord]:
    rows = AuditRecord.objects.filter(merchant=merchant).order_by("-number")
    if filters.actor:
        rows = rows.filter(actor_label__istartswith=filters.actor)
    if filters.act == "refused":
        rows = rows.filter(act__endswith=".refused")
    elif filters.act:
        rows = rows.filter(act__startswith=filters.act)
    if filters.since:
        rows = rows.filter(at__gte=filters.since)
    if filters.until:
        rows = rows.filter(at__lt=filters.until)
    return rows


def _changes(row: AuditRecord) -> list[Change]:
    """Field by field what differs; what stayed as it was is left out."""
    before, after = _facts(row.before), _facts(row.after)
    names = [*before, *(name for name in after if name not in before)]
    changes = [Change(name, _text(before, name), _text(after, name)) for name in names]
    return [change for change in changes if change.before != change.after]


def _facts(text: str | None) -> dict[str, Any]:
    return json.loads(text) if text else {}


def _text(facts: dict[str, Any], name: str) -> str | None:
    if name not in facts or facts[name] is None:
        return None
    value = facts[name]
    if isinstance(value, list):
        return ", ".join(str(item) for item in value) or "none"
    return {True: "yes", False: "no"}.get(value, str(value)) if isinstance(value, bool) else str(value)


def _csv_line(*cells: object) -> bytes:
    line = io.StringIO()
    csv.writer(line).writerow([_plain(cell) for cell in cells])
    return line.getvalue().encode()


def _plain(cell: object) -> object:
    """A text that a spreadsheet would calculate gets an apostrophe; numbers stay numbers."""
    return f"'{cell}" if isinstance(cell, str) and _FORMULA.match(cell) else cell
