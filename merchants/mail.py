"""Mail: written with the act that it tells of, sent afterwards, kept by nobody.

A letter is a row in the act's own transaction; a worker sends it once that is committed, at least once, and
tries again for a day. It stands encrypted meanwhile, since it may hold a link that opens an account. In
production its text is removed when it is sent; in the sandbox it stays, as the mailbox that people read.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.core.mail import EmailMultiAlternatives
from django.db import connection, transaction
from django.db.models.functions import Now
from django.template.loader import render_to_string

from merchants.models import MailMessage, MailState
from merchants.models.sealed import reserve_id, seal, unseal

log = logging.getLogger(__name__)

BATCH = 10
KEPT = timedelta(days=30)
WAITS = (10, 60, 300, 900, 3600, 3600, 7200, 14_400, 28_800, 28_800)
"""Seconds to the next try after each that failed; after the last one the letter is given up."""

_DUE = "state = 'queued' AND next_attempt_at <= clock_timestamp()"
DUE_SQL = f"SELECT 1 FROM merchants_mailmessage WHERE {_DUE}"  # noqa: S608 - a constant of this module
"""For whoever rings by what is due."""
_CLAIM_SQL = f"""
    UPDATE merchants_mailmessage m
       SET attempts = attempts + 1,
           next_attempt_at = clock_timestamp()
             + (%(waits)s::integer[])[LEAST(attempts + 1, %(most)s)] * interval '1 second'
      FROM (SELECT id FROM merchants_mailmessage WHERE {_DUE}
             ORDER BY next_attempt_at, id LIMIT %(batch)s FOR UPDATE SKIP LOCKED) due
     WHERE m.id = due.id
    RETURNING m.id
"""  # noqa: S608 - as above


@dataclass(frozen=True)
class Letter:
    """A letter as its reader sees it. state: queued, sent or failed."""

    to: str
    subject: str
    text: str = field(repr=False)
    html: str = field(repr=False)
    at: datetime
    state: str


def write(*, to: str, subject: str, template: str, now: datetime, **values: Any) -> MailMessage:
    """Queues a letter of `mail/<template>.txt` and `.html`; part of the caller's transaction."""
    context = {**values, "subject": subject, "to": to, "now": now}
    letter = MailMessage(
        pk=reserve_id(MailMessage),
        to=to,
        subject=subject,
        next_attempt_at=Now(),
        created_at=now,
    )
    letter.text_ciphertext = seal(
        letter, "text_ciphertext", render_to_string(f"mail/{template}.txt", context)
    )
    letter.html_ciphertext = seal(
        letter, "html_ciphertext", render_to_string(f"mail/{template}.html", context)
    )
    letter.save(force_insert=True)
    return letter


def send_due() -> int:
    """Sends one batch of what is due; how many were tried. Must not be called inside a transaction."""
    claimed = _claim()
    for letter in MailMessage.objects.filter(pk__in=claimed).order_by("id"):
        try:
            _send(letter)
        except Exception as error:  # noqa: BLE001 - a mail server fails in every way, and none stops the rest
            _note_failure(letter, error)
        else:
            _settle(letter, MailState.SENT, sent_at=Now())
    return len(claimed)


def recent(*, now: datetime, most: int = 50) -> list[Letter]:
    """The sandbox's mailbox, newest first: letters of the last week; none in production."""
    if settings.PRODUCTION:
        return []
    rows = MailMessage.objects.filter(created_at__gt=now - timedelta(days=7)).exclude(text_ciphertext="")
    return [_letter(row) for row in rows.order_by("-id")[:most]]


def prune() -> int:
    """Removes letters that are over for a month; how many."""
    over = MailMessage.objects.exclude(state=MailState.QUEUED)
    return over.filter(next_attempt_at__lt=Now() - KEPT).delete()[0]


def _claim() -> list[int]:
    """Ids of due letters; their next try is set and committed before this one, lest one kill us for ever."""
    parameters: dict[str, Any] = {"waits": list(WAITS), "most": len(WAITS), "batch": BATCH}
    with transaction.atomic(durable=True), connection.cursor() as cursor:
        cursor.execute(_CLAIM_SQL, parameters)
        return [row[0] for row in cursor.fetchall()]


def _send(letter: MailMessage) -> None:
    message = EmailMultiAlternatives(
        subject=letter.subject, body=unseal(letter, "text_ciphertext"), to=[letter.to]
    )
    message.attach_alternative(unseal(letter, "html_ciphertext"), "text/html")
    message.send()


def _note_failure(letter: MailMessage, error: Exception) -> None:
    """The kind of error alone is kept: a server's words may repeat the letter."""
    kind = type(error).__name__
    log.warning("mail %s not sent at try %s: %s", letter.pk, letter.attempts, kind)
    if letter.attempts > len(WAITS):
        _settle(letter, MailState.FAILED, error=kind)
    else:
        MailMessage.objects.filter(pk=letter.pk).update(error=kind)


def _settle(letter: MailMessage, state: MailState, **columns: Any) -> None:
    emptied = {"text_ciphertext": "", "html_ciphertext": ""} if settings.PRODUCTION else {}
    MailMessage.objects.filter(pk=letter.pk).update(state=state, **emptied, **columns)


def _letter(row: MailMessage) -> Letter:
    return Letter(
        to=row.to,
        subject=row.subject,
        text=unseal(row, "text_ciphertext"),
        html=unseal(row, "html_ciphertext"),
        at=row.created_at,
        state=row.state,
    )
