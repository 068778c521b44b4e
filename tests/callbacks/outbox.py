"""Rows of the outbox that tests start from, and the passing of time in it."""

from __future__ import annotations

import itertools
from datetime import timedelta
from typing import Any

from django.utils import timezone

from callbacks.models import Endpoint, OutgoingCallback, OutgoingState
from merchants.models import Merchant
from tests import factories

_subjects = itertools.count(1)


def endpoint(
    url: str = "http://127.0.0.1:9/", *, merchant: Merchant | None = None, **options: Any
) -> Endpoint:
    return Endpoint.objects.create(merchant=merchant or factories.merchant(), url=url, **options)


def callback(
    to: Endpoint, *, subject: int | None = None, version: int = 1, **options: Any
) -> OutgoingCallback:
    """A callback that is due, for a subject of its own unless one is named."""
    number = subject if subject is not None else next(_subjects)
    defaults: dict[str, Any] = {
        "subject_kind": "operation",
        "subject_id": number,
        "version": version,
        "merchant": to.merchant,
        "endpoint": to,
        "body": b'{"id":%d,"version":%d}' % (number, version),
        "state": OutgoingState.DUE,
        "next_attempt_at": timezone.now() - timedelta(seconds=1),
    }
    return OutgoingCallback.objects.create(**defaults | options)


def all_due() -> None:
    """As if every wait were over."""
    OutgoingCallback.objects.filter(leased_until=None).update(
        next_attempt_at=timezone.now() - timedelta(seconds=1)
    )


def leases_end() -> None:
    """As if everybody who held a lease had been dead for a while."""
    OutgoingCallback.objects.exclude(leased_until=None).update(
        leased_until=timezone.now() - timedelta(seconds=1)
    )


def seconds_to_wait(row: OutgoingCallback) -> float:
    row.refresh_from_db()
    return (row.next_attempt_at - timezone.now()).total_seconds()


def state(row: OutgoingCallback) -> str:
    row.refresh_from_db()
    return str(row.state)
