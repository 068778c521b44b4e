"""Whether anything has changed that an open page shows, for one look a second at the price of one query."""

from __future__ import annotations

import hashlib
from datetime import datetime

from django.db import connection

_LOOK = """
SELECT i.version, i.status, i.changed_at, i.release_at <= %s, count(p.id), sum(p.left),
       (SELECT COALESCE(sum(l.confirmations), 0) FROM payments_leg l
         WHERE l.operation_id = ANY (array_agg(p.operation_id)) AND l.type = 'deposit')
  FROM payments_invoice i LEFT JOIN payments_invoicepart p ON p.invoice_id = i.id
 WHERE i.code = %s
 GROUP BY i.id
"""


def mark(*, code: str, language: str, now: datetime) -> str:
    """A text that is another one whenever the page would show something else; empty for an unknown code."""
    with connection.cursor() as cursor:
        cursor.execute(_LOOK, [now, code])
        row = cursor.fetchone()
    if row is None:
        return ""
    return hashlib.sha256(f"{language} {row!r}".encode()).hexdigest()[:24]
