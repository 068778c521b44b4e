"""Receive: a new address of one's own, named, converted or not, with those taken before."""

from __future__ import annotations

from decimal import Decimal

import pytest

from merchants.roles import Role
from payments import addresses, rates, terms
from payments.models import Address, AddressOrigin
from payments.processors.base import Pair, Quote
from tests import desk, factories
from tests.factories import NOW

pytestmark = pytest.mark.django_db


@pytest.fixture
def at():
    processor = factories.processor()
    for code in ("BTC", "EUR"):
        factories.terms(code)
    at = desk.desk(factories.merchant())
    terms.enable_all(merchant=at.merchant, currencies=["BTC", "EUR"], now=NOW)
    rates.keep(processor=processor, quotes=[Quote(Pair("BTC", "EUR"), Decimal(2), None, None)])
    for number, convert_to in enumerate(("", "", "EUR")):
        Address.objects.create(
            processor=processor,
            currency="BTC",
            convert_to=convert_to,
            address=f"2Nfree{number}",
            lookup=f"2Nfree{number}",
            issued_at=NOW,
        )
    return at


class TestReceive:
    def test_takes_an_address_and_draws_it(self, at):
        answer = at.post("receive/BTC/", label="Till 2")
        row = Address.objects.get(merchant=at.merchant)
        assert answer["Location"] == at.url(f"addresses/{row.wire_id}/")
        assert (row.origin, row.label, row.foreign_id) == (
            AddressOrigin.PORTAL,
            "Till 2",
            f"bo-{row.wire_id}",
        )
        page = at.client.get(answer["Location"]).content.decode()
        assert "2Nfree0" in page
        assert "<svg" in page

    def test_takes_another_on_request_and_lists_both(self, at):
        for label in ("Till 2", "Till 3"):
            at.post("receive/BTC/", label=label)
        page = at.get("receive/BTC/").content.decode()
        assert "Till 2" in page
        assert "Till 3" in page
        assert Address.objects.for_merchant(at.merchant).count() == 2

    def test_offers_what_it_can_be_converted_to(self, at):
        page = at.get("receive/BTC/").content.decode()
        assert "No, keep BTC" in page
        assert "To EUR: Euro" in page
        at.post("receive/BTC/", label="In euros", convert_to="EUR")
        assert Address.objects.get(merchant=at.merchant).convert_to == "EUR"

    @pytest.mark.parametrize("given", [{}, {"label": " "}, {"label": "x" * 61}])
    def test_says_at_the_field_that_it_takes_a_name(self, at, given):
        answer = at.post("receive/BTC/", **given)
        assert (answer.status_code, b'id="id_label_error"' in answer.content) == (422, True)
        assert not Address.objects.for_merchant(at.merchant).exists()

    def test_says_at_the_field_what_cannot_be_converted_to(self, at):
        answer = at.post("receive/BTC/", label="Till 2", convert_to="USD")
        assert (answer.status_code, b'id="id_convert_to_error"' in answer.content) == (422, True)
        assert not Address.objects.for_merchant(at.merchant).exists()

    def test_says_when_none_is_free(self, at, monkeypatch):
        monkeypatch.setattr(addresses, "PATIENCE_SECONDS", 0.01)
        Address.objects.filter(origin=AddressOrigin.POOL).delete()
        answer = at.post("receive/BTC/", label="Till 2")
        assert (answer.status_code, "No address is free" in answer.content.decode()) == (422, True)

    @pytest.mark.parametrize("code", ["EUR", "ETH", "NONSENSE"])
    def test_is_missing_for_what_is_not_enabled_crypto(self, at, code):
        assert at.get(f"receive/{code}/").status_code == 404

    def test_is_open_to_who_may_manage_addresses(self, at):
        assert desk.desk(at.merchant, Role.VIEW).get("receive/BTC/").status_code == 200
