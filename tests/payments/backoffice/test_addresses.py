"""Deposit addresses on pages: those that were taken, and one to receive money at."""

from __future__ import annotations

import pytest

from merchants.roles import Role
from payments import addresses, terms
from payments.models import Address, AddressOrigin
from tests import desk, factories
from tests.factories import NOW

pytestmark = pytest.mark.django_db


@pytest.fixture
def at():
    processor = factories.processor()
    factories.terms("BTC")
    factories.terms("EUR")
    at = desk.desk(factories.merchant())
    terms.enable_all(merchant=at.merchant, currencies=["BTC", "EUR"], now=NOW)
    for number in range(2):
        Address.objects.create(
            processor=processor,
            currency="BTC",
            address=f"2Nfree{number}",
            lookup=f"2Nfree{number}",
            issued_at=NOW,
        )
    return at


class TestList:
    def test_shows_own_addresses_alone(self, at):
        mine, theirs = factories.address(at.merchant), factories.address(factories.merchant())
        page = at.get("addresses/").content.decode()
        assert mine.address in page
        assert theirs.address not in page

    def test_goes_on_below_a_number(self, at):
        older, newer = factories.address(at.merchant), factories.address(at.merchant)
        page = at.get(f"addresses/?older_than={newer.wire_id}").content.decode()
        assert older.address in page
        assert newer.address not in page

    @pytest.mark.parametrize(
        "query", ["currency=%00x", "older_than=-1", "older_than=99999999999999", "currency=ZZZ"]
    )
    def test_shrugs_at_nonsense(self, at, query):
        assert at.get(f"addresses/?{query}").status_code in {200, 400}


class TestReceive:
    def test_takes_an_address_and_draws_it(self, at):
        assert at.post("receive/BTC/").status_code == 302
        row = Address.objects.get(merchant=at.merchant)
        assert (row.origin, row.foreign_id) == (AddressOrigin.PORTAL, f"bo-{row.wire_id}")
        page = at.get("receive/BTC/").content.decode()
        assert "2Nfree0" in page
        assert "<svg" in page

    def test_takes_another_on_request(self, at):
        at.post("receive/BTC/")
        at.post("receive/BTC/")
        assert Address.objects.for_merchant(at.merchant).count() == 2

    def test_says_when_none_is_free(self, at, monkeypatch):
        monkeypatch.setattr(addresses, "PATIENCE_SECONDS", 0.01)
        Address.objects.filter(origin=AddressOrigin.POOL).delete()
        answer = at.post("receive/BTC/")
        assert (answer.status_code, "No address is free" in answer.content.decode()) == (422, True)

    @pytest.mark.parametrize("code", ["EUR", "ETH", "NONSENSE"])
    def test_is_missing_for_what_is_not_enabled_crypto(self, at, code):
        assert at.get(f"receive/{code}/").status_code == 404

    def test_is_open_to_who_may_manage_addresses(self, at):
        assert desk.desk(at.merchant, Role.VIEW).get("receive/BTC/").status_code == 200
