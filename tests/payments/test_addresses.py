"""Addresses: pools that fill, customers that keep theirs, and what happens when a pool runs dry."""

from __future__ import annotations

import threading
from dataclasses import replace

import pytest
from django.db import IntegrityError, connection

from payments import addresses
from payments.addresses import Order
from payments.models import Address, AddressPool
from payments.processors.base import Issued, Refused, Unreachable
from tests import factories
from tests.constraints import refused
from tests.factories import NOW
from tests.fakes import FakeOutbound

pytestmark = pytest.mark.django_db


@pytest.fixture
def processor():
    return factories.processor()


@pytest.fixture
def merchant(processor):
    return factories.merchant()


@pytest.fixture
def upstream():
    return FakeOutbound()


def fill(processor, upstream) -> None:
    while addresses.fill(processor=processor, outbound=upstream):
        pass


def take(merchant, foreign_id: str = "u-1", currency: str = "BTC", **options) -> Address:
    return addresses.take(
        merchant=merchant,
        order=Order(foreign_id=foreign_id, currency=currency, **options),
        now=NOW,
        call_for_more=lambda: None,
    )


class TestFill:
    def test_fills_what_is_wanted_and_no_more(self, merchant, processor, upstream):
        addresses.want(merchant=merchant, currency="BTC", convert_to="", now=NOW)
        fill(processor, upstream)
        assert Address.objects.free().count() == 10
        assert len(set(upstream.asked)) == 10
        assert addresses.fill(processor=processor, outbound=upstream) == 0

    def test_asks_under_the_address_own_reference(self, merchant, processor, upstream):
        addresses.want(merchant=merchant, currency="BTC", convert_to="EUR", now=NOW)
        fill(processor, upstream)
        row = Address.objects.free().first()
        assert (row.reference, row.external_id) == (f"pool-{row.pk}", f"up-pool-{row.pk}")
        assert row.convert_to == "EUR"
        assert row.address == f"2NBTCpool-{row.pk}"

    def test_replaces_what_was_taken(self, merchant, processor, upstream):
        addresses.want(merchant=merchant, currency="BTC", convert_to="", now=NOW)
        fill(processor, upstream)
        take(merchant)
        fill(processor, upstream)
        assert Address.objects.free().count() == 10

    def test_asks_again_for_one_whose_answer_was_lost(self, merchant, processor, upstream):
        addresses.want(merchant=merchant, currency="BTC", convert_to="", now=NOW)
        upstream.silent = True
        with pytest.raises(Unreachable):
            addresses.fill(processor=processor, outbound=upstream)
        reserved = set(Address.objects.values_list("pk", flat=True))
        upstream.silent = False
        fill(processor, upstream)
        assert set(Address.objects.values_list("pk", flat=True)) == reserved

    def test_serves_every_pool_before_it_completes_one(self, merchant, processor, upstream):
        for currency in ("BTC", "ETH", "LTC"):
            addresses.want(merchant=merchant, currency=currency, convert_to="", now=NOW)
        addresses.fill(processor=processor, outbound=upstream)
        first = Address.objects.filter(address__isnull=False)
        assert sorted(set(first.values_list("currency", flat=True))) == ["BTC", "ETH", "LTC"]

    def test_refuses_an_answer_to_another_question(self, merchant, processor, upstream, monkeypatch, caplog):
        addresses.want(merchant=merchant, currency="BTC", convert_to="", now=NOW)
        wrong = Issued("pool-0", "BTC", None, "2Nx", None, "up-0")
        monkeypatch.setattr(upstream, "issue", lambda **_: [wrong])
        assert addresses.fill(processor=processor, outbound=upstream) == 0
        assert "asked for pool-" in caplog.text
        assert not Address.objects.free().exists()


class TestTake:
    @pytest.fixture(autouse=True)
    def _filled(self, merchant, processor, upstream):
        addresses.want(merchant=merchant, currency="BTC", convert_to="", now=NOW)
        fill(processor, upstream)

    def test_is_the_merchants_from_then_on(self, merchant):
        taken = take(merchant, end_user_reference="player-77")
        assert (taken.merchant, taken.foreign_id, taken.origin) == (merchant, "u-1", "api")
        assert (taken.end_user_reference, taken.taken_at) == ("player-77", NOW)

    def test_gives_a_customer_the_same_address_every_time(self, merchant):
        assert take(merchant).pk == take(merchant).pk
        assert take(merchant, "u-2").pk != take(merchant).pk

    def test_gives_two_merchants_two_addresses_for_one_foreign_id(self, merchant):
        assert take(merchant).pk != take(factories.merchant()).pk

    def test_makes_an_empty_pool_larger_and_calls_for_more(self, merchant, monkeypatch):
        monkeypatch.setattr(addresses, "PATIENCE_SECONDS", 0.1)
        calls = []
        with pytest.raises(addresses.PoolEmpty):
            addresses.take(
                merchant=merchant,
                order=Order(foreign_id="u", currency="BTC", convert_to="EUR"),
                now=NOW,
                call_for_more=lambda: calls.append("rung"),
            )
        assert calls == ["rung"]
        assert AddressPool.objects.get(convert_to="EUR").wanted == 20

    def test_takes_what_the_sender_fills_in_meanwhile(self, merchant, processor, upstream):
        taken = addresses.take(
            merchant=merchant,
            order=Order(foreign_id="u", currency="BTC", convert_to="EUR"),
            now=NOW,
            call_for_more=lambda: fill(processor, upstream),
        )
        assert taken.convert_to == "EUR"

    def test_refuses_a_currency_that_no_processor_carries(self, merchant):
        factories.Processor.objects.update(is_active=False)
        with pytest.raises(addresses.NoRoute, match=r"The selected currency is invalid\."):
            take(merchant, currency="ETH")


