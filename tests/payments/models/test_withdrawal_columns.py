"""What of a withdrawal, and of an operation, may never be altered, and what may never be written at all."""

from __future__ import annotations

import pytest
from django.db import IntegrityError, connection, transaction

from payments.models import Operation, Withdrawal
from tests import factories
from tests.constraints import refused
from tests.factories import NOW
from tests.payments.models import withdrawal_rows as rows
from tests.payments.models.withdrawal_rows import S

pytestmark = pytest.mark.django_db
ASKED_FOR = (
    *("operation_id", "merchant_id", "processor_id", "origin", "api_key_id", "requested_by_id"),
    *("requested_at", "note", "currency", "amount", "fixed_side", "convert_to", "amount_to", "address"),
    *("lookup", "tag", "address_wire_id", "fee", "mining_fee", "held", "is_internal", "limit", "our_id"),
    "expires_at",
)
PERSONAL = ("parties",)
"""May be erased one day, by the database's owner: neither role may write it."""
DECIDED = ("decided_by_id", "decided_at", "decision_reason", "approved_hash")
WRITTEN_DOWN = ("prepared", "prepared_at", "external_id")
FOLLOWING = (
    *(
        "state",
        "submitted_at",
        "unknown_at",
        "unknown_reason",
        "asks",
        "next_ask_at",
        "stuck_at",
        "closed_at",
    ),
    *("outcome", "outcome_reason", "outcome_txid", "outcome_said_by_id", "outcome_said_at"),
    "outcome_agreed_by_id",
)
OPERATIONS_IDENTITY = (
    *("id", "merchant_id", "wire_id", "kind", "processor_id", "external_id", "address_id", "currency_sent"),
    *("amount_sent", "foreign_id", "origin"),
)


def another(model: type, column: str) -> str:
    """Another value, as SQL, whatever the column's type."""
    field = next(field for field in model._meta.fields if field.column == column)
    kind = (field.target_field if field.is_relation else field).get_internal_type()
    return {
        "CharField": f"COALESCE(\"{column}\", '') || 'x'",
        "DateTimeField": f"COALESCE(\"{column}\", now()) + interval '1 s'",
        "BooleanField": f'NOT "{column}"',
        "BinaryField": f"COALESCE(\"{column}\", '') || 'x'::bytea",
    }.get(kind, f'COALESCE("{column}", 0) + 1')


def altered(withdrawal: Withdrawal, column: str) -> str:
    return (
        f'UPDATE payments_withdrawal SET "{column}" = {another(Withdrawal, column)}'
        f" WHERE operation_id = {withdrawal.pk}"
    )


class TestAWithdrawal:
    def test_has_no_column_of_which_nothing_is_said_here(self):
        said = [*ASKED_FOR, *PERSONAL, *DECIDED, *WRITTEN_DOWN, *FOLLOWING]
        assert sorted(said) == sorted(field.column for field in Withdrawal._meta.fields)

    @pytest.mark.parametrize("state", [S.PENDING, S.APPROVED, S.SENDING, S.UNKNOWN, S.CONFIRMED, S.EXPIRED])
    @pytest.mark.parametrize("column", ASKED_FOR)
    def test_stays_as_it_was_asked_for(self, column, state):
        refused("withdrawal_stays_as_asked_for", altered(rows.standing(state), column))

    @pytest.mark.parametrize("state", [S.APPROVED, S.UNKNOWN, S.DECLINED])
    @pytest.mark.parametrize("column", DECIDED)
    def test_is_decided_once(self, column, state):
        refused("withdrawal_is_decided_once", altered(rows.standing(state), column))

    @pytest.mark.parametrize("state", [S.SENDING, S.SENT, S.UNKNOWN, S.CONFIRMED, S.FAILED])
    @pytest.mark.parametrize("column", ["prepared", "prepared_at"])
    def test_keeps_its_order_as_it_was_written(self, column, state):
        refused("withdrawal_order_stays_as_written", altered(rows.standing(state), column))

    @pytest.mark.parametrize("state", [S.SENT, S.CONFIRMED])
    def test_keeps_the_name_that_the_processor_gave_it(self, state):
        withdrawal = rows.standing(state)
        Withdrawal.objects.filter(pk=withdrawal.pk).update(external_id="77")
        refused("withdrawal_order_stays_as_written", altered(withdrawal, "external_id"))

    @pytest.mark.parametrize(
        "extra",
        [
            {"state": S.PENDING},
            {"limit": "day", "state": S.APPROVED},
            {"state": S.SENDING},
            {"decided_by": True},
            {"prepared": b"x"},
            {"external_id": "77"},
            {"submitted_at": NOW},
            {"outcome": "paid"},
            {"closed_at": NOW},
        ],
        ids=str,
    )
    def test_begins_as_its_limit_says(self, extra):
        if extra.get("decided_by"):
            extra = {"decided_by": factories.operator()}
        merchant = factories.merchant()
        of = rows.operation(merchant)
        with pytest.raises(IntegrityError) as caught, transaction.atomic():
            Withdrawal.objects.create(**rows.columns(merchant, of, **extra))
        assert caught.value.__cause__.diag.constraint_name == "withdrawal_begins_as_its_limit_says"

    def test_belongs_to_its_operations_merchant(self):
        of = rows.operation(factories.merchant())
        with (
            pytest.raises(IntegrityError, match="withdrawal_operation_is_the_merchants"),
            transaction.atomic(),
        ):
            Withdrawal.objects.create(**rows.columns(factories.merchant(), of))
            with connection.cursor() as cursor:
                cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")


