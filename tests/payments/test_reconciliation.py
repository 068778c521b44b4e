"""Reconciliation: the books beside what the processor says, and what is done where they differ."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest
from django.db import connection, transaction
from django.utils import timezone

from payments import controls, ledger, reconciliation
from payments.ledger import AccountKind, NewEntry
from payments.models import Alert, Reconciliation, Stop
from payments.processors.base import Unreachable
from tests import factories
from tests.factories import NOW, money
from tests.payments import upstream_of_payouts as up
from tests.payments.upstream_of_payouts import Payer, as_role

pytestmark = pytest.mark.django_db


def lies_there(amount: str) -> None:
    """By the books so much BTC lies at the processor."""
    there = money(amount)
    with transaction.atomic():
        ledger.post(
            NewEntry(
                key="lies there",
                kind="test",
                subject="test",
                occurred_at=NOW,
                lines=[
                    ledger.at_processor(factories.processor().pk, -there),
                    ledger.house(AccountKind.ADJUSTMENT, there),
                ],
            )
        )


def look(*reported: str, minutes: int = 0, payer: Payer | None = None) -> list[Reconciliation]:
    payer = payer or Payer()
    payer.lying = [money(amount) for amount in reported]
    now = NOW + timedelta(minutes=minutes)
    return reconciliation.look(processor=factories.processor(), outbound=payer, now=now)


def is_due() -> bool:
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT EXISTS ({reconciliation.due_sql()})")
        return cursor.fetchone()[0]


class TestLook:
    def test_finds_the_same(self):
        lies_there("10")
        (row,) = look("10")
        assert (row.booked, row.reported, row.difference) == (10, 10, 0)

    @pytest.mark.parametrize(("reported", "difference"), [("9", "-1"), ("11", "1")])
    def test_says_by_how_much_it_differs(self, reported, difference):
        lies_there("10")
        (row,) = look(reported)
        assert row.difference == Decimal(difference)

    def test_counts_what_is_not_reported_as_nothing(self):
        lies_there("10")
        (row,) = look()
        assert row.difference == -10

    @pytest.mark.parametrize(("reported", "difference"), [("9.9", "0"), ("10", "0"), ("9.8", "-0.2")])
    def test_lets_orders_under_way_explain_what_they_may_have_taken(self, reported, difference):
        lies_there("10")
        up.approved(up.payer_out(), "0.1")
        up.send(Payer(up.is_cut_off))
        (row,) = [row for row in look(reported) if row.currency == "BTC"]
        assert row.difference == Decimal(difference)

    def test_is_not_taken_again_within_seconds(self):
        lies_there("10")
        look("10")
        assert look("9") == []

    def test_writes_nothing_when_the_processor_is_silent(self):
        lies_there("10")
        payer = Payer()
        payer.told = Unreachable("no")
        with pytest.raises(Unreachable):
            look(payer=payer)
        assert not Reconciliation.objects.exists()

    def test_is_done_with_the_senders_rights(self):
        lies_there("10")
        with as_role("bursar_sender"):
            look("9"), look("9", minutes=5)
        assert Stop.objects.count() == 1


class TestMismatch:
    def test_of_one_look_is_not_told(self):
        lies_there("10")
        look("9"), look("10", minutes=5), look("9", minutes=10)
        assert not Alert.objects.exists()
        assert not Stop.objects.exists()

    def test_of_two_looks_in_which_money_is_missing_stops_everything(self):
        lies_there("10")
        look("9"), look("9", minutes=5)
        assert "1.00000000 BTC less" in Alert.objects.get(kind="reconciliation").text
        assert Stop.objects.get().merchant is None
        assert Stop.objects.get().stopped_by is None

    def test_of_too_much_is_told_and_stops_nothing(self):
        lies_there("10")
        look("11"), look("11", minutes=5)
        assert "more" in Alert.objects.get(kind="reconciliation").text
        assert not Stop.objects.exists()

    def test_that_goes_away_is_over(self):
        lies_there("10")
        look("11"), look("11", minutes=5), look("10", minutes=10)
        assert not Alert.objects.filter(kind="reconciliation", cleared_at=None).exists()

    def test_that_was_known_when_the_stop_was_lifted_does_not_stop_again(self):
        lies_there("10")
        look("9"), look("9", minutes=5)
        controls.lift(stop_id=Stop.objects.get().pk, by="Ada", reason="a fee", now=NOW + timedelta(minutes=6))
        look("9", minutes=10), look("9", minutes=15)
        assert not Stop.objects.filter(lifted_at=None).exists()
        look("8", minutes=20)
        assert Stop.objects.filter(lifted_at=None).count() == 1


class TestLatest:
    def test_shows_the_last_look_and_since_when_it_differs(self):
        lies_there("10")
        for minutes, reported in enumerate(("9", "10", "9", "9", "9")):
            look(reported, minutes=minutes)
        (shown,) = reconciliation.latest()
        assert shown.row.at == NOW + timedelta(minutes=4)
        assert (shown.since, shown.is_mismatch) == (NOW + timedelta(minutes=2), True)

    def test_does_not_call_a_single_look_a_mismatch(self):
        lies_there("10")
        look("10"), look("9", minutes=1)
        (shown,) = reconciliation.latest()
        assert (shown.row.difference, shown.is_mismatch) == (-1, False)

    def test_differs_from_the_very_first_look_on(self):
        lies_there("10")
        look("9"), look("9", minutes=1)
        assert reconciliation.latest()[0].since == NOW


class TestDue:
    def test_is_what_has_accounts_and_was_never_looked_at(self):
        factories.processor()
        assert not is_due()
        lies_there("10")
        assert is_due()

    def test_is_over_for_an_hour_after_a_look(self):
        lies_there("10")
        look("10")
        Reconciliation.objects.update(at=_ago(59))
        assert not is_due()
        Reconciliation.objects.update(at=_ago(61))
        assert is_due()

    def test_is_sooner_where_the_last_look_differed(self):
        lies_there("10")
        look("9")
        Reconciliation.objects.update(at=_ago(6))
        assert is_due()


def _ago(minutes: int):
    return timezone.now() - timedelta(minutes=minutes)
