"""Every pair of states of a withdrawal and of an order's statuses: which moves the database lets pass."""

from __future__ import annotations

import itertools

import pytest
from django.db import transaction

from payments.models import Withdrawal, WithdrawalState
from payments.models.operation import DEPOSIT_MOVES, ORDER_MOVES, OperationStatus
from payments.models.withdrawal import MOVES, WIRE_STATUS
from tests import factories
from tests.constraints import judge_now, refused
from tests.payments.models import withdrawal_rows as rows
from tests.payments.models.withdrawal_rows import S

pytestmark = pytest.mark.django_db
LEGAL = [(before, after) for before, steps in MOVES.items() for after in sorted(steps)]
PAIRS = [(a, b) for a, b in itertools.product(WithdrawalState.values, repeat=2) if a != b]
ILLEGAL = sorted(set(PAIRS) - set(LEGAL))


def updated(withdrawal: Withdrawal, to: str) -> str:
    """A statement that changes the state and fills whatever another rule could miss."""
    return (
        f"UPDATE payments_withdrawal SET state = '{to}', prepared = COALESCE(prepared, 'x')"
        f" WHERE operation_id = {withdrawal.pk}"
    )


class TestAState:
    def test_has_a_place_in_the_table_of_moves_and_on_the_wire(self):
        assert set(WIRE_STATUS) == set(WithdrawalState.values)
        ends = {S.CONFIRMED, S.FAILED, S.DECLINED, S.EXPIRED}
        assert set(MOVES) == set(WithdrawalState.values) - ends
        assert {str(state): str(shown) for state, shown in WIRE_STATUS.items()} == {
            str(state): shown for state, shown in rows.SHOWN.items()
        }

    def test_is_reached_by_legal_moves_alone(self):
        for state in WithdrawalState.values:
            assert rows.standing(state).state == state
        judge_now()

    @pytest.mark.parametrize(("before", "after"), ILLEGAL)
    def test_is_not_left_by_an_illegal_move(self, before, after):
        withdrawal = rows.standing(before)
        refused("withdrawal_state_moves_legally", updated(withdrawal, after))
        withdrawal.refresh_from_db()
        assert withdrawal.state == before

    @pytest.mark.parametrize(("before", "after"), LEGAL)
    def test_is_left_by_every_legal_move(self, before, after):
        internal = (before, after) == (S.APPROVED, S.CONFIRMED)
        withdrawal = rows.standing(before, is_internal=internal)
        rows.move(withdrawal, after)
        judge_now()
        assert withdrawal.state == after
        assert withdrawal.operation.status == rows.SHOWN[S(after)]

    def test_is_confirmed_without_being_sent_only_when_it_stays_inside(self):
        withdrawal = rows.standing(S.APPROVED)
        refused("withdrawal_is_sent_before_it_is_confirmed", updated(withdrawal, S.CONFIRMED))

    @pytest.mark.parametrize("state", WithdrawalState.values)
    def test_is_never_removed_with_its_row(self, state):
        withdrawal = rows.standing(state)
        refused(
            "withdrawal_is_never_removed",
            f"DELETE FROM payments_withdrawal WHERE operation_id = {withdrawal.pk}",
        )

    def test_of_another_name_is_unknown(self):
        with rows.past_the_triggers():
            withdrawal = rows.standing(S.APPROVED)
            refused("withdrawal_state_is_known", updated(withdrawal, "paid"))


