"""The audit trail: who did what to which object, as a chain of hashes. Append-only by trigger and grant."""

from __future__ import annotations

from django.conf import settings
from django.db import models

from merchants.models.merchant import Merchant


class AuditRecord(models.Model):
    """One act. `hash` covers this record and, through `previous_hash`, all before it.

    before, after: canonical JSON text, kept as text so that the hash can be recomputed to the byte.
    """

    at = models.DateTimeField()
    actor = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True)
    actor_label = models.CharField(max_length=254)
    act = models.CharField(max_length=60)
    merchant = models.ForeignKey(Merchant, on_delete=models.PROTECT, null=True)
    subject = models.CharField(max_length=80)
    before = models.TextField(blank=True, default="")
    after = models.TextField(blank=True, default="")
    ip = models.GenericIPAddressField(null=True)
    second_factor = models.BooleanField(default=False)
    previous_hash = models.CharField(max_length=64)
    hash = models.CharField(max_length=64, unique=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["previous_hash"], name="audit_chain_does_not_fork"),
        ]
        indexes = [models.Index(fields=["merchant", "id"], name="audit_by_merchant")]

    def __str__(self) -> str:
        return f"{self.act} by {self.actor_label}"
