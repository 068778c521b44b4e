"""Approvals: who may let a withdrawal go, what exactly they approve, and what happens to the rest."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest
from django.db import connection

from callbacks.models import OutgoingCallback
from merchants.models import AuditRecord
from merchants.models.user import SETTLING
from merchants.roles import Role
from payments import approvals, ledger, movers
from payments.models import Origin, Withdrawal, WithdrawalState
from tests import payouts
from tests.constraints import judge_now, refused
from tests.factories import NOW, money
from tests.payouts import address_of, ask, balance, owner, refused_whole

pytestmark = pytest.mark.django_db


@pytest.fixture
def merchant():
    made = payouts.merchant()
    payouts.limit(made, everything=True)
    payouts.limit(made, everything=True, origin=Origin.STAFF)
    return made


@pytest.fixture
def by(merchant):
    return owner(merchant)


def staffs(merchant, by, **given):
    return ask(merchant, foreign_id=None, origin=Origin.STAFF, by=by, **given)


def state(operation) -> tuple[str, str, int]:
    row = Withdrawal.objects.select_related("operation").get(pk=operation.pk)
    return row.state, row.operation.status, row.operation.version


class TestApprove:
    def test_lets_it_go_with_the_money_still_held(self, merchant, by):
        operation = ask(merchant)
        payouts.approve(operation, by=by)
        judge_now()
        assert state(operation) == ("approved", "processing", 2)
        assert balance(merchant).held == Decimal("0.1004")

    def test_keeps_who_why_and_the_hash_of_what_was_seen(self, merchant, by):
        operation = ask(merchant)
        shown = approvals.content_hash(operation.withdrawal)
        payouts.approve(operation, by=by, reason="  invoice\n17 ")
        row = Withdrawal.objects.get(pk=operation.pk)
        assert (row.decided_by_id, row.decided_at, row.decision_reason) == (by.user_id, NOW, "invoice 17")
        assert bytes(row.approved_hash).hex() == shown

    def test_is_audited_with_what_was_seen(self, merchant, by):
        operation = ask(merchant)
        payouts.approve(operation, by=by, ip="192.0.2.1", second_factor=True)
        record = AuditRecord.objects.get(act="withdrawals.approve")
        assert (record.actor_id, record.subject, record.ip) == (by.user_id, operation.subject, "192.0.2.1")
        assert approvals.content_hash(operation.withdrawal) in record.after

    def test_is_not_told_to_the_merchants_program(self, merchant, by):
        operation = ask(merchant)
        payouts.approve(operation, by=by)
        told = OutgoingCallback.objects.filter(subject_id=operation.pk)
        assert [row.version for row in told] == [1]

    def test_moves_an_internal_one_at_once(self, merchant, by):
        receiver = payouts.merchant("0")
        operation = ask(merchant, amount="0.1", address=address_of(receiver).address)
        payouts.approve(operation, by=by)
        judge_now()
        assert state(operation) == ("confirmed", "confirmed", 3)
        assert balance(merchant) == ledger.Balance("BTC", Decimal("0.8997"), Decimal(0), Decimal(0))
        assert balance(receiver).available == Decimal("0.0992")

    def test_decides_on_several_at_once(self, merchant, by):
        several = [ask(merchant) for _ in range(3)]
        payouts.approve(*several, by=by)
        assert [state(one)[0] for one in several] == ["approved"] * 3

    def test_decides_on_all_or_none(self, merchant, by):
        first, second = ask(merchant), staffs(merchant, by)
        with refused_whole(merchant, approvals.OwnRequest):
            payouts.approve(first, second, by=by)

    def test_refuses_the_person_who_requested(self, merchant, by):
        operation = staffs(merchant, by)
        sentence = f"You asked for withdrawal {operation.wire_id} yourself; another Owner must approve it."
        with refused_whole(merchant, approvals.OwnRequest, sentence):
            payouts.approve(operation, by=by)
        payouts.approve(operation, by=owner(merchant))
        assert state(operation)[0] == "approved"

    def test_refuses_the_requester_by_sql_as_the_applications_role(self, merchant, by):
        operation = staffs(merchant, by)
        refused(
            "withdrawal_approver_is_not_requester",
            "SET LOCAL ROLE bursar_app",
            "UPDATE payments_withdrawal SET state = 'approved', decided_at = now(), approved_hash = '\\x00',"
            f" decided_by_id = {by.user_id} WHERE operation_id = {operation.pk}",
        )
        assert state(operation) == ("pending", "pending", 1)

    def test_cannot_rename_the_requester_by_sql_as_the_applications_role(self, merchant, by):
        operation = staffs(merchant, by)
        other = owner(merchant)
        with pytest.raises(Exception, match="permission denied"), connection.cursor() as cursor:
            cursor.execute("SET LOCAL ROLE bursar_app")
            cursor.execute(
                "UPDATE payments_withdrawal SET requested_by_id = %s WHERE operation_id = %s",
                [other.user_id, operation.pk],
            )

    @pytest.mark.parametrize(
        "change",
        [
            {"amount": Decimal("0.2"), "held": Decimal("0.2004")},
            {"currency": "LTC"},
            {"address": "elsewhere"},
            {"tag": "7"},
            {"convert_to": "EUR", "amount_to": Decimal("1")},
            {"fee": Decimal("0.0004"), "held": Decimal("0.1005")},
            {"mining_fee": Decimal("0.0002"), "held": Decimal("0.1005")},
            {"limit": "day"},
            {"note": "other"},
            {"processor_id": 0},
            {"merchant_id": 0},
            {"is_internal": True},
            {"fixed_side": "received"},
        ],
        ids=lambda change: next(iter(change)),
    )
    def test_refuses_altered_content(self, merchant, by, change):
        """The database refuses the change itself, so what was shown is altered instead."""
        operation = ask(merchant)
        shown = operation.withdrawal
        for name, value in change.items():
            setattr(shown, name, value)
        sentence = f"Withdrawal {operation.wire_id} is not what was shown to you. Look at it again."
        with refused_whole(merchant, approvals.ContentChanged, sentence):
            payouts.approve(operation, by=by)

    @pytest.mark.parametrize("name", ["foreign_id", "wire_id", "end_user_reference"])
    def test_refuses_an_altered_operation(self, merchant, by, name):
        operation = ask(merchant)
        shown = {operation.wire_id: None}
        setattr(operation, name, "7" if name != "wire_id" else operation.wire_id + 1)
        number = next(iter(shown))
        seen = {number: approvals.content_hash(operation.withdrawal)}
        with refused_whole(merchant, approvals.ContentChanged):
            approvals.approve(merchant=merchant, seen=seen, by=by, reason="x", now=NOW)

    @pytest.mark.parametrize("shown", ["", "00", "zz", "é" * 64])
    def test_refuses_what_is_no_hash(self, merchant, by, shown):
        operation = ask(merchant)
        with refused_whole(merchant, approvals.ContentChanged):
            approvals.approve(merchant=merchant, seen={operation.wire_id: shown}, by=by, reason="x", now=NOW)

    def test_refuses_one_that_does_not_wait(self, merchant, by):
        operation = ask(merchant)
        payouts.approve(operation, by=by)
        sentence = f"Withdrawal {operation.wire_id} does not wait any more: it is accepted, outcome open."
        with refused_whole(merchant, approvals.AlreadyDecided, sentence):
            payouts.approve(operation, by=by)

    def test_refuses_after_a_day(self, merchant, by):
        operation = ask(merchant)
        late = NOW + timedelta(hours=24)
        with refused_whole(merchant, approvals.TooLate):
            payouts.approve(operation, by=by, now=late)
        payouts.approve(operation, by=by, now=late - timedelta(seconds=1))

    def test_refuses_anothers_number_like_a_missing_one(self, merchant, by):
        other = payouts.merchant()
        payouts.limit(other, everything=True)
        operation = ask(other)
        for number in (operation.wire_id, 1):
            with pytest.raises(Withdrawal.DoesNotExist):
                approvals.approve(merchant=merchant, seen={number: "00"}, by=by, reason="x", now=NOW)
        assert state(operation)[0] == "pending"

    def test_demands_a_choice_and_a_reason(self, merchant, by):
        operation = ask(merchant)
        with refused_whole(merchant, approvals.NothingChosen):
            approvals.approve(merchant=merchant, seen={}, by=by, reason="x", now=NOW)
        with refused_whole(merchant, approvals.ReasonMissing):
            payouts.approve(operation, by=by, reason=" \n ")
        with refused_whole(merchant, approvals.ReasonTooLong):
            payouts.approve(operation, by=by, reason="x" * 256)

    @pytest.mark.parametrize("role", [Role.EXCHANGE, Role.LIMITS, Role.VIEW, Role.RESTRICTED])
    def test_refuses_everybody_but_owners(self, merchant, role):
        operation = ask(merchant)
        with refused_whole(merchant, movers.NotAllowed):
            payouts.approve(operation, by=owner(merchant, role))

    def test_refuses_another_merchants_owner(self, merchant):
        operation, stranger = ask(merchant), owner(payouts.merchant())
        with refused_whole(merchant, movers.NotAllowed):
            payouts.approve(operation, by=stranger)

    def test_refuses_whoever_became_owner_or_was_reset_within_a_day(self, merchant, by):
        operation = ask(merchant)
        with refused_whole(merchant, movers.NotSettled):
            payouts.approve(operation, by=owner(merchant, settled=False))
        by.user.unsettle(until=NOW + SETTLING)
        with refused_whole(merchant, movers.NotSettled):
            payouts.approve(operation, by=by)

    def test_refuses_while_the_merchant_is_blocked_or_owes(self, merchant, by):
        operation = ask(merchant)
        payouts.indebt(merchant, money("5", "EUR"))
        with refused_whole(merchant, movers.MerchantInDebt):
            payouts.approve(operation, by=by)
        merchant.block()
        with refused_whole(merchant, movers.MerchantBlocked):
            payouts.approve(operation, by=by)


class TestPrice:
    """An amount that was promised to arrive must not be let go at the house's cost."""

    @pytest.fixture
    def operation(self, merchant):
        payouts.enable(merchant, "EUR", "1000")
        payouts.price("EUR", "BTC", "0.00002")
        return ask(merchant, currency="EUR", convert_to="BTC", amount=None, amount_to="0.01")

    def test_may_move_by_a_hundredth(self, operation, by):
        payouts.price("EUR", "BTC", "0.00001981")
        payouts.approve(operation, by=by)
        assert state(operation)[0] == "approved"

    @pytest.mark.parametrize("price", ["0.00001980", "0.00001000"])
    def test_refuses_more_than_that(self, merchant, operation, by, price):
        payouts.price("EUR", "BTC", price)
        with refused_whole(merchant, approvals.PriceMoved):
            payouts.approve(operation, by=by)

    def test_refuses_without_a_fresh_price(self, merchant, operation, by):
        payouts.stale("EUR", "BTC")
        with refused_whole(merchant, approvals.PriceMoved):
            payouts.approve(operation, by=by)

    def test_does_not_matter_where_the_debit_was_fixed(self, merchant, operation, by):
        fixed = ask(merchant, currency="EUR", convert_to="BTC", amount="381")
        payouts.price("EUR", "BTC", "0.00001")
        payouts.approve(fixed, by=by)
        assert state(fixed)[0] == "approved"


