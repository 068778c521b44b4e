"""Alerts: one for each matter, told by mail to those who can act, shown until cleared."""

from __future__ import annotations

import pytest
from django.db import IntegrityError, transaction

from merchants import mail
from merchants.models import AuditRecord, MailMessage, User
from merchants.roles import Role
from payments import alerts
from payments.models import Alert
from tests import factories
from tests.desk import person
from tests.factories import NOW
from tests.payments.upstream_of_payouts import as_role

pytestmark = pytest.mark.django_db


def raised(merchant=None, key="a matter", text="Look at it."):
    return alerts.raise_once(kind="stuck", key=key, text=text, merchant=merchant, now=NOW)


class TestRaiseOnce:
    def test_is_news_until_it_is_cleared(self):
        assert [raised(), raised(), raised(key="another")] == [True, False, True]
        alerts.settle(keys=["a matter"], now=NOW)
        assert raised() is True
        assert Alert.objects.count() == 3

    def test_is_unique_in_the_database(self):
        raised()
        with pytest.raises(IntegrityError, match="alert_is_raised_once"), transaction.atomic():
            Alert.objects.create(kind="x", key="a matter", text="x", raised_at=NOW)

    def test_cuts_what_is_too_long(self):
        raised(key="k" * 200, text="t" * 600)
        row = Alert.objects.get()
        assert (len(row.key), len(row.text)) == (150, 500)

    @pytest.mark.parametrize("role", ["bursar_app", "bursar_sender"])
    def test_is_done_with_either_role(self, role):
        with as_role(role):
            assert raised() is True
            alerts.settle(keys=["a matter"], now=NOW)


class TestClear:
    def test_notes_who_has_seen_to_it(self):
        shop = factories.merchant()
        user = person(shop)
        raised(shop)
        alerts.clear(alert=Alert.objects.get(), by=user, now=NOW)
        row = Alert.objects.get()
        assert (row.cleared_at, row.cleared_by) == (NOW, user)
        assert AuditRecord.objects.get(act="alerts.clear").merchant == shop
        with pytest.raises(alerts.NoSuchAlert):
            alerts.clear(alert=row, by=user, now=NOW)


class TestOpen:
    def test_shows_a_merchant_its_own_and_operators_all(self):
        mine, theirs = factories.merchant(), factories.merchant()
        for number, shop in enumerate((mine, theirs, None)):
            raised(shop, key=str(number))
        assert [row.merchant for row in alerts.open_for(mine)] == [mine]
        assert alerts.open_for_operators().count() == 3


class TestMailDue:
    def test_writes_to_owners_and_operators_once(self):
        shop = factories.merchant()
        owner, viewer = person(shop), person(shop, Role.VIEW)
        stranger, operator = person(factories.merchant()), factories.operator()
        raised(shop)
        with as_role("bursar_app"):
            assert [alerts.mail_due(now=NOW), alerts.mail_due(now=NOW)] == [1, 0]
        told = set(MailMessage.objects.values_list("to", flat=True))
        assert {owner.email, operator.email} <= told
        assert not told & {viewer.email, stranger.email}
        assert MailMessage.objects.filter(to=owner.email).count() == 1

    def test_writes_of_the_installation_to_operators_alone(self):
        owner, operator = person(factories.merchant()), factories.operator()
        raised()
        alerts.mail_due(now=NOW)
        told = set(MailMessage.objects.values_list("to", flat=True))
        assert operator.email in told
        assert owner.email not in told

    def test_writes_to_nobody_who_has_left(self):
        operator = factories.operator()
        User.objects.filter(pk=operator.pk).update(is_active=False)
        raised()
        alerts.mail_due(now=NOW)
        assert not MailMessage.objects.filter(to=operator.email).exists()

    def test_says_what_it_is_about(self):
        factories.operator()
        raised(text="Withdrawal m11-1 hangs.")
        alerts.mail_due(now=NOW)
        assert "Withdrawal m11-1 hangs." in mail.recent(now=NOW)[0].text

    def test_is_one_letter_about_a_batch(self):
        operator = factories.operator()
        raised(key="1", text="One hangs.")
        raised(factories.merchant(), key="2", text="Two hangs.")
        alerts.mail_due(now=NOW)
        assert MailMessage.objects.filter(to=operator.email).count() == 1
        text = mail.recent(now=NOW)[0].text
        assert "One hangs." in text
        assert "Two hangs." in text
