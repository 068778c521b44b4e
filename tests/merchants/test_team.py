"""Merchants and teams: who joins, what changes, and that a merchant keeps an Owner."""

from __future__ import annotations

from datetime import timedelta

import pytest

from merchants import accounts, team
from merchants.models import AuditRecord, Membership, Merchant
from merchants.roles import Role
from tests import constraints, factories
from tests.factories import NOW

pytestmark = pytest.mark.django_db
DAY = timedelta(hours=24)


@pytest.fixture
def ann():
    return accounts.create(email="ann@shop.test", now=NOW).user


@pytest.fixture
def member(merchant, owner, ann):
    return team.add(merchant=merchant, user=ann, role=Role.VIEW, now=NOW)


def last_record():
    return AuditRecord.objects.order_by("-number").first()


def standing():
    members = list(Membership.objects.order_by("id").values_list("user", "role", "settled_at"))
    return members, list(Merchant.objects.values_list("name", "status")), AuditRecord.objects.count()


class TestCreateMerchant:
    def test_numbers_merchants_for_the_outside(self):
        first = team.create_merchant(name="One", now=NOW)
        second = team.create_merchant(name=" Two ", public_name="Two Ltd", now=NOW)
        assert second.wire_id == first.wire_id + 1
        assert (first.name, first.public_name) == ("One", "One")
        assert (second.name, second.public_name) == ("Two", "Two Ltd")
        assert last_record().act == "merchants.create"

    def test_refuses_no_name(self):
        with pytest.raises(team.NameMissing):
            team.create_merchant(name="  ", now=NOW)
        assert not Merchant.objects.exists()


class TestAdd:
    def test_lets_an_owner_settle_for_a_day(self, merchant, ann):
        joined = team.add(merchant=merchant, user=ann, role=Role.OWNER, now=NOW)
        assert joined.settled_at == NOW + DAY
        assert not joined.is_settled(NOW + DAY - timedelta(microseconds=1))
        assert joined.is_settled(NOW + DAY)

    def test_counts_others_and_the_demos_owner_as_settled(self, merchant, ann, member):
        assert member.is_settled(NOW)
        other = factories.merchant()
        assert team.add(merchant=other, user=ann, role=Role.OWNER, now=NOW, settled=True).is_settled(NOW)

    def test_refuses_somebody_twice(self, merchant, ann, member):
        before = standing()
        with pytest.raises(team.AlreadyMember) as refusal:
            team.add(merchant=merchant, user=ann, role=Role.OWNER, now=NOW)
        assert str(refusal.value) == "ann@shop.test is on this team already."
        assert standing() == before


class TestMembership:
    def test_may_what_its_role_may(self, member):
        assert member.may("balances.view")
        assert not member.may("keys.activate")

    def test_belongs_to_its_merchant(self, merchant, member):
        assert member in Membership.objects.for_merchant(merchant)
        assert member not in Membership.objects.for_merchant(factories.merchant())


class TestChangeRole:
    def test_gives_the_role_and_tells_before_and_after(self, owner, member):
        team.change_role(membership_id=member.pk, role=Role.LIMITS, by=owner, now=NOW)
        assert Membership.objects.get(pk=member.pk).role == "limits"
        record = last_record()
        assert (record.act, record.actor, record.before) == ("team.change_role", owner, '{"role":"view"}')
        assert '"role":"limits"' in record.after

    def test_lets_a_new_owner_settle(self, member):
        later = NOW + timedelta(days=3)
        team.change_role(membership_id=member.pk, role=Role.OWNER, as_operator=True, now=later)
        assert Membership.objects.get(pk=member.pk).settled_at == later + DAY

    def test_protects_the_last_owner(self, merchant, owner, member):
        mine = Membership.objects.get(user=owner)
        before = standing()
        with pytest.raises(team.LastOwner):
            team.change_role(membership_id=mine.pk, role=Role.VIEW, as_operator=True, now=NOW)
        assert standing() == before
        team.change_role(membership_id=member.pk, role=Role.OWNER, as_operator=True, now=NOW)
        team.change_role(membership_id=mine.pk, role=Role.VIEW, as_operator=True, now=NOW)
        assert set(Membership.objects.values_list("user__email", "role")) == {
            ("owner@shop.test", "view"),
            ("ann@shop.test", "owner"),
        }

    def test_refuses_a_member_that_is_not_there(self, member):
        with pytest.raises(team.NoSuchMember):
            team.change_role(membership_id=0, role=Role.VIEW, now=NOW)

    @pytest.mark.parametrize("role", [Role.OWNER, Role.VIEW])
    def test_leaves_owners_to_the_operator(self, merchant, owner, member, role):
        mine = Membership.objects.get(user=owner)
        target = member if role is Role.OWNER else mine
        before = standing()
        with pytest.raises(team.OnlyOperatorChangesOwners) as refusal:
            team.change_role(membership_id=target.pk, role=role, merchant=merchant, by=owner, now=NOW)
        assert refusal.value.field == "role"
        with pytest.raises(team.OnlyOperatorChangesOwners):
            team.remove(membership_id=mine.pk, merchant=merchant, by=owner, now=NOW)
        assert standing() == before

    def test_knows_no_member_of_another_merchant(self, owner, member):
        other = factories.merchant()
        before = standing()
        for verb in (team.remove, lambda **given: team.change_role(role=Role.LIMITS, **given)):
            with pytest.raises(team.NoSuchMember):
                verb(membership_id=member.pk, merchant=other, by=owner, now=NOW)
        assert standing() == before


