"""Addresses of the staff: taken under a name, converted or not, renamed; where the money goes stays."""

from __future__ import annotations

import pytest

from merchants.models import AuditRecord
from payments import addresses, rates, receiving, terms
from payments.models import Address
from payments.processors.base import Pair, Quote
from tests import constraints, desk, factories
from tests.factories import NOW

pytestmark = pytest.mark.django_db


@pytest.fixture
def processor():
    return factories.processor()


@pytest.fixture
def merchant(processor):
    for code in ("BTC", "EUR", "USD", "ETH"):
        factories.terms(code)
    merchant = factories.merchant()
    terms.enable_all(merchant=merchant, currencies=["BTC", "EUR", "ETH"], now=NOW)
    for convert_to in ("", "EUR"):
        Address.objects.create(
            processor=processor,
            currency="BTC",
            convert_to=convert_to,
            address=f"2Nfree{convert_to}",
            lookup=f"2Nfree{convert_to}",
            issued_at=NOW,
        )
    return merchant


@pytest.fixture
def owner(merchant):
    return desk.person(merchant)


def quote(processor, *pairs):
    price = factories.money("2").amount
    quotes = [Quote(Pair(source, target), price, None, None) for source, target in pairs]
    rates.keep(processor=processor, quotes=quotes)


def take(merchant, owner, **changes):
    given = {"currency": "BTC", "label": "Till 2", "by": owner, "now": NOW, "call_for_more": lambda: None}
    return receiving.take(merchant=merchant, **given | changes)


class TestTake:
    def test_gives_the_address_a_name_and_a_number_of_its_own(self, merchant, owner):
        take(merchant, owner, label=" Till\u202e 2 ")
        row = Address.objects.for_merchant(merchant).get()
        assert (row.label, row.origin, row.foreign_id) == ("Till 2", "portal", f"bo-{row.wire_id}")
        assert (row.address, row.convert_to) == ("2Nfree", "")

    def test_is_audited(self, merchant, owner):
        row = take(merchant, owner)
        record = AuditRecord.objects.get(act="addresses.take")
        assert (record.actor, record.merchant, record.subject) == (owner, merchant, f"address:{row.pk}")
        assert '"label":"Till 2"' in record.after

    def test_converts_to_what_is_enabled_and_priced(self, merchant, owner, processor):
        quote(processor, ("BTC", "EUR"), ("BTC", "USD"))
        assert list(receiving.targets(merchant=merchant, currency="BTC", now=NOW)) == ["EUR"]
        assert take(merchant, owner, convert_to="EUR").address == "2NfreeEUR"

    @pytest.mark.parametrize(
        ("given", "refusal"),
        [
            ({"label": ""}, receiving.NameMissing),
            ({"label": "\u200b "}, receiving.NameMissing),
            ({"label": "x" * 61}, receiving.NameTooLong),
            ({"convert_to": "USD"}, receiving.CannotConvert),
            ({"convert_to": "ETH"}, receiving.CannotConvert),
            ({"convert_to": "BTC"}, receiving.CannotConvert),
        ],
    )
    def test_refuses_and_takes_nothing(self, merchant, owner, processor, given, refusal):
        quote(processor, ("BTC", "EUR"), ("BTC", "USD"))
        with pytest.raises(refusal):
            take(merchant, owner, **given)
        assert not Address.objects.for_merchant(merchant).exists()
        assert not AuditRecord.objects.filter(act="addresses.take").exists()


class TestRename:
    def rename(self, row, owner, label="Till 3"):
        return receiving.rename(
            merchant=row.merchant, number=row.wire_id, label=label, by=owner, now=NOW, second_factor=False
        )

    def test_changes_the_name_alone(self, merchant, owner):
        row = take(merchant, owner)
        self.rename(row, owner)
        now = Address.objects.get(pk=row.pk)
        assert (now.label, now.address, now.foreign_id) == ("Till 3", row.address, row.foreign_id)
        record = AuditRecord.objects.get(act="addresses.rename")
        assert (record.before, record.after) == ('{"label":"Till 2"}', '{"label":"Till 3"}')

    @pytest.mark.parametrize(
        ("label", "refusal"), [("", receiving.NameMissing), ("x" * 61, receiving.NameTooLong)]
    )
    def test_refuses_what_is_no_name(self, merchant, owner, label, refusal):
        row = take(merchant, owner)
        with pytest.raises(refusal):
            self.rename(row, owner, label)
        assert Address.objects.get(pk=row.pk).label == "Till 2"

    def test_refuses_an_address_that_a_program_took(self, merchant, owner):
        row = factories.address(merchant)
        with pytest.raises(receiving.NotOfTheStaff):
            self.rename(row, owner)
        assert Address.objects.get(pk=row.pk).label == ""

    def test_does_not_find_another_merchants(self, merchant, owner):
        row = take(merchant, owner)
        with pytest.raises(Address.DoesNotExist):
            receiving.rename(
                merchant=factories.merchant(), number=row.wire_id, label="Mine", by=owner, now=NOW
            )
        assert Address.objects.get(pk=row.pk).label == "Till 2"


class TestTable:
    def test_keeps_names_from_addresses_of_programs(self, merchant):
        row = factories.address(merchant)
        constraints.refused(
            "address_label_is_of_the_staff", f"UPDATE payments_address SET label = 'x' WHERE id = {row.pk}"
        )

    def test_keeps_names_from_addresses_that_nobody_took(self, merchant):
        constraints.refused(
            "address_label_is_of_the_staff", "UPDATE payments_address SET label = 'x' WHERE origin = 'pool'"
        )


def test_gives_the_addresses_that_it_takes_no_second_one(merchant, owner, monkeypatch):
    """An empty pool refuses; nothing is audited for an address that never came."""
    monkeypatch.setattr(addresses, "PATIENCE_SECONDS", 0.01)
    take(merchant, owner)
    with pytest.raises(addresses.PoolEmpty):
        take(merchant, owner, label="Till 3")
    assert AuditRecord.objects.filter(act="addresses.take").count() == 1
