"""Terms: what a merchant may use, from when, at what price."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest

from payments import ledger, terms
from payments.currencies import UnknownCurrency
from payments.models import AddressPool, Terms
from tests import factories
from tests.constraints import refused
from tests.factories import NOW

pytestmark = pytest.mark.django_db


@pytest.fixture
def merchant():
    factories.processor()
    factories.terms("BTC", deposit_fee_percent=Decimal("0.01"))
    factories.terms("EUR")
    return factories.merchant()


def codes(offers) -> list[str]:
    return list(offers)


class TestEnable:
    def test_takes_the_installations_terms_and_opens_the_accounts(self, merchant):
        row = terms.enable(merchant=merchant, currency="BTC", now=NOW)
        assert (row.merchant, row.deposit_fee_percent, row.enabled) == (merchant, Decimal("0.01"), True)
        assert [balance.currency for balance in ledger.balances(merchant)] == ["BTC"]
        assert AddressPool.objects.get().currency == "BTC"

    def test_wants_no_addresses_for_fiat(self, merchant):
        terms.enable(merchant=merchant, currency="EUR", now=NOW)
        assert not AddressPool.objects.exists()

    def test_keeps_a_merchants_own_price_through_disabling(self, merchant):
        factories.terms("BTC", merchant=merchant, deposit_fee_percent=Decimal("0.002"))
        terms.disable(merchant=merchant, currency="BTC", now=NOW)
        row = terms.enable(merchant=merchant, currency="BTC", now=NOW + timedelta(seconds=1))
        assert row.deposit_fee_percent == Decimal("0.002")

    def test_refuses_an_unknown_currency(self, merchant):
        with pytest.raises(UnknownCurrency):
            terms.enable(merchant=merchant, currency="XYZ", now=NOW)

    def test_refuses_a_currency_whose_addresses_cannot_be_checked(self, merchant):
        factories.terms("ADA")
        with pytest.raises(terms.CurrencyNotSupported, match="ADA cannot be enabled yet"):
            terms.enable(merchant=merchant, currency="ADA", now=NOW)
        assert ledger.balances(merchant) == []

    def test_refuses_a_currency_without_terms(self, merchant):
        with pytest.raises(terms.NoTerms):
            terms.enable(merchant=merchant, currency="ETH", now=NOW)


class TestListing:
    def test_splits_what_is_enabled_from_what_is_available(self, merchant):
        terms.enable(merchant=merchant, currency="BTC", now=NOW)
        assert codes(terms.enabled(merchant_id=merchant.pk, now=NOW)) == ["BTC"]
        assert codes(terms.available(merchant_id=merchant.pk, now=NOW)) == ["EUR"]

    def test_moves_a_disabled_currency_back(self, merchant):
        terms.enable(merchant=merchant, currency="BTC", now=NOW)
        terms.disable(merchant=merchant, currency="BTC", now=NOW)
        assert codes(terms.enabled(merchant_id=merchant.pk, now=NOW)) == []
        assert codes(terms.available(merchant_id=merchant.pk, now=NOW)) == ["BTC", "EUR"]

    def test_looks_at_the_moment_asked_about(self, merchant):
        terms.enable(merchant=merchant, currency="BTC", now=NOW)
        assert codes(terms.enabled(merchant_id=merchant.pk, now=NOW - timedelta(days=1))) == []

    def test_shows_nobody_anothers(self, merchant):
        terms.enable(merchant=merchant, currency="BTC", now=NOW)
        assert codes(terms.enabled(merchant_id=factories.merchant().pk, now=NOW)) == []


class TestInForce:
    def test_prefers_the_merchants_own_and_falls_back_to_the_installations(self, merchant):
        own = factories.terms("BTC", merchant=merchant)
        pairs = {(merchant.pk, "BTC"), (merchant.pk, "EUR"), (merchant.pk, "DOGE")}
        found = terms.in_force_for(pairs, now=NOW)
        assert found[merchant.pk, "BTC"] == own
        assert found[merchant.pk, "EUR"] == Terms.objects.get(merchant=None, currency="EUR")
        assert (merchant.pk, "DOGE") not in found


class TestDatabase:
    @pytest.mark.parametrize(
        "statement", ["UPDATE payments_terms SET enabled = false", "DELETE FROM payments_terms"]
    )
    def test_refuses_to_rewrite_terms(self, merchant, statement):
        refused("append-only", statement)

    @pytest.mark.parametrize(
        ("constraint", "column", "value"),
        [
            ("terms_percent_is_a_fraction", "deposit_fee_percent", "1"),
            ("terms_percent_is_a_fraction", "deposit_fee_percent", "-0.1"),
            ("terms_percent_is_a_fraction", "deposit_fee_percent", "'NaN'"),
            ("terms_minimum_is_not_negative", "deposit_minimum", "-1"),
            ("terms_minimum_is_not_negative", "deposit_minimum", "'NaN'"),
        ],
    )
    def test_refuses_terms_that_make_no_sense(self, merchant, constraint, column, value):
        others = [
            field.column
            for field in Terms._meta.concrete_fields
            if field.column not in {"id", column, "currency"}
        ]
        refused(
            constraint,
            f"INSERT INTO payments_terms (currency, {column}, {', '.join(others)})"
            f" SELECT 'ETH', {value}, {', '.join(others)} FROM payments_terms LIMIT 1",
        )
