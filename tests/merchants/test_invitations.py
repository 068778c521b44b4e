"""Invitations: a link that works once, for a week, for the address that it was sent to."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest

from merchants import accounts, invitations, mail, passwords, team
from merchants.emails import BadEmail
from merchants.models import AuditRecord, Invitation, MailMessage, Membership, TotpDevice, User
from merchants.roles import Role
from tests import constraints, factories
from tests.factories import NOW

pytestmark = pytest.mark.django_db
WEEK = timedelta(days=7)
PASSWORD = "correct horse battery"


@pytest.fixture
def invitation(merchant, owner):
    return invite(merchant, owner)


def invite(merchant, owner, email="Ann@Shop.test", role=Role.VIEW, **more):
    return invitations.invite(merchant=merchant, email=email, role=role, by=owner, now=NOW, **more)


def token():
    """What the latest letter's link holds."""
    return re.search(r"/invitation/([\w-]{43})/", mail.recent(now=NOW)[0].text)[1]


def standing():
    return (
        list(Invitation.objects.order_by("id").values_list("email", "role", "accepted_at", "withdrawn_at")),
        Membership.objects.count(),
        User.objects.count(),
        MailMessage.objects.count(),
        AuditRecord.objects.count(),
    )


class TestInvite:
    def test_mails_a_link_that_is_kept_as_a_hash(self, merchant, owner, invitation):
        letter = mail.recent(now=NOW)[0]
        assert (letter.to, letter.subject) == ("ann@shop.test", f"Join {merchant.name} at Bursar")
        assert f"http://127.0.0.1:8000/invitation/{token()}/" in letter.html
        assert token().encode() not in bytes(Invitation.objects.get().token_digest)
        assert (invitation.role, invitation.expires_at) == ("view", NOW + WEEK)
        record = AuditRecord.objects.latest("number")
        assert (record.act, record.actor, record.merchant) == ("team.invite", owner, merchant)
        assert token() not in record.after

    def test_builds_the_link_from_the_settings(self, merchant, owner, settings):
        settings.PUBLIC_URL = "https://pay.example.com:8443"
        settings.DOOR_HOSTS = settings.DOOR_HOSTS | {"backoffice": "desk.example.com"}
        invite(merchant, owner)
        assert "https://desk.example.com:8443/invitation/" in mail.recent(now=NOW)[0].text

    @pytest.mark.parametrize(
        ("given", "refusal"),
        [
            ({"role": Role.OWNER}, invitations.OnlyOperatorMakesOwners),
            ({"role": Role.RESTRICTED}, invitations.NotARole),
            ({"email": "ann"}, BadEmail),
            ({"email": "x" * 250 + "@b.test"}, BadEmail),
            ({"email": "owner@shop.test"}, team.AlreadyMember),
        ],
    )
    def test_refuses(self, merchant, owner, given, refusal):
        before = standing()
        with pytest.raises(refusal):
            invite(merchant, owner, **given)
        assert standing() == before

    def test_lets_the_operator_invite_an_owner_and_leaves_that_to_them(self, merchant, owner):
        made = invite(merchant, owner, role=Role.OWNER, as_operator=True)
        before = standing()
        for act in (
            lambda: invite(merchant, owner),
            lambda: invitations.withdraw(merchant=merchant, invitation_id=made.pk, by=owner, now=NOW),
        ):
            with pytest.raises(team.OnlyOperatorChangesOwners):
                act()
        assert standing() == before

    def test_replaces_the_older_link_of_the_same_person(self, merchant, owner, invitation):
        older = token()
        invite(merchant, owner, role=Role.LIMITS)
        with pytest.raises(invitations.NoSuchInvitation):
            invitations.find(token=older, now=NOW)
        assert invitations.find(token=token(), now=NOW).role == "limits"

    def test_stops_at_a_number_that_nobody_needs(self, merchant, owner, monkeypatch):
        monkeypatch.setattr(invitations, "MOST_PENDING", 1)
        invite(merchant, owner, email="a@b.test")
        before = standing()
        with pytest.raises(invitations.TooManyInvitations) as refusal:
            invite(merchant, owner, email="c@d.test")
        assert str(refusal.value) == "1 invitations are open already. Withdraw some first."
        assert standing() == before


