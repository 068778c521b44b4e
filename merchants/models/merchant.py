"""Merchants: the tenants of an installation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from django.db import models

if TYPE_CHECKING:
    from datetime import datetime


class MerchantStatus(models.TextChoices):
    """Whether a merchant may act."""

    ACTIVE = "active", "May act"
    BLOCKED = "blocked", "Refused at every door; what arrives for it is held"


class MerchantQuerySet(models.QuerySet["Merchant"]):
    def opened(self, *, name: str, public_name: str, now: datetime) -> Merchant:
        """A new merchant under the next free client id."""
        last = self.aggregate(last=models.Max("wire_id"))["last"] or 0
        return self.create(wire_id=last + 1, name=name, public_name=public_name, created_at=now)

    def active(self) -> Self:
        return self.filter(status=MerchantStatus.ACTIVE)


class Merchant(models.Model):
    """A tenant. wire_id: its client id outside; public_name: what payers read."""

    wire_id = models.IntegerField("client id", unique=True)
    name = models.CharField(max_length=100)
    public_name = models.CharField(max_length=100)
    status = models.CharField(max_length=20, choices=MerchantStatus.choices, default=MerchantStatus.ACTIVE)
    take_tag_as_string = models.BooleanField(
        default=False,
        help_text="Show an address's tag as text in addresses/take, where most clients read a number.",
    )
    created_at = models.DateTimeField(default=None, null=True, editable=False)

    objects = MerchantQuerySet.as_manager()

    class Meta:
        constraints = [
            models.CheckConstraint(condition=models.Q(wire_id__gte=1), name="merchant_client_id_is_positive")
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def is_blocked(self) -> bool:
        return self.status == MerchantStatus.BLOCKED
