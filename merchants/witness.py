"""The audit's witness: its head, signed and written to a file outside the database, every five minutes.

Whoever can rewrite the whole chain, hashes included, cannot rewrite what was written elsewhere. Each line
is one head as JSON: chain, number, hash, time, id of the key and an HMAC over the rest. The file is only
ever added to; a copy of it on another machine makes the proof independent of this one.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models.functions import Now

from merchants import audit
from merchants.audit import BadRow
from merchants.models import AuditHead, AuditRecord, AuditWitness
from merchants.models.sealed import key_ring

DUE_SQL = """
    SELECT 1 FROM merchants_audithead h LEFT JOIN merchants_auditwitness w ON w.id = h.id
     WHERE w.id IS NULL OR (w.number < h.number AND w.written_at <= now() - interval '5 minutes')
"""
"""For whoever rings by what is due: the head has moved since it was last written."""
_SIGNED = ("chain", "number", "hash", "at", "kid")


@dataclass(frozen=True)
class Report:
    """What `verify` found. unread: lines under a key that is not in the ring, which prove nothing."""

    bad: BadRow | None
    compared: int
    unread: int


def write(*, now: datetime) -> int | None:
    """Adds the head as it stands to the file; its number, or None where there is nothing to add.

    The file is flushed to disk before the database notes it.
    """
    with transaction.atomic():
        head = AuditHead.objects.filter(pk=1).first()
        if head is None:
            return None
        AuditWitness.objects.get_or_create(pk=1, defaults={"written_at": now})
        witness = AuditWitness.objects.select_for_update().get(pk=1)
        if witness.number >= head.number:
            return None
        _append(_line(witness, head, now))
        AuditWitness.objects.filter(pk=1).update(number=head.number, written_at=Now())
    return head.number


def verify() -> Report:
    """Walks the chain, then compares it with every head in the file; the first record that is wrong."""
    compared, unread, last = 0, 0, 0
    bad = audit.verify()
    witness = AuditWitness.objects.filter(pk=1).first()
    for number, head in _heads(witness):
        if head is None:
            unread += 1
            continue
        compared, last = compared + 1, max(last, number)
        if bad is None or number < bad.number:
            bad = _compare(number, head) or bad
    if bad is None and witness and witness.number > last and not unread:
        bad = BadRow(witness.number, "the file outside the database does not reach it")
    return Report(bad, compared, unread)


def _compare(number: int, head: bytes) -> BadRow | None:
    row = AuditRecord.objects.filter(number=number).first()
    if row is None:
        return BadRow(number, "the record is missing; its head was written outside the database")
    if bytes(row.hash) != head:
        return BadRow(number, "the chain up to it is not the one that was written outside the database")
    return None


def _heads(witness: AuditWitness | None) -> Iterator[tuple[int, bytes | None]]:
    """(number, hash) of each line of this chain; no hash where the line's signature cannot be judged."""
    if witness is None or not _path().exists():
        return
    with _path().open() as file:
        for line in file:
            fields = _parsed(line)
            if fields.get("chain") == str(witness.chain):
                yield fields["number"], bytes.fromhex(fields["hash"]) if _is_ours(fields) else None


def _parsed(line: str) -> dict[str, Any]:
    """A line's fields; a line that a crash cut short is as good as none."""
    try:
        fields = json.loads(line)
    except ValueError:
        return {}
    return fields if isinstance(fields, dict) and set(fields) >= {*_SIGNED, "signature"} else {}


def _is_ours(fields: dict[str, Any]) -> bool:
    if fields["kid"] not in key_ring().keys:
        return False
    return hmac.compare_digest(_signature(fields), str(fields["signature"]))


def _line(witness: AuditWitness, head: AuditHead, now: datetime) -> str:
    fields: dict[str, Any] = {
        "chain": str(witness.chain),
        "number": head.number,
        "hash": bytes(head.hash).hex(),
        "at": now.isoformat(),
        "kid": key_ring().current,
    }
    return json.dumps(fields | {"signature": _signature(fields)}) + "\n"


def _signature(fields: dict[str, Any]) -> str:
    """HMAC-SHA256 under a key of its own, derived from the ring's."""
    ring = key_ring()
    key = hmac.new(ring.keys[fields["kid"]], b"bursar audit head", hashlib.sha256).digest()
    text = json.dumps([fields[name] for name in _SIGNED], separators=(",", ":"))
    return hmac.new(key, text.encode(), hashlib.sha256).hexdigest()


def _append(line: str) -> None:
    path = _path()
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(line)
        file.flush()
        os.fsync(descriptor)


def _path() -> Path:
    return Path(settings.AUDIT_HEAD_FILE)
