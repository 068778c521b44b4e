"""Terms: what a merchant may use and what it costs. Append-only; an operation keeps the row it used."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db import models

from merchants.models import Merchant
from merchants.models.scope import TenantQuerySet
from payments.models.columns import AmountField, CurrencyField, is_number

if TYPE_CHECKING:
    from datetime import datetime

_FRACTIONS = (
    "deposit_fee_percent",
    "deposit_exchange_fee_percent",
    "withdrawal_fee_percent",
    "withdrawal_exchange_fee_percent",
    "exchange_fee_percent",
)
_AMOUNTS = ("deposit_minimum_fee", "withdrawal_minimum_fee", "deposit_minimum", "withdrawal_minimum")


def _between_zero_and_one() -> models.Q:
    condition = is_number(*_FRACTIONS)
    for column in _FRACTIONS:
        condition &= models.Q(**{f"{column}__gte": 0, f"{column}__lt": 1})
    return condition


def _not_negative() -> models.Q:
    condition = is_number(*_AMOUNTS)
    for column in _AMOUNTS:
        condition &= models.Q(**{f"{column}__gte": 0})
    return condition


class TermsQuerySet(TenantQuerySet["Terms"]):
    def effective(self, now: datetime) -> TermsQuerySet:
        """The row in force of each (merchant, currency)."""
        return (
            self.filter(valid_from__lte=now)
            .order_by("merchant_id", "currency", "-valid_from", "-id")
            .distinct("merchant_id", "currency")
        )


class Terms(models.Model):
    """From `valid_from` on, this is what `currency` costs `merchant` (none: what new merchants get).

    The `…_percent` columns are fractions (0.008 is 0.8 %); minimums are in the currency itself.
    withdrawal_mining_fee: what a withdrawal is quoted and charged for the network, in the currency debited,
    whatever the network then takes; processors do not say it beforehand.
    """

    merchant = models.ForeignKey(Merchant, on_delete=models.PROTECT, null=True, blank=True)
    currency = CurrencyField()
    enabled = models.BooleanField(default=True)
    deposit_fee_percent = models.DecimalField(max_digits=7, decimal_places=6, default=0)
    deposit_minimum_fee = AmountField(default=0)
    deposit_minimum = AmountField(default=0)
    deposit_exchange_fee_percent = models.DecimalField(max_digits=7, decimal_places=6, default=0)
    withdrawal_fee_percent = models.DecimalField(max_digits=7, decimal_places=6, default=0)
    withdrawal_minimum_fee = AmountField(default=0)
    withdrawal_minimum = AmountField(default=0)
    withdrawal_mining_fee = AmountField(default=0, db_default=0)
    withdrawal_exchange_fee_percent = models.DecimalField(max_digits=7, decimal_places=6, default=0)
    exchange_fee_percent = models.DecimalField(max_digits=7, decimal_places=6, default=0)
    valid_from = models.DateTimeField()

    objects = TermsQuerySet.as_manager()

    class Meta:
        verbose_name_plural = "terms"
        constraints = [
            models.CheckConstraint(condition=_between_zero_and_one(), name="terms_percent_is_a_fraction"),
            models.CheckConstraint(condition=_not_negative(), name="terms_minimum_is_not_negative"),
            models.CheckConstraint(
                condition=is_number("withdrawal_mining_fee") & models.Q(withdrawal_mining_fee__gte=0),
                name="terms_mining_fee_is_not_negative",
            ),
        ]
        indexes = [
            models.Index(fields=["merchant", "currency", "-valid_from", "-id"], name="terms_in_force"),
        ]

    def __str__(self) -> str:
        return f"{self.currency} from {self.valid_from:%Y-%m-%d}"
