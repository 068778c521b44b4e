"""People's accounts: made with a one-time password and an authenticator that is shown once."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from datetime import datetime
from typing import Unpack

from django.core.exceptions import ValidationError
from django.db import transaction

from merchants import audit
from merchants.errors import Refusal
from merchants.models import TotpDevice, User
from merchants.models.device import SEED_BYTES
from merchants.models.sealed import reserve_id, seal
from merchants.models.user import normalised

TEMPORARY_PASSWORD_BYTES = 15


class EmailTaken(Refusal):
    """Somebody with this e-mail address has an account already."""

    field = "email"


class BadEmail(Refusal):
    """This is not an e-mail address."""

    field = "email"


@dataclass(frozen=True)
class Enrolment:
    """A new authenticator. `secret` (base32) and `url` (for a QR code) are shown to its owner, once."""

    device: TotpDevice
    secret: str = field(repr=False)
    url: str = field(repr=False)


@dataclass(frozen=True)
class NewAccount:
    """A new person, with what they need to sign in for the first time."""

    user: User
    password: str = field(repr=False)
    enrolment: Enrolment


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
    user = _new_user(email, is_operator=is_operator)
    user.change_password(chosen, temporary=password is None)
    enrolment = enrol(user=user, by=by, now=now, step=step, **how)
    audit.record(
        actor=by,
        act="accounts.create",
        subject=user.subject,
        after={"email": user.email, "is_operator": user.is_operator},
        now=now,
        **how,
    )
    return NewAccount(user, chosen, enrolment)


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
    """Gives `user` a further authenticator with a new seed."""
    device = TotpDevice(pk=reserve_id(TotpDevice), user=user, name=name, step=step, enrolled_at=now)
    device.seed_ciphertext = seal(device, "seed_ciphertext", secrets.token_bytes(SEED_BYTES).hex())
    device.save(force_insert=True)
    audit.record(
        actor=by,
        act="accounts.enrol",
        subject=user.subject,
        after={"device": f"totp_device:{device.pk}", "name": name},
        now=now,
        **how,
    )
    return Enrolment(device, device.secret_for_people(), device.config_url())


def find(email: str) -> User | None:
    """The person with this e-mail address, in whatever case it is written."""
    return User.objects.filter(email=normalised(email)).first()


def _new_user(email: str, *, is_operator: bool) -> User:
    if find(email):
        raise EmailTaken
    try:
        return User.objects.create_user(email=email, is_operator=is_operator)
    except ValidationError:
        raise BadEmail from None