class TestDecline:
    def decline(self, merchant, *operations, by, **options):
        numbers = [one.wire_id for one in operations]
        defaults = {"reason": "not ours", "now": NOW}
        return approvals.decline(merchant=merchant, numbers=numbers, by=by, **defaults | options)

    def test_gives_the_money_back_and_tells_the_program(self, merchant, by):
        operation = ask(merchant)
        self.decline(merchant, operation, by=by)
        judge_now()
        assert state(operation) == ("declined", "declined", 2)
        assert balance(merchant) == ledger.Balance("BTC", Decimal(1), Decimal(0), Decimal(0))
        body = OutgoingCallback.objects.get(subject_id=operation.pk, version=2).body
        assert b'"error":"Declined by merchant","status":"declined"' in bytes(body)
        row = Withdrawal.objects.get(pk=operation.pk)
        assert (row.decided_by_id, row.decision_reason, row.closed_at) == (by.user_id, "not ours", NOW)

    def test_may_be_the_requesters_own_and_an_unsettled_owners(self, merchant, by):
        mine, others = staffs(merchant, by), ask(merchant)
        self.decline(merchant, mine, by=by)
        self.decline(merchant, others, by=owner(merchant, settled=False))
        assert (state(mine)[0], state(others)[0]) == ("declined", "declined")
        assert AuditRecord.objects.filter(act="withdrawals.decline").count() == 2

    def test_works_while_the_merchant_is_blocked(self, merchant, by):
        operation = ask(merchant)
        merchant.block()
        self.decline(merchant, operation, by=by)
        assert balance(merchant).available == Decimal(1)

    def test_repays_a_debt_first(self, merchant, by):
        operation = ask(merchant, amount="0.9")
        payouts.indebt(merchant, money("0.5"))
        self.decline(merchant, operation, by=by)
        judge_now()
        assert balance(merchant) == ledger.Balance("BTC", Decimal("0.5"), Decimal(0), Decimal(0))

    def test_refuses_one_that_was_decided_and_leaves_the_others(self, merchant, by):
        gone, waits = ask(merchant), ask(merchant)
        payouts.approve(gone, by=by)
        with refused_whole(merchant, approvals.AlreadyDecided):
            self.decline(merchant, waits, gone, by=by)

    def test_refuses_members_who_may_not_approve(self, merchant):
        operation = ask(merchant)
        with refused_whole(merchant, movers.NotAllowed):
            self.decline(merchant, operation, by=owner(merchant, Role.VIEW))

    def test_demands_a_choice_and_a_reason(self, merchant, by):
        with refused_whole(merchant, approvals.NothingChosen):
            self.decline(merchant, by=by)
        operation = ask(merchant)
        with refused_whole(merchant, approvals.ReasonMissing):
            self.decline(merchant, operation, by=by, reason="")


