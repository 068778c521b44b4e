"""Clearance: what must hold of a withdrawal at the last hop, whatever was decided before.

The sender asks here inside the transaction that would begin to send, and of rows that no page writes: stops,
caps, the breaker, the books. A withdrawal that does not pass stays approved with its money held. Some
objections pass with time (a cap's hour); others mean that somebody meddled, and are told to people.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from merchants.errors import Refusal
from payments import approvals, breaker, controls, currencies, destinations, ledger
from payments.ledger import AccountKey, proof
from payments.models import Limit, Withdrawal

SOON_SECONDS, LATER_SECONDS = 20, 600
_ORDERS_OWN = {
    *("foreign_id", "amount", "amount_to", "currency", "convert_to", "address", "tag"),
    "end_user_reference",
}
"""What an order says itself: passed on with it is only what stands beside these."""


@dataclass(frozen=True, slots=True)
class Objection:
    """Why a withdrawal is not sent now.

    kind: of the alert, empty for what people see anyhow; wait: seconds until it is looked at again.
    """

    reason: str
    kind: str = ""
    wait: int = SOON_SECONDS


def objection(withdrawal: Withdrawal, *, now: datetime) -> Objection | None:
    """What stands against sending the withdrawal, which is locked; None when nothing does.

    Trips the breaker where the withdrawal itself would be the sign.
    """
    merchant = withdrawal.merchant
    if controls.is_stopped(merchant.pk):
        return Objection("Payouts are stopped.")
    if merchant.is_blocked:
        return Objection("The merchant is blocked.")
    if any(balance.debt for balance in ledger.balances(merchant)):
        return Objection("The merchant owes money for a reversed deposit.")
    altered = _altered(withdrawal)
    if altered:
        return Objection(altered, "altered", LATER_SECONDS)
    capped = controls.beyond_cap(withdrawal, now=now)
    if capped:
        return Objection(capped, "cap")
    if breaker.trips_on(withdrawal, now=now):
        return Objection("The breaker stopped payouts.")
    return None


def _altered(withdrawal: Withdrawal) -> str:
    """What does not fit together in a row that should; empty for nothing."""
    if withdrawal.is_internal:
        return "It stays within the installation and is never sent."
    if withdrawal.limit != Limit.NONE:
        if withdrawal.decided_by_id is None or withdrawal.decided_by_id == withdrawal.requested_by_id:
            return "Nobody but who requested it has approved it."
        seen = bytes(withdrawal.approved_hash or b"").hex()
        if seen != approvals.content_hash(withdrawal):
            return "What was approved is not what would be sent."
    if _ORDERS_OWN & set(withdrawal.parties or {}):
        return "Data about its parties would change the order itself."
    if not _is_held(withdrawal):
        return "The books do not hold exactly its amount and fees."
    if not _is_payable(withdrawal):
        return "Its destination is no address of its network."
    return ""


def _is_held(withdrawal: Withdrawal) -> bool:
    """Its hold set aside exactly what it says, of its merchant's, and nothing has closed it."""
    key = f"withdrawal:{withdrawal.operation_id}"
    account = AccountKey(withdrawal.merchant_id, None, withdrawal.currency, ledger.AccountKind.HELD)
    free = account._replace(kind=ledger.AccountKind.AVAILABLE)
    held = {account: withdrawal.held, free: -withdrawal.held}
    return proof.amounts_of(f"{key}:hold") == held and not proof.amounts_of(f"{key}:close")


def _is_payable(withdrawal: Withdrawal) -> bool:
    """The checksum once more, and the spelling that limits and contacts were judged by."""
    try:
        read = destinations.read(currencies.get(withdrawal.pays.currency), withdrawal.address, withdrawal.tag)
    except Refusal:
        return False
    return (read.lookup, read.tag) == (withdrawal.lookup, withdrawal.tag)
