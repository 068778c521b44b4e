"""Saved views: a list's filters that somebody keeps under a name, for themselves, at one merchant."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models.functions import Now

from merchants.models.merchant import Merchant
from merchants.models.scope import TenantQuerySet


class SavedViewPage(models.TextChoices):
    """Which list the filters are of."""

    TRANSACTIONS = "transactions", "Transactions"


class SavedView(models.Model):
    """query: the filters as they stand in the list's URL."""

    merchant = models.ForeignKey(Merchant, on_delete=models.PROTECT)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE)
    page = models.CharField(max_length=20, choices=SavedViewPage.choices)
    name = models.CharField(max_length=40)
    query = models.CharField(max_length=500)
    saved_at = models.DateTimeField(db_default=Now())

    objects = TenantQuerySet["SavedView"].as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["merchant", "user", "page", "name"], name="saved_view_has_its_own_name"
            ),
            models.CheckConstraint(
                condition=~models.Q(name="") & ~models.Q(query=""), name="saved_view_is_named_and_filters"
            ),
            models.CheckConstraint(
                condition=models.Q(page__in=SavedViewPage.values), name="saved_view_page_is_known"
            ),
        ]

    def __str__(self) -> str:
        return self.name
