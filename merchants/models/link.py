"""Links that were mailed to a person: each works once, for an hour, for one purpose."""

from __future__ import annotations

from datetime import datetime

from django.conf import settings
from django.db import models


class LinkPurpose(models.TextChoices):
    """What the link lets its holder do."""

    RESET_PASSWORD = "reset_password", "Choose a new password"
    CHANGE_EMAIL = "change_email", "Sign in by this address from now on"


class OneTimeLink(models.Model):
    """One link. The token is kept as its SHA-256 alone.

    email: for `CHANGE_EMAIL`, the new address, which the link proves.
    """

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="links")
    purpose = models.CharField(max_length=20, choices=LinkPurpose.choices)
    email = models.EmailField(blank=True)
    token_digest = models.BinaryField(max_length=32, unique=True)
    created_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    used_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["user", "purpose"],
                condition=models.Q(used_at=None),
                name="one_time_link_is_the_latest",
            ),
            models.CheckConstraint(
                condition=models.Q(purpose__in=LinkPurpose.values), name="one_time_link_purpose_is_known"
            ),
            models.CheckConstraint(
                condition=models.Q(purpose=LinkPurpose.CHANGE_EMAIL, email__gt="")
                | (~models.Q(purpose=LinkPurpose.CHANGE_EMAIL) & models.Q(email="")),
                name="one_time_link_names_the_new_address",
            ),
            models.CheckConstraint(
                condition=models.Q(expires_at__gt=models.F("created_at")), name="one_time_link_ends"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.purpose} for {self.user}"

    def use(self, now: datetime) -> None:
        self.used_at = now
        self.save(update_fields=["used_at"])