class TestMembers:
    def test_are_listed_owners_first(self, merchant, owner, member):
        bob = accounts.create(email="bob@shop.test", now=NOW).user
        team.add(merchant=merchant, user=bob, role=Role.EXCHANGE, now=NOW)
        assert [str(one.user) for one in team.members(merchant)] == [
            "owner@shop.test",
            "bob@shop.test",
            "ann@shop.test",
        ]

    def test_move_money_once_neither_their_role_nor_a_reset_bars_it(self, merchant, ann):
        joined = team.add(merchant=merchant, user=ann, role=Role.OWNER, now=NOW)
        assert not team.may_move_money(joined, NOW)
        assert team.may_move_money(joined, NOW + DAY)
        ann.unsettle(until=NOW + 2 * DAY)
        joined = Membership.objects.get(pk=joined.pk)
        assert not team.may_move_money(joined, NOW + DAY)
        assert team.may_move_money(joined, NOW + 2 * DAY)


class TestRemove:
    def test_takes_the_member_off(self, owner, member):
        team.remove(membership_id=member.pk, by=owner, now=NOW)
        assert list(Membership.objects.values_list("user", flat=True)) == [owner.pk]
        assert (last_record().act, last_record().before) == ("team.remove", '{"role":"view"}')

    def test_protects_the_last_owner(self, owner, member):
        before = standing()
        with pytest.raises(team.LastOwner):
            team.remove(membership_id=Membership.objects.get(user=owner).pk, as_operator=True, now=NOW)
        assert standing() == before


class TestBlock:
    def test_waits_out_the_key_cache_after_the_commit(self, merchant, django_capture_on_commit_callbacks):
        waits = []
        with django_capture_on_commit_callbacks(execute=True):
            team.block(merchant=merchant, now=NOW, pause=waits.append)
        assert waits == [1.0]
        assert Merchant.objects.get().is_blocked
        assert (last_record().act, last_record().after) == ("merchants.block", '{"status":"blocked"}')

    def test_refuses_twice(self, merchant):
        team.block(merchant=merchant, now=NOW)
        before = standing()
        with pytest.raises(team.AlreadyBlocked):
            team.block(merchant=merchant, now=NOW)
        assert standing() == before

    def test_is_undone_by_unblock_once(self, merchant):
        team.block(merchant=merchant, now=NOW)
        team.unblock(merchant=merchant, now=NOW)
        assert not Merchant.objects.get().is_blocked
        before = standing()
        with pytest.raises(team.NotBlocked):
            team.unblock(merchant=merchant, now=NOW)
        assert standing() == before


class TestTheDatabase:
    @pytest.mark.parametrize(
        ("statement", "constraint"),
        [
            ("UPDATE merchants_merchant SET wire_id = wire_id + 1", "merchant_keeps_its_identity"),
            ("DELETE FROM merchants_merchant", "merchant_keeps_its_identity"),
            ("UPDATE merchants_merchant SET status = 'x'", "merchant_status_is_known"),
            ("UPDATE merchants_merchant SET name = ''", "merchant_has_names"),
            ("UPDATE merchants_merchant SET public_name = ''", "merchant_has_names"),
            ("UPDATE merchants_membership SET role = 'x'", "membership_role_is_known"),
            (
                "INSERT INTO merchants_membership (merchant_id, user_id, role, settled_at, joined_at)"
                " SELECT merchant_id, user_id, role, settled_at, joined_at FROM merchants_membership LIMIT 1",
                "membership_is_one_per_person",
            ),
            (
                "INSERT INTO merchants_merchant (wire_id, name, public_name, status, take_tag_as_string)"
                " VALUES (0, 'x', 'x', 'active', false)",
                "merchant_wire_id_is_positive",
            ),
            (
                "INSERT INTO merchants_merchant (wire_id, name, public_name, status, take_tag_as_string)"
                " SELECT wire_id, 'x', 'x', 'active', false FROM merchants_merchant LIMIT 1",
                "merchants_merchant_wire_id",
            ),
        ],
    )
    def test_refuses(self, member, statement, constraint):
        constraints.judge_now()
        constraints.refused(constraint, statement)
