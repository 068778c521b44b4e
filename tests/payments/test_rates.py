"""Rates: kept while they stand, replaced when they change, refused when stale."""

from __future__ import annotations

from decimal import Decimal

import pytest
from django.db import connection

from payments import rates
from payments.models import Rate
from payments.processors.base import Pair, Quote, Unreachable
from tests import factories
from tests.constraints import refused
from tests.factories import NOW
from tests.fakes import FakeOutbound

pytestmark = pytest.mark.django_db

BTC_EUR = Pair("BTC", "EUR")


@pytest.fixture
def processor():
    return factories.processor()


def quote(price: str, pair: Pair = BTC_EUR) -> Quote:
    return Quote(pair, Decimal(price), Decimal("0.003"), Decimal("0.0001"))


class TestKeep:
    def test_keeps_one_row_while_a_price_stands(self, processor):
        rates.keep(processor=processor, quotes=[quote("48000")])
        Rate.objects.update(seen_at="2026-01-01T00:00:00Z")
        rates.keep(processor=processor, quotes=[quote("48000.00")])
        row = Rate.objects.get()
        assert row.seen_at.year > 2025
        assert row.is_current

    def test_keeps_the_old_row_beside_a_new_price(self, processor):
        rates.keep(processor=processor, quotes=[quote("48000")])
        rates.keep(processor=processor, quotes=[quote("48001")])
        assert list(Rate.objects.order_by("id").values_list("price", "is_current")) == [
            (Decimal(48000), False),
            (Decimal(48001), True),
        ]

    def test_notes_when_the_processor_was_read(self, processor):
        rates.keep(processor=processor, quotes=[])
        processor.refresh_from_db()
        assert processor.quotes_at is not None


class TestCurrent:
    def test_gives_the_fresh_prices_by_pair(self, processor):
        rates.keep(processor=processor, quotes=[quote("48000"), quote("0.05", Pair("ETH", "BTC"))])
        current = rates.current(merchant=factories.merchant(), now=NOW)
        assert current[BTC_EUR].price == Decimal(48000)
        assert len(current) == 2

    def test_gives_no_stale_price(self, processor):
        rates.keep(processor=processor, quotes=[quote("48000")])
        with connection.cursor() as cursor:
            cursor.execute("UPDATE payments_rate SET seen_at = now() - interval '61 seconds'")
        assert rates.current(merchant=factories.merchant(), now=NOW) == {}

    def test_still_knows_that_the_pair_exists(self, processor):
        merchant = factories.merchant()
        rates.keep(processor=processor, quotes=[quote("48000")])
        Rate.objects.update(seen_at="2026-01-01T00:00:00Z")
        assert rates.converts(merchant=merchant, source="BTC", target="EUR", now=NOW)
        assert not rates.converts(merchant=merchant, source="EUR", target="BTC", now=NOW)


class TestRefresh:
    def test_asks_for_the_pairs_in_use(self, processor):
        factories.terms("BTC")
        factories.terms("EUR")
        upstream = FakeOutbound([quote("48000"), quote("9", Pair("ETH", "EUR"))])
        assert rates.refresh(processor=processor, outbound=upstream) == 1
        assert [row.source for row in Rate.objects.all()] == ["BTC"]

    def test_leaves_the_prices_of_a_silent_processor_to_age(self, processor):
        rates.keep(processor=processor, quotes=[quote("48000")])
        upstream = FakeOutbound()
        upstream.silent = True
        with pytest.raises(Unreachable):
            rates.refresh(processor=processor, outbound=upstream)
        assert Rate.objects.get().is_current


class TestPrune:
    def test_removes_old_prices_that_nothing_refers_to(self, processor):
        rates.keep(processor=processor, quotes=[quote("48000")])
        rates.keep(processor=processor, quotes=[quote("48001")])
        assert rates.prune() == 0
        with connection.cursor() as cursor:
            cursor.execute("UPDATE payments_rate SET seen_at = now() - interval '8 days'")
        assert rates.prune() == 1
        assert Rate.objects.get().is_current


class TestInverse:
    @pytest.mark.parametrize(("price", "inverse"), [("4", "0.25"), ("3", "0.333333333333333333")])
    def test_is_one_over_the_price_to_18_decimals(self, price, inverse):
        assert rates.inverse(Decimal(price)) == Decimal(inverse)


class TestDatabase:
    @pytest.mark.parametrize("price", ["0", "-1", "'NaN'"])
    def test_refuses_a_price_that_is_none(self, processor, price):
        rates.keep(processor=processor, quotes=[quote("48000")])
        refused(
            "rate_price_is_positive",
            "INSERT INTO payments_rate (processor_id, source, target, price, quoted_at, seen_at, is_current)"
            f" SELECT processor_id, source, target, {price}, quoted_at, seen_at, false FROM payments_rate",
        )

    def test_refuses_a_second_current_price(self, processor):
        rates.keep(processor=processor, quotes=[quote("48000")])
        rates.keep(processor=processor, quotes=[quote("48001")])
        refused("rate_current_is_unique", "UPDATE payments_rate SET is_current = true")
