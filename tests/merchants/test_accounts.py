"""Accounts: made with what the person needs for the first sign-in, told once, kept by nobody."""

from __future__ import annotations

import pytest
from django.contrib.auth import authenticate

from merchants import accounts
from merchants.models import AuditRecord, TotpDevice, User
from tests import constraints
from tests.factories import NOW

pytestmark = pytest.mark.django_db


class TestCreate:
    def test_makes_a_person_with_a_one_time_password_and_an_authenticator(self):
        made = accounts.create(email=" Ann@Shop.Test ", now=NOW)
        user = User.objects.get()
        assert (user.email, user.must_change_password, user.is_operator) == ("ann@shop.test", True, False)
        assert user.check_password(made.password)
        assert len(made.password) == 20
        assert made.enrolment.secret == TotpDevice.objects.get(user=user).secret_for_people()

    def test_takes_a_password_that_was_chosen(self):
        made = accounts.create(email="ann@shop.test", password="correct horse battery", now=NOW)
        assert made.password == "correct horse battery"
        assert not User.objects.get().must_change_password

    def test_tells_neither_the_audit_nor_a_repr(self):
        made = accounts.create(email="ann@shop.test", now=NOW)
        told = " ".join(f"{row.before} {row.after}" for row in AuditRecord.objects.all()) + repr(made)
        assert made.password not in told
        assert made.enrolment.secret not in told
        assert [row.act for row in AuditRecord.objects.order_by("number")] == [
            "accounts.enrol",
            "accounts.create",
        ]

    def test_refuses_an_address_that_is_taken_in_whatever_case(self):
        accounts.create(email="ann@shop.test", now=NOW)
        records = AuditRecord.objects.count()
        with pytest.raises(accounts.EmailTaken):
            accounts.create(email="ANN@shop.test", now=NOW)
        assert (User.objects.count(), TotpDevice.objects.count()) == (1, 1)
        assert AuditRecord.objects.count() == records

    @pytest.mark.parametrize(
        "email", ["", "ann", "ann@", "@shop.test", "a b@shop.test", "x" * 250 + "@b.test"]
    )
    def test_refuses_what_is_no_address(self, email):
        with pytest.raises(accounts.BadEmail):
            accounts.create(email=email, now=NOW)
        assert not User.objects.exists()


class TestUser:
    def test_signs_in_by_address_in_whatever_case(self):
        made = accounts.create(email="ann@shop.test", now=NOW)
        assert authenticate(username="ANN@shop.test ", password=made.password) == made.user
        assert authenticate(username="ann@shop.test", password="wrong") is None

    def test_is_done_with_the_one_time_password_when_it_chooses_its_own(self):
        user = accounts.create(email="ann@shop.test", now=NOW).user
        user.change_password("another long enough")
        assert not User.objects.get().must_change_password

    @pytest.mark.parametrize(("is_operator", "is_active"), [(True, True), (True, False), (False, True)])
    def test_may_use_the_admin_only_as_an_active_operator(self, is_operator, is_active):
        user = User.objects.create_user(email="o@b.test", is_operator=is_operator, is_active=is_active)
        may = is_operator and is_active
        assert user.has_perm("merchants.change_merchant") is may
        assert user.has_perms(["a", "b"]) is may
        assert user.has_module_perms("merchants") is may
        assert user.is_staff is user.is_superuser is is_operator

    def test_waits_after_a_reset(self):
        user = accounts.create(email="ann@shop.test", now=NOW).user
        user.unsettle(until=NOW)
        assert User.objects.get().is_settled(NOW)
        assert not User.objects.get().is_settled(NOW.replace(hour=11))

    @pytest.mark.parametrize(
        ("email", "constraint"), [("Ann@shop.test", "user_email_is_lower_case"), ("", "user_has_an_email")]
    )
    def test_has_an_address_in_lower_case_past_python(self, email, constraint):
        user = accounts.create(email="ann@shop.test", now=NOW).user
        constraints.refused(constraint, f"UPDATE merchants_user SET email = '{email}' WHERE id = {user.pk}")

    def test_shares_no_address_past_python(self):
        accounts.create(email="ann@shop.test", now=NOW)
        other = accounts.create(email="bob@shop.test", now=NOW).user
        constraints.refused(
            "merchants_user_email", f"UPDATE merchants_user SET email = 'ann@shop.test' WHERE id = {other.pk}"
        )
