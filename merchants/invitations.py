"""Invitations onto a merchant's team: a mailed link that works once, for a week.

Whoever follows it without an account chooses a password and enrols an authenticator next; whoever has one
signs in and joins. Nobody but the operator invites an Owner.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Unpack

from django.db import transaction

from merchants import accounts, audit, emails, links, mail, passwords, team
from merchants.errors import Refusal
from merchants.models import Invitation, Membership, Merchant, User
from merchants.models.invitation import InvitationQuerySet
from merchants.roles import Role
from merchants.team import AlreadyMember, OnlyOperatorChangesOwners

LASTS = timedelta(days=7)
MOST_PENDING = 50


class OnlyOperatorMakesOwners(Refusal):
    """Only the operator of this installation makes an Owner. Invite them as something else."""

    field = "role"


class NotARole(Refusal):
    """Nobody is invited as Restricted: that is a role to be put into."""

    field = "role"


class TooManyInvitations(Refusal):
    """{most} invitations are open already. Withdraw some first."""


class NoSuchInvitation(Refusal):
    """This invitation does not work: it was used already, withdrawn, or is too old. Ask for another."""


class AccountExists(Refusal):
    """You have an account already. Sign in, then open the invitation again."""


class NotYours(Refusal):
    """This invitation is for another e-mail address than yours."""


@transaction.atomic
def invite(
    *,
    merchant: Merchant,
    email: str,
    role: Role,
    by: User,
    now: datetime,
    as_operator: bool = False,
    **how: Unpack[audit.How],
) -> Invitation:
    """Mails a link to `email`; an open invitation of the same person is replaced.

    Raises `BadEmail`, `AlreadyMember`, `OnlyOperatorMakesOwners`, `NotARole`, `TooManyInvitations`.
    """
    address = emails.checked(email)
    _refuse_role(role, as_operator=as_operator)
    Merchant.objects.select_for_update(no_key=True).get(pk=merchant.pk)
    if Membership.objects.for_merchant(merchant).filter(user__email=address).exists():
        raise AlreadyMember(email=address)
    _replace(merchant, address, now, as_operator=as_operator)
    if pending(merchant=merchant, now=now).count() >= MOST_PENDING:
        raise TooManyInvitations(most=MOST_PENDING)
    token, digest = links.new_token()
    invitation = Invitation.objects.create(
        merchant=merchant,
        email=address,
        role=role.value,
        invited_by=by,
        token_digest=digest,
        created_at=now,
        expires_at=now + LASTS,
    )
    _mail(invitation, token, now)
    _audit("team.invite", invitation, by, now, how)
    return invitation


def pending(*, merchant: Merchant, now: datetime) -> InvitationQuerySet:
    """The merchant's invitations whose links still work, newest first."""
    return Invitation.objects.for_merchant(merchant).pending(now).select_related("invited_by").order_by("-id")


@transaction.atomic
def withdraw(
    *,
    merchant: Merchant,
    invitation_id: int,
    by: User,
    now: datetime,
    as_operator: bool = False,
    **how: Unpack[audit.How],
) -> None:
    """The link stops working. Raises `NoSuchInvitation`, `OnlyOperatorChangesOwners`."""
    waiting = Invitation.objects.for_merchant(merchant).open().select_for_update(of=["self"])
    invitation = waiting.select_related("merchant").filter(pk=invitation_id).first()
    if invitation is None:
        raise NoSuchInvitation
    if invitation.role == Role.OWNER and not as_operator:
        raise OnlyOperatorChangesOwners
    invitation.withdraw(now)
    _audit("team.withdraw_invitation", invitation, by, now, how)


def find(*, token: str, now: datetime) -> Invitation:
    """The invitation behind a link; it is not used up by looking. Raises `NoSuchInvitation`."""
    return _found(token, now)


@transaction.atomic
def accept(*, token: str, password: str, now: datetime, **how: Unpack[audit.How]) -> User:
    """Opens an account and puts its person on the team; an authenticator is to be enrolled next.

    Raises `NoSuchInvitation`, `AccountExists`, `BadPassword`.
    """
    invitation = _found(token, now, lock=True)
    if accounts.find(invitation.email):
        raise AccountExists
    passwords.judge(password=password, user=User(email=invitation.email))
    user = accounts.open_account(email=invitation.email, now=now)
    user.change_password(password)
    audit.record(
        actor=user,
        act="accounts.create",
        subject=user.subject,
        after={"email": user.email, "is_operator": False},
        now=now,
        **how,
    )
    _take_up(invitation, user, now, how)
    return user


@transaction.atomic
def join(*, token: str, user: User, now: datetime, **how: Unpack[audit.How]) -> Membership:
    """Puts somebody who has an account, and is signed in, on the team.

    Raises `NoSuchInvitation`, `NotYours`, `AlreadyMember`.
    """
    invitation = _found(token, now, lock=True)
    if invitation.email != user.email:
        raise NotYours
    return _take_up(invitation, user, now, how)


def _refuse_role(role: Role, *, as_operator: bool) -> None:
    if role is Role.RESTRICTED:
        raise NotARole
    if role is Role.OWNER and not as_operator:
        raise OnlyOperatorMakesOwners


def _replace(merchant: Merchant, email: str, now: datetime, *, as_operator: bool) -> None:
    """The open invitation of the same person, were its time over or not, gives way."""
    for older in Invitation.objects.for_merchant(merchant).open().filter(email=email).select_for_update():
        if older.role == Role.OWNER and not as_operator and not older.has_ended(now):
            raise OnlyOperatorChangesOwners
        older.withdraw(now)


def _found(token: str, now: datetime, *, lock: bool = False) -> Invitation:
    every = Invitation.objects.select_for_update(of=["self"]) if lock else Invitation.objects
    waiting = every.pending(now).select_related("merchant", "invited_by")
    invitation = waiting.filter(token_digest=links.digest_of(token)).first()
    if invitation is None:
        raise NoSuchInvitation
    return invitation


def _take_up(invitation: Invitation, user: User, now: datetime, how: audit.How) -> Membership:
    invitation.accept(user_id=user.pk, now=now)
    role = Role(invitation.role)
    return team.add(merchant=invitation.merchant, user=user, role=role, by=user, now=now, **how)


def _mail(invitation: Invitation, token: str, now: datetime) -> None:
    mail.write(
        to=invitation.email,
        subject=f"Join {invitation.merchant.name} at Bursar",
        template="invitation",
        merchant=invitation.merchant.name,
        role=Role(invitation.role),
        by=invitation.invited_by,
        url=links.address(f"/invitation/{token}/"),
        until=invitation.expires_at,
        now=now,
    )


def _audit(act: str, invitation: Invitation, by: User, now: datetime, how: audit.How) -> None:
    audit.record(
        actor=by,
        act=act,
        merchant=invitation.merchant,
        subject=invitation.subject,
        after={"email": invitation.email, "role": invitation.role, "expires_at": invitation.expires_at},
        now=now,
        **how,
    )