class TestTheBooks:
    """Judged when the transaction ends."""

    def test_hold_what_is_asked_for(self):
        merchant = factories.merchant()
        with transaction.atomic():
            of = rows.operation(merchant)
            given = rows.columns(merchant, of)
            Withdrawal.objects.create(**given)
            refused("withdrawal_is_booked_as_its_state_says")
            transaction.set_rollback(True)
        assert not Withdrawal.objects.exists()

    @pytest.mark.parametrize(
        ("before", "after"),
        [
            *((S.SENT, S.CONFIRMED), (S.SENT, S.FAILED), (S.UNKNOWN, S.FAILED), (S.UNKNOWN, S.CONFIRMED)),
            *((S.PENDING, S.DECLINED), (S.PENDING, S.EXPIRED), (S.APPROVED, S.FAILED)),
        ],
    )
    def test_are_closed_when_a_withdrawal_ends(self, before, after):
        withdrawal = rows.standing(before)
        user = factories.operator()
        refused(
            "withdrawal_is_booked_as_its_state_says",
            f"UPDATE payments_withdrawal SET state = '{after}', decided_by_id = {user.pk},"
            f" decided_at = now() WHERE operation_id = {withdrawal.pk}"
            if before == S.PENDING
            else updated(withdrawal, after),
        )

    @pytest.mark.parametrize(("before", "after"), [(S.APPROVED, S.SENDING), (S.SENDING, S.UNKNOWN)])
    def test_are_not_closed_while_it_is_open(self, before, after):
        withdrawal = rows.standing(before)
        judge_now()
        with transaction.atomic():
            rows.close(withdrawal, paid=False)
            refused("withdrawal_is_booked_as_its_state_says", updated(withdrawal, after))
            transaction.set_rollback(True)

    def test_hold_and_close_it_once(self):
        withdrawal = rows.standing(S.FAILED)
        key = f"withdrawal:{withdrawal.pk}:close"
        refused(
            "payments_entry_key_key",
            "INSERT INTO payments_entry (key, kind, subject, occurred_at)"
            f" VALUES ('{key}', 'test', 'test', now())",
        )


class TestTheWire:
    """Judged when the transaction ends."""

    @pytest.mark.parametrize("after", [S.DECLINED, S.APPROVED])
    def test_is_told_what_became_of_it(self, after):
        withdrawal = rows.standing(S.PENDING)
        judge_now()
        with transaction.atomic():
            if after == S.DECLINED:
                rows.close(withdrawal, paid=False)
            user = factories.operator()
            refused(
                "withdrawal_is_shown_as_its_state_says",
                f"UPDATE payments_withdrawal SET state = '{after}', decided_by_id = {user.pk},"
                f" decided_at = now(), approved_hash = 'x' WHERE operation_id = {withdrawal.pk}",
            )
            transaction.set_rollback(True)

    def test_is_told_nothing_else_at_the_beginning(self):
        merchant = factories.merchant()
        with transaction.atomic():
            factories.fund(merchant, factories.money("2"))
            of = rows.operation(merchant, status="pending")
            withdrawal = Withdrawal.objects.create(**rows.columns(merchant, of))
            rows.hold(withdrawal)
            refused("withdrawal_is_shown_as_its_state_says")
            transaction.set_rollback(True)


def changed(pk: int, to: str) -> str:
    return f"UPDATE payments_operation SET status = '{to}', version = version + 1 WHERE id = {pk}"


STATUSES = [(a, b) for a, b in itertools.product(OperationStatus.values, repeat=2) if a != b]


class TestAnOrdersStatus:
    @pytest.mark.parametrize(
        ("before", "after"),
        [(a, b) for a, b in STATUSES if b not in ORDER_MOVES.get(a, ()) and a != "not_confirmed"],
    )
    def test_is_not_left_by_an_illegal_move(self, before, after):
        one = rows.operation(factories.merchant(), kind="exchange", status=before)
        refused("operation_status_moves_legally", changed(one.pk, after))

    def test_is_never_that_of_a_deposit(self):
        with rows.past_the_triggers():
            one = rows.operation(factories.merchant(), kind="exchange")
            refused("operation_kind_and_status_are_known", changed(one.pk, "not_confirmed"))


class TestADepositsStatus:
    @pytest.fixture
    def deposit(self):
        merchant = factories.merchant()
        return rows.operation(
            merchant,
            kind="deposit",
            status="not_confirmed",
            origin="",
            foreign_id=None,
            external_id="up-1",
            address=factories.address(merchant),
        )

    @pytest.mark.parametrize("after", ["pending", "processing", "declined"])
    def test_is_never_that_of_an_order(self, deposit, after):
        refused("operation_status_moves_legally", changed(deposit.pk, after))
        with rows.past_the_triggers():
            refused("operation_kind_and_status_are_known", changed(deposit.pk, after))

    def test_moves_as_the_table_beside_the_enum_says(self):
        assert {(str(a), str(b)) for a, steps in DEPOSIT_MOVES.items() for b in steps} == {
            ("not_confirmed", "confirmed"),
            ("not_confirmed", "cancelled"),
            ("confirmed", "cancelled"),
            ("cancelled", "confirmed"),
        }
