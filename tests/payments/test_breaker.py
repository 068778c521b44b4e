"""The breaker: trips on what is unlike what went before, and counts afresh once it was lifted."""

from __future__ import annotations

from datetime import timedelta

import pytest

from payments import controls
from payments.models import Stop, Withdrawal
from tests.factories import NOW
from tests.payments import upstream_of_payouts as up
from tests.payments.upstream_of_payouts import Payer, approved, send

pytestmark = pytest.mark.django_db


@pytest.fixture
def shop():
    return up.payer_out("100")


def went_out(shop, amount: str, ago: timedelta) -> None:
    row = approved(shop, amount)
    send(Payer())
    Withdrawal.objects.filter(pk=row.pk).update(submitted_at=NOW - ago)


class TestOutflow:
    def test_up_to_the_floor_never_trips(self, shop):
        approved(shop, "0.5")  # 25,000 EUR
        payer = Payer()
        send(payer)
        assert len(payer.submitted) == 1
        assert not Stop.objects.exists()

    def test_beyond_the_floor_without_a_past_stops_the_merchant_and_sends_nothing(self, shop):
        row, payer = approved(shop, "0.51"), Payer()
        send(payer)
        row.refresh_from_db()
        assert (row.state, payer.submitted) == ("approved", [])
        made = Stop.objects.get()
        assert (made.merchant, made.stopped_by) == (shop, None)

    def test_of_three_times_the_greatest_hour_passes(self, shop):
        went_out(shop, "0.4", timedelta(days=3))
        approved(shop, "1.2")
        payer = Payer()
        send(payer)
        assert len(payer.submitted) == 1

    def test_of_more_in_the_same_hour_trips(self, shop):
        went_out(shop, "0.4", timedelta(days=3))
        approved(shop, "0.8"), approved(shop, "0.41")
        payer = Payer()
        send(payer), send(payer)
        assert len(payer.submitted) == 1
        assert Stop.objects.get().merchant == shop

    def test_forgets_what_is_older_than_thirty_days(self, shop):
        went_out(shop, "0.4", timedelta(days=31))
        approved(shop, "1.2")
        payer = Payer()
        send(payer)
        assert payer.submitted == []

    def test_of_many_merchants_together_stops_the_installation(self, shop):
        payer = Payer()
        for _ in range(2):
            approved(up.payer_out(), "0.3")
            send(payer)
        assert len(payer.submitted) == 1
        assert Stop.objects.get().merchant is None

    def test_counts_afresh_once_it_was_lifted(self, shop):
        row, payer = approved(shop, "0.51"), Payer()
        went_out_before = approved(shop, "0.4")
        send(payer)
        stop = Stop.objects.get()
        controls.lift(stop_id=stop.pk, by="Ada", reason="a known payment", now=NOW)
        controls.set_cap(
            merchant=None, currency="", one_operation=None, per_hour=None, per_day=None, by="Ada", now=NOW
        )
        Withdrawal.objects.filter(pk=row.pk).update(next_ask_at=NOW + timedelta(days=365_0))
        send(payer)
        went_out_before.refresh_from_db()
        assert went_out_before.state == "sent"


class TestUnknown:
    def test_outcomes_up_to_three_are_borne(self, shop):
        payer = Payer(*[up.is_cut_off] * 3)
        for _ in range(3):
            approved(shop), send(payer)
        assert not Stop.objects.exists()

    def test_outcomes_of_more_within_ten_minutes_stop_the_installation(self, shop):
        payer = Payer(*[up.is_cut_off] * 5)
        for _ in range(5):
            approved(shop)
        sent = [send(payer) for _ in range(5)]
        assert sent == [1, 1, 1, 1, 0]
        assert Stop.objects.get().merchant is None
        assert len(payer.submitted) == 4

    def test_outcomes_of_longer_ago_do_not_count(self, shop):
        payer = Payer(*[up.is_cut_off] * 4)
        for minutes in (0, 1, 2, 11):
            approved(shop), send(payer, NOW + timedelta(minutes=minutes))
        assert not Stop.objects.exists()

    def test_outcomes_from_before_it_was_lifted_do_not_count(self, shop):
        payer = Payer(*[up.is_cut_off] * 5)
        for _ in range(4):
            approved(shop), send(payer)
        later = NOW + timedelta(seconds=1)
        controls.lift(stop_id=Stop.objects.get().pk, by="Ada", reason="it answers", now=NOW)
        approved(shop), send(payer, later)
        assert not Stop.objects.filter(lifted_at=None).exists()
