"""Stops, contacts, limits, caps, alerts: what the database refuses of what bounds money that goes out."""

from __future__ import annotations

from decimal import Decimal

import pytest
from django.db import IntegrityError, transaction

from payments.models import Alert, Cap, Contact, LimitRecipient, Reconciliation, Stop, WithdrawalLimit
from tests import factories
from tests.constraints import refused
from tests.factories import NOW
from tests.payments.models.test_withdrawal_columns import another

pytestmark = pytest.mark.django_db
LIFTED = {"lifted_at": NOW, "lifted_by": "root", "lift_reason": "it is over"}


def written(model: type, constraint: str, /, **columns: object) -> None:
    """Writing such a row must end in the constraint named."""
    with pytest.raises(IntegrityError) as caught, transaction.atomic():
        model.objects.create(**columns)
    assert caught.value.__cause__.diag.constraint_name == constraint


class TestStop:
    @pytest.fixture
    def stop(self):
        return Stop.objects.create(merchant=factories.merchant(), reason="so", stopped_at=NOW)

    def test_has_no_column_of_which_nothing_is_said(self):
        said = {*self.FAST, *LIFTED}
        assert said == {field.column for field in Stop._meta.fields}

    FAST = ("id", "merchant_id", "reason", "stopped_by_id", "stopped_at")

    @pytest.mark.parametrize("column", FAST)
    def test_stays_as_it_was(self, stop, column):
        refused("stop_stays_as_it_was", f"UPDATE payments_stop SET {column} = {another(Stop, column)}")

    @pytest.mark.parametrize("column", [*FAST, *LIFTED])
    def test_is_lifted_once(self, stop, column):
        Stop.objects.filter(pk=stop.pk).update(**LIFTED)
        refused("stop_stays_as_it_was", f"UPDATE payments_stop SET {column} = {another(Stop, column)}")

    def test_does_not_come_back_after_it_was_lifted(self, stop):
        Stop.objects.filter(pk=stop.pk).update(**LIFTED)
        refused("stop_stays_as_it_was", "UPDATE payments_stop SET lifted_at = NULL")

    def test_is_never_removed(self, stop):
        refused("stop_stays_as_it_was", "DELETE FROM payments_stop")
        Stop.objects.filter(pk=stop.pk).update(**LIFTED)
        refused("stop_stays_as_it_was", "DELETE FROM payments_stop")

    @pytest.mark.parametrize("left_out", ["lifted_by", "lift_reason"])
    def test_is_lifted_by_somebody_for_a_reason(self, stop, left_out):
        lifted = ", ".join(f"{name} = 'x'" for name in ("lifted_by", "lift_reason") if name != left_out)
        refused(
            "stop_is_lifted_by_somebody_for_a_reason",
            f"UPDATE payments_stop SET lifted_at = now(), {lifted}",
        )

    def test_is_one_at_a_time(self, stop):
        written(Stop, "stop_is_one_at_a_time", merchant=stop.merchant, reason="again", stopped_at=NOW)
        Stop.objects.create(merchant=factories.merchant(), reason="another's", stopped_at=NOW)
        Stop.objects.filter(pk=stop.pk).update(**LIFTED)
        Stop.objects.create(merchant=stop.merchant, reason="again", stopped_at=NOW)
        assert Stop.objects.filter(lifted_at=None).count() == 2

    def test_is_one_for_the_installation_too(self):
        Stop.objects.create(reason="all", stopped_at=NOW)
        written(Stop, "stop_is_one_at_a_time", reason="again", stopped_at=NOW)


