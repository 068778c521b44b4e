"""Passwords: changed by who knows the current one, reset by who reads the person's mail."""

from __future__ import annotations

from datetime import datetime
from typing import Unpack

from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.db import transaction

from merchants import audit, links, mail, sessions, throttle
from merchants.errors import Refusal
from merchants.models import LinkPurpose, User
from merchants.models.user import SETTLING, normalised

LONGEST = 256
"""Hashing work grows with the length; nobody types more."""


class WrongPassword(Refusal):
    """This is not your current password."""

    field = "current"


class BadPassword(Refusal):
    """{reasons}"""

    field = "password"


class SamePassword(Refusal):
    """This is the password that you have already. Choose another."""

    field = "password"


def judge(*, password: str, user: User | None = None) -> None:
    """Raises `BadPassword` with every reason against this one as somebody's password."""
    if len(password) > LONGEST:
        raise BadPassword(reasons=f"This password is longer than {LONGEST} characters.")
    try:
        validate_password(password, user)
    except ValidationError as error:
        raise BadPassword(reasons=" ".join(error.messages)) from None


def change(
    *,
    user: User,
    current: str,
    new: str,
    keep: int | None,
    now: datetime,
    ip: str | None = None,
    second_factor: bool = False,
) -> None:
    """Gives `user` the password `new`; their sessions but `keep` end, and they are told by mail.

    The caller has confirmed a fresh code. Guesses of the current password are throttled as at sign-in.
    Raises `WrongPassword`, `BadPassword`, `SamePassword`, `TooManyTries`. Not inside a transaction.
    """
    judge(password=new, user=user)
    tries = throttle.count(account=user.email, ip=ip, what="change_password")
    if not user.check_password(current):
        raise WrongPassword
    tries.forgive()
    if current == new:
        raise SamePassword
    with transaction.atomic():
        user.change_password(new)
        sessions.end_all(user=user, but=keep)
        _tell(user, "Your password was changed", now)
        _audit("accounts.change_password", user, user, now, {"ip": ip, "second_factor": second_factor})


def ask_reset(*, email: str, ip: str | None, now: datetime) -> None:
    """Mails a link to choose a new password, if anybody has this address; answers nothing either way.

    Raises `TooManyTries`. Not inside a transaction.
    """
    throttle.count(account=email, ip=ip, what="reset_password")
    user = User.objects.filter(email=normalised(email), is_active=True).first()
    if user:
        _mail_link(user, now)


@transaction.atomic
def send_reset(*, user: User, by: User, now: datetime, **how: Unpack[audit.How]) -> None:
    """By an operator: mails the person a link to choose a new password."""
    _mail_link(user, now)
    _audit("accounts.send_reset", user, by, now, how)


def find_reset(*, token: str, now: datetime) -> User:
    """Whose password this link resets; it is not used up by looking. Raises `NoSuchLink`."""
    return links.find(token=token, purpose=LinkPurpose.RESET_PASSWORD, now=now).user


@transaction.atomic
def reset(*, token: str, password: str, now: datetime, **how: Unpack[audit.How]) -> User:
    """The person chose a new password by the link: sessions end, and no money moves by them for a day.

    Raises `NoSuchLink`, `BadPassword`.
    """
    link = links.find(token=token, purpose=LinkPurpose.RESET_PASSWORD, now=now, lock=True)
    user = link.user
    judge(password=password, user=user)
    link.use(now)
    user.change_password(password)
    user.unsettle(until=now + SETTLING)
    sessions.end_all(user=user)
    _tell(user, "Your password was reset", now)
    _audit("accounts.reset_password", user, user, now, how)
    return user


@transaction.atomic
def _mail_link(user: User, now: datetime) -> None:
    token = links.make(user=user, purpose=LinkPurpose.RESET_PASSWORD, now=now)
    mail.write(
        to=user.email,
        subject="Choose a new password",
        template="reset_password",
        url=links.address(f"/password/{token}/"),
        now=now,
    )


def _tell(user: User, what: str, now: datetime) -> None:
    mail.write(to=user.email, subject=what, template="notice", what=what, settles_at=user.settled_at, now=now)


def _audit(act: str, user: User, by: User, now: datetime, how: audit.How) -> None:
    audit.record(
        actor=by,
        act=act,
        subject=user.subject,
        after={"email": user.email, "settled_at": user.settled_at},
        now=now,
        **how,
    )
