"""People's accounts: made with a one-time password or by invitation, entered with both factors.

The sign-in here is every door's. It tells a stranger neither whether an account exists nor which of e-mail
address, password and code was wrong, and takes the same work for each.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from datetime import datetime
from typing import Unpack

from django.contrib.auth.hashers import make_password
from django.db import transaction

from merchants import audit, emails, enrolment, recovery, second_factor, throttle
from merchants.emails import BadEmail, EmailTaken
from merchants.enrolment import Enrolment
from merchants.errors import Refusal
from merchants.models import TotpDevice, User
from merchants.models.user import normalised

__all__ = ["BadEmail", "EmailTaken", "Enrolment"]

TEMPORARY_PASSWORD_BYTES = 15


class NotRight(Refusal):
    """E-mail address, password or code is not right. A code works once: wait for the next one."""


@dataclass(frozen=True)
class NewAccount:
    """A new person, with what they need to sign in for the first time."""

    user: User
    password: str = field(repr=False)
    enrolment: Enrolment


@dataclass(frozen=True)
class SignedIn:
    """Somebody who has shown both factors. recovered: the second one was a recovery code."""

    user: User
    device: TotpDevice
    recovered: bool = False


@dataclass(frozen=True)
class EnrolmentDue:
    """Somebody whose password is right and who has no authenticator yet, or lost it to a reset."""

    user: User


@transaction.atomic
def create(
    *,
    email: str,
    by: User | None = None,
    now: datetime,
    is_operator: bool = False,
    password: str | None = None,
    step: int = 30,
    **how: Unpack[audit.How],
) -> NewAccount:
    """An account with an enrolled authenticator. Raises `EmailTaken` or `BadEmail`.

    password: without one, a one-time password is made that the first sign-in replaces.
    step: seconds that a code is valid; 30 for any phone.
    """
    chosen = password or secrets.token_urlsafe(TEMPORARY_PASSWORD_BYTES)
    user = open_account(email=email, is_operator=is_operator, now=now)
    user.change_password(chosen, temporary=password is None)
    made = enrol(user=user, by=by, now=now, step=step, **how)
    audit.record(
        actor=by,
        act="accounts.create",
        subject=user.subject,
        after={"email": user.email, "is_operator": user.is_operator},
        now=now,
        **how,
    )
    return NewAccount(user, chosen, made)


@transaction.atomic
def enrol(
    *,
    user: User,
    by: User | None = None,
    now: datetime,
    name: str = "Authenticator",
    step: int = 30,
    **how: Unpack[audit.How],
) -> Enrolment:
    """Gives `user` a further authenticator with a new seed, which counts at once."""
    made = enrolment.new_device(user=user, now=now, name=name, step=step)
    audit.record(
        actor=by,
        act="accounts.enrol",
        subject=user.subject,
        after={"device": f"totp_device:{made.device.pk}", "name": name},
        now=now,
        **how,
    )
    return made


def open_account(*, email: str, now: datetime, is_operator: bool = False) -> User:
    """A person without password or authenticator yet; not audited. Raises `EmailTaken`, `BadEmail`."""
    spelled = emails.checked(email)
    if find(spelled):
        raise EmailTaken
    return User.objects.create_user(email=spelled, is_operator=is_operator, settled_at=now)


def find(email: str) -> User | None:
    """The person with this e-mail address, in whatever case it is written."""
    return User.objects.filter(email=normalised(email)).first()


def is_settled(user: User, now: datetime) -> bool:
    """Whether no reset of factor, e-mail address or password bars withdrawals by `user` any more."""
    return user.is_settled(now)


def sign_in(
    *, email: str, password: str, code: str, ip: str | None, now: datetime, operator: bool = False
) -> SignedIn | EnrolmentDue:
    """Judges both factors; `code` is the authenticator's or a recovery code, or empty before the first one.

    operator: the operator's door, closed to everybody else. Raises `TooManyTries`, or `NotRight` for
    anything that is wrong. Must not be called inside a transaction.
    """
    tries = throttle.count(account=email, ip=ip)
    user = find(email)
    if not _password_is_right(user, password) or user is None or (operator and not user.is_operator):
        second_factor.pretend(user=user, code=code)
        raise NotRight
    entered = _second_step(user, code, now)
    tries.forgive()
    _audit_sign_in(entered, ip, now)
    return entered


def _password_is_right(user: User | None, password: str) -> bool:
    if user is None or not user.has_usable_password():
        make_password(password)  # the same work for whoever does not exist
        return False
    return user.check_password(password) and user.is_active


def _second_step(user: User, code: str, now: datetime) -> SignedIn | EnrolmentDue:
    first = TotpDevice.objects.filter(user=user, confirmed=True).order_by("id").first()
    if first is None:
        return EnrolmentDue(user)
    if recovery.looks_like_one(code):
        if not recovery.spend(user=user, code=code, now=now):
            raise NotRight
        return SignedIn(user, first, recovered=True)
    try:
        return SignedIn(user, second_factor.confirm(user=user, code=code, now=now))
    except Refusal:
        raise NotRight from None


def _audit_sign_in(entered: SignedIn | EnrolmentDue, ip: str | None, now: datetime) -> None:
    """The failed tries of strangers are counted in the throttles, never chained."""
    both = isinstance(entered, SignedIn)
    audit.record(
        actor=entered.user,
        act="accounts.sign_in",
        subject=entered.user.subject,
        after={"recovery_code": isinstance(entered, SignedIn) and entered.recovered, "enrolled": both},
        ip=ip,
        second_factor=both,
        now=now,
    )
