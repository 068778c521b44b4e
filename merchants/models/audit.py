"""The audit: what people did, as a chain in which every record carries the hash of the one before it."""

from __future__ import annotations

import uuid

from django.conf import settings
from django.db import models

from merchants.models.merchant import Merchant

HASH_BYTES = 32
FIRST_PREVIOUS = b"\0" * HASH_BYTES
"""What the first record names as the hash before it."""


class AuditRecord(models.Model):
    """One act. Written by `merchants.audit` alone, never changed: by grants, by triggers, by the chain.

    before, after: canonical JSON text (not jsonb, which would not give back the bytes that were hashed).
    number: from 1, without gaps.
    """

    number = models.PositiveBigIntegerField(primary_key=True)
    at = models.DateTimeField()
    actor = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, related_name="+")
    actor_label = models.CharField("actor's name", max_length=254)
    act = models.CharField(max_length=64)
    merchant = models.ForeignKey(Merchant, on_delete=models.PROTECT, null=True, related_name="+")
    subject = models.CharField(max_length=128)
    before = models.TextField(null=True)
    after = models.TextField(null=True)
    ip = models.GenericIPAddressField(null=True)
    second_factor = models.BooleanField()
    previous_hash = models.BinaryField(max_length=HASH_BYTES, unique=True)
    hash = models.BinaryField(max_length=HASH_BYTES)

    class Meta:
        indexes = [
            models.Index(fields=["merchant", "-number"], name="audit_of_a_merchant"),
            models.Index(fields=["subject", "-number"], name="audit_of_a_subject"),
        ]
        constraints = [
            models.CheckConstraint(condition=models.Q(number__gt=0), name="audit_number_starts_at_one"),
        ]

    def __str__(self) -> str:
        return f"{self.number} {self.act} {self.subject}"


class AuditHead(models.Model):
    """The chain's last link: locked while a record is added, and the proof that none was cut off."""

    number = models.PositiveBigIntegerField(default=0)
    hash = models.BinaryField(max_length=HASH_BYTES, default=FIRST_PREVIOUS)

    class Meta:
        constraints = [
            models.CheckConstraint(condition=models.Q(id=1), name="audit_head_is_one_row"),
        ]

    def __str__(self) -> str:
        return f"audit up to {self.number}"

    def move_to(self, record: AuditRecord) -> None:
        self.number, self.hash = record.number, record.hash
        self.save(update_fields=["number", "hash"])


class AuditWitness(models.Model):
    """Up to where the chain's head was written outside the database, and under which name.

    chain: the name of this installation's chain in that file, made with the row and restored with a dump.
    """

    chain = models.UUIDField(default=uuid.uuid4)
    number = models.PositiveBigIntegerField(default=0)
    written_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.CheckConstraint(condition=models.Q(id=1), name="audit_witness_is_one_row"),
        ]

    def __str__(self) -> str:
        return f"audit witnessed up to {self.number}"
