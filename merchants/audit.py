"""The audit: who did what, chained so that changing, removing or inserting a record shows.

Each record's hash covers its own fields and the hash before it. The head row is locked while a record is
added, so the chain has one order and no gaps, and a cut tail shows against it. Write the audit before the
ledger: the lock is held until the transaction ends.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from ipaddress import ip_address
from typing import Any, TypedDict

from django.db import transaction

from merchants.models import AuditHead, AuditRecord, Merchant, User
from merchants.models.audit import FIRST_PREVIOUS

Facts = Mapping[str, Any]


class How(TypedDict, total=False):
    """How an act was done: from which address, and whether a fresh second factor confirmed it."""

    ip: str | None
    second_factor: bool


@dataclass(frozen=True)
class BadRow:
    """Where the chain breaks, and in what way."""

    number: int
    reason: str


@transaction.atomic
def record(
    *,
    actor: User | None = None,
    actor_label: str = "system",
    act: str,
    merchant: Merchant | None = None,
    subject: str = "",
    before: Facts | None = None,
    after: Facts | None = None,
    ip: str | None = None,
    second_factor: bool = False,
    now: datetime,
) -> AuditRecord:
    """Adds one record. With an `actor`, the label is that person's e-mail address.

    before, after: what the act changed, as plain values (amounts as Decimal, never float).
    """
    head = _locked_head()
    added = AuditRecord(
        number=head.number + 1,
        at=now,
        actor=actor,
        actor_label=actor.email if actor else actor_label,
        act=act,
        merchant=merchant,
        subject=subject,
        before=canonical(before),
        after=canonical(after),
        ip=ip,
        second_factor=second_factor,
        previous_hash=bytes(head.hash),
    )
    added.hash = digest(added)
    added.save(force_insert=True)
    head.move_to(added)
    return added


def verify() -> BadRow | None:
    """Walks the whole chain; the first record that is wrong, or None. Safe while records are added."""
    head = AuditHead.objects.filter(pk=1).first()
    upto, end = (head.number, bytes(head.hash)) if head else (_last_number(), None)
    number, previous = 0, FIRST_PREVIOUS
    for row in AuditRecord.objects.filter(number__lte=upto).order_by("number").iterator(chunk_size=1000):
        number += 1
        wrong = _wrong(row, number, previous)
        if wrong:
            return BadRow(number, wrong)
        previous = bytes(row.hash)
    if number < upto:
        return BadRow(number + 1, "the record is missing")
    if number and end != previous:
        return BadRow(number, "the head does not name it" if head else "the head is missing")
    return None


def canonical(facts: Facts | None) -> str | None:
    """One text for equal facts: sorted keys, no spaces, ASCII. Raises `TypeError` for what is not plain."""
    if facts is None:
        return None
    return json.dumps(facts, sort_keys=True, separators=(",", ":"), default=_plain, allow_nan=False)


def digest(row: AuditRecord) -> bytes:
    """SHA-256 over every field of `row` but its own hash."""
    fields = {
        "number": row.number,
        "at": row.at.astimezone(UTC),
        "actor": row.actor_id,
        "actor_label": row.actor_label,
        "act": row.act,
        "merchant": row.merchant_id,
        "subject": row.subject,
        "before": row.before,
        "after": row.after,
        "ip": str(ip_address(row.ip)) if row.ip else None,
        "second_factor": row.second_factor,
        "previous_hash": bytes(row.previous_hash).hex(),
    }
    return hashlib.sha256((canonical(fields) or "").encode()).digest()


def _wrong(row: AuditRecord, number: int, previous: bytes) -> str | None:
    if row.number != number:
        return "the record is missing"
    if bytes(row.previous_hash) != previous:
        return "it does not follow the record before it"
    if bytes(row.hash) != digest(row):
        return "its content is not what was written"
    return None


def _locked_head() -> AuditHead:
    AuditHead.objects.bulk_create([AuditHead(pk=1)], ignore_conflicts=True)
    return AuditHead.objects.select_for_update().get(pk=1)


def _last_number() -> int:
    last = AuditRecord.objects.order_by("-number").first()
    return last.number if last else 0


def _plain(value: object) -> str:
    match value:
        case Decimal():
            return f"{value:f}"
        case datetime():
            return value.astimezone(UTC).isoformat()
        case date():
            return value.isoformat()
    raise TypeError(f"{type(value).__name__} is not a plain value")
