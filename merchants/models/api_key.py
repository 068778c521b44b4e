"""API keys: generated, activated once, deactivated for good; two work side by side only in a rotation."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from django.db import models

from merchants.errors import Refusal
from merchants.models.merchant import Merchant
from merchants.models.scope import TenantQuerySet
from merchants.models.sealed import SealedTextField, seal, unseal

if TYPE_CHECKING:
    from collections.abc import Mapping

LONGEST_OVERLAP = timedelta(days=7)
CACHE_SECONDS = 1.0
"""For how long after the start of its read a process may believe a key row (monotonic seconds)."""


class KeyState(models.TextChoices):
    """Where a key stands in its life."""

    GENERATED = "generated", "Made, has no secret yet, opens nothing"
    ACTIVE = "active", "Signs requests and callbacks"
    DEACTIVATED = "deactivated", "Dead for good"


LEGAL_MOVES: Mapping[KeyState, frozenset[KeyState]] = {
    KeyState.GENERATED: frozenset({KeyState.ACTIVE, KeyState.DEACTIVATED}),
    KeyState.ACTIVE: frozenset({KeyState.DEACTIVATED}),
    KeyState.DEACTIVATED: frozenset(),
}
"""The moves that a key may make; a trigger refuses the others in the database too."""


class IllegalMove(Refusal):
    """A key that is {state} cannot become {wanted}."""


class ApiKeyQuerySet(TenantQuerySet["ApiKey"]):
    def active(self) -> ApiKeyQuerySet:
        return self.filter(state=KeyState.ACTIVE)


class ApiKey(models.Model):
    """A key of a merchant. The secret stands encrypted: signatures need it in clear, people see it once.

    rotated_at, retires_at: set on the older key of a rotation; at `retires_at` it stops working.
    first_used_at: when the key's first request was accepted; until then a rotation's callbacks keep the
    older key's signature.
    """

    merchant = models.ForeignKey(Merchant, on_delete=models.PROTECT, related_name="api_keys")
    public_key = models.CharField(max_length=128, unique=True)
    secret_ciphertext = SealedTextField(default="", blank=True, editable=False)
    state = models.CharField(max_length=12, choices=KeyState.choices, default=KeyState.GENERATED)
    generated_at = models.DateTimeField()
    activated_at = models.DateTimeField(null=True)
    first_used_at = models.DateTimeField(null=True)
    rotated_at = models.DateTimeField(null=True)
    retires_at = models.DateTimeField(null=True)
    deactivated_at = models.DateTimeField(null=True)

    objects = ApiKeyQuerySet.as_manager()

    class Meta:
        verbose_name = "API key"
        constraints = [
            models.UniqueConstraint(
                fields=["merchant"],
                condition=models.Q(state="active", retires_at__isnull=True),
                name="api_key_one_active_per_merchant",
            ),
            models.UniqueConstraint(
                fields=["merchant"],
                condition=models.Q(state="active", retires_at__isnull=False),
                name="api_key_one_retiring_per_merchant",
            ),
            models.CheckConstraint(
                condition=models.Q(state="generated", secret_ciphertext="")
                | (models.Q(state="active") & ~models.Q(secret_ciphertext=""))
                | models.Q(state="deactivated"),
                name="api_key_has_a_secret_once_active",
            ),
            models.CheckConstraint(
                condition=models.Q(state="generated", activated_at__isnull=True, deactivated_at__isnull=True)
                | models.Q(state="active", activated_at__isnull=False, deactivated_at__isnull=True)
                | models.Q(state="deactivated", deactivated_at__isnull=False),
                name="api_key_dates_follow_its_state",
            ),
            models.CheckConstraint(
                condition=models.Q(rotated_at__isnull=True, retires_at__isnull=True)
                | models.Q(
                    rotated_at__isnull=False,
                    retires_at__gt=models.F("rotated_at"),
                    retires_at__lte=models.F("rotated_at") + LONGEST_OVERLAP,
                ),
                name="api_key_overlap_is_at_most_seven_days",
            ),
        ]

    def __str__(self) -> str:
        return self.short

    @property
    def short(self) -> str:
        """Enough of the public key for a person to tell it from another."""
        return f"{self.public_key[:12]}…"

    @property
    def subject(self) -> str:
        return f"api_key:{self.pk}"

    @property
    def is_active(self) -> bool:
        return self.state == KeyState.ACTIVE

    @property
    def is_retiring(self) -> bool:
        return self.is_active and self.retires_at is not None

    def secret(self) -> str:
        """The secret in clear: for signing and checking signatures, nothing else."""
        return unseal(self, "secret_ciphertext")

    def activate(self, *, secret: str, now: datetime) -> None:
        self._move(KeyState.ACTIVE)
        self.secret_ciphertext = seal(self, "secret_ciphertext", secret)
        self.activated_at = now
        self.save(update_fields=["state", "secret_ciphertext", "activated_at"])

    def deactivate(self, *, now: datetime) -> None:
        self._move(KeyState.DEACTIVATED)
        self.deactivated_at = now
        self.save(update_fields=["state", "deactivated_at"])

    def retire(self, *, overlap: timedelta, now: datetime) -> None:
        """The key's days are counted: it stops working at `now + overlap`."""
        self.rotated_at, self.retires_at = now, now + overlap
        self.save(update_fields=["rotated_at", "retires_at"])

    def facts(self) -> dict[str, object]:
        """What the audit keeps of a key: never the secret, in whatever form."""
        return {
            "public_key": self.public_key,
            "state": str(self.state),
            "retires_at": self.retires_at.isoformat() if self.retires_at else None,
        }

    def _move(self, wanted: KeyState) -> None:
        if wanted not in LEGAL_MOVES[KeyState(self.state)]:
            raise IllegalMove(state=KeyState(self.state).value, wanted=wanted.value)
        self.state = wanted
