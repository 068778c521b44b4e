"""Adjustments: four eyes, one entry, and no way round either."""

from __future__ import annotations

from decimal import Decimal

import pytest

from merchants.models import AuditRecord
from payments import adjustments, ledger
from payments.currencies import UnknownCurrency
from payments.models import Adjustment
from payments.models.entry import Entry
from tests import factories
from tests.constraints import refused
from tests.factories import NOW, money

pytestmark = pytest.mark.django_db


@pytest.fixture
def merchant():
    return factories.merchant()


@pytest.fixture
def asks():
    return factories.operator()


@pytest.fixture
def approves():
    return factories.operator()


def request(merchant, by, amount: str = "100", currency: str = "EUR", reason: str = "Bank transfer 17"):
    return adjustments.request(
        merchant=merchant, money=money(amount, currency), reason=reason, by=by, now=NOW
    )


def approve(adjustment, by):
    return adjustments.approve(adjustment_id=adjustment.pk, by=by, now=NOW)


class TestRequest:
    def test_moves_nothing_yet(self, merchant, asks):
        adjustment = request(merchant, asks)
        assert (adjustment.status, adjustment.decided_by) == ("requested", None)
        assert not Entry.objects.exists()

    @pytest.mark.parametrize(
        ("options", "refusal"),
        [
            ({"amount": "0"}, adjustments.MovesNothing),
            ({"amount": "0.000000001"}, adjustments.TooFine),
            ({"reason": "  "}, adjustments.ReasonMissing),
            ({"currency": "XYZ"}, UnknownCurrency),
        ],
    )
    def test_refuses_what_makes_no_sense(self, merchant, asks, options, refusal):
        with pytest.raises(refusal):
            request(merchant, asks, **options)
        assert not Adjustment.objects.exists()

    def test_is_for_operators_only(self, merchant):
        person = factories.User.objects.create_user(email="owner@shop.test", password=None)
        with pytest.raises(adjustments.NotAnOperator):
            request(merchant, person)


class TestApprove:
    def test_books_one_entry_against_the_house(self, merchant, asks, approves):
        adjustment = approve(request(merchant, asks), approves)
        (balance,) = ledger.balances(merchant)
        assert balance == ledger.Balance("EUR", Decimal(100), Decimal(0), Decimal(0))
        assert Entry.objects.get().key == f"adjustment:{adjustment.pk}"
        assert (adjustment.status, adjustment.decided_by) == ("approved", approves)

    def test_refuses_the_person_who_asked(self, merchant, asks):
        adjustment = request(merchant, asks)
        with pytest.raises(adjustments.OwnRequest):
            approve(adjustment, asks)
        assert not Entry.objects.exists()

    def test_refuses_to_decide_twice(self, merchant, asks, approves):
        adjustment = approve(request(merchant, asks), approves)
        for decide in (adjustments.approve, adjustments.decline):
            with pytest.raises(adjustments.AlreadyDecided):
                decide(adjustment_id=adjustment.pk, by=approves, now=NOW)
        assert Entry.objects.count() == 1

    def test_takes_no_more_than_there_is(self, merchant, asks, approves):
        approve(request(merchant, asks, "100"), approves)
        adjustment = request(merchant, asks, "-100.01")
        with pytest.raises(ledger.InsufficientFunds):
            approve(adjustment, approves)
        adjustment.refresh_from_db()
        assert adjustment.status == "requested"
        assert ledger.balances(merchant)[0].available == Decimal(100)

    def test_is_audited_with_both_people(self, merchant, asks, approves):
        approve(request(merchant, asks), approves)
        acts = AuditRecord.objects.filter(act__startswith="adjustments.").order_by("number")
        assert [(row.act, row.actor) for row in acts] == [
            ("adjustments.request", asks),
            ("adjustments.approve", approves),
        ]


class TestDecline:
    def test_books_nothing(self, merchant, asks, approves):
        adjustment = request(merchant, asks)
        adjustments.decline(adjustment_id=adjustment.pk, by=approves, now=NOW)
        assert not Entry.objects.exists()
        adjustment.refresh_from_db()
        assert adjustment.status == "declined"


class TestDatabase:
    def test_refuses_an_approver_who_asked(self, merchant, asks):
        adjustment = request(merchant, asks)
        refused(
            "adjustment_approver_is_not_requester",
            f"UPDATE payments_adjustment SET status = 'approved', decided_by_id = {asks.pk}"
            f" WHERE id = {adjustment.pk}",
        )

    def test_refuses_a_decision_without_a_person(self, merchant, asks):
        request(merchant, asks)
        refused("adjustment_decision_names_who_decided", "UPDATE payments_adjustment SET status = 'approved'")

    @pytest.mark.parametrize("amount", ["0", "'NaN'"])
    def test_refuses_an_amount_that_is_none(self, merchant, asks, amount):
        request(merchant, asks)
        refused(
            "adjustment_amount_is_not_zero",
            "INSERT INTO payments_adjustment (merchant_id, currency, amount, reason, status, requested_by_id,"
            f" requested_at) SELECT merchant_id, currency, {amount}, reason, status, requested_by_id,"
            " requested_at FROM payments_adjustment",
        )
