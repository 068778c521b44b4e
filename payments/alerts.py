"""Alerts: what people must look at. A row, a mail to those who can act, and a banner until it is cleared.

One matter raises one alert, however often it is noticed; once cleared it may raise another. Whoever notices
only writes the row: the sender knows no people, so the worker writes the letters.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Unpack

from django.db import connection, transaction
from django.db.models import QuerySet

from merchants import audit, mail
from merchants.errors import Refusal
from merchants.models import Membership, Merchant, User
from merchants.roles import roles_with
from payments.models import Alert

BATCH = 20
_LONGEST_KEY, _LONGEST_TEXT = 150, 500

MAIL_DUE_SQL = "SELECT 1 FROM payments_alert WHERE mailed_at IS NULL AND cleared_at IS NULL"
"""For whoever rings by what is due."""


class NoSuchAlert(Refusal):
    """There is no such alert, or it is cleared."""


def raise_once(*, kind: str, key: str, text: str, merchant: Merchant | int | None, now: datetime) -> bool:
    """True when this is news; False while an alert about `key` is open.

    kind: what sort of matter, for a page to sort by; merchant: none for operators alone.
    """
    merchant_id = merchant.pk if isinstance(merchant, Merchant) else merchant
    with connection.cursor() as cursor:
        cursor.execute(
            """
            INSERT INTO payments_alert (merchant_id, kind, key, text, raised_at)
            VALUES (%s, %s, %s, %s, %s) ON CONFLICT (key) WHERE cleared_at IS NULL DO NOTHING
            """,
            [merchant_id, kind, key[:_LONGEST_KEY], text[:_LONGEST_TEXT], now],
        )
        return bool(cursor.rowcount)


def settle(*, keys: Sequence[str], now: datetime) -> int:
    """The matters are over: clears what is open about them, in nobody's name; returns how many."""
    return Alert.objects.filter(key__in=keys, cleared_at=None).update(cleared_at=now)


@transaction.atomic
def clear(*, alert: Alert, by: User, now: datetime, **how: Unpack[audit.How]) -> None:
    """Somebody has seen to it. Raises `NoSuchAlert` when it was cleared meanwhile.

    The caller decides who may: a merchant's Owners for theirs, operators for all.
    """
    if not Alert.objects.filter(pk=alert.pk, cleared_at=None).update(cleared_at=now, cleared_by=by):
        raise NoSuchAlert
    audit.record(
        actor=by,
        act="alerts.clear",
        merchant=alert.merchant,
        subject=f"alert:{alert.pk}",
        after={"kind": alert.kind, "text": alert.text},
        now=now,
        **how,
    )


def open_for(merchant: Merchant) -> QuerySet[Alert]:
    """What a merchant's people are to look at, newest first."""
    return Alert.objects.for_merchant(merchant).filter(cleared_at=None).order_by("-raised_at", "-id")


def open_for_operators() -> QuerySet[Alert]:
    """Every open alert of the installation, newest first."""
    return Alert.objects.filter(cleared_at=None).select_related("merchant").order_by("-raised_at", "-id")


@transaction.atomic
def mail_due(*, now: datetime) -> int:
    """Writes letters about a batch of alerts of which nobody was told by mail; returns how many alerts."""
    untold = Alert.objects.filter(mailed_at=None, cleared_at=None).select_related("merchant")
    due = list(untold.select_for_update(skip_locked=True, of=("self",)).order_by("id")[:BATCH])
    letters: dict[str, list[Alert]] = {}
    for alert in due:
        for address in _who_can_act(alert):
            letters.setdefault(address, []).append(alert)
    for address, told in letters.items():
        _write(address, told, now)
    Alert.objects.filter(pk__in=[alert.pk for alert in due]).update(mailed_at=now)
    return len(due)


def _write(address: str, told: Sequence[Alert], now: datetime) -> None:
    """One letter about all of them: a bad hour is one thing to read."""
    merchants = {alert.merchant for alert in told}
    whose = merchants.pop() if len(merchants) == 1 else None
    subject = f"{whose or 'Your Bursar installation'} needs a look"
    mail.write(to=address, subject=subject, template="alert", alerts=told, now=now)


def _who_can_act(alert: Alert) -> list[str]:
    """A merchant's Owners, and the operators: whose is the installation, and the lifting of stops."""
    people = User.objects.filter(is_active=True, is_operator=True)
    if alert.merchant_id is not None:
        team = Membership.objects.for_merchant(alert.merchant_id)
        owners = team.filter(role__in=roles_with("withdrawals.approve"))
        people |= User.objects.filter(is_active=True, pk__in=owners.values("user"))
    return list(people.order_by("pk").values_list("email", flat=True))
