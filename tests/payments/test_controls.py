"""Stops and caps: who may make them, that pages can undo neither, and what they hold up."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest
from django.db import ProgrammingError, connection, transaction

from merchants.models import AuditRecord
from merchants.roles import Role
from payments import controls
from payments.currencies import UnknownCurrency
from payments.models import Alert, Cap, Rate, Stop
from tests import factories
from tests.constraints import refused
from tests.desk import person
from tests.factories import NOW
from tests.payments import upstream_of_payouts as up
from tests.payments.upstream_of_payouts import Payer, approved, as_role, send

pytestmark = pytest.mark.django_db


@pytest.fixture
def shop():
    return up.payer_out()


def stop(merchant, by, reason="keys were stolen"):
    return controls.stop(merchant=merchant, reason=reason, by=by, now=NOW)


cap = up.capped


class TestStop:
    def test_is_made_by_an_owner_with_a_word_to_all_who_can_act(self, shop):
        user = person(shop)
        made = stop(shop, user)
        assert list(controls.open_stops(shop)) == [made]
        assert controls.is_stopped(shop.pk)
        alert = Alert.objects.get(kind="stop")
        assert (alert.merchant, user.email in alert.text) == (shop, True)
        assert AuditRecord.objects.get(act="stops.make").actor == user

    @pytest.mark.parametrize("role", [Role.EXCHANGE, Role.LIMITS, Role.VIEW])
    def test_refuses_who_is_no_owner(self, shop, role):
        with pytest.raises(controls.NotAllowed):
            stop(shop, person(shop, role))
        assert not Stop.objects.exists()

    def test_refuses_an_owner_of_another_merchant(self, shop):
        with pytest.raises(controls.NotAllowed):
            stop(shop, person(factories.merchant()))

    def test_of_the_installation_is_an_operators(self, shop):
        with pytest.raises(controls.OnlyOperators):
            stop(None, person(shop))
        stop(None, up.operator())
        assert controls.is_stopped(shop.pk)

    def test_needs_a_reason(self, shop):
        with pytest.raises(controls.ReasonMissing):
            stop(shop, person(shop), reason="  ")

    def test_is_one_at_a_time(self, shop):
        user = person(shop)
        stop(shop, user)
        with pytest.raises(controls.AlreadyStopped):
            stop(shop, user)
        assert Stop.objects.count() == 1

    def test_by_the_breaker_has_no_author_and_is_made_once(self, shop):
        made = controls.trip(merchant=shop, reason="odd", now=NOW)
        assert made is not None
        assert made.stopped_by is None
        assert controls.trip(merchant=shop, reason="odd", now=NOW) is None
        assert "the breaker" in Alert.objects.get(kind="stop").text

    def test_is_made_with_the_applications_rights(self, shop):
        user = person(shop)
        with as_role("bursar_app"):
            stop(shop, user)
        with as_role("bursar_sender"):
            controls.trip(merchant=None, reason="odd", now=NOW)
        assert Stop.objects.filter(lifted_at=None).count() == 2


class TestLift:
    @pytest.fixture
    def made(self, shop):
        return stop(shop, person(shop))

    def test_lets_payouts_go_on(self, shop, made):
        row, payer = approved(shop), Payer()
        send(payer)
        controls.lift(stop_id=made.pk, by="Ada", reason="new keys", now=NOW)
        assert not controls.is_stopped(shop.pk)
        send(payer)
        row.refresh_from_db()
        assert row.state == "sent"
        assert not Alert.objects.filter(cleared_at=None).exists()
        assert AuditRecord.objects.get(act="stops.lift").actor_label == "Ada (on the server)"

    @pytest.mark.parametrize("role", ["bursar_app", "bursar_sender"])
    def test_is_refused_to_every_process(self, made, role):
        with pytest.raises(controls.NotTheDatabaseOwner), transaction.atomic(), as_role(role):
            controls.lift(stop_id=made.pk, by="Mallory", reason="why not", now=NOW)
        assert Stop.objects.filter(pk=made.pk, lifted_at=None).exists()

    @pytest.mark.parametrize(("by", "reason"), [("Ada", " "), (" ", "so")])
    def test_needs_somebody_and_a_reason(self, made, by, reason):
        with pytest.raises(controls.ReasonMissing):
            controls.lift(stop_id=made.pk, by=by, reason=reason, now=NOW)

    def test_happens_once(self, made):
        controls.lift(stop_id=made.pk, by="Ada", reason="new keys", now=NOW)
        with pytest.raises(controls.NoSuchStop):
            controls.lift(stop_id=made.pk, by="Ada", reason="new keys", now=NOW)

    def test_cannot_be_undone_in_the_database(self, made):
        controls.lift(stop_id=made.pk, by="Ada", reason="new keys", now=NOW)
        refused("stop_stays_as_it_was", "UPDATE payments_stop SET lifted_at = NULL")


class TestRoles:
    @pytest.mark.parametrize(
        ("role", "statement"),
        [
            ("bursar_app", "UPDATE payments_stop SET lifted_at = now(), lifted_by = 'x', lift_reason = 'x'"),
            ("bursar_app", "DELETE FROM payments_stop"),
            ("bursar_app", "INSERT INTO payments_cap (currency, changed_at) VALUES ('', now())"),
            ("bursar_app", "UPDATE payments_cap SET per_day = NULL"),
            ("bursar_app", "DELETE FROM payments_cap"),
            ("bursar_app", "UPDATE payments_withdrawal SET prepared = 'x'"),
            ("bursar_app", "UPDATE payments_withdrawal SET submitted_at = NULL"),
            ("bursar_app", "UPDATE payments_withdrawal SET unknown_at = NULL"),
            ("bursar_sender", "UPDATE payments_cap SET per_day = NULL"),
            ("bursar_sender", "UPDATE payments_stop SET lifted_at = now()"),
            ("bursar_sender", "UPDATE payments_withdrawal SET decided_by_id = 1"),
            ("bursar_sender", "UPDATE payments_withdrawal SET outcome = 'paid'"),
            ("bursar_sender", "INSERT INTO payments_withdrawal (our_id) VALUES ('x')"),
        ],
    )
    def test_may_not(self, role, statement):
        with (
            pytest.raises(ProgrammingError, match="permission denied"),
            transaction.atomic(),
            connection.cursor() as cursor,
        ):
            cursor.execute(f"SET LOCAL ROLE {role}")
            cursor.execute(statement)

    def test_of_the_application_cannot_begin_to_send(self, shop):
        row = approved(shop)
        refused(
            "withdrawal_is_sent_by_the_sender",
            "SET LOCAL ROLE bursar_app",
            "UPDATE payments_withdrawal SET state = 'sending'",
        )
        row.refresh_from_db()
        assert row.state == "approved"


class TestCap:
    def test_of_one_operation_holds_it_and_tells_once(self, shop):
        cap(one_operation="0.5")
        row, payer = approved(shop, "0.50000001"), Payer()
        send(payer)
        up.time_to_ask()
        send(payer)
        row.refresh_from_db()
        assert (row.state, payer.submitted) == ("approved", [])
        assert Alert.objects.get(kind="cap").merchant == shop

    def test_of_one_operation_lets_its_own_amount_pass(self, shop):
        cap(one_operation="0.5")
        approved(shop, "0.5")
        payer = Payer()
        send(payer)
        assert len(payer.submitted) == 1

    @pytest.mark.parametrize(("bound", "passes"), [("per_hour", 61), ("per_day", 24 * 60 + 1)])
    def test_of_a_time_counts_what_was_handed_over(self, shop, bound, passes):
        cap(**{bound: "0.25"})
        rows, payer = [approved(shop, "0.1") for _ in range(3)], Payer()
        for _ in range(3):
            send(payer)
        assert len(payer.submitted) == 2
        up.time_to_ask()
        send(payer, NOW + timedelta(minutes=passes))
        rows[2].refresh_from_db()
        assert rows[2].state == "sent"
        assert not Alert.objects.filter(kind="cap", cleared_at=None).exists()

    def test_counts_an_unknown_outcome_and_not_a_refused_order(self, shop):
        cap(per_hour="0.25")
        for _ in range(4):
            approved(shop, "0.1")
        payer = Payer(up.is_cut_off, up.refuses, up.accepts, up.accepts)
        for _ in range(4):
            send(payer)
        assert len(payer.submitted) == 3

    def test_is_told_once_for_all_that_wait_and_is_over_when_none_does(self, shop):
        cap(per_hour="0.15")
        for _ in range(4):
            approved(shop, "0.1")
        payer = Payer()
        for _ in range(4):
            send(payer)
        assert Alert.objects.filter(kind="cap").count() == 1
        cap(per_hour="9")
        for left in (1, 1, 0):
            up.time_to_ask()
            send(payer)
            assert Alert.objects.filter(kind="cap", cleared_at=None).count() == left

    def test_of_the_merchant_goes_before_the_general_one(self, shop):
        cap(one_operation="0.01")
        cap(shop, one_operation="1")
        assert controls.cap_of(merchant_id=shop.pk, currency="BTC").one_operation == 1
        assert controls.cap_of(merchant_id=factories.merchant().pk, currency="BTC").one_operation == Decimal(
            "0.01"
        )

    def test_of_a_currency_goes_before_the_one_in_euro(self, shop):
        cap(shop, currency="", one_operation="1")
        cap(one_operation="1")
        assert controls.cap_of(merchant_id=shop.pk, currency="BTC").currency == "BTC"
        assert controls.cap_of(merchant_id=shop.pk, currency="ETH").currency == ""

    @pytest.mark.parametrize(("amount", "sent"), [("0.1", 1), ("0.1000002", 0)])
    def test_in_euro_reckons_by_the_price(self, shop, amount, sent):
        cap(currency="", one_operation="5000")
        approved(shop, amount)
        payer = Payer()
        send(payer)
        assert len(payer.submitted) == sent

    def test_in_euro_lets_nothing_pass_without_a_price(self, shop):
        cap(currency="", one_operation="5000")
        row, payer = approved(shop, "0.001"), Payer()
        Rate.objects.update(seen_at=NOW - timedelta(days=1))
        send(payer)
        row.refresh_from_db()
        assert (row.state, payer.submitted) == ("approved", [])
        assert "price" in Alert.objects.get(kind="cap").text

    def test_in_euro_leaves_out_what_has_a_cap_of_its_own(self, shop):
        cap(currency="", per_day="1")
        cap(currency="BTC", per_day="9")
        row, payer = approved(shop, "0.1"), Payer()
        send(payer)
        row.refresh_from_db()
        assert row.state == "sent"

    @pytest.mark.parametrize("amount", ["0", "-1"])
    def test_refuses_what_is_not_positive(self, amount):
        with pytest.raises(controls.NotPositive):
            cap(per_day=amount)
        assert not Cap.objects.exists()

    def test_refuses_an_unknown_currency(self):
        with pytest.raises(UnknownCurrency):
            cap(currency="XXX", per_day="1")

    @pytest.mark.parametrize("role", ["bursar_app", "bursar_sender"])
    def test_is_set_by_no_process(self, role):
        with pytest.raises(controls.NotTheDatabaseOwner), transaction.atomic(), as_role(role):
            cap(per_day="1000000")
        assert not Cap.objects.exists()
