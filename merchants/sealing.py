"""The encrypted columns as a whole: moved to the newest key, and checked to the last row.

Rotating the encryption key: put a new key first in the ring, restart every role, run `secrets_rotate`, then
`secrets_check`; once it reports the old key unused, take that out of the ring.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime

from django.db import models

from merchants import audit
from merchants.models import sealed
from merchants.secrets import CannotOpen, key_id


@dataclass
class Report:
    """How many secrets each key sealed, and where those are that do not open (`table:row:column: why`)."""

    sealed_by: Counter[str] = field(default_factory=Counter)
    unreadable: list[str] = field(default_factory=list)


def rotate(*, now: datetime) -> int:
    """Seals every secret that an older key sealed with the current one; how many. Raises `CannotOpen`.

    Safe to run twice and beside a working installation: a row that changed meanwhile is left alone.
    """
    current, moved = sealed.key_ring().current, 0
    for row, column in _secrets():
        text = getattr(row, column)
        if key_id(text) != current:
            again = sealed.seal(row, column, sealed.unseal(row, column))
            same = type(row)._default_manager.filter(pk=row.pk, **{column: text})
            moved += same.update(**{column: again})
    audit.record(act="secrets.rotate", after={"kid": current, "moved": moved}, now=now)
    return moved


def check() -> Report:
    """Opens every secret of the installation; shows none."""
    report = Report()
    for row, column in _secrets():
        try:
            sealed.unseal(row, column)
            report.sealed_by[key_id(getattr(row, column))] += 1
        except CannotOpen as error:
            report.unreadable.append(f"{row._meta.db_table}:{row.pk}:{column}: {error}")
    return report


def _secrets() -> Iterator[tuple[models.Model, str]]:
    for model, column in sealed.columns():
        rows = model._default_manager.exclude(**{column: ""}).order_by("pk")
        for row in rows.iterator(chunk_size=500):
            yield row, column
