"""Unknown outcomes: told in time, never retried, decided by two people."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest
from django.db import connection

from merchants.models import AuditRecord
from merchants.roles import Role
from payments import controls, ledger, outcomes
from payments.models import Alert, Withdrawal
from payments.processors.base import PayoutStatus
from tests.constraints import judge_now, refused
from tests.desk import person
from tests.factories import NOW
from tests.payments import upstream_of_payouts as up
from tests.payments.upstream_of_payouts import Payer, approved, as_role, send

pytestmark = pytest.mark.django_db


@pytest.fixture
def shop():
    return up.payer_out()


@pytest.fixture
def row(shop):
    one = approved(shop)
    send(Payer(up.is_cut_off))
    one.refresh_from_db()
    return one


def balance(shop) -> tuple[Decimal, Decimal]:
    one = next(one for one in ledger.balances(shop) if one.currency == "BTC")
    return one.available, one.held


def say(row, by, outcome="not_paid", txid="", reason="Looked it up"):
    return outcomes.say(withdrawal=row, outcome=outcome, txid=txid, reason=reason, by=by, now=NOW)


def agree(row, by, outcome="not_paid"):
    return outcomes.agree(withdrawal=row, outcome=outcome, by=by, now=NOW)


def owner(shop, role=Role.OWNER):
    return up.owner(shop, role).user


class TestSay:
    def test_moves_nothing_and_asks_for_another(self, shop, row):
        held, first = balance(shop), owner(shop)
        say(row, first)
        row.refresh_from_db()
        assert (row.state, row.outcome, row.outcome_said_by) == ("unknown", "not_paid", first)
        assert balance(shop) == held
        assert first.email in Alert.objects.get(kind="outcome").text
        assert AuditRecord.objects.get(act="withdrawals.say_outcome").actor == first

    def test_again_replaces_the_word(self, shop, row):
        first, second = owner(shop), owner(shop)
        say(row, first)
        say(row, second, "paid", "ab12")
        with pytest.raises(outcomes.OwnWord):
            agree(row, second, "paid")
        agree(row, first, "paid")
        row.refresh_from_db()
        assert row.state == "confirmed"

    @pytest.mark.parametrize(
        ("given", "refusal"),
        [
            ({"outcome": "lost"}, outcomes.BadOutcome),
            ({"outcome": ""}, outcomes.BadOutcome),
            ({"reason": " \n"}, outcomes.ReasonMissing),
            ({"outcome": "paid", "txid": " "}, outcomes.TxidMissing),
        ],
    )
    def test_refuses_half_a_word(self, shop, row, given, refusal):
        with pytest.raises(refusal):
            say(row, owner(shop), **given)
        row.refresh_from_db()
        assert row.outcome == ""

    @pytest.mark.parametrize("role", [Role.EXCHANGE, Role.LIMITS, Role.VIEW])
    def test_refuses_who_is_no_owner(self, shop, row, role):
        with pytest.raises(outcomes.NotAllowed):
            say(row, owner(shop, role))

    def test_refuses_an_owner_of_another_merchant(self, row):
        with pytest.raises(outcomes.NotAllowed):
            say(row, owner(up.factories.merchant()))

    def test_refuses_who_has_just_become_one(self, shop, row):
        with pytest.raises(outcomes.NotSettled):
            say(row, person(shop))

    def test_refuses_one_that_is_not_open(self, shop):
        one = approved(shop)
        with pytest.raises(outcomes.NotOpen):
            say(one, owner(shop))


class TestAgree:
    def test_that_it_was_not_paid_gives_the_money_back(self, shop, row):
        say(row, owner(shop))
        agree(row, owner(shop))
        judge_now()
        row.refresh_from_db()
        assert row.state == "failed"
        assert balance(shop) == (Decimal(10), Decimal(0))
        assert not Alert.objects.filter(kind="outcome", cleared_at=None).exists()
        record = AuditRecord.objects.get(act="withdrawals.agree_outcome")
        assert record.subject == row.subject

    def test_that_it_was_paid_settles_it(self, shop, row):
        say(row, owner(shop), "paid", "ab12")
        agree(row, owner(shop), "paid")
        judge_now()
        row.refresh_from_db()
        assert row.state == "confirmed"
        assert row.operation.legs.get(type="withdrawal").txid == "ab12"
        assert balance(shop) == (Decimal(10) - row.held, Decimal(0))

    def test_may_be_two_operators(self, row):
        say(row, up.operator())
        agree(row, up.operator())
        row.refresh_from_db()
        assert row.state == "failed"

    def test_refuses_the_person_who_said_so(self, shop, row):
        first = owner(shop)
        say(row, first)
        with pytest.raises(outcomes.OwnWord):
            agree(row, first)
        row.refresh_from_db()
        assert row.state == "unknown"

    def test_of_one_person_is_refused_by_the_database(self, shop, row):
        say(row, owner(shop))
        refused(
            "withdrawal_outcome_takes_two_people",
            "UPDATE payments_withdrawal SET outcome_agreed_by_id = outcome_said_by_id",
        )

    def test_refuses_without_a_word(self, shop, row):
        with pytest.raises(outcomes.NothingSaid):
            agree(row, owner(shop))

    def test_refuses_what_was_not_said(self, shop, row):
        say(row, owner(shop))
        with pytest.raises(outcomes.SaidOtherwise):
            agree(row, owner(shop), "paid")

    def test_comes_too_late_after_the_processors_word(self, shop, row):
        say(row, owner(shop))
        up.hears(row.our_id, PayoutStatus.CONFIRMED)
        with pytest.raises(outcomes.NotOpen):
            agree(row, owner(shop))
        row.refresh_from_db()
        assert row.state == "confirmed"

    def test_is_done_with_the_applications_rights(self, shop, row):
        first, second = owner(shop), owner(shop)
        with as_role("bursar_app"):
            say(row, first)
            agree(row, second)
            judge_now()
        row.refresh_from_db()
        assert row.state == "failed"


class TestTellStuck:
    @pytest.mark.parametrize(("minutes", "told"), [(3, 0), (5, 1)])
    def test_tells_of_an_unknown_outcome_within_five_minutes(self, shop, row, minutes, told):
        now = NOW + timedelta(minutes=minutes)
        assert outcomes.tell_stuck(now=now) == told
        assert outcomes.tell_stuck(now=now) == 0
        assert Alert.objects.filter(kind="stuck", merchant=shop).count() == told

    def test_tells_of_one_whose_sender_died(self, shop):
        approved(shop)
        with pytest.raises(up.Killed):
            send(Payer(up.dies_after))
        assert outcomes.tell_stuck(now=NOW + timedelta(minutes=5)) == 1

    @pytest.mark.parametrize(("minutes", "told"), [(59, 0), (61, 1)])
    def test_tells_of_a_taken_one_after_an_hour(self, shop, minutes, told):
        approved(shop)
        send(Payer())
        assert outcomes.tell_stuck(now=NOW + timedelta(minutes=minutes)) == told

    @pytest.mark.parametrize(("minutes", "told"), [(29, 0), (31, 1)])
    def test_tells_of_one_that_nobody_sends(self, shop, minutes, told):
        approved(shop)
        assert outcomes.tell_stuck(now=NOW + timedelta(minutes=minutes)) == told

    def test_does_not_tell_of_what_is_stopped_or_put_off(self, shop):
        stopped, put_off = approved(shop), approved(up.payer_out())
        controls.trip(merchant=shop, reason="so", now=NOW)
        Withdrawal.objects.filter(pk=put_off.pk).update(next_ask_at=NOW)
        assert outcomes.tell_stuck(now=NOW + timedelta(hours=9)) == 0
        stopped.refresh_from_db()
        assert stopped.stuck_at is None

    def test_is_over_with_the_outcome(self, shop, row):
        now = NOW + timedelta(minutes=5)
        outcomes.tell_stuck(now=now)
        up.hears(row.our_id, PayoutStatus.CONFIRMED)
        with connection.cursor() as cursor:
            cursor.execute(f"SELECT EXISTS ({outcomes.due_sql()})")
            assert cursor.fetchone() == (True,)
        outcomes.tell_stuck(now=now)
        assert not Alert.objects.filter(kind="stuck", cleared_at=None).exists()

    def test_is_done_with_the_applications_rights(self, row):
        with as_role("bursar_app"):
            assert outcomes.tell_stuck(now=NOW + timedelta(minutes=5)) == 1


class TestWhyNotRetry:
    def test_says_what_happened_and_what_to_do(self, row):
        said = " ".join(outcomes.why_not_retry(row))
        assert row.unknown_reason in said
        assert row.our_id in said

    def test_says_nothing_of_one_that_has_ended(self, row):
        up.hears(row.our_id, PayoutStatus.CONFIRMED)
        row.refresh_from_db()
        assert outcomes.why_not_retry(row) == []
