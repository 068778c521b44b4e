"""Merchants: the companies whose payments pass through this installation."""

from __future__ import annotations

from django.db import models
from django.db.models.functions import Now


class MerchantStatus(models.TextChoices):
    """Whether a merchant may work."""

    ACTIVE = "active", "Works"
    BLOCKED = "blocked", "Keys are refused; what is paid to it is held"


class Merchant(models.Model):
    """A merchant. `name` is what the operator calls it, `public_name` what payers read.

    wire_id: what outsiders know it by (`client_id` in terminal links).
    take_tag_as_string: addresses/take answers a numeric tag as a string instead of a number.
    """

    wire_id = models.PositiveIntegerField(
        unique=True,
        editable=False,
        db_default=models.Func(models.Value("merchant_wire_id"), function="nextval"),
    )
    name = models.CharField(max_length=100)
    public_name = models.CharField(max_length=100, help_text="What payers read on the checkout pages.")
    status = models.CharField(
        max_length=10, choices=MerchantStatus.choices, default=MerchantStatus.ACTIVE, editable=False
    )
    take_tag_as_string = models.BooleanField(
        default=False, help_text="Answer numeric tags as strings in addresses/take."
    )
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        constraints = [
            models.CheckConstraint(condition=models.Q(wire_id__gt=0), name="merchant_wire_id_is_positive"),
            models.CheckConstraint(
                condition=models.Q(status__in=MerchantStatus.values), name="merchant_status_is_known"
            ),
            models.CheckConstraint(
                condition=~models.Q(name="") & ~models.Q(public_name=""), name="merchant_has_names"
            ),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def is_blocked(self) -> bool:
        return self.status == MerchantStatus.BLOCKED

    @property
    def subject(self) -> str:
        return f"merchant:{self.pk}"

    def block(self) -> None:
        self._become(MerchantStatus.BLOCKED)

    def unblock(self) -> None:
        self._become(MerchantStatus.ACTIVE)

    def _become(self, status: MerchantStatus) -> None:
        self.status = status
        self.save(update_fields=["status"])
