"""Withdrawal limits on pages: two sets, refused at the field, saved with a code."""

from __future__ import annotations

from decimal import Decimal

import pytest

from merchants.models import AuditRecord
from merchants.roles import Role
from payments import limits
from payments.models import Origin, WithdrawalLimit
from tests import desk
from tests.payments.backoffice import paying

pytestmark = pytest.mark.django_db
PAGE = "settings/withdrawal-limits/"


@pytest.fixture
def at():
    return paying.owner()


def text(answer):
    return answer.content.decode()


class TestList:
    def test_says_that_nothing_waits_without_limits(self, at):
        assert text(at.get(PAGE)).count("Unlimited: nothing waits for approval") == 2

    def test_shows_both_sets_and_a_currencys_own_row(self, at):
        paying.limited(at, Origin.API, per_day=Decimal(1500))
        paying.limited(at, Origin.STAFF, currency="BTC", one_operation=Decimal("0.25"))
        page = text(at.get(PAGE))
        assert "1\u202f500.00 EUR" in page
        assert "0.25 BTC" in page
        assert page.count("Unlimited: nothing waits") == 1

    def test_offers_no_change_to_who_may_only_look(self, at):
        page = text(desk.desk(at.merchant, Role.VIEW).get(PAGE))
        assert "Edit" not in page.split("<main", 1)[1]


class TestEdit:
    def test_saves_the_defaults(self, at):
        answer = at.post(f"{PAGE}api/default/", one_operation="500", per_day="2000.5")
        assert answer.status_code == 302
        row = WithdrawalLimit.objects.get()
        assert (row.origin, row.currency, row.one_operation, row.per_hour, row.per_day, row.everything) == (
            "api",
            "",
            Decimal(500),
            None,
            Decimal("2000.5"),
            False,
        )
        assert AuditRecord.objects.get(act="limits.set").second_factor

    def test_begins_with_what_is_saved(self, at):
        paying.limited(at, Origin.STAFF, per_hour=Decimal(100), everything=True)
        page = text(at.get(f"{PAGE}staff/default/"))
        assert 'value="100"' in page
        assert "checked" in page

    @pytest.mark.parametrize(
        ("typed", "sentence"),
        [
            ("0", "0 would be no limit and no permission either."),
            ("0.00", "0 would be no limit and no permission either."),
            ("-1", "Write a plain number"),
            ("1,000", "Write a plain number"),
            ("1e3", "Write a plain number"),
            ("NaN", "Write a plain number"),
            ("１２", "Write a plain number"),
            ("0.123456789", "At most 8 decimals"),
        ],
    )
    def test_refuses_at_the_field(self, at, typed, sentence):
        answer = at.post(f"{PAGE}api/default/", per_hour=typed)
        assert answer.status_code == 422
        page = text(answer)
        assert sentence in page.split('name="per_hour"', 1)[1].split('name="per_day"', 1)[0]
        assert not WithdrawalLimit.objects.exists()

    def test_takes_a_code(self, at):
        answer = at.post(f"{PAGE}api/default/", code="000000", per_hour="5")
        assert (answer.status_code, "This code is not right." in text(answer)) == (422, True)
        assert not WithdrawalLimit.objects.exists()

    @pytest.mark.parametrize("path", ["robots/default/", "api/BTC/", "api/NONSENSE/", "api/BTC/remove/"])
    def test_of_what_is_not_there_is_missing(self, at, path):
        assert at.get(f"{PAGE}{path}").status_code == 404
        assert at.post(f"{PAGE}{path}").status_code == 404

    def test_is_the_owners(self, at):
        for role in (Role.VIEW, Role.EXCHANGE, Role.LIMITS):
            assert desk.desk(at.merchant, role).post(f"{PAGE}api/default/", per_hour="5").status_code == 403
        assert not WithdrawalLimit.objects.exists()


class TestOwnRow:
    def test_is_added_for_a_currency(self, at):
        assert at.post(f"{PAGE}api/add/", currency="BTC", one_operation="0.1").status_code == 302
        assert limits.of(at.merchant)[0].currency == "BTC"

    @pytest.mark.parametrize("code", ["", "ETH", "NONSENSE"])
    def test_is_for_enabled_currencies(self, at, code):
        answer = at.post(f"{PAGE}api/add/", currency=code, one_operation="0.1")
        assert answer.status_code == 422
        assert not WithdrawalLimit.objects.exists()

    def test_is_not_added_twice(self, at):
        paying.limited(at, Origin.API, currency="BTC", per_day=Decimal(1))
        assert at.post(f"{PAGE}api/add/", currency="BTC", per_day="9").status_code == 422
        assert WithdrawalLimit.objects.get().per_day == 1

    def test_is_removed(self, at):
        paying.limited(at, Origin.API, currency="BTC", per_day=Decimal(1))
        assert "the defaults in EUR count for BTC" in text(at.get(f"{PAGE}api/BTC/remove/"))
        assert at.post(f"{PAGE}api/BTC/remove/").status_code == 302
        assert not WithdrawalLimit.objects.exists()

    def test_cannot_be_removed_of_the_defaults(self, at):
        paying.limited(at, Origin.API, per_day=Decimal(1))
        assert at.post(f"{PAGE}api/default/remove/").status_code == 404
        assert WithdrawalLimit.objects.exists()


class TestRecipients:
    def test_are_saved_as_listed(self, at):
        answer = at.post(f"{PAGE}recipients/", emails="anna@shop.test, ben@shop.test;anna@shop.test")
        assert answer.status_code == 302
        told = limits.recipients(at.merchant).values_list("email", flat=True)
        assert list(told) == ["anna@shop.test", "ben@shop.test"]
        assert "ben@shop.test" in text(at.get(PAGE))

    def test_are_refused_at_the_field(self, at):
        answer = at.post(f"{PAGE}recipients/", emails="anna@shop.test, nobody")
        assert answer.status_code == 422
        assert "nobody is not an e-mail address." in text(answer)
        assert not limits.recipients(at.merchant).exists()
