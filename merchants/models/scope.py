"""Tenant scope, spelled one way: `Model.objects.for_merchant(merchant)`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self, TypeVar

from django.db import models

if TYPE_CHECKING:
    from merchants.models.merchant import Merchant

_Row_co = TypeVar("_Row_co", bound=models.Model, covariant=True)


class TenantQuerySet(models.QuerySet[_Row_co]):
    """For tables whose rows belong to a merchant by the column `merchant`."""

    def for_merchant(self, merchant: Merchant | int) -> Self:
        """That merchant's rows (itself or its primary key); another's are as good as missing."""
        return self.filter(merchant_id=merchant if isinstance(merchant, int) else merchant.pk)
