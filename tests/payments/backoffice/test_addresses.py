"""Deposit addresses on pages: the staff's by name, the programs' by customer, each with its QR code."""

from __future__ import annotations

import pytest

from merchants.roles import Role
from payments import terms
from payments.models import AddressOrigin
from tests import desk, factories
from tests.factories import NOW

pytestmark = pytest.mark.django_db


@pytest.fixture
def at():
    factories.processor()
    factories.terms("BTC")
    at = desk.desk(factories.merchant())
    terms.enable(merchant=at.merchant, currency="BTC", now=NOW)
    return at


def own(merchant, label="Till 2", **options):
    return factories.address(merchant, origin=AddressOrigin.PORTAL, label=label, **options)


class TestList:
    def test_keeps_staff_and_programs_apart(self, at):
        mine, theirs = own(at.merchant), factories.address(at.merchant)
        pages = [at.get(path).content.decode() for path in ("addresses/", "addresses/system/")]
        assert [mine.address in page for page in pages] == [True, False]
        assert [theirs.address in page for page in pages] == [False, True]

    def test_shows_no_other_merchants(self, at):
        strangers = [own(factories.merchant()), factories.address(factories.merchant())]
        pages = at.get("addresses/").content + at.get("addresses/system/").content
        assert not [one for one in strangers if one.address.encode() in pages]

    def test_goes_on_below_a_number(self, at):
        older, newer = factories.address(at.merchant), factories.address(at.merchant)
        page = at.get(f"addresses/system/?older_than={newer.wire_id}").content.decode()
        assert older.address in page
        assert newer.address not in page

    def test_finds_a_customer_and_an_address_by_the_whole_text(self, at):
        wanted, other = factories.address(at.merchant, foreign_id="u-1"), factories.address(at.merchant)
        for query in ("foreign_id=u-1", f"address={wanted.address}", "currency=BTC&foreign_id=u-1"):
            page = at.get(f"addresses/system/?{query}").content.decode()
            assert wanted.address in page
            assert other.address not in page

    def test_keeps_its_filters_on_the_next_page(self, at, monkeypatch):
        monkeypatch.setattr("payments.backoffice.addresses.PAGE", 1)
        rows = [factories.address(at.merchant, foreign_id=None) for _ in range(2)]
        page = at.get("addresses/system/?currency=BTC").content.decode()
        assert f"?currency=BTC&amp;older_than={rows[1].wire_id}" in page

    @pytest.mark.parametrize(
        "query",
        ["currency=%00x", "older_than=-1", "older_than=99999999999999", "currency=ZZZ", "address=%00"],
    )
    @pytest.mark.parametrize("path", ["addresses/", "addresses/system/"])
    def test_shrugs_at_nonsense(self, at, path, query):
        assert at.get(f"{path}?{query}").status_code == (400 if "%00" in query else 200)

    def test_escapes_names_and_customers(self, at):
        own(at.merchant, label="<script>alert(1)")
        factories.address(at.merchant, foreign_id="<script>alert(2)")
        for path in ("addresses/", "addresses/system/"):
            assert b"<script>alert" not in at.get(path).content


class TestAddress:
    def test_shows_name_qr_and_least_amount(self, at):
        row = own(at.merchant, convert_to="")
        page = at.get(f"addresses/{row.wire_id}/").content.decode()
        assert "Till 2" in page
        assert "<svg" in page
        assert "Bitcoin" in page

    def test_shows_a_tag_that_is_required(self, at):
        row = own(at.merchant, currency="XRP", tag="4711")
        page = at.get(f"addresses/{row.wire_id}/").content.decode()
        assert "4711" in page
        assert "is required" in page

    @pytest.mark.parametrize("end", ["", "rename/"])
    def test_of_another_merchant_is_missing(self, at, end):
        row = own(factories.merchant())
        assert at.get(f"addresses/{row.wire_id}/{end}").status_code == 404
        assert at.get(f"addresses/99999999999999999999/{end}").status_code == 404


class TestRename:
    def test_gives_another_name(self, at):
        row = own(at.merchant)
        assert at.post(f"addresses/{row.wire_id}/rename/", label="Till 3").status_code == 302
        row.refresh_from_db()
        assert row.label == "Till 3"

    def test_says_at_the_field_what_is_missing(self, at):
        row = own(at.merchant)
        answer = at.post(f"addresses/{row.wire_id}/rename/", label=" ")
        assert answer.status_code == 422
        assert "Give the address a name" in answer.content.decode()
        row.refresh_from_db()
        assert row.label == "Till 2"

    def test_leaves_addresses_of_programs_alone(self, at):
        row = factories.address(at.merchant)
        assert at.get(f"addresses/{row.wire_id}/rename/").status_code == 404
        assert b"Rename" not in at.get(f"addresses/{row.wire_id}/").content
        at.post(f"addresses/{row.wire_id}/rename/", label="Mine")
        row.refresh_from_db()
        assert row.label == ""

    def test_is_open_to_who_may_manage_addresses(self, at):
        row = own(at.merchant)
        viewer = desk.desk(at.merchant, Role.VIEW)
        assert viewer.post(f"addresses/{row.wire_id}/rename/", label="Till 4").status_code == 302