class TestContact:
    FAST = (
        *("id", "merchant_id", "currency", "address", "lookup", "tag", "created_at", "created_by_id"),
        "usable_from",
    )

    @pytest.fixture
    def facts(self):
        return {
            "merchant": factories.merchant(),
            "name": "Cold store",
            "currency": "BTC",
            "address": "2Nthere",
            "lookup": "2Nthere",
            "created_by": factories.operator(),
            "created_at": NOW,
            "usable_from": NOW,
        }

    @pytest.fixture
    def contact(self, facts):
        return Contact.objects.create(**facts)

    def test_has_no_column_of_which_nothing_is_said(self):
        assert {*self.FAST, "name", "removed_at"} == {field.column for field in Contact._meta.fields}

    @pytest.mark.parametrize("column", FAST)
    def test_stays_where_it_points(self, contact, column):
        refused(
            "contact_stays_where_it_points",
            f"UPDATE payments_contact SET {column} = {another(Contact, column)}",
        )

    @pytest.mark.parametrize("column", [*FAST, "name", "removed_at"])
    def test_does_not_come_back_after_it_was_removed(self, contact, column):
        Contact.objects.filter(pk=contact.pk).update(removed_at=NOW)
        refused(
            "contact_stays_where_it_points",
            f"UPDATE payments_contact SET {column} = {another(Contact, column)}",
        )
        refused("contact_stays_where_it_points", "UPDATE payments_contact SET removed_at = NULL")

    def test_is_never_deleted(self, contact):
        refused("contact_stays_where_it_points", "DELETE FROM payments_contact")

    def test_may_be_renamed(self, contact):
        Contact.objects.filter(pk=contact.pk).update(name="Warm store")
        assert Contact.objects.get().name == "Warm store"

    def test_names_a_destination_once(self, facts, contact):
        written(Contact, "contact_is_unique", **facts | {"name": "Another"})
        written(Contact, "contact_name_is_unique", **facts | {"lookup": "2Nelsewhere"})
        Contact.objects.filter(pk=contact.pk).update(removed_at=NOW)
        Contact.objects.create(**facts)
        assert Contact.objects.count() == 2


AMOUNTS = ("one_operation", "per_hour", "per_day")
NO_AMOUNTS = ("0", "-1", "NaN")


class TestWithdrawalLimit:
    @pytest.mark.parametrize("amount", NO_AMOUNTS)
    @pytest.mark.parametrize("column", AMOUNTS)
    def test_is_positive(self, column, amount):
        facts = {"merchant": factories.merchant(), "origin": "api", "changed_at": NOW}
        WithdrawalLimit.objects.create(**facts)
        refused("withdrawal_limit_is_positive", f"UPDATE payments_withdrawallimit SET {column} = '{amount}'")

    def test_is_one_for_an_origin_and_a_currency(self):
        facts = {"merchant": factories.merchant(), "origin": "api", "changed_at": NOW}
        WithdrawalLimit.objects.create(**facts, one_operation=Decimal(1))
        WithdrawalLimit.objects.create(**facts, currency="BTC")
        written(WithdrawalLimit, "withdrawal_limit_is_unique", **facts)

    @pytest.mark.parametrize("origin", ["", "refund"])
    def test_has_an_origin(self, origin):
        facts = {"merchant": factories.merchant(), "origin": origin, "changed_at": NOW}
        written(WithdrawalLimit, "withdrawal_limit_has_an_origin", **facts)


class TestLimitRecipient:
    def test_is_listed_once(self):
        facts = {"merchant": factories.merchant(), "email": "watch@shop.example"}
        LimitRecipient.objects.create(**facts)
        written(LimitRecipient, "limit_recipient_is_unique", **facts)


class TestCap:
    @pytest.mark.parametrize("amount", NO_AMOUNTS)
    @pytest.mark.parametrize("column", AMOUNTS)
    def test_is_positive(self, column, amount):
        Cap.objects.create(changed_at=NOW)
        refused("cap_is_positive", f"UPDATE payments_cap SET {column} = '{amount}'")

    def test_is_one_for_a_merchant_and_a_currency(self):
        Cap.objects.create(per_day=Decimal(1), changed_at=NOW)
        written(Cap, "cap_is_unique", changed_at=NOW)
        merchant = factories.merchant()
        Cap.objects.create(merchant=merchant, changed_at=NOW)
        written(Cap, "cap_is_unique", merchant=merchant, changed_at=NOW)


class TestAlert:
    def test_is_raised_once_until_it_is_cleared(self):
        facts = {"kind": "stuck", "key": "stuck:1", "text": "It hangs", "raised_at": NOW}
        one = Alert.objects.create(**facts)
        written(Alert, "alert_is_raised_once", **facts)
        Alert.objects.filter(pk=one.pk).update(cleared_at=NOW)
        Alert.objects.create(**facts)
        assert Alert.objects.count() == 2


class TestReconciliation:
    @pytest.mark.parametrize("column", ["booked", "in_flight", "reported", "difference"])
    def test_is_in_numbers(self, column):
        Reconciliation.objects.create(
            processor=factories.processor(),
            currency="BTC",
            at=NOW,
            **dict.fromkeys(("booked", "in_flight", "reported", "difference"), Decimal(0)),
        )
        refused("reconciliation_is_in_numbers", f"UPDATE payments_reconciliation SET {column} = 'NaN'")
