"""Prices that a processor quoted, kept for as long as an operation refers to them."""

from __future__ import annotations

from django.db import models

from payments.models.columns import AmountField, CurrencyField, PriceField, is_number
from payments.models.route import Processor


class Rate(models.Model):
    """One unit of `source` cost `price` units of `target`, from `quoted_at` until `seen_at` at least.

    A row is added when the price changes; while it stands only `seen_at` moves (the database's real
    clock). minimum: least amount of `source` to exchange; minimum_deposit: least to convert on arrival.
    """

    processor = models.ForeignKey(Processor, on_delete=models.PROTECT)
    source = CurrencyField()
    target = CurrencyField()
    price = PriceField()
    minimum = AmountField(null=True)
    minimum_deposit = AmountField(null=True)
    quoted_at = models.DateTimeField()
    seen_at = models.DateTimeField()
    is_current = models.BooleanField(default=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["processor", "source", "target"],
                name="rate_current_is_unique",
                condition=models.Q(is_current=True),
            ),
            models.CheckConstraint(
                condition=is_number("price") & models.Q(price__gt=0), name="rate_price_is_positive"
            ),
        ]

        indexes = [
            models.Index(fields=["seen_at"], name="rate_past", condition=models.Q(is_current=False)),
        ]

    def __str__(self) -> str:
        return f"{self.source}/{self.target} {self.price:f}"
