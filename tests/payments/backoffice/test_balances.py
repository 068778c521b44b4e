"""Balances on a page: every digit, what is held and what is on its way in."""

from __future__ import annotations

import pytest

from merchants.roles import Role
from payments import deposits, standing, terms
from payments.processors.base import DepositStatus
from tests import desk, factories
from tests.factories import NOW, money

pytestmark = pytest.mark.django_db


@pytest.fixture
def merchant():
    return factories.merchant()


def see(merchant, amount):
    """A deposit that is seen and not confirmed yet."""
    to = factories.address(merchant)
    notice = factories.notice(to, amount, status=DepositStatus.NOT_CONFIRMED)
    deposits.record_many(processor=to.processor, notices=[notice], now=NOW)


class TestBalances:
    def test_say_what_to_do_first(self, merchant):
        page = desk.desk(merchant).get("balances/").content.decode()
        assert "No currency is enabled yet" in page
        assert "Add currencies" in page

    def test_offer_nothing_that_the_role_may_not_do(self, merchant):
        assert "Add currencies" not in desk.desk(merchant, Role.VIEW).get("balances/").content.decode()

    def test_show_every_digit(self, merchant):
        factories.fund(merchant, money("0.12345678"))
        factories.fund(merchant, money("10000", "EUR"))
        page = desk.desk(merchant).get("balances/").content.decode()
        assert ">0.12345678<" in page
        assert ">10000.00<" in page

    def test_ask_the_same_number_of_questions_for_many_currencies(
        self, merchant, django_assert_max_num_queries
    ):
        for code in ("BTC", "ETH", "EUR", "USD", "XRP"):
            factories.fund(merchant, money("1", code))
        at = desk.desk(merchant)
        with django_assert_max_num_queries(22):
            at.get("balances/")


class TestStanding:
    def test_counts_what_is_on_its_way_in(self, merchant):
        factories.terms()
        see(merchant, "0.5")
        see(merchant, "0.25")
        row = standing.of_merchant(merchant=merchant, now=NOW)[0]
        assert (row.pending, row.available) == (money("0.75").amount, 0)

    def test_keeps_a_disabled_currency_with_its_balance(self, merchant):
        factories.processor()
        factories.terms()
        terms.enable(merchant=merchant, currency="BTC", now=NOW)
        factories.fund(merchant, money("1"))
        terms.disable(merchant=merchant, currency="BTC", now=NOW)
        row = standing.of_merchant(merchant=merchant, now=NOW)[0]
        assert (row.currency.code, row.available, row.enabled) == ("BTC", 1, False)

    def test_names_what_hangs_on_a_currency(self, merchant):
        factories.terms()
        assert not standing.in_use(merchant=merchant, currency="BTC")
        see(merchant, "0.5")
        factories.fund(merchant, money("2"))
        found = standing.in_use(merchant=merchant, currency="BTC")
        assert (found.available, found.pending, found.addresses) == (2, money("0.5").amount, 1)
