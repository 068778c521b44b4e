"""Pruning: what is old enough and over goes; what is younger, or waits for somebody, stays."""

from __future__ import annotations

from datetime import datetime, timedelta
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.db import connection, transaction
from django.utils import timezone

from callbacks import pruning
from callbacks.models import DeliveryAttempt, IncomingCallback, OutgoingState
from merchants.models import KeyTraffic
from tests.callbacks.outbox import callback, endpoint
from tests.callbacks.test_models import incoming

pytestmark = pytest.mark.django_db


def ago(days: int) -> datetime:
    return timezone.now() - timedelta(days=days)


def tried(days: int, state: OutgoingState) -> DeliveryAttempt:
    row = callback(endpoint(), state=state)
    return DeliveryAttempt.objects.create(
        callback=row,
        number=1,
        at=ago(days),
        url="http://127.0.0.1:9/",
        request_headers={},
        status=200,
        response_headers={},
        response_body=b"OK",
        ms=1,
    )


def came(raw: str, days: int, state: str) -> IncomingCallback:
    row = incoming(raw)
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL session_replication_role = 'replica'")
        cursor.execute(
            "UPDATE callbacks_incomingcallback SET received_at = %s, state = %s, error = 'why',"
            " applied_at = CASE WHEN %s = 'applied' THEN now() END WHERE id = %s",
            [ago(days), state, state, row.pk],
        )
        cursor.execute("SET LOCAL session_replication_role = 'origin'")
    return row


def test_forgets_tries_of_what_was_delivered_after_ninety_days():
    kept = [tried(89, OutgoingState.DELIVERED), tried(400, OutgoingState.EXHAUSTED)]
    tried(91, OutgoingState.DELIVERED), tried(91, OutgoingState.SUPERSEDED)
    assert pruning.prune() == pruning.Pruned(attempts=2, incoming=0, traffic=0)
    assert set(DeliveryAttempt.objects.all()) == set(kept)


def test_forgets_applied_callbacks_after_half_a_year():
    kept = [came("1", 179, "applied"), came("2", 400, "quarantined"), came("3", 400, "received")]
    came("4", 181, "applied")
    assert pruning.prune().incoming == 1
    assert set(IncomingCallback.objects.all()) == set(kept)


def test_forgets_traffic_after_thirteen_months():
    for days in (390, 400):
        KeyTraffic.objects.create(hour=ago(days), endpoint="ping", outcome="accepted", count=1)
    assert pruning.prune().traffic == 1
    assert KeyTraffic.objects.get().hour > ago(391)


def test_goes_batch_by_batch(monkeypatch):
    monkeypatch.setattr(pruning, "BATCH", 2)
    for number in range(5):
        came(str(number), 200, "applied")
    assert pruning.prune().incoming == 5


class TestCommand:
    def test_says_how_much_it_removed(self):
        tried(91, OutgoingState.DELIVERED)
        out = StringIO()
        call_command("prune", stdout=out)
        assert out.getvalue().startswith("Removed 1 attempts, 0 incoming callbacks")

    def test_says_whose_rights_it_needs(self):
        with (
            pytest.raises(CommandError, match="database's owner"),
            transaction.atomic(),
            connection.cursor() as cursor,
        ):
            cursor.execute("SET LOCAL ROLE bursar_app")
            call_command("prune")
