"""The team on pages: roles in plain words, invitations, changes; Owners are the operator's affair."""

from __future__ import annotations

import pytest

from merchants.models import Invitation, Membership
from merchants.roles import Role
from tests import desk, factories

pytestmark = pytest.mark.django_db


@pytest.fixture
def at():
    return desk.desk(factories.merchant())


def role_of(user, merchant):
    found = Membership.objects.for_merchant(merchant).filter(user=user).first()
    return found and Role(found.role)


class TestList:
    def test_says_in_plain_words_who_may_do_what(self, at):
        desk.person(at.merchant, Role.VIEW, email="viewer@shop.test")
        page = at.get("team/").content.decode()
        assert "viewer@shop.test" in page
        assert "Sees everything, manages deposit addresses" in page
        assert "changed by the operator" in page

    def test_belongs_to_owners(self, at):
        assert desk.desk(at.merchant, Role.VIEW).get("team/").status_code == 403

    def test_never_asks_once_per_person(self, at, django_assert_max_num_queries):
        for _ in range(5):
            desk.person(at.merchant, Role.VIEW)
        with django_assert_max_num_queries(18):
            at.get("team/")


class TestInvite:
    def test_shows_the_invitation_until_it_is_withdrawn(self, at):
        assert at.post("team/invite/", email="New@Shop.test", role="view").status_code == 302
        assert "new@shop.test" in at.get("team/").content.decode()
        device = desk.device_of(at.user)
        device.last_t = -1
        device.save()
        assert at.post("team/invitations/new@shop.test/withdraw/").status_code == 302
        assert "new@shop.test" not in at.get("team/").content.decode()

    @pytest.mark.parametrize(
        ("email", "role"),
        [
            ("nobody", "view"),
            ("", "view"),
            ("a@b.test", "owner"),
            ("a@b.test", "restricted"),
            ("a@b.test", "x"),
        ],
    )
    def test_refuses_at_the_field(self, at, email, role):
        answer = at.post("team/invite/", email=email, role=role)
        assert answer.status_code == 422
        assert 'role="alert"' in answer.content.decode()
        assert not Invitation.objects.exists()

    def test_refuses_who_is_on_the_team(self, at):
        answer = at.post("team/invite/", email=at.user.email, role="view")
        assert "on this team already" in answer.content.decode()
        assert not Invitation.objects.exists()


class TestChange:
    def test_gives_another_role(self, at):
        user = desk.person(at.merchant, Role.VIEW)
        assert at.post(f"team/{user.email}/role/", role="exchange").status_code == 302
        assert role_of(user, at.merchant) is Role.EXCHANGE

    def test_makes_no_owner(self, at):
        user = desk.person(at.merchant, Role.VIEW)
        assert at.post(f"team/{user.email}/role/", role="owner").status_code == 422
        assert role_of(user, at.merchant) is Role.VIEW

    def test_leaves_owners_to_the_operator(self, at):
        user = desk.person(at.merchant)
        for path, data in (("role", {"role": "view"}), ("remove", {})):
            device = desk.device_of(at.user)
            device.last_t = -1
            device.save()
            answer = at.post(f"team/{user.email}/{path}/", **data)
            assert answer.status_code == 422
            assert "operator" in answer.content.decode()
        assert role_of(user, at.merchant) is Role.OWNER

    def test_of_another_merchants_member_is_missing(self, at):
        user = desk.person(factories.merchant(), Role.VIEW)
        assert at.post(f"team/{user.email}/role/", role="view").status_code == 404
        assert at.post(f"team/{user.email}/remove/").status_code == 404


class TestRemove:
    def test_takes_somebody_off_the_team(self, at):
        user = desk.person(at.merchant, Role.VIEW)
        assert at.post(f"team/{user.email}/remove/").status_code == 302
        assert role_of(user, at.merchant) is None
