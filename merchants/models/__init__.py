"""What merchants stores: who they are, who works for them, their keys, and what was done."""

from __future__ import annotations

from merchants.models.allowlist import AllowlistEntry
from merchants.models.api_key import ApiKey, KeyState
from merchants.models.audit import AuditHead, AuditRecord
from merchants.models.clock import ClockOffset
from merchants.models.device import TotpDevice
from merchants.models.membership import Membership
from merchants.models.merchant import Merchant, MerchantStatus
from merchants.models.traffic import KeyTraffic, Outcome
from merchants.models.user import User

__all__ = [
    "AllowlistEntry",
    "ApiKey",
    "AuditHead",
    "AuditRecord",
    "ClockOffset",
    "KeyState",
    "KeyTraffic",
    "Membership",
    "Merchant",
    "MerchantStatus",
    "Outcome",
    "TotpDevice",
    "User",
]
