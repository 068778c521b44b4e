"""The operators' pages of money out: a stop made and lifted by no page, alerts cleared, sums compared."""

from __future__ import annotations

from decimal import Decimal

import pytest
from django.urls import reverse

from merchants.models import AuditRecord, TotpDevice
from payments import alerts, doorbell, outflow_desk, tasks
from payments.models import Alert, Reconciliation, Stop, Withdrawal
from tests import factories
from tests.factories import NOW
from tests.merchants.conftest import code_of
from tests.payments import upstream_of_payouts as up
from tests.payments.backoffice import paying
from tests.payments.test_admin import signed_in

pytestmark = pytest.mark.django_db


@pytest.fixture
def inside():
    return signed_in("one@bursar.test")


@pytest.fixture
def merchant():
    factories.processor()
    return factories.merchant()


def code(client):
    """A fresh one, as if the one that was used for signing in were long ago."""
    TotpDevice.objects.filter(pk=client.device.pk).update(last_t=-1)
    return code_of(client.device)


def text(answer):
    return answer.content.decode()


class TestStop:
    def add(self, client, **given):
        given = {"reason": "The processor leaks", "code": code(client), **given}
        return client.post(reverse("operator:payments_stop_add"), given)

    def test_is_made_for_the_installation_with_a_code(self, inside):
        assert self.add(inside).status_code == 302
        row = Stop.objects.get()
        assert (row.merchant, row.reason, row.stopped_by) == (None, "The processor leaks", inside.operator)
        assert AuditRecord.objects.get(act="stops.make").second_factor

    def test_is_made_for_one_merchant(self, inside, merchant):
        self.add(inside, merchant=merchant.pk)
        assert Stop.objects.get().merchant == merchant

    @pytest.mark.parametrize("given", [{"reason": ""}, {"code": "000000"}, {"code": ""}])
    def test_takes_a_reason_and_a_code(self, inside, given):
        self.add(inside, **given)
        assert not Stop.objects.exists()

    def test_is_neither_lifted_nor_changed_by_a_page(self, inside):
        self.add(inside)
        row = Stop.objects.get()
        for verb in ("change", "delete"):
            answer = inside.post(reverse(f"operator:payments_stop_{verb}", args=[row.pk]), {"post": "yes"})
            assert answer.status_code in {302, 403}
        row.refresh_from_db()
        assert row.lifted_at is None


class TestAlerts:
    @pytest.mark.parametrize("right", [True, False])
    def test_are_cleared_with_a_code(self, inside, right):
        alerts.raise_once(kind="reconciliation", key="x", text="0.1 BTC less", merchant=None, now=NOW)
        row = Alert.objects.get()
        act = {"action": "clear", "_selected_action": row.pk, "code": code(inside) if right else "000000"}
        inside.post(reverse("operator:payments_alert_changelist"), act)
        row.refresh_from_db()
        assert row.cleared_by == (inside.operator if right else None)


class TestReconciliation:
    PAGE = "operator:payments_reconciliation_latest"

    def look(self, merchant, difference="-0.5", minutes=0):
        return Reconciliation.objects.create(
            processor=factories.processor(),
            currency="BTC",
            at=NOW,
            booked=Decimal(2),
            in_flight=Decimal(0),
            reported=Decimal(2) + Decimal(difference),
            difference=Decimal(difference),
        )

    def test_says_when_nobody_looked(self, inside):
        assert "Nobody has looked yet." in text(inside.get(reverse(self.PAGE)))

    def test_says_in_words_what_is_missing(self, inside, merchant):
        self.look(merchant)
        self.look(merchant)
        page = text(inside.get(reverse(self.PAGE)))
        assert "0.50000000 BTC less than booked, since" in page
        assert 'class="mismatch"' in page

    def test_says_when_all_agrees(self, inside, merchant):
        self.look(merchant, "0")
        page = text(inside.get(reverse(self.PAGE)))
        assert "<td>agrees</td>" in page
        assert 'class="mismatch"' not in page

    def test_calls_the_sender(self, inside, monkeypatch):
        rung = []
        monkeypatch.setattr(doorbell, "ring", lambda bell: rung.append(bell) or True)
        answer = inside.post(reverse(self.PAGE))
        assert (answer.status_code, rung) == (302, [tasks.RECONCILE])

    @pytest.mark.parametrize(
        ("difference", "words"), [("0.25", "0.25 BTC more than booked"), ("0", "agrees")]
    )
    def test_reads_as_words(self, difference, words):
        row = Reconciliation(currency="BTC", difference=Decimal(difference))
        assert outflow_desk.in_words(row) == words


class TestWithdrawals:
    def test_are_shown_with_their_order_and_touched_by_nobody(self, inside):
        at = paying.owner()
        paying.ask(at)
        up.send(up.Payer(up.is_cut_off))
        row = Withdrawal.objects.get()
        assert row.our_id in text(inside.get(reverse("operator:payments_withdrawal_changelist")))
        where = reverse("operator:payments_withdrawal_change", args=[row.pk])
        assert row.our_id in text(inside.get(where))
        assert inside.post(where, {"state": "approved"}).status_code == 403

    @pytest.mark.parametrize("name", ["stop", "cap", "alert", "withdrawal", "reconciliation"])
    def test_and_all_else_has_a_list(self, inside, name):
        assert inside.get(reverse(f"operator:payments_{name}_changelist")).status_code == 200
