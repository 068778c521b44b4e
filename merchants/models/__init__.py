"""What merchants stores: tenants, people, keys, the second factor, traffic, the audit trail."""

from __future__ import annotations

from merchants.models.api_key import AllowlistEntry, ApiKey, ApiKeyState
from merchants.models.audit import AuditRecord
from merchants.models.clock import ClockOffset
from merchants.models.device import TotpDevice
from merchants.models.merchant import Merchant, MerchantStatus
from merchants.models.traffic import KeyTraffic, TrafficOutcome
from merchants.models.user import Membership, User

__all__ = [
    "AllowlistEntry",
    "ApiKey",
    "ApiKeyState",
    "AuditRecord",
    "ClockOffset",
    "KeyTraffic",
    "Membership",
    "Merchant",
    "MerchantStatus",
    "TotpDevice",
    "TrafficOutcome",
    "User",
]
