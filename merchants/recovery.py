"""Recovery codes: ten for each person, shown once; each signs in once where the authenticator is lost."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from datetime import datetime

from django.db import transaction

from merchants.models import RecoveryCode, User
from merchants.models.sealed import reserve_id, seal, unseal

CODES = 10
_ALPHABET = "abcdefghjkmnpqrstuvwxyz023456789"  # no i, l, o, 1: nothing is taken for something else
_LENGTH = 16  # of 32 characters: 80 bits


def renew(*, user: User, now: datetime) -> tuple[str, ...]:
    """Ten new codes, in groups of four; those before them stop working. Part of the caller's transaction."""
    user.recovery_codes.all().delete()
    codes = tuple("".join(secrets.choice(_ALPHABET) for _ in range(_LENGTH)) for _ in range(CODES))
    RecoveryCode.objects.bulk_create([_sealed(user, code, now) for code in codes])
    return tuple("-".join(code[at : at + 4] for at in range(0, _LENGTH, 4)) for code in codes)


def looks_like_one(text: str) -> bool:
    """Whether `text` is meant as a recovery code rather than as an authenticator's six digits."""
    return len(_bare(text)) == _LENGTH


def spend(*, user: User, code: str, now: datetime) -> bool:
    """Whether `code` is one of the user's that was not used yet; from now on it is. Commits on its own.

    Must not be called inside a transaction: a refused act gives no code back.
    """
    digest = _digest(_bare(code))
    with transaction.atomic(durable=True):
        for kept in user.recovery_codes.select_for_update().filter(used_at=None).order_by("id"):
            if hmac.compare_digest(unseal(kept, "digest_ciphertext"), digest):
                kept.use(now)
                return True
    return False


def left(user: User) -> int:
    """How many codes still work."""
    return user.recovery_codes.filter(used_at=None).count()


def _sealed(user: User, code: str, now: datetime) -> RecoveryCode:
    row = RecoveryCode(pk=reserve_id(RecoveryCode), user=user, created_at=now)
    row.digest_ciphertext = seal(row, "digest_ciphertext", _digest(code))
    return row


def _bare(text: str) -> str:
    return "".join(mark for mark in text.lower() if mark.isascii() and mark.isalnum())


def _digest(bare: str) -> str:
    return hashlib.sha256(bare.encode()).hexdigest()
