"""What merchants stores: who they are, who works for them, their keys, and what was done."""

from __future__ import annotations

from merchants.models.allowlist import AllowlistEntry
from merchants.models.api_key import ApiKey, KeyState
from merchants.models.audit import AuditHead, AuditRecord, AuditWitness
from merchants.models.clock import ClockOffset
from merchants.models.device import TotpDevice
from merchants.models.invitation import Invitation
from merchants.models.link import LinkPurpose, OneTimeLink
from merchants.models.mail import MailMessage, MailState
from merchants.models.membership import Membership
from merchants.models.merchant import Merchant, MerchantStatus
from merchants.models.recovery import RecoveryCode
from merchants.models.saved_view import SavedView, SavedViewPage
from merchants.models.session import Door, SignedInSession
from merchants.models.throttle import Throttle, ThrottleKind
from merchants.models.traffic import KeyTraffic, Outcome
from merchants.models.user import User

__all__ = [
    "AllowlistEntry",
    "ApiKey",
    "AuditHead",
    "AuditRecord",
    "AuditWitness",
    "ClockOffset",
    "Door",
    "Invitation",
    "KeyState",
    "KeyTraffic",
    "LinkPurpose",
    "MailMessage",
    "MailState",
    "Membership",
    "Merchant",
    "MerchantStatus",
    "OneTimeLink",
    "Outcome",
    "RecoveryCode",
    "SavedView",
    "SavedViewPage",
    "SignedInSession",
    "Throttle",
    "ThrottleKind",
    "TotpDevice",
    "User",
]
