"""Turns: two workers never work on one subject at once, even while it has no row that could be locked."""

from __future__ import annotations

from collections.abc import Iterable

from django.db import connection


def take(subjects: Iterable[str]) -> None:
    """Waits until each of `subjects` is this transaction's alone, and keeps it until the transaction ends."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_advisory_xact_lock(k) FROM (SELECT DISTINCT hashtextextended(s, 0) AS k"
            " FROM unnest(%s::text[]) AS s ORDER BY k) AS turns",
            [list(subjects)],
        )
