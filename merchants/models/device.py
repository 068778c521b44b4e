"""The second factor: an authenticator app's time-based codes, with the seed encrypted at rest."""

from __future__ import annotations

import time
from binascii import unhexlify

from django.db import models
from django_otp.models import Device, ThrottlingMixin
from django_otp.oath import TOTP

from merchants.models.api_key import key_ring

STEP_SECONDS = 30
DIGITS = 6
TOLERANCE_STEPS = 1


class TotpDevice(ThrottlingMixin, Device):
    """A person's authenticator (RFC 6238). last_step: the newest step used; a step serves once.

    step: seconds a code lives; tests use 1. Failed tries throttle by django-otp's own mixin.
    """

    seed_ciphertext = models.TextField(editable=False)
    step = models.PositiveSmallIntegerField(default=STEP_SECONDS)
    last_step = models.BigIntegerField(default=-1)

    class Meta(Device.Meta):
        verbose_name = "authenticator"
        constraints = [
            models.CheckConstraint(condition=models.Q(step__gte=1), name="totp_device_step_is_positive")
        ]

    @property
    def seed_context(self) -> str:
        """The place that the ciphertext is bound to; a device keeps its owner for life."""
        return f"totp_device:{self.user_id}:seed:1"

    def seal(self, seed: bytes) -> None:
        """Keeps the seed encrypted. Unsaved."""
        self.seed_ciphertext = key_ring().encrypt(seed.hex(), context=self.seed_context)

    def seed(self) -> bytes:
        return unhexlify(key_ring().decrypt(self.seed_ciphertext, context=self.seed_context))

    def code(self) -> str:
        """The code of the present moment, for enrolment checks and tests."""
        return f"{self._totp().token():0{DIGITS}d}"

    def was_used(self, token: str) -> bool:
        """True for a right code whose step has served already: the person needs the next one."""
        step = self._step_of(token)
        return step is not None and step <= self.last_step

    def verify_token(self, token: str) -> bool:
        """Checks and consumes a code; django-otp calls it under a row lock (`match_token`)."""
        allowed, _ = self.verify_is_allowed()
        if not allowed:
            return False
        step = self._step_of(token)
        if step is None or step <= self.last_step:
            self.throttle_increment()
            return False
        self.last_step = step
        self.throttle_reset(commit=False)
        self.save()
        return True

    def get_throttle_factor(self) -> float:
        return 1.0

    def _totp(self) -> TOTP:
        totp = TOTP(self.seed(), step=self.step, digits=DIGITS)
        totp.time = time.time()
        return totp

    def _step_of(self, token: str) -> int | None:
        """The step that the code belongs to, within the tolerance; None for a wrong code."""
        if not (token.isascii() and token.isdigit() and len(token) == DIGITS):
            return None
        totp = self._totp()
        for offset in range(-TOLERANCE_STEPS, TOLERANCE_STEPS + 1):
            totp.drift = offset
            if totp.token() == int(token):
                return int(totp.t())
        return None
