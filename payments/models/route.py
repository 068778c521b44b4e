"""Processors, and which of them carries what for whom."""

from __future__ import annotations

from datetime import datetime

from django.db import models

from merchants.models import Merchant
from payments.models.columns import CurrencyField


class Processor(models.Model):
    """An upstream that moves coins. Its credentials are in the environment of the roles that may hold them.

    quotes_at: when its prices were last read, by the database's real clock.
    """

    code = models.SlugField(unique=True, help_text="Its name in the environment and in its callback URL.")
    connector = models.SlugField(help_text="Which connector speaks to it: a name of the registry.")
    name = models.CharField(max_length=100)
    is_active = models.BooleanField(default=True)
    quotes_at = models.DateTimeField(null=True, blank=True, editable=False)

    def __str__(self) -> str:
        return self.name


class RouteOperation(models.TextChoices):
    """What a route is for."""

    DEPOSIT = "deposit", "Deposits"
    WITHDRAWAL = "withdrawal", "Withdrawals"
    EXCHANGE = "exchange", "Exchanges and prices"


class RouteQuerySet(models.QuerySet["Route"]):
    def choose(
        self, *, merchant: Merchant, currency: str, operation: RouteOperation, now: datetime
    ) -> Processor | None:
        """Who carries it: by a merchant's own route first, then the currency's, then the newest."""
        asked = [merchant.pk, operation, currency, now]
        return next(iter(Processor.objects.raw(_CHOOSE, asked)), None)


_CHOOSE = """
SELECT p.* FROM payments_route r JOIN payments_processor p ON p.id = r.processor_id
 WHERE (r.merchant_id IS NULL OR r.merchant_id = %s) AND r.operation = %s
   AND (r.currency = '' OR r.currency = %s) AND r.valid_from <= %s AND p.is_active
 ORDER BY r.merchant_id NULLS LAST, r.currency DESC, r.valid_from DESC, r.id DESC
 LIMIT 1
"""


class Route(models.Model):
    """From `valid_from` on, `operation` in `currency` (empty: any) goes to `processor`. Append-only."""

    merchant = models.ForeignKey(Merchant, on_delete=models.PROTECT, null=True, blank=True)
    currency = CurrencyField(blank=True, default="")
    operation = models.CharField(max_length=20, choices=RouteOperation.choices)
    processor = models.ForeignKey(Processor, on_delete=models.PROTECT)
    valid_from = models.DateTimeField()

    objects = RouteQuerySet.as_manager()

    def __str__(self) -> str:
        return f"{self.operation} {self.currency or 'any'} → {self.processor}"