class TestExpireDue:
    def test_gives_the_money_back_after_a_day(self, merchant):
        operation = ask(merchant)
        assert approvals.expire_due(now=NOW + timedelta(hours=24) - timedelta(seconds=1)) == 0
        assert approvals.expire_due(now=NOW + timedelta(hours=24)) == 1
        judge_now()
        assert state(operation) == ("expired", "declined", 2)
        assert balance(merchant) == ledger.Balance("BTC", Decimal(1), Decimal(0), Decimal(0))
        record = AuditRecord.objects.get(act="withdrawals.expire")
        assert (record.actor_id, record.actor_label) == (None, "system")
        body = OutgoingCallback.objects.get(subject_id=operation.pk, version=2).body
        assert b'"error":"Not approved in time","status":"declined"' in bytes(body)

    def test_leaves_what_was_decided(self, merchant, by):
        operation = ask(merchant)
        payouts.approve(operation, by=by)
        assert approvals.expire_due(now=NOW + timedelta(days=2)) == 0
        assert state(operation)[0] == "approved"

    def test_takes_a_batch_at_a_time(self, merchant):
        for _ in range(3):
            ask(merchant, amount="0.01")
        late = NOW + timedelta(days=1)
        assert [approvals.expire_due(now=late, limit=2) for _ in range(3)] == [2, 1, 0]

    def test_is_rung_when_something_is_due(self, merchant):
        ask(merchant)  # at a moment that is long past by the real clock
        with connection.cursor() as cursor:
            cursor.execute(f"SELECT EXISTS ({approvals.DUE_SQL})")
            assert cursor.fetchone()[0]
        approvals.expire_due(now=NOW + timedelta(days=1))
        with connection.cursor() as cursor:
            cursor.execute(f"SELECT EXISTS ({approvals.DUE_SQL})")
            assert not cursor.fetchone()[0]