@pytest.mark.django_db(transaction=True)
class TestParallelTake:
    def test_gives_one_customer_one_address(self, upstream):
        processor, merchant = factories.processor(), factories.merchant()
        addresses.want(merchant=merchant, currency="BTC", convert_to="", now=NOW)
        fill(processor, upstream)
        taken: list[int] = []

        def go() -> None:
            try:
                taken.append(take(merchant).pk)
            finally:
                connection.close()

        threads = [threading.Thread(target=go) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(taken) == 8
        assert len(set(taken)) == 1
        assert Address.objects.free().count() == 9


class TestUnwillingUpstream:
    """What is refused for one pool, or wrong about one address, keeps no other from being filled."""

    class Refusing(FakeOutbound):
        def __init__(self, *refused: str, repeats: str = "") -> None:
            super().__init__()
            self.refused, self.repeats = refused, repeats

        def issue(self, *, currency, convert_to, references):
            if currency in self.refused:
                self.asked += references
                raise Refused("The selected currency is invalid.", "currency")
            issued = super().issue(currency=currency, convert_to=convert_to, references=references)
            return [replace(one, address="2Nsame") if currency == self.repeats else one for one in issued]

    @pytest.fixture
    def pools(self, merchant):
        for currency in ("ETH", "XRP", "BTC"):
            addresses.want(merchant=merchant, currency=currency, convert_to="", now=NOW)

    @pytest.mark.usefixtures("pools")
    def test_that_refuses_a_currency_is_asked_for_it_once(self, processor, caplog):
        upstream = self.Refusing("ETH", "XRP")
        assert addresses.fill(processor=processor, outbound=upstream) == 10
        assert Address.objects.free().filter(currency="BTC").count() == 10
        assert len(upstream.asked) == 12
        assert addresses.fill(processor=processor, outbound=upstream) == 0
        assert "The selected currency is invalid." in caplog.text

    @pytest.mark.usefixtures("pools")
    def test_that_gives_one_address_twice_loses_only_that_one(self, processor, caplog):
        upstream = self.Refusing(repeats="ETH")
        fill(processor, upstream)
        assert Address.objects.free().filter(currency="ETH").count() == 1
        assert Address.objects.free().exclude(currency="ETH").count() == 20
        assert "was issued before" in caplog.text

    @pytest.mark.usefixtures("pools")
    def test_that_is_silent_is_left_alone(self, processor):
        upstream = self.Refusing()
        upstream.silent = True
        with pytest.raises(Unreachable):
            addresses.fill(processor=processor, outbound=upstream)
        assert not upstream.asked


class TestLookup:
    def test_folds_the_spellings_of_one_address(self):
        mixed = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed"
        assert addresses.lookup("ETH", mixed) == addresses.lookup("ETH", mixed.lower())

    def test_leaves_what_it_cannot_read(self):
        assert addresses.lookup("ADA", "addr1xyz") == "addr1xyz"


class TestDatabase:
    def test_refuses_to_issue_one_address_twice(self, merchant):
        one = factories.address(merchant)
        with pytest.raises(IntegrityError, match="address_is_issued_once"):
            factories.address(factories.merchant(), address=one.address, lookup=one.lookup)

    def test_refuses_a_second_address_for_one_customer(self, merchant):
        one = factories.address(merchant)
        with pytest.raises(IntegrityError, match="address_of_a_customer_is_unique"):
            factories.address(merchant, foreign_id=one.foreign_id)

    @pytest.mark.parametrize(
        "change", ["merchant_id = NULL, wire_id = NULL, origin = 'pool'", "foreign_id = 'x'", "address = 'x'"]
    )
    def test_keeps_a_taken_address_where_it_is(self, merchant, change):
        factories.address(merchant)
        refused("address_stays_taken", f"UPDATE payments_address SET {change}")

    def test_refuses_a_free_address_with_a_merchant(self, processor, merchant):
        Address.objects.create(processor=processor, currency="BTC", address="2N", lookup="2N")
        refused("address_is_free_or_taken", f"UPDATE payments_address SET merchant_id = {merchant.pk}")
