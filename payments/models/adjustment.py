"""Top-ups and corrections by operators: asked for by one, approved by another."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.conf import settings
from django.db import models

from merchants.models import Merchant
from merchants.models.scope import TenantQuerySet
from payments.models.columns import AmountField, CurrencyField, is_number

if TYPE_CHECKING:
    from datetime import datetime

    from merchants.models import User


class AdjustmentStatus(models.TextChoices):
    """Where an adjustment stands."""

    REQUESTED = "requested", "Waits for a second operator"
    APPROVED = "approved", "Booked"
    DECLINED = "declined", "Refused by the second operator; nothing was booked"


class Adjustment(models.Model):
    """`amount` (signed) of `currency` on a merchant's available balance, for a stated reason."""

    merchant = models.ForeignKey(Merchant, on_delete=models.PROTECT)
    currency = CurrencyField()
    amount = AmountField()
    reason = models.CharField(max_length=255)
    status = models.CharField(
        max_length=20, choices=AdjustmentStatus.choices, default=AdjustmentStatus.REQUESTED
    )
    requested_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    requested_at = models.DateTimeField()
    decided_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, related_name="+"
    )
    decided_at = models.DateTimeField(null=True)

    objects = TenantQuerySet["Adjustment"].as_manager()

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=is_number("amount") & ~models.Q(amount=0), name="adjustment_amount_is_not_zero"
            ),
            models.CheckConstraint(
                condition=models.Q(decided_by__isnull=True) | ~models.Q(decided_by=models.F("requested_by")),
                name="adjustment_approver_is_not_requester",
            ),
            models.CheckConstraint(
                condition=models.Q(status="requested", decided_by__isnull=True)
                | (~models.Q(status="requested") & models.Q(decided_by__isnull=False)),
                name="adjustment_decision_names_who_decided",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.amount:f} {self.currency} for {self.merchant}"

    @property
    def subject(self) -> str:
        return f"adjustment:{self.pk}"

    def decide(self, *, status: AdjustmentStatus, by: User, now: datetime) -> None:
        self.status, self.decided_by, self.decided_at = status, by, now
        self.save(update_fields=["status", "decided_by", "decided_at"])
