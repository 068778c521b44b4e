"""Second factors: TOTP devices (RFC 6238) whose seed stands encrypted and whose codes work once."""

from __future__ import annotations

import base64
import re
import time
from datetime import datetime
from urllib.parse import quote, urlencode

from django.conf import settings
from django.db import models
from django_otp.models import Device, ThrottlingMixin
from django_otp.oath import TOTP

from merchants.models.sealed import SealedTextField, unseal

SEED_BYTES = 20  # what RFC 4226 recommends for SHA-1
MOST_FAILURES = 10
"""Wrong codes beyond these wait no longer: 512 s. An account is slowed down, never locked for good."""
_CODE = re.compile(r"[0-9]{6}", re.ASCII)


class TotpDevice(ThrottlingMixin, Device):  # type: ignore[misc]  # django-otp carries no types
    """A person's authenticator. Judged by real time, whatever the sandbox's clock says: phones follow it.

    step: seconds of one code; tolerance: how many steps early or late a code may come; drift: by how many
    steps the device is known to be off; last_t: the step of the last accepted code.
    """

    seed_ciphertext = SealedTextField(editable=False)
    step = models.PositiveSmallIntegerField(default=30)
    tolerance = models.PositiveSmallIntegerField(default=1)
    drift = models.SmallIntegerField(default=0)
    last_t = models.BigIntegerField(default=-1)
    enrolled_at = models.DateTimeField()
    last_used_at = models.DateTimeField(null=True)

    class Meta:
        verbose_name = "TOTP device"
        constraints = [
            models.CheckConstraint(condition=~models.Q(seed_ciphertext=""), name="totp_device_has_a_seed"),
            models.CheckConstraint(condition=models.Q(step__gt=0), name="totp_device_step_is_positive"),
        ]

    def __str__(self) -> str:
        return f"{self.name} of {self.user}"

    def seed(self) -> bytes:
        return bytes.fromhex(unseal(self, "seed_ciphertext"))

    def secret_for_people(self) -> str:
        """The seed in base32, as authenticators take it: shown at enrolment, never again."""
        return base64.b32encode(self.seed()).decode()

    def config_url(self) -> str:
        """What the QR code at enrolment holds."""
        issuer = settings.OTP_TOTP_ISSUER
        parameters = {"secret": self.secret_for_people(), "issuer": issuer, "period": self.step}
        return f"otpauth://totp/{quote(f'{issuer}:{self.user.email}')}?{urlencode(parameters)}"

    def get_throttle_factor(self) -> int:
        """Seconds to wait after the first wrong code; each further one doubles it."""
        return 1

    def throttle_increment(self, commit: bool = True) -> None:
        self.throttling_failure_count: int = min(int(self.throttling_failure_count), MOST_FAILURES - 1)
        super().throttle_increment(commit=commit)

    def verify_token(self, token: str) -> bool:
        """Accepts a right code once; a wrong one makes the next try wait. Called with the row locked."""
        if not self.verify_is_allowed()[0]:
            return False
        totp = self._totp()
        if not _CODE.fullmatch(token) or not totp.verify(int(token), self.tolerance, self.last_t + 1):
            self.throttle_increment()
            return False
        self.last_t, self.drift = totp.t(), totp.drift
        self.throttle_reset(commit=False)
        self.save()
        return True

    def was_used(self, token: str) -> bool:
        """Whether `token` is right by the clock but belongs to a step that was accepted or passed over."""
        totp = self._totp()
        right = bool(_CODE.fullmatch(token)) and totp.verify(int(token), self.tolerance)
        return bool(right and totp.t() <= self.last_t)

    def accept_enrolment(self) -> None:
        """From now on the codes of this device count."""
        self.confirmed = True
        self.save(update_fields=["confirmed"])

    def note_use(self, now: datetime) -> None:
        self.last_used_at = now
        self.save(update_fields=["last_used_at"])

    def _totp(self) -> TOTP:
        totp = TOTP(self.seed(), step=self.step, drift=self.drift)
        totp.time = time.time()
        return totp
