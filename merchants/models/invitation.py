"""Invitations: somebody is asked onto a merchant's team by a link that works once, for a week."""

from __future__ import annotations

from datetime import datetime
from typing import Self

from django.conf import settings
from django.db import models

from merchants.models.merchant import Merchant
from merchants.models.scope import TenantQuerySet
from merchants.roles import Role


class InvitationQuerySet(TenantQuerySet["Invitation"]):
    def pending(self, now: datetime) -> Self:
        """Those whose link still works."""
        return self.open().filter(expires_at__gt=now)

    def open(self) -> Self:
        """Those that were neither taken up nor withdrawn; their time may be over."""
        return self.filter(accepted_at=None, withdrawn_at=None)


class Invitation(models.Model):
    """One invitation. The link's token is kept as its SHA-256 alone: 256 random bits need no slower hash."""

    merchant = models.ForeignKey(Merchant, on_delete=models.PROTECT, related_name="invitations")
    email = models.EmailField()
    role = models.CharField(max_length=20, choices=[(role.value, role.label) for role in Role])
    invited_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, related_name="+"
    )
    token_digest = models.BinaryField(max_length=32, unique=True)
    created_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    accepted_at = models.DateTimeField(null=True)
    accepted_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, related_name="+"
    )
    withdrawn_at = models.DateTimeField(null=True)

    objects = InvitationQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["merchant", "email"],
                condition=models.Q(accepted_at=None, withdrawn_at=None),
                name="invitation_is_open_once_per_address",
            ),
            models.CheckConstraint(
                condition=models.Q(accepted_at=None) | models.Q(withdrawn_at=None),
                name="invitation_is_accepted_or_withdrawn",
            ),
            models.CheckConstraint(
                condition=models.Q(accepted_at=None, accepted_by=None)
                | models.Q(accepted_at__isnull=False, accepted_by__isnull=False),
                name="invitation_is_accepted_by_somebody",
            ),
            models.CheckConstraint(
                condition=models.Q(role__in=[role.value for role in Role if role is not Role.RESTRICTED]),
                name="invitation_role_is_known",
            ),
            models.CheckConstraint(
                condition=models.Q(expires_at__gt=models.F("created_at")),
                name="invitation_ends_after_it_began",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.email} to {self.merchant} ({self.role})"

    @property
    def subject(self) -> str:
        return f"invitation:{self.pk}"

    def has_ended(self, now: datetime) -> bool:
        return self.expires_at <= now

    def accept(self, *, user_id: int, now: datetime) -> None:
        self.accepted_at, self.accepted_by_id = now, user_id
        self.save(update_fields=["accepted_at", "accepted_by"])

    def withdraw(self, now: datetime) -> None:
        self.withdrawn_at = now
        self.save(update_fields=["withdrawn_at"])
