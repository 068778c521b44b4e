"""Deposits that no merchant's address explains; their money lies in `suspense` until people decide."""

from __future__ import annotations

from django.db import models

from payments.models.columns import AmountField, CurrencyField, is_number
from payments.models.route import Processor


class UnmatchedDeposit(models.Model):
    """What a processor reported for an address that is not ours, or that nobody has taken."""

    processor = models.ForeignKey(Processor, on_delete=models.PROTECT)
    external_id = models.CharField(max_length=150)
    status = models.CharField(max_length=20)
    address = models.CharField(max_length=150)
    tag = models.CharField(max_length=40, null=True)
    currency = CurrencyField()
    amount = AmountField()
    txid = models.CharField(max_length=150, blank=True, default="")
    bookings = models.PositiveIntegerField(default=0)
    is_booked = models.BooleanField(default=False)
    seen_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["processor", "external_id"], name="unmatched_deposit_is_unique"),
            models.CheckConstraint(
                condition=is_number("amount") & models.Q(amount__gte=0),
                name="unmatched_deposit_amount_is_not_negative",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.amount:f} {self.currency} to {self.address}"

    @property
    def subject(self) -> str:
        return f"unmatched:{self.pk}"

    def follow(self, *, status: str) -> None:
        """What the processor says now, with what was booked for it."""
        self.status = status
        self.save(update_fields=["status", "bookings", "is_booked"])

    def book(self, *, booked: bool) -> str:
        """Money is about to be booked or reversed; returns the entry's key. Saved by `follow`."""
        self.bookings += 1
        self.is_booked = booked
        return f"unmatched:{self.pk}:{self.bookings}"