class TestWaiting:
    def test_lists_the_merchants_own_most_urgent_first(self, merchant, by):
        other = payouts.merchant()
        payouts.limit(other, everything=True)
        ask(other)
        later = ask(merchant, now=NOW + timedelta(hours=1))
        sooner, decided = ask(merchant), ask(merchant)
        payouts.approve(decided, by=by)
        assert [row.pk for row in approvals.waiting(merchant)] == [sooner.pk, later.pk]


class TestDatabase:
    def test_refuses_an_approval_without_what_was_seen(self, merchant, by):
        operation = ask(merchant)
        refused(
            "withdrawal_approval_keeps_what_was_seen",
            "UPDATE payments_withdrawal SET state = 'approved', decided_at = now(),"
            f" decided_by_id = {by.user_id} WHERE operation_id = {operation.pk}",
        )

    def test_refuses_an_approval_by_nobody(self, merchant):
        operation = ask(merchant)
        refused(
            "withdrawal_beyond_a_limit_is_decided_by_somebody",
            "UPDATE payments_withdrawal SET state = 'approved', approved_hash = '\\x00'"
            f" WHERE operation_id = {operation.pk}",
        )

    def test_refuses_another_decision(self, merchant, by):
        operation = ask(merchant)
        payouts.approve(operation, by=by)
        refused(
            "withdrawal_is_decided_once",
            f"UPDATE payments_withdrawal SET decision_reason = 'x' WHERE operation_id = {operation.pk}",
        )

    def test_refuses_an_end_that_is_not_booked(self, merchant):
        operation = ask(merchant)
        refused(
            "withdrawal_is_booked_as_its_state_says",
            "UPDATE payments_withdrawal SET state = 'expired', closed_at = now()"
            f" WHERE operation_id = {operation.pk}",
            f"UPDATE payments_operation SET status = 'declined', version = 2 WHERE id = {operation.pk}",
        )
        assert Withdrawal.objects.get(pk=operation.pk).state == WithdrawalState.PENDING
