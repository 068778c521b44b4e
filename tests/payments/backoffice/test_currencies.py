"""Currencies on pages: enabled several at once, searched, disabled with a warning of what hangs on them."""

from __future__ import annotations

import pytest
from django.utils import timezone

from merchants.models import AuditRecord
from merchants.roles import Role
from payments import terms
from tests import desk, factories
from tests.factories import money

pytestmark = pytest.mark.django_db


@pytest.fixture
def at():
    factories.processor()
    for code in ("BTC", "ETH", "EUR", "USDTT"):
        factories.terms(code)
    return desk.desk(factories.merchant())


def enabled(at):
    return list(terms.enabled(merchant_id=at.merchant.pk, now=timezone.now()))


class TestAdd:
    def test_enables_several_at_once(self, at):
        answer = at.post("currencies/add/", currencies=["BTC", "EUR"])
        assert answer.status_code == 302
        assert sorted(enabled(at)) == ["BTC", "EUR"]

    def test_is_audited(self, at):
        at.post("currencies/add/", currencies=["BTC", "EUR"])
        record = AuditRecord.objects.get(act="currencies.enable")
        assert (record.actor, record.merchant) == (at.user, at.merchant)
        assert record.after == '{"currencies":["BTC","EUR"]}'

    @pytest.mark.parametrize(
        ("chosen", "sentence"),
        [
            ([], "Choose at least one currency."),
            (["BTC", "XYZ"], "XYZ is not on offer, or enabled already."),
            (["BTC", "ADA"], "ADA is not on offer"),
        ],
    )
    def test_enables_all_or_none(self, at, chosen, sentence):
        answer = at.post("currencies/add/", currencies=chosen)
        assert answer.status_code == 422
        assert sentence in answer.content.decode()
        assert enabled(at) == []

    def test_finds_by_network(self, at):
        page = at.get("currencies/add/?q=tron").content.decode()
        assert "USDTT" in page
        assert 'value="BTC"' not in page

    def test_says_when_nothing_is_found(self, at):
        assert "No currency on offer matches “doge”" in at.get("currencies/add/?q=doge").content.decode()

    def test_is_refused_to_who_may_only_look(self, at):
        viewer = desk.desk(at.merchant, Role.VIEW)
        assert viewer.post("currencies/add/", currencies=["BTC"]).status_code == 403
        assert enabled(at) == []
        assert "Add new currency" not in viewer.get("currencies/").content.decode()


class TestDisable:
    def test_warns_of_the_balance(self, at):
        at.post("currencies/add/", currencies=["BTC"])
        factories.fund(at.merchant, money("0.5"))
        page = at.get("currencies/BTC/disable/").content.decode()
        assert "a balance of 0.5 BTC, which stays yours" in page

    def test_disables(self, at):
        at.post("currencies/add/", currencies=["BTC"])
        assert at.post("currencies/BTC/disable/").status_code == 302
        assert enabled(at) == []

    def test_of_what_is_not_enabled_is_missing(self, at):
        assert at.get("currencies/ETH/disable/").status_code == 404
        assert at.post("currencies/NONSENSE/disable/").status_code == 404


class TestList:
    def test_shows_network_minimum_and_fees(self, at):
        at.post("currencies/add/", currencies=["USDTT"])
        page = at.get("currencies/").content.decode()
        assert "Tron" in page
        assert "0.8 %" in page
