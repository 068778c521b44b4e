"""Fees on a page: every operation's price in every enabled currency, reckoned as it will be charged."""

from __future__ import annotations

from decimal import Decimal

import pytest

from merchants.roles import Role
from payments import terms
from payments.backoffice.fees import OPERATIONS
from tests import desk, factories
from tests.factories import NOW

pytestmark = pytest.mark.django_db


@pytest.fixture
def at():
    factories.processor()
    factories.terms("EUR", exchange_fee_percent=Decimal("0.01"))
    factories.terms(
        "BTC",
        deposit_minimum=Decimal("0.0001"),
        deposit_minimum_fee=Decimal("0.00005"),
        withdrawal_fee_percent=Decimal("0.001"),
        withdrawal_minimum=Decimal("0.0002"),
        withdrawal_mining_fee=Decimal("0.00003"),
    )
    at = desk.desk(factories.merchant())
    terms.enable_all(merchant=at.merchant, currencies=["BTC", "EUR"], now=NOW)
    return at


def prices(at, name):
    operation = next(one for one in OPERATIONS if one.name == name)
    return operation.prices(terms.enabled(merchant_id=at.merchant.pk, now=NOW).values())


class TestSchedule:
    def test_takes_each_price_from_the_terms_in_force(self, at):
        (btc,) = prices(at, "Deposit")
        assert (btc.percent, btc.minimum_fee, btc.minimum) == (
            Decimal("0.008"),
            Decimal("0.00005"),
            Decimal("0.0001"),
        )

    def test_reckons_its_examples_as_fees_are_charged(self, at):
        (btc,) = prices(at, "Deposit")
        assert (btc.of, btc.costs) == (Decimal("0.01"), Decimal("0.00008"))
        euro = prices(at, "Exchange")[-1]
        assert (euro.currency.code, euro.of, euro.costs) == ("EUR", Decimal(100), Decimal(1))

    def test_counts_what_is_charged_for_the_network(self, at):
        (btc,) = prices(at, "Withdrawal")
        assert (btc.network, btc.of, btc.costs) == (Decimal("0.00003"), Decimal("0.02"), Decimal("0.00005"))

    def test_names_no_deposits_of_fiat(self, at):
        assert [one.currency.code for one in prices(at, "Deposit with conversion")] == ["BTC"]


class TestPage:
    def test_shows_every_operation(self, at):
        page = at.get("fees/").content.decode()
        assert [name for name in (one.name for one in OPERATIONS) if f">{name}</h2>" not in page] == []
        assert "0.8 %" in page

    def test_says_where_to_begin(self):
        page = desk.desk(factories.merchant()).get("fees/").content.decode()
        assert "No currency is enabled yet" in page

    def test_is_for_everybody_on_the_team(self, at):
        assert desk.desk(at.merchant, Role.VIEW).get("fees/").status_code == 200
