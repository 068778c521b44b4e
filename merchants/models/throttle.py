"""Throttles: failed tries by account and by network, counted in the database so that no restart forgives."""

from __future__ import annotations

from django.db import models


class ThrottleKind(models.TextChoices):
    """What the tries have in common."""

    ACCOUNT = "account", "An e-mail address, whether somebody has it or not"
    NETWORK = "network", "Where they came from"


class Throttle(models.Model):
    """A counter. subject: SHA-256 of the address or network, so that no list of addresses lies here.

    failures: tries that did not succeed since the count began; last_at: of the latest one, by real time.
    """

    kind = models.CharField(max_length=10, choices=ThrottleKind.choices)
    subject = models.BinaryField(max_length=32)
    failures = models.PositiveIntegerField()
    last_at = models.DateTimeField()

    class Meta:
        indexes = [models.Index(fields=["last_at"], name="throttles_by_age")]
        constraints = [
            models.UniqueConstraint(fields=["kind", "subject"], name="throttle_is_one_count"),
            models.CheckConstraint(
                condition=models.Q(kind__in=ThrottleKind.values), name="throttle_kind_is_known"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.failures} by {self.kind}"
