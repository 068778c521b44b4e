"""API keys: generated → active → deactivated, and the allowlist of each.

A merchant has one active key, and during a rotation a second one that retires. The secret is encrypted and
bound to its row. What is deactivated stays so: a trigger holds the legal moves.
"""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.db import models

from merchants.models.merchant import Merchant
from merchants.models.scope import TenantQuerySet
from merchants.secrets import KeyRing

if TYPE_CHECKING:
    from datetime import datetime

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class ApiKeyState(models.TextChoices):
    """Where a key stands."""

    GENERATED = "generated", "Not usable yet: its secret was never shown"
    ACTIVE = "active", "In use"
    DEACTIVATED = "deactivated", "Dead for good"


API_KEY_MOVES: dict[str, frozenset[str]] = {
    ApiKeyState.GENERATED: frozenset({ApiKeyState.ACTIVE, ApiKeyState.DEACTIVATED}),
    ApiKeyState.ACTIVE: frozenset({ApiKeyState.DEACTIVATED}),
    ApiKeyState.DEACTIVATED: frozenset(),
}


class IllegalKeyMove(Exception):
    """A state may not follow another; a fault of ours, never the caller's."""


def key_ring() -> KeyRing:
    """The installation's keys, from its settings."""
    return KeyRing(settings.ENCRYPTION_KEYS)


class ApiKeyQuerySet(TenantQuerySet["ApiKey"]):
    def active(self) -> ApiKeyQuerySet:
        return self.filter(state=ApiKeyState.ACTIVE)


class ApiKey(models.Model):
    """A key of a merchant. retires_at: set on the older key of a rotation; it dies then.

    first_used_at: its first accepted request; until then the older key goes on signing callbacks.
    """

    merchant = models.ForeignKey(Merchant, on_delete=models.PROTECT, related_name="api_keys")
    public_key = models.CharField(max_length=100, unique=True)
    secret_ciphertext = models.TextField(blank=True, default="", editable=False)
    state = models.CharField(max_length=20, choices=ApiKeyState.choices, default=ApiKeyState.GENERATED)
    generated_at = models.DateTimeField()
    activated_at = models.DateTimeField(null=True, blank=True)
    first_used_at = models.DateTimeField(null=True, blank=True)
    retires_at = models.DateTimeField(null=True, blank=True)
    deactivated_at = models.DateTimeField(null=True, blank=True)

    objects = ApiKeyQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["merchant"],
                name="api_key_active_is_one",
                condition=models.Q(state="active", retires_at__isnull=True),
            ),
            models.UniqueConstraint(
                fields=["merchant"],
                name="api_key_retiring_is_one",
                condition=models.Q(state="active", retires_at__isnull=False),
            ),
            models.CheckConstraint(
                condition=~models.Q(state="active")
                | (models.Q(activated_at__isnull=False) & ~models.Q(secret_ciphertext="")),
                name="api_key_active_has_a_secret",
            ),
            models.CheckConstraint(
                condition=models.Q(state="deactivated", deactivated_at__isnull=False)
                | (~models.Q(state="deactivated") & models.Q(deactivated_at__isnull=True)),
                name="api_key_deactivation_is_dated",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.public_key[:12]}…"

    @property
    def subject(self) -> str:
        return f"api_key:{self.pk}"

    @property
    def secret_context(self) -> str:
        """The place that the ciphertext is bound to."""
        return f"api_key:{self.pk}:secret:1"

    def secret(self) -> str:
        """The secret in clear, for signing alone."""
        return key_ring().decrypt(self.secret_ciphertext, context=self.secret_context)

    def activate(self, *, secret: str, now: datetime) -> None:
        self._move(ApiKeyState.ACTIVE)
        self.secret_ciphertext = key_ring().encrypt(secret, context=self.secret_context)
        self.activated_at = now
        self.save(update_fields=["state", "secret_ciphertext", "activated_at"])

    def retire(self, *, at: datetime) -> None:
        """The older key of a rotation: it still works, until then."""
        self.retires_at = at
        self.save(update_fields=["retires_at"])

    def deactivate(self, *, now: datetime) -> None:
        self._move(ApiKeyState.DEACTIVATED)
        self.deactivated_at = now
        self.save(update_fields=["state", "deactivated_at"])

    def reseal(self) -> None:
        """Encrypts the secret anew under the ring's current key."""
        self.secret_ciphertext = key_ring().encrypt(self.secret(), context=self.secret_context)
        self.save(update_fields=["secret_ciphertext"])

    def _move(self, state: ApiKeyState) -> None:
        if state not in API_KEY_MOVES[self.state]:
            raise IllegalKeyMove(f"{self}: {self.state} → {state}")
        self.state = state


class NetworkField(models.Field[Network, Network]):
    """An IPv4 or IPv6 network; a single address is a network of one. PostgreSQL's `cidr`."""

    def db_type(self, connection: Any) -> str:
        return "cidr"

    def from_db_value(self, value: Any, expression: Any, connection: Any) -> Network | None:
        return None if value is None else ipaddress.ip_network(value)

    def get_prep_value(self, value: Any) -> str | None:
        return None if value is None else str(value)

    def to_python(self, value: Any) -> Network | None:
        return None if value is None else ipaddress.ip_network(value)


class AllowlistEntry(models.Model):
    """A network that a key may be used from. A key without entries may be used from anywhere."""

    api_key = models.ForeignKey(ApiKey, on_delete=models.CASCADE, related_name="allowlist")
    network = NetworkField()

    class Meta:
        verbose_name_plural = "allowlist entries"
        constraints = [
            models.UniqueConstraint(fields=["api_key", "network"], name="allowlist_entry_is_unique")
        ]

    def __str__(self) -> str:
        return str(self.network)
