"""Ledger accounts. Written by `payments.ledger` alone; the rules are constraints and triggers.

A merchant's accounts are *kept*: they hold their balance and the number of their last posting, and may
change only together with that posting. The accounts of processors and of the house are not kept: every
operation touches them, so a balance row would be fought over; their balance is the sum of their postings.

Signs: what the house owes is positive, what it owns is negative. `at_processor` is therefore the negative
of what lies at the processor, and all accounts of one currency sum to zero.
"""

from __future__ import annotations

from django.db import models

from merchants.models import Merchant
from merchants.models.scope import TenantQuerySet
from payments.models.columns import AmountField, CurrencyField, is_number
from payments.models.route import Processor


class AccountKind(models.TextChoices):
    """What an account stands for."""

    AVAILABLE = "available", "What the merchant may spend"
    HELD = "held", "The merchant's, set aside for operations under way or while blocked"
    RECEIVABLE = (
        "receivable",
        "What the merchant owes us after a reversed deposit was spent; never above zero",
    )
    AT_PROCESSOR = "at_processor", "What lies at a processor (negative: an asset)"
    PROCESSOR_FEE = "processor_fee", "What a processor kept for itself (negative: a cost)"
    DUST = "dust", "Deposits below the minimum, credited to nobody"
    FEE_INCOME = "fee_income", "Our fees"
    NETWORK_FEE = "network_fee", "Mining fees charged less those paid"
    CONVERSION = "conversion", "Differences between quoted and executed exchanges"
    ROUNDING = "rounding", "Residues beyond the wire's precision"
    SUSPENSE = "suspense", "Deposits that match no address"
    ADJUSTMENT = "adjustment", "The other side of top-ups and corrections"


MERCHANT_KINDS = (AccountKind.AVAILABLE, AccountKind.HELD, AccountKind.RECEIVABLE)
PROCESSOR_KINDS = (AccountKind.AT_PROCESSOR, AccountKind.PROCESSOR_FEE, AccountKind.DUST)


class AccountQuerySet(TenantQuerySet["Account"]):
    pass


class Account(models.Model):
    """One account; see the module. `seq` is the number of its last posting, 0 before the first."""

    merchant = models.ForeignKey(Merchant, on_delete=models.PROTECT, null=True)
    processor = models.ForeignKey(Processor, on_delete=models.PROTECT, null=True)
    currency = CurrencyField()
    kind = models.CharField(max_length=20, choices=AccountKind.choices)
    kept = models.BooleanField()
    balance = AmountField(default=0)
    seq = models.BigIntegerField(default=0)

    objects = AccountQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["merchant", "processor", "currency", "kind"],
                name="account_is_unique",
                nulls_distinct=False,
            ),
            models.UniqueConstraint(fields=["id", "currency"], name="account_has_one_currency"),
            models.CheckConstraint(condition=is_number("balance"), name="account_balance_is_a_number"),
            models.CheckConstraint(
                condition=models.Q(balance__gte=0) | models.Q(kind=AccountKind.RECEIVABLE),
                name="account_is_never_overdrawn",
            ),
            models.CheckConstraint(
                condition=models.Q(balance__lte=0) | ~models.Q(kind=AccountKind.RECEIVABLE),
                name="receivable_is_never_above_zero",
            ),
            models.CheckConstraint(
                condition=models.Q(kept=True, kind__in=MERCHANT_KINDS, merchant__isnull=False)
                | (models.Q(kept=False, merchant__isnull=True) & ~models.Q(kind__in=MERCHANT_KINDS)),
                name="account_of_a_merchant_is_kept",
            ),
            models.CheckConstraint(
                condition=models.Q(kind__in=PROCESSOR_KINDS, processor__isnull=False)
                | (~models.Q(kind__in=PROCESSOR_KINDS) & models.Q(processor__isnull=True)),
                name="account_of_a_processor_names_it",
            ),
            models.CheckConstraint(
                condition=models.Q(kept=True) | models.Q(balance=0, seq=0),
                name="account_not_kept_has_no_balance",
            ),
        ]
        indexes = [
            models.Index(
                models.functions.Coalesce("merchant_id", models.Value(0)),
                models.functions.Coalesce("processor_id", models.Value(0)),
                "currency",
                "kind",
                name="account_lookup",
            )
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.currency}"
