"""The bells of money that goes out: rung by what is due, harmless without credentials."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import connection
from django.utils import timezone

from merchants.models import MailMessage
from payments import doorbell, tasks
from payments.models import Alert, Reconciliation, Withdrawal
from payments.processors import registry
from payments.processors.base import Unreachable
from tests import factories
from tests.factories import money
from tests.payments import upstream_of_payouts as up
from tests.payments.test_reconciliation import lies_there
from tests.payments.upstream_of_payouts import Payer, approved, as_role

pytestmark = pytest.mark.django_db


@pytest.fixture
def payer(monkeypatch):
    one = Payer()
    monkeypatch.setattr(registry, "outbound", lambda code: one)
    tasks._silent_until.clear()
    return one


@pytest.fixture
def shop():
    return up.payer_out()


def is_due(bell: doorbell.Bell) -> bool:
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT EXISTS ({bell.due_sql})")
        return cursor.fetchone()[0]


@pytest.mark.parametrize(
    "bell", [tasks.SEND_APPROVED, tasks.ASK_WITHDRAWALS, tasks.RECONCILE, tasks.TELL_STUCK, tasks.MAIL_ALERTS]
)
@pytest.mark.parametrize("role", ["bursar_app", "bursar_sender"])
def test_any_role_may_look_what_is_due(bell, role):
    with as_role(role):
        assert is_due(bell) is False


def test_an_approved_withdrawal_rings_until_it_is_sent(shop, payer):
    approved(shop)
    assert is_due(tasks.SEND_APPROVED)
    assert tasks.send_once() == 1
    assert not is_due(tasks.SEND_APPROVED)
    assert not is_due(tasks.ASK_WITHDRAWALS)


def test_an_open_order_rings_when_it_is_time_to_ask(shop, payer):
    approved(shop)
    tasks.send_once()
    up.time_to_ask()
    assert is_due(tasks.ASK_WITHDRAWALS)
    assert tasks.ask_once() == 1
    assert not is_due(tasks.ASK_WITHDRAWALS)


def test_an_inactive_processor_sends_nothing_and_is_still_asked(shop, payer):
    first, second = approved(shop), approved(shop)
    tasks.send_once()
    upstream = factories.processor()
    type(upstream).objects.update(is_active=False)
    assert not is_due(tasks.SEND_APPROVED)
    assert tasks.send_once() == 0
    up.time_to_ask()
    assert tasks.ask_once() == 1
    states = dict(Withdrawal.objects.values_list("pk", "state"))
    assert states == {first.pk: "sent", second.pk: "approved"}


def test_without_credentials_nothing_is_sent_and_nothing_breaks(shop):
    approved(shop)
    assert [tasks.send_once(), tasks.ask_once(), tasks.reconcile_once()] == [0, 0, 0]
    assert Withdrawal.objects.get().state == "approved"


def test_balances_are_compared_when_the_bell_rings(payer):
    lies_there("1")
    payer.lying = [money("1")]
    assert is_due(tasks.RECONCILE)
    assert tasks.reconcile_once() == 1
    assert not is_due(tasks.RECONCILE)
    assert Reconciliation.objects.get().difference == 0


def test_a_silent_processor_is_left_in_peace_for_a_minute(payer):
    lies_there("1")
    payer.told = Unreachable("no")
    assert tasks.reconcile_once() == 0
    payer.told = None
    assert tasks.reconcile_once() == 0
    assert not Reconciliation.objects.exists()


def test_what_hangs_is_told_and_mailed(shop, payer):
    factories.operator()
    row = approved(shop)
    payer.script = [up.is_cut_off]
    tasks.send_once()
    long_ago = timezone.now() - timedelta(minutes=5)
    Withdrawal.objects.filter(pk=row.pk).update(submitted_at=long_ago)
    assert is_due(tasks.TELL_STUCK)
    tasks.tell_stuck()
    assert Alert.objects.get(kind="stuck").merchant == shop
    assert is_due(tasks.MAIL_ALERTS)
    tasks.mail_alerts()
    assert not is_due(tasks.MAIL_ALERTS)
    assert MailMessage.objects.filter(subject__contains=shop.name).count() == 1
