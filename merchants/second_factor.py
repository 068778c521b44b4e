"""The second factor: a fresh code from a person's authenticator, checked before the act that it confirms.

The check commits on its own, before the act's transaction begins: a refused act does not give a guess back,
and a right code is spent. Wrong codes make the next try wait (1, 2, 4 … seconds), counted in PostgreSQL.
"""

from __future__ import annotations

import math
import re
import secrets
from datetime import datetime

from django.db import transaction
from django.utils import timezone
from django_otp.oath import TOTP

from merchants.errors import Refusal
from merchants.models import TotpDevice, User
from merchants.models.device import SEED_BYTES


class NoDevice(Refusal):
    """You have no authenticator yet."""

    field = "code"


class WrongCode(Refusal):
    """This code is not right."""

    field = "code"


class UsedCode(Refusal):
    """This code was used already. Wait for the next code."""

    field = "code"


class TooManyCodes(Refusal):
    """Too many wrong codes. Try again in {seconds} s."""

    field = "code"


def confirm(*, user: User, code: str, now: datetime) -> TotpDevice:
    """Spends `code` (6 digits, spaces allowed) and returns the device that it came from.

    now: stamped as the device's last use; the code itself is judged by real time, which the phone follows.
    Raises `WrongCode`, `UsedCode`, `TooManyCodes` or `NoDevice`. Must not be called inside a transaction.
    """
    token = re.sub(r"\s", "", code)
    with transaction.atomic(durable=True):
        accepted, refusal = _judge(user, token)
        if accepted:
            accepted.note_use(now)
    if accepted:
        return accepted
    raise refusal


def confirm_waiting(*, device: TotpDevice, code: str, now: datetime) -> None:
    """The first code of a device that is being enrolled; as `confirm`, but for this device alone."""
    token = re.sub(r"\s", "", code)
    with transaction.atomic(durable=True):
        locked = TotpDevice.objects.select_for_update().filter(pk=device.pk, confirmed=False).first()
        refusal = _refusal_of(locked, token) if locked else NoDevice()
        if locked and refusal is None:
            locked.note_use(now)
    if refusal:
        raise refusal
    device.refresh_from_db()


def pretend(*, user: User | None, code: str) -> None:
    """The work of a wrong code, for whose password was wrong already: nothing is counted or spent."""
    token = re.sub(r"\s", "", code)
    with transaction.atomic(durable=True):
        known = TotpDevice.objects.select_for_update().filter(user=user, confirmed=True).order_by("id")
        for device in known:
            device.was_used(token)
        if not known:
            TOTP(secrets.token_bytes(SEED_BYTES)).verify(0, 1)
        TotpDevice.objects.filter(pk=0).update(throttling_failure_count=0)


def _judge(user: User, token: str) -> tuple[TotpDevice | None, Refusal]:
    """The device that accepts `token`, or why none does; every device's row is locked meanwhile."""
    refusal: Refusal = NoDevice()
    for device in TotpDevice.objects.select_for_update().filter(user=user, confirmed=True).order_by("id"):
        refused = _refusal_of(device, token)
        if refused is None:
            return device, refusal
        refusal = refused
    return None, refusal


def _refusal_of(device: TotpDevice, token: str) -> Refusal | None:
    """Why the locked device does not accept `token`, which counts against it; None when it did."""
    allowed, waiting = device.verify_is_allowed()
    if not allowed:
        return TooManyCodes(seconds=_seconds_until(waiting["locked_until"]))
    if device.was_used(token):
        return UsedCode()
    return None if device.verify_token(token) else WrongCode()


def _seconds_until(moment: datetime) -> int:
    return max(1, math.ceil((moment - timezone.now()).total_seconds()))
