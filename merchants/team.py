"""Merchants and their teams: made, joined, blocked; each act audited."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime
from typing import Unpack

from django.db import transaction
from django.db.models import Case, QuerySet, When

from merchants import audit
from merchants.errors import Refusal
from merchants.models import Membership, Merchant, User
from merchants.models.api_key import CACHE_SECONDS
from merchants.models.user import SETTLING
from merchants.roles import Role


class NameMissing(Refusal):
    """A merchant needs a name."""

    field = "name"


class AlreadyMember(Refusal):
    """{email} is on this team already."""

    field = "email"


class NoSuchMember(Refusal):
    """There is no such person on this team."""


class LastOwner(Refusal):
    """This is the merchant's last Owner: make another one first."""


class OnlyOperatorChangesOwners(Refusal):
    """Only the operator of this installation makes, changes or removes an Owner."""

    field = "role"


class AlreadyBlocked(Refusal):
    """This merchant is blocked already."""


class NotBlocked(Refusal):
    """This merchant is not blocked."""


@transaction.atomic
def create_merchant(
    *,
    name: str,
    public_name: str = "",
    by: User | None = None,
    now: datetime,
    **how: Unpack[audit.How],
) -> Merchant:
    """A merchant without a team yet. `public_name` is `name` unless given. Raises `NameMissing`."""
    if not name.strip():
        raise NameMissing
    merchant = Merchant.objects.create(name=name.strip(), public_name=public_name.strip() or name.strip())
    audit.record(
        actor=by,
        act="merchants.create",
        merchant=merchant,
        subject=merchant.subject,
        after={"name": merchant.name, "public_name": merchant.public_name, "wire_id": merchant.wire_id},
        now=now,
        **how,
    )
    return merchant


@transaction.atomic
def add(
    *,
    merchant: Merchant,
    user: User,
    role: Role,
    by: User | None = None,
    now: datetime,
    settled: bool = False,
    **how: Unpack[audit.How],
) -> Membership:
    """Puts `user` on the team. Raises `AlreadyMember`.

    settled: an Owner who need not wait a day before making or approving withdrawals.
    """
    waits = role is Role.OWNER and not settled
    membership, is_new = Membership.objects.get_or_create(
        merchant=merchant,
        user=user,
        defaults={"role": role.value, "settled_at": now + SETTLING if waits else now, "joined_at": now},
    )
    if not is_new:
        raise AlreadyMember(email=user.email)
    _audit_member("team.add", membership, by, now, how)
    return membership


@transaction.atomic
def change_role(
    *,
    membership_id: int,
    role: Role,
    merchant: Merchant | None = None,
    by: User | None = None,
    now: datetime,
    as_operator: bool = False,
    **how: Unpack[audit.How],
) -> Membership:
    """Gives a member another role; a new Owner settles first.

    merchant: whose team it must be, at every door but the operator's. as_operator: Owners may be touched.
    Raises `NoSuchMember`, `LastOwner`, `OnlyOperatorChangesOwners`.
    """
    membership = _locked_member(membership_id, merchant)
    before = membership.role
    if Role.OWNER in {before, role} and not as_operator:
        raise OnlyOperatorChangesOwners
    if Role(before) is Role.OWNER and role is not Role.OWNER:
        _refuse_last_owner(membership)
    if before != role:
        membership.become(role, settled_at=now + SETTLING if role is Role.OWNER else now)
    _audit_member("team.change_role", membership, by, now, how, before={"role": before})
    return membership


@transaction.atomic
def remove(
    *,
    membership_id: int,
    merchant: Merchant | None = None,
    by: User | None = None,
    now: datetime,
    as_operator: bool = False,
    **how: Unpack[audit.How],
) -> None:
    """Takes a member off the team; `merchant` and `as_operator` as in `change_role`.

    Raises `NoSuchMember`, `LastOwner`, `OnlyOperatorChangesOwners`.
    """
    membership = _locked_member(membership_id, merchant)
    if Role(membership.role) is Role.OWNER:
        if not as_operator:
            raise OnlyOperatorChangesOwners
        _refuse_last_owner(membership)
    _audit_member("team.remove", membership, by, now, how, before={"role": membership.role})
    membership.delete()


def members(merchant: Merchant) -> QuerySet[Membership]:
    """The merchant's team, Owners first."""
    order = Case(*(When(role=role.value, then=at) for at, role in enumerate(Role)), default=len(Role))
    return Membership.objects.for_merchant(merchant).select_related("user").order_by(order, "user__email")


def may_move_money(membership: Membership, now: datetime) -> bool:
    """Whether neither becoming Owner nor a reset bars this person from making and approving withdrawals."""
    return membership.is_settled(now) and membership.user.is_settled(now)


def block(
    *,
    merchant: Merchant,
    by: User | None = None,
    now: datetime,
    pause: Callable[[float], None] = time.sleep,
    **how: Unpack[audit.How],
) -> None:
    """Refuses the merchant's keys, in every process by the time this returns. Raises `AlreadyBlocked`."""
    with transaction.atomic():
        if _locked(merchant).is_blocked:
            raise AlreadyBlocked
        merchant.block()
        _audit_status(merchant, "merchants.block", by, now, how)
        transaction.on_commit(lambda: pause(CACHE_SECONDS))


@transaction.atomic
def unblock(*, merchant: Merchant, by: User | None = None, now: datetime, **how: Unpack[audit.How]) -> None:
    """Lets the merchant's keys work again. Raises `NotBlocked`."""
    if not _locked(merchant).is_blocked:
        raise NotBlocked
    merchant.unblock()
    _audit_status(merchant, "merchants.unblock", by, now, how)


def _locked(merchant: Merchant) -> Merchant:
    return Merchant.objects.select_for_update(no_key=True).get(pk=merchant.pk)


def _locked_member(membership_id: int, merchant: Merchant | None) -> Membership:
    """The member; until the transaction ends nobody else changes this merchant's team."""
    everybody = Membership.objects.select_related("merchant", "user")
    team = everybody.for_merchant(merchant) if merchant else everybody
    membership = team.filter(pk=membership_id).first()
    if membership is None:
        raise NoSuchMember
    _locked(membership.merchant)
    current = team.filter(pk=membership_id).first()
    if current is None:
        raise NoSuchMember
    return current


def _refuse_last_owner(membership: Membership) -> None:
    owners = Membership.objects.for_merchant(membership.merchant).filter(role=Role.OWNER)
    if not owners.exclude(pk=membership.pk).exists():
        raise LastOwner


def _audit_member(
    act: str,
    membership: Membership,
    by: User | None,
    now: datetime,
    how: audit.How,
    before: audit.Facts | None = None,
) -> None:
    audit.record(
        actor=by,
        act=act,
        merchant=membership.merchant,
        subject=membership.subject,
        before=before,
        after={
            "email": membership.user.email,
            "role": str(membership.role),
            "settled_at": membership.settled_at,
        },
        now=now,
        **how,
    )


def _audit_status(merchant: Merchant, act: str, by: User | None, now: datetime, how: audit.How) -> None:
    audit.record(
        actor=by,
        act=act,
        merchant=merchant,
        subject=merchant.subject,
        after={"status": merchant.status},
        now=now,
        **how,
    )
