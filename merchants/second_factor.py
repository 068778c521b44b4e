"""The second factor: a fresh code from a person's authenticator, checked before the act that it confirms.

The check commits on its own, before the act's transaction begins: a refused act does not give a guess back,
and a right code is spent. Wrong codes make the next try wait (1, 2, 4 … seconds), counted in PostgreSQL.
"""

from __future__ import annotations

import math
import re
from datetime import datetime

from django.db import transaction
from django.utils import timezone

from merchants.errors import Refusal
from merchants.models import TotpDevice, User


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


def _judge(user: User, token: str) -> tuple[TotpDevice | None, Refusal]:
    """The device that accepts `token`, or why none does; every device's row is locked meanwhile."""
    refusal: Refusal = NoDevice()
    for device in TotpDevice.objects.select_for_update().filter(user=user, confirmed=True).order_by("id"):
        allowed, waiting = device.verify_is_allowed()
        if not allowed:
            refusal = TooManyCodes(seconds=_seconds_until(waiting["locked_until"]))
        elif device.was_used(token):
            refusal = UsedCode()
        elif device.verify_token(token):
            return device, refusal
        else:
            refusal = WrongCode()
    return None, refusal


def _seconds_until(moment: datetime) -> int:
    return max(1, math.ceil((moment - timezone.now()).total_seconds()))
