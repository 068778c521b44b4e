"""The deposits to an invoice's address: what each is to the invoice, and what is left of it for the payer."""

from __future__ import annotations

from decimal import Decimal
from typing import ClassVar

from django.db import models

from merchants.models import Merchant
from merchants.models.scope import TenantQuerySet
from payments.models.columns import AmountField, is_number
from payments.models.invoice import Invoice
from payments.models.operation import Operation, OperationStatus


class PartStanding(models.TextChoices):
    """What a deposit to an invoice's address is to the invoice, from its first sight on."""

    COUNTED = "counted", "Seen while the invoice could be paid"
    LATE = "late", "Seen when the invoice had ended"
    FOREIGN = "foreign", "In another currency than was asked for"


class Leftover(models.TextChoices):
    """Why money of a payer is left that the merchant was not credited; it lies in the held balance."""

    NONE = "", "Nothing is left"
    FAILED = "failed", "The invoice failed"
    OVERPAID = "overpaid", "More was paid than asked"
    LATE = "late", "It came when the invoice had ended"
    FOREIGN = "foreign", "It came in another currency"


class InvoicePartQuerySet(TenantQuerySet["InvoicePart"]):
    def left(self) -> InvoicePartQuerySet:
        """Those with money that is still a payer's."""
        return self.filter(left__gt=0)


class InvoicePart(models.Model):
    """A deposit to an invoice's address.

    stood: whether it was part of what the invoice was paid when that was last looked at. taken, settled: what
    of it went to the merchant: of the amount sent, and of the amount received. left: what of the amount
    received is still the payer's, once the invoice has ended; leftover: why.
    """

    merchant = models.ForeignKey(Merchant, on_delete=models.PROTECT, db_index=False)
    invoice = models.ForeignKey(Invoice, on_delete=models.PROTECT, related_name="parts")
    operation = models.OneToOneField(Operation, on_delete=models.PROTECT, related_name="invoice_part")
    standing = models.CharField(max_length=10, choices=PartStanding.choices)
    stood = models.BooleanField(default=False)
    taken = AmountField(default=0)
    settled = AmountField(default=0)
    left = AmountField(default=0)
    leftover = models.CharField(max_length=10, choices=Leftover.choices, blank=True, default="")
    seen_at = models.DateTimeField()

    CHANGING: ClassVar = ["stood", "taken", "settled", "left", "leftover"]

    objects = InvoicePartQuerySet.as_manager()

    class Meta:
        ordering = ["id"]
        constraints = [
            models.CheckConstraint(
                condition=models.Q(standing__in=PartStanding.values, leftover__in=Leftover.values),
                name="invoice_part_standing_is_known",
            ),
            models.CheckConstraint(
                condition=is_number("taken", "settled", "left")
                & models.Q(taken__gte=0, settled__gte=0, left__gte=0),
                name="invoice_part_amounts_are_not_negative",
            ),
            models.CheckConstraint(
                condition=models.Q(taken=0, settled=0) | models.Q(taken__gt=0, standing=PartStanding.COUNTED),
                name="invoice_part_is_taken_only_if_counted",
            ),
            models.CheckConstraint(
                condition=models.Q(left=0, leftover="") | (models.Q(left__gt=0) & ~models.Q(leftover="")),
                name="invoice_part_is_left_for_a_reason",
            ),
        ]
        indexes = [
            models.Index(fields=["merchant", "id"], name="invoice_part_left", condition=models.Q(left__gt=0)),
        ]

    def __str__(self) -> str:
        return f"{self.standing} {self.operation_id}"

    @property
    def stands(self) -> bool:
        """It is part of what the invoice was paid: counted, and not cancelled."""
        return self.standing == PartStanding.COUNTED and self.operation.status != OperationStatus.CANCELLED

    def look(self) -> bool:
        """Whether it has come to stand, or ceased to, since the last look; unsaved."""
        before, self.stood = self.stood, self.stands
        return before != self.stood

    def take(self, *, taken: Decimal, settled: Decimal) -> None:
        """What of it goes to the merchant now; unsaved."""
        self.taken, self.settled = taken, settled

    def leave(self, why: Leftover) -> None:
        """Whatever is booked and not the merchant's is the payer's, for `why`; unsaved."""
        booked = self.operation.amount_received if self.operation.is_booked else Decimal(0)
        self.left = booked - self.settled if why else Decimal(0)
        self.leftover = why if self.left else Leftover.NONE
