"""Test callbacks: due at once, of nothing, sent once, outdated by a newer one."""

from __future__ import annotations

import json

import pytest

from callbacks import endpoints, trial
from callbacks.models import Health, OutgoingCallback, OutgoingState
from callbacks.outgoing import NowhereToSend, queue, resend_since
from callbacks.outgoing.queue import Try
from merchants.models import AuditRecord
from tests import factories
from tests.factories import NOW

pytestmark = pytest.mark.django_db


@pytest.fixture
def merchant():
    merchant = factories.merchant()
    endpoints.set_url(merchant=merchant, url="http://127.0.0.1:9/", by=None, now=NOW)
    factories.active_key(merchant)
    return merchant


def send(merchant):
    return trial.send(merchant=merchant, by=None, now=NOW)


class TestSend:
    def test_is_a_cancelled_deposit_of_nothing(self, merchant):
        body = json.loads(bytes(send(merchant).body))
        assert (body["type"], body["status"], body["error"]) == ("deposit", "cancelled", "Test callback")
        assert body["crypto_address"]["foreign_id"] == "bursar-test"
        assert body["currency_received"]["amount_minus_fee"] == "0.00000000"
        assert (body["transactions"], body["fees"]) == ([], [])

    def test_is_numbered_and_audited(self, merchant):
        assert [send(merchant).version, send(merchant).version] == [1, 2]
        assert AuditRecord.objects.filter(act="callbacks.test", merchant=merchant).count() == 2

    def test_refuses_without_an_address(self):
        other = factories.merchant()
        factories.active_key(other)
        with pytest.raises(NowhereToSend):
            send(other)
        assert not OutgoingCallback.objects.exists()

    def test_refuses_without_a_key(self):
        other = factories.merchant()
        endpoints.set_url(merchant=other, url="http://127.0.0.1:9/", by=None, now=NOW)
        with pytest.raises(trial.NoKeyToSign):
            send(other)
        assert not OutgoingCallback.objects.exists()


class TestDelivery:
    def test_fails_for_good_at_once(self, merchant):
        row = send(merchant)
        (parcel,) = queue.claim(health=Health.HEALTHY, limit=1)
        queue.record(tries=[Try(parcel, status=500)])
        row.refresh_from_db()
        assert (row.state, row.attempts) == (OutgoingState.EXHAUSTED, 1)

    def test_is_not_sent_again_with_the_failed_ones(self, merchant):
        row = send(merchant)
        (parcel,) = queue.claim(health=Health.HEALTHY, limit=1)
        queue.record(tries=[Try(parcel, status=500)])
        assert resend_since(merchant=merchant, since=NOW.replace(year=2020)) == 0
        row.refresh_from_db()
        assert row.state == OutgoingState.EXHAUSTED
