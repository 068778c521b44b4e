"""Changing one's e-mail address: proved by a link to the new one, told to the old one."""

from __future__ import annotations

from datetime import datetime
from typing import Unpack

from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import transaction

from merchants import audit, links, mail, sessions
from merchants.errors import Refusal
from merchants.models import LinkPurpose, User
from merchants.models.user import SETTLING, normalised

LONGEST = 254


class EmailTaken(Refusal):
    """Somebody with this e-mail address has an account already."""

    field = "email"


class BadEmail(Refusal):
    """This is not an e-mail address."""

    field = "email"


class SameEmail(Refusal):
    """This is your address already."""

    field = "email"


def checked(email: str) -> str:
    """The address in its one spelling. Raises `BadEmail`."""
    spelled = normalised(email)
    try:
        validate_email(spelled)
    except ValidationError:
        raise BadEmail from None
    if len(spelled) > LONGEST:
        raise BadEmail
    return spelled


@transaction.atomic
def ask_change(*, user: User, email: str, now: datetime, **how: Unpack[audit.How]) -> None:
    """Mails a link to the new address. Whether somebody has it is told to its reader alone.

    Raises `BadEmail`, `SameEmail`.
    """
    new = checked(email)
    if new == user.email:
        raise SameEmail
    token = links.make(user=user, purpose=LinkPurpose.CHANGE_EMAIL, email=new, now=now)
    mail.write(
        to=new,
        subject="Confirm your new e-mail address",
        template="change_email",
        url=links.address(f"/account/email/{token}/"),
        old=user.email,
        now=now,
    )
    audit.record(
        actor=user,
        act="accounts.ask_email_change",
        subject=user.subject,
        before={"email": user.email},
        after={"email": new},
        now=now,
        **how,
    )


@transaction.atomic
def change(
    *, token: str, user: User, now: datetime, keep: int | None = None, **how: Unpack[audit.How]
) -> User:
    """By the link, opened by `user`: they sign in by the new address, and move no money for a day.

    Their sessions but `keep` end; the old address is told. Raises `NoSuchLink`, `EmailTaken`.
    """
    link = links.find(token=token, purpose=LinkPurpose.CHANGE_EMAIL, now=now, lock=True)
    if link.user != user:
        raise links.NoSuchLink
    user, old = link.user, link.user.email
    if User.objects.filter(email=link.email).exists():
        raise EmailTaken
    link.use(now)
    user.change_email(link.email)
    user.unsettle(until=now + SETTLING)
    sessions.end_all(user=user, but=keep)
    what = "Your e-mail address was changed"
    mail.write(to=old, subject=what, template="notice", what=what, settles_at=user.settled_at, now=now)
    audit.record(
        actor=user,
        act="accounts.change_email",
        subject=user.subject,
        before={"email": old},
        after={"email": user.email, "settled_at": user.settled_at},
        now=now,
        **how,
    )
    return user