class TestWhatIsWritten:
    """Checks and unique keys by themselves, with the triggers put aside."""

    @pytest.mark.parametrize(
        ("name", "extra"),
        [
            ("withdrawal_holds_amount_and_fees", {"held": "1"}),
            ("withdrawal_holds_amount_and_fees", {"amount": "0", "held": "0.0103"}),
            ("withdrawal_holds_amount_and_fees", {"amount": "-1", "held": "-0.9897"}),
            ("withdrawal_holds_amount_and_fees", {"fee": "-0.01", "held": "0.9903"}),
            ("withdrawal_holds_amount_and_fees", {"mining_fee": "-0.0003", "held": "1.0097"}),
            ("withdrawal_converts_to_an_amount", {"convert_to": "ETH"}),
            ("withdrawal_converts_to_an_amount", {"amount_to": "5"}),
            ("withdrawal_converts_to_an_amount", {"convert_to": "ETH", "amount_to": "0"}),
            ("withdrawal_state_is_known", {"limit": "whim", "state": S.PENDING}),
            ("withdrawal_says_who_asked", {"origin": "staff"}),
            ("withdrawal_says_who_asked", {"api_key": None}),
            ("withdrawal_waits_for_a_reason", {"state": S.PENDING}),
            ("withdrawal_waits_for_a_reason", {"state": S.EXPIRED}),
            ("withdrawal_waits_for_a_reason", {"state": S.DECLINED}),
            ("withdrawal_beyond_a_limit_is_decided_by_somebody", {"limit": "day", "approved_hash": b"x"}),
            ("withdrawal_is_written_down_before_it_is_sent", {"state": S.SENT}),
            ("withdrawal_is_written_down_before_it_is_sent", {"state": S.UNKNOWN}),
        ],
        ids=str,
    )
    def test_is_refused(self, name, extra):
        merchant = factories.merchant()
        of = rows.operation(merchant)
        with rows.past_the_triggers():
            with pytest.raises(IntegrityError) as caught, transaction.atomic():
                Withdrawal.objects.create(**rows.columns(merchant, of, **extra))
            assert caught.value.__cause__.diag.constraint_name == name

    @pytest.mark.parametrize("column", ["amount", "fee", "mining_fee", "held"])
    def test_is_never_nan(self, column):
        with rows.past_the_triggers():
            withdrawal = rows.asked()
            refused(
                "withdrawal_holds_amount_and_fees",
                f"UPDATE payments_withdrawal SET {column} = 'NaN' WHERE operation_id = {withdrawal.pk}",
            )

    def test_has_a_key_or_a_person_and_never_both(self):
        withdrawal = rows.asked()
        user = factories.operator()
        with rows.past_the_triggers():
            refused(
                "withdrawal_says_who_asked", f"UPDATE payments_withdrawal SET requested_by_id = {user.pk}"
            )
            refused(
                "withdrawal_says_who_asked",
                f"UPDATE payments_withdrawal SET origin = 'refund' WHERE operation_id = {withdrawal.pk}",
            )

    def test_is_approved_with_what_was_seen(self):
        rows.standing(S.PENDING)
        user = factories.operator()
        refused(
            "withdrawal_approval_keeps_what_was_seen",
            "UPDATE payments_withdrawal SET state = 'approved', decided_at = now(),"
            f" decided_by_id = {user.pk}",
        )

    @pytest.mark.parametrize("role", ["bursar_super", "bursar_app"])
    def test_is_not_approved_by_who_asked(self, role):
        user = factories.operator()
        rows.asked(limit="one_operation", origin="staff", requested_by=user)
        statement = (
            f"UPDATE payments_withdrawal SET state = 'approved', decided_by_id = {user.pk},"
            " decided_at = now(), approved_hash = 'seen'"
        )
        with connection.cursor() as cursor:
            before = [] if role == "bursar_super" else [f"SET LOCAL ROLE {role}"]
            refused("withdrawal_approver_is_not_requester", *before, statement)
            cursor.execute("RESET ROLE")
        assert Withdrawal.objects.get().state == S.PENDING

    def test_may_be_declined_by_who_asked(self):
        user = factories.operator()
        withdrawal = rows.asked(limit="one_operation", origin="staff", requested_by=user)
        rows.move(withdrawal, S.DECLINED, decided_by=user)
        assert withdrawal.state == S.DECLINED

    def test_needs_two_people_to_say_what_became_of_it(self):
        rows.standing(S.UNKNOWN)
        one, name = factories.operator(), "withdrawal_outcome_takes_two_people"
        alone = f"UPDATE payments_withdrawal SET outcome_agreed_by_id = {one.pk}"
        refused(name, alone)
        refused(name, f"{alone}, outcome_said_by_id = {one.pk}")

    def test_is_one_order_of_ours_and_of_the_processors(self):
        one, other = rows.standing(S.SENT), rows.standing(S.SENT)
        with rows.past_the_triggers():
            refused(
                "payments_withdrawal_our_id_key", f"UPDATE payments_withdrawal SET our_id = '{one.our_id}'"
            )
            refused(
                "withdrawal_is_one_order_of_the_processor",
                "UPDATE payments_withdrawal SET external_id = '77'",
            )
        assert one.our_id != other.our_id

    def test_has_a_number_of_its_own_for_its_address(self):
        merchant = factories.merchant()
        rows.asked(merchant=merchant)
        rows.asked(merchant=merchant)
        with rows.past_the_triggers():
            refused(
                "withdrawal_address_wire_id_is_unique", "UPDATE payments_withdrawal SET address_wire_id = 5"
            )


