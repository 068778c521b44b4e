"""Tenant scope: the one spelling by which rows of a merchant are reached."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self, TypeVar

from django.db import models

if TYPE_CHECKING:
    from merchants.models.merchant import Merchant

Row = TypeVar("Row", bound=models.Model, covariant=True)


class TenantQuerySet(models.QuerySet[Row]):
    """Rows that carry a `merchant`."""

    def for_merchant(self, merchant: Merchant | int) -> Self:
        """That merchant's rows only; another's id is then missing, like any other."""
        return self.filter(merchant=merchant)
