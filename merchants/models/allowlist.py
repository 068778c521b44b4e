"""Allowlists: the networks from which a key may be used. A key without entries may be used from anywhere."""

from __future__ import annotations

from ipaddress import ip_network
from typing import Any

from django.db import models

from merchants.models.api_key import ApiKey
from merchants.networks import Network, shown


class CidrField(models.Field):  # type: ignore[type-arg]  # generic in the stubs alone
    """PostgreSQL's `cidr`: an IPv4 or IPv6 network; Python sees `ipaddress` networks."""

    description = "An IP network"

    def db_type(self, connection: Any) -> str:
        return "cidr"

    def from_db_value(self, value: str | None, expression: Any, connection: Any) -> Network | None:
        return None if value is None else ip_network(value)

    def to_python(self, value: Any) -> Network | None:
        return None if value is None else ip_network(value)

    def get_prep_value(self, value: Any) -> str | None:
        return None if value is None else str(ip_network(value))

    def get_placeholder(self, value: Any, compiler: Any, connection: Any) -> str:
        return "%s::cidr"


class AllowlistEntry(models.Model):
    """One network from which `key` may be used."""

    key = models.ForeignKey(ApiKey, on_delete=models.PROTECT, related_name="allowlist")
    network = CidrField()

    class Meta:
        verbose_name_plural = "allowlist entries"
        constraints = [
            models.UniqueConstraint(fields=["key", "network"], name="allowlist_entry_stands_once"),
        ]

    def __str__(self) -> str:
        return shown(self.network)