class TestAccept:
    def test_opens_an_account_without_authenticator_and_joins(self, merchant, invitation):
        user = invitations.accept(token=token(), password=PASSWORD, now=NOW, ip="203.0.113.7")
        assert user.check_password(PASSWORD)
        assert not user.must_change_password
        assert not TotpDevice.objects.filter(user=user).exists()
        joined = Membership.objects.get(user=user)
        assert (joined.merchant, joined.role) == (merchant, "view")
        assert team.may_move_money(joined, NOW)
        acts = AuditRecord.objects.order_by("-number").values_list("act", "actor", "ip")[:2]
        assert list(acts) == [
            ("team.add", user.pk, "203.0.113.7"),
            ("accounts.create", user.pk, "203.0.113.7"),
        ]

    def test_works_once(self, invitation):
        invitations.accept(token=token(), password=PASSWORD, now=NOW)
        before = standing()
        with pytest.raises(invitations.NoSuchInvitation):
            invitations.accept(token=token(), password=PASSWORD, now=NOW)
        assert standing() == before

    @pytest.mark.parametrize("odd", ["", "x", "\x00" * 43, "é" * 43, "a" * 43, "a" * 5000])
    def test_refuses_what_is_no_link(self, invitation, odd):
        before = standing()
        with pytest.raises(invitations.NoSuchInvitation):
            invitations.accept(token=odd, password=PASSWORD, now=NOW)
        assert standing() == before

    def test_refuses_a_link_that_is_over_or_withdrawn(self, merchant, owner, invitation):
        with pytest.raises(invitations.NoSuchInvitation):
            invitations.accept(token=token(), password=PASSWORD, now=NOW + WEEK)
        invitations.withdraw(merchant=merchant, invitation_id=invitation.pk, by=owner, now=NOW)
        with pytest.raises(invitations.NoSuchInvitation):
            invitations.accept(token=token(), password=PASSWORD, now=NOW)
        assert not User.objects.filter(email="ann@shop.test").exists()

    @pytest.mark.parametrize("weak", ["short", "123456789012345", "passwordpassword"[:8], "x" * 300])
    def test_refuses_a_weak_password_at_its_field(self, invitation, weak):
        before = standing()
        with pytest.raises(passwords.BadPassword) as refusal:
            invitations.accept(token=token(), password=weak, now=NOW)
        assert refusal.value.field == "password"
        assert standing() == before

    def test_makes_nobody_a_second_account(self, invitation):
        accounts.create(email="ann@shop.test", now=NOW)
        before = standing()
        with pytest.raises(invitations.AccountExists):
            invitations.accept(token=token(), password=PASSWORD, now=NOW)
        assert standing() == before


class TestJoin:
    def test_puts_who_has_an_account_on_the_team(self, merchant, invitation):
        ann = accounts.create(email="ann@shop.test", now=NOW).user
        assert invitations.join(token=token(), user=ann, now=NOW).merchant == merchant
        assert Invitation.objects.get().accepted_by == ann

    def test_refuses_somebody_else(self, owner, invitation):
        bob = accounts.create(email="bob@shop.test", now=NOW).user
        before = standing()
        with pytest.raises(invitations.NotYours):
            invitations.join(token=token(), user=bob, now=NOW)
        assert standing() == before

    def test_lets_an_owner_settle_for_a_day(self, merchant, owner):
        invite(merchant, owner, role=Role.OWNER, as_operator=True)
        ann = accounts.create(email="ann@shop.test", now=NOW).user
        joined = invitations.join(token=token(), user=ann, now=NOW)
        assert not team.may_move_money(joined, NOW + timedelta(hours=23))
        assert team.may_move_money(joined, NOW + timedelta(hours=24))


class TestWithdraw:
    def test_ends_it_once_and_is_audited(self, merchant, owner, invitation):
        given = {"merchant": merchant, "invitation_id": invitation.pk, "by": owner, "now": NOW}
        invitations.withdraw(**given)
        assert AuditRecord.objects.latest("number").act == "team.withdraw_invitation"
        assert not invitations.pending(merchant=merchant, now=NOW).exists()
        with pytest.raises(invitations.NoSuchInvitation):
            invitations.withdraw(**given)

    def test_knows_no_invitation_of_another_merchant(self, owner, invitation):
        with pytest.raises(invitations.NoSuchInvitation):
            invitations.withdraw(
                merchant=factories.merchant(), invitation_id=invitation.pk, by=owner, now=NOW
            )
        assert Invitation.objects.get().withdrawn_at is None


class TestTheDatabase:
    @pytest.mark.parametrize(
        ("change", "constraint"),
        [
            (
                "accepted_at = now(), accepted_by_id = invited_by_id, withdrawn_at = now()",
                "invitation_is_accepted_or_withdrawn",
            ),
            ("accepted_at = now()", "invitation_is_accepted_by_somebody"),
            ("role = 'restricted'", "invitation_role_is_known"),
            ("expires_at = created_at", "invitation_ends_after_it_began"),
        ],
    )
    def test_refuses(self, invitation, change, constraint):
        constraints.refused(constraint, f"UPDATE merchants_invitation SET {change}")

    def test_refuses_two_open_ones_for_one_person(self, invitation):
        constraints.refused(
            "invitation_is_open_once_per_address",
            "INSERT INTO merchants_invitation"
            " (merchant_id, email, role, token_digest, created_at, expires_at)"
            " SELECT merchant_id, email, role, 'x', created_at, expires_at FROM merchants_invitation",
        )
