"""Recovery codes: what replaces a lost authenticator, once each."""

from __future__ import annotations

from datetime import datetime

from django.conf import settings
from django.db import models

from merchants.models.sealed import SealedTextField


class RecoveryCode(models.Model):
    """One code. What is kept is its SHA-256, encrypted for its row.

    A code is 80 random bits, too many to guess from a hash of any speed; the encryption means that whoever
    reads or writes the table alone neither tests a guess nor plants a code. It moves with `secrets_rotate`.
    """

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="recovery_codes"
    )
    digest_ciphertext = SealedTextField(editable=False)
    created_at = models.DateTimeField()
    used_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=~models.Q(digest_ciphertext=""), name="recovery_code_has_a_digest"
            ),
        ]

    def __str__(self) -> str:
        return f"recovery code {self.pk} of {self.user}"

    def use(self, now: datetime) -> None:
        self.used_at = now
        self.save(update_fields=["used_at"])
