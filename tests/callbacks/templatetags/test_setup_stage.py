"""The set-up stage on pages: the steps on the first page, the next one on the way, for Owners alone."""

from __future__ import annotations

import pytest

from merchants import keys
from merchants.roles import Role
from payments import terms
from tests import desk, factories
from tests.callbacks.test_setup_stage import NEEDED, TAKEN
from tests.factories import NOW

pytestmark = pytest.mark.django_db


@pytest.fixture
def at():
    factories.processor()
    factories.terms("BTC")
    return desk.desk(factories.merchant())


def text(at, path):
    return at.get(path).content.decode()


class TestSteps:
    def test_are_counted_on_the_first_page(self, at):
        assert "0 of 5 done" in text(at, "balances/")
        terms.enable(merchant=at.merchant, currency="BTC", now=NOW)
        page = text(at, "balances/")
        assert "1 of 5 done" in page
        assert at.url("keys/generate/") in page

    def test_lead_to_a_key_that_waits(self, at):
        key = keys.generate(merchant=at.merchant, by=None, now=NOW)
        page = text(at, "balances/")
        assert at.url(f"keys/{key.public_key}/activate/") in page
        assert at.url("keys/generate/") not in page

    def test_lead_nowhere_before_their_time(self, at):
        assert at.url("settings/test/") not in text(at, "balances/")

    def test_go_when_they_are_done(self, at):
        for step in NEEDED:
            TAKEN[step](at.merchant)
        assert "Set up your account" not in text(at, "balances/")

    def test_are_shown_to_nobody_who_cannot_take_them(self, at):
        assert "Set up your account" not in text(desk.desk(at.merchant, Role.VIEW), "balances/")


class TestNext:
    @pytest.mark.parametrize("path", ["currencies/", "keys/", "settings/"])
    def test_is_named_on_the_way(self, at, path):
        page = text(at, path)
        assert "Set-up, step 1 of 5" in page
        assert at.url("currencies/add/") in page

    def test_is_not_named_where_it_is_taken(self, at):
        assert "Set-up, step" not in text(at, "currencies/add/")

    def test_is_not_named_elsewhere(self, at):
        assert "Set-up, step" not in text(at, "transactions/")

    def test_follows_what_was_done(self, at):
        terms.enable(merchant=at.merchant, currency="BTC", now=NOW)
        assert "Set-up, step 2 of 5" in text(at, "keys/")
