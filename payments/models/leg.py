"""What an operation consists of: its movements (`transactions` on the wire) and the fees it was charged."""

from __future__ import annotations

from typing import ClassVar

from django.db import models

from merchants.models import Merchant
from payments.models.columns import AmountField, CurrencyField, is_number
from payments.models.operation import Operation


class TransactionType(models.TextChoices):
    """How a leg moved."""

    BLOCKCHAIN = "blockchain", "On chain"
    INTERNAL = "internal", "Between two merchants of the installation"
    EXCHANGE = "exchange", "By conversion"


class LegType(models.TextChoices):
    """What a leg did."""

    DEPOSIT = "deposit", "Came in"
    WITHDRAWAL = "withdrawal", "Went out"
    EXCHANGE = "exchange", "Was converted"


class Leg(models.Model):
    """One movement of an operation; an item of the wire's `transactions`.

    risk_asked: a score was asked for, so the wire shows `riskscore`, null while unknown.
    """

    merchant = models.ForeignKey(Merchant, on_delete=models.PROTECT)
    operation = models.ForeignKey(Operation, on_delete=models.PROTECT, related_name="legs")
    wire_id = models.IntegerField()
    transaction_type = models.CharField(max_length=20, choices=TransactionType.choices)
    type = models.CharField(max_length=20, choices=LegType.choices)
    currency = CurrencyField()
    currency_to = CurrencyField(blank=True, default="")
    address = models.CharField(max_length=150, blank=True, default="")
    tag = models.CharField(max_length=40, null=True)
    amount = AmountField()
    amount_to = AmountField(null=True)
    txid = models.CharField(max_length=150, blank=True, default="")
    risk_asked = models.BooleanField(default=False)
    riskscore = models.CharField(max_length=20, null=True)
    confirmations = models.PositiveIntegerField(default=0)
    sender_address = models.CharField(max_length=150, blank=True, default="")

    FOLLOWING: ClassVar = ["txid", "confirmations", "risk_asked", "riskscore"]
    """What later notices may change."""

    class Meta:
        ordering = ["id"]
        constraints = [
            models.UniqueConstraint(fields=["merchant", "wire_id"], name="leg_wire_id_is_unique"),
            models.CheckConstraint(
                condition=is_number("amount") & models.Q(amount__gte=0), name="leg_amount_is_not_negative"
            ),
        ]
        indexes = [
            models.Index(fields=["merchant", "txid"], name="leg_txid", condition=~models.Q(txid="")),
        ]

    def __str__(self) -> str:
        return f"{self.type} {self.amount:f} {self.currency}"

    def follow(self, *, txid: str | None, confirmations: int, risk: tuple[bool, str | None]) -> None:
        """What the chain shows now; never fewer facts than before. Unsaved."""
        self.txid = txid or self.txid
        self.confirmations = confirmations
        if risk[0]:
            self.risk_asked, self.riskscore = True, risk[1]


class OperationFee(models.Model):
    """A fee that the merchant was charged; an item of the wire's `fees`."""

    operation = models.ForeignKey(Operation, on_delete=models.PROTECT, related_name="fees")
    type = models.CharField(max_length=40)
    currency = CurrencyField()
    amount = AmountField()

    class Meta:
        ordering = ["id"]
        constraints = [
            models.CheckConstraint(
                condition=is_number("amount") & models.Q(amount__gt=0), name="operation_fee_is_positive"
            )
        ]

    def __str__(self) -> str:
        return f"{self.type} {self.amount:f} {self.currency}"