class TestAnOperation:
    @pytest.mark.parametrize("column", OPERATIONS_IDENTITY)
    def test_keeps_its_identity(self, column):
        withdrawal = rows.standing(S.APPROVED)
        refused(
            "operation_keeps_its_identity",
            f'UPDATE payments_operation SET "{column}" = {another(Operation, column)}'
            f" WHERE id = {withdrawal.pk}",
        )

    def test_has_no_column_of_which_nothing_is_said(self):
        fast = {
            *OPERATIONS_IDENTITY,
            *("end_user_reference", "replaces", "created_at"),  # of the merchant or of the past, and no money
        }
        following = {Operation._meta.get_field(name).column for name in Operation.CHANGING}
        assert fast | following == {field.column for field in Operation._meta.fields}

    @pytest.mark.parametrize("change", ["version = version - 1", "status = 'confirmed'"])
    def test_goes_forwards_only(self, change):
        rows.operation(factories.merchant(), kind="exchange", version=2)
        refused("operation_goes_forwards", f"UPDATE payments_operation SET {change}")

    def test_is_never_removed(self):
        withdrawal = rows.standing(S.APPROVED)
        refused("operation_is_never_removed", f"DELETE FROM payments_operation WHERE id = {withdrawal.pk}")

    @pytest.mark.parametrize(
        ("first", "second", "name"),
        [
            ("withdrawal", "withdrawal", "withdrawal_foreign_id_is_unique"),
            ("withdrawal", "withdrawal_exchange", "withdrawal_foreign_id_is_unique"),
            ("exchange", "exchange", "exchange_foreign_id_is_unique"),
        ],
    )
    def test_uses_its_foreign_id_once(self, first, second, name):
        merchant = factories.merchant()
        rows.operation(merchant, kind=first, foreign_id="once")
        with pytest.raises(IntegrityError, match=name), transaction.atomic():
            rows.operation(merchant, kind=second, foreign_id="once")
        assert Operation.objects.count() == 1

    def test_may_have_the_foreign_id_of_another_kind_and_of_another_merchants(self):
        merchant = factories.merchant()
        rows.operation(merchant, kind="withdrawal", foreign_id="once")
        rows.operation(merchant, kind="exchange", foreign_id="once")
        rows.operation(factories.merchant(), kind="withdrawal", foreign_id="once")
        assert Operation.objects.count() == 3

    @pytest.mark.parametrize(
        "extra",
        [
            {"foreign_id": None},
            {"origin": ""},
            {"external_id": "up-1"},
            {"kind": "deposit", "status": "not_confirmed", "origin": "", "foreign_id": None},
        ],
        ids=str,
    )
    def test_comes_in_or_is_ordered(self, extra):
        with pytest.raises(IntegrityError, match="operation_comes_in_or_is_ordered"), transaction.atomic():
            rows.operation(factories.merchant(), **extra)

    def test_that_is_ordered_is_never_credited(self):
        one = rows.operation(factories.merchant(), kind="exchange")
        refused(
            "operation_money_lies_where_its_status_says",
            "UPDATE payments_operation SET credited_to = 'available', credited = 1, bookings = 1"
            f" WHERE id = {one.pk}",
        )
