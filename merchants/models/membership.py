"""Memberships: which person works for which merchant, and as what."""

from __future__ import annotations

from datetime import datetime

from django.conf import settings
from django.db import models

from merchants.models.merchant import Merchant
from merchants.models.scope import TenantQuerySet
from merchants.roles import Role, allows


class Membership(models.Model):
    """A person on a merchant's team.

    settled_at: from then on the person may make and approve withdrawals, if the role allows it; a day after
    becoming Owner.
    """

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="memberships")
    merchant = models.ForeignKey(Merchant, on_delete=models.PROTECT, related_name="memberships")
    role = models.CharField(max_length=20, choices=[(role.value, role.label) for role in Role])
    settled_at = models.DateTimeField()
    joined_at = models.DateTimeField()

    objects = TenantQuerySet["Membership"].as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["merchant", "user"], name="membership_is_one_per_person"),
            models.CheckConstraint(
                condition=models.Q(role__in=[role.value for role in Role]), name="membership_role_is_known"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.user} at {self.merchant} ({self.role})"

    @property
    def subject(self) -> str:
        return f"membership:{self.pk}"

    def may(self, permission: str) -> bool:
        """Whether the role has this permission of `merchants.roles`."""
        return allows(role=Role(self.role), permission=permission)

    def is_settled(self, now: datetime) -> bool:
        return self.settled_at <= now

    def become(self, role: Role, *, settled_at: datetime) -> None:
        self.role, self.settled_at = role.value, settled_at
        self.save(update_fields=["role", "settled_at"])
