"""Enrolling an authenticator: a seed is shown, its first code proves that it arrived, recovery codes follow.

Until that first code the authenticator counts for nothing. Whoever replaces one starts 24 hours without
withdrawals, as does whoever had it reset: a thief of the session gains no hour.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Unpack

from django.db import transaction

from merchants import audit, mail, recovery, second_factor, sessions
from merchants.errors import Refusal
from merchants.models import TotpDevice, User
from merchants.models.device import SEED_BYTES
from merchants.models.sealed import reserve_id, seal
from merchants.models.user import SETTLING

PENDING_FOR = timedelta(hours=1)
"""After this an authenticator that was never confirmed is replaced by one with a new seed."""


class NoEnrolment(Refusal):
    """This took too long: scan the new code first."""

    field = "code"


@dataclass(frozen=True)
class Enrolment:
    """A new authenticator. `secret` (base32) and `url` (for a QR code) are shown to its owner alone."""

    device: TotpDevice
    secret: str = field(repr=False)
    url: str = field(repr=False)


@dataclass(frozen=True)
class Confirmed:
    """An authenticator that works, and the recovery codes, which are shown this once."""

    device: TotpDevice
    recovery_codes: tuple[str, ...] = field(repr=False)


def new_device(
    *, user: User, now: datetime, name: str = "Authenticator", step: int = 30, confirmed: bool = True
) -> Enrolment:
    """An authenticator with a new seed; `confirmed`: it counts at once. Not audited here."""
    device = TotpDevice(
        pk=reserve_id(TotpDevice), user=user, name=name, step=step, enrolled_at=now, confirmed=confirmed
    )
    device.seed_ciphertext = seal(device, "seed_ciphertext", secrets.token_bytes(SEED_BYTES).hex())
    device.save(force_insert=True)
    return Enrolment(device, device.secret_for_people(), device.config_url())


@transaction.atomic
def start(*, user: User, now: datetime) -> Enrolment:
    """The authenticator that waits for its first code: the same one until it is confirmed or an hour old."""
    User.objects.select_for_update(no_key=True).get(pk=user.pk)
    waiting = TotpDevice.objects.filter(user=user, confirmed=False)
    device = waiting.filter(enrolled_at__gt=now - PENDING_FOR).order_by("-id").first()
    if device:
        return Enrolment(device, device.secret_for_people(), device.config_url())
    waiting.delete()
    return new_device(user=user, now=now, confirmed=False)


def confirm(*, user: User, code: str, now: datetime, **how: Unpack[audit.How]) -> Confirmed:
    """The waiting authenticator becomes the person's only one; new recovery codes come with it.

    Replacing one unsettles the person for a day and ends their other sessions: pass them through
    `sessions.enter` afterwards. Raises `NoEnrolment`, `WrongCode`, `TooManyCodes`. Not inside a transaction.
    """
    device = TotpDevice.objects.filter(user=user, confirmed=False).order_by("-id").first()
    if device is None:
        raise NoEnrolment
    second_factor.confirm_waiting(device=device, code=code, now=now)
    with transaction.atomic():
        replaced = TotpDevice.objects.filter(user=user, confirmed=True)
        replaces = replaced.exists()
        replaced.delete()
        device.accept_enrolment()
        codes = recovery.renew(user=user, now=now)
        if replaces:
            user.unsettle(until=now + SETTLING)
            sessions.end_all(user=user)
            _tell(user, "Your authenticator was replaced", now)
        _audit(
            "accounts.replace_authenticator" if replaces else "accounts.enrol", user, user, device, now, how
        )
    return Confirmed(device, codes)


def prove(*, user: User, code: str, now: datetime) -> None:
    """Spends a code of the present authenticator, or a recovery code where that is lost.

    Raises what `second_factor.confirm` does. Not inside a transaction.
    """
    if not recovery.looks_like_one(code):
        second_factor.confirm(user=user, code=code, now=now)
    elif not recovery.spend(user=user, code=code, now=now):
        raise second_factor.WrongCode


@transaction.atomic
def regenerate(*, user: User, now: datetime, **how: Unpack[audit.How]) -> tuple[str, ...]:
    """Ten new recovery codes, shown once; the old ones stop working."""
    codes = recovery.renew(user=user, now=now)
    audit.record(
        actor=user,
        act="accounts.renew_recovery_codes",
        subject=user.subject,
        after={"codes": len(codes)},
        now=now,
        **how,
    )
    return codes


@transaction.atomic
def reset(*, user: User, by: User, now: datetime, **how: Unpack[audit.How]) -> None:
    """By an operator: the person enrols anew at their next sign-in, and moves no money for a day."""
    devices = TotpDevice.objects.filter(user=user).delete()[0]
    user.recovery_codes.all().delete()
    user.unsettle(until=now + SETTLING)
    sessions.end_all(user=user)
    _tell(user, "Your second factor was reset", now)
    audit.record(
        actor=by,
        act="accounts.reset_factor",
        subject=user.subject,
        before={"authenticators": devices},
        after={"email": user.email, "settled_at": user.settled_at},
        now=now,
        **how,
    )


def _tell(user: User, what: str, now: datetime) -> None:
    mail.write(to=user.email, subject=what, template="notice", what=what, settles_at=user.settled_at, now=now)


def _audit(act: str, by: User, user: User, device: TotpDevice, now: datetime, how: audit.How) -> None:
    audit.record(
        actor=by,
        act=act,
        subject=user.subject,
        after={"device": f"totp_device:{device.pk}", "name": device.name},
        now=now,
        **how,
    )
