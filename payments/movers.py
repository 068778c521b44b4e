"""Who may move a merchant's money out, and when nobody may."""

from __future__ import annotations

from datetime import datetime

from merchants import team
from merchants.errors import Refusal
from merchants.models import Membership, Merchant
from payments import ledger

APPROVE = "withdrawals.approve"
CREATE = "withdrawals.create"


class NotAllowed(Refusal):
    """Only an Owner of this merchant can do this."""


class NotSettled(Refusal):
    """For 24 hours after becoming Owner or after a reset nobody makes or approves withdrawals."""


class MerchantBlocked(Refusal):
    """This merchant is blocked: nothing is sent."""


class MerchantInDebt(Refusal):
    """Nothing is sent before what is owed is paid back: a deposit was taken back after it was spent."""


def demand(*, merchant: Merchant, by: Membership, permission: str, now: datetime) -> Membership:
    """The person as the database knows it now. Raises `NotAllowed`, `NotSettled`."""
    person = demand_allowed(merchant=merchant, by=by, permission=permission)
    if not team.may_move_money(person, now):
        raise NotSettled
    return person


def demand_allowed(*, merchant: Merchant, by: Membership, permission: str) -> Membership:
    """The same without the day that a new Owner waits. Raises `NotAllowed`."""
    rows = Membership.objects.for_merchant(merchant).select_related("user", "merchant")
    person = rows.filter(pk=by.pk, user__is_active=True).first()
    if person is None or not person.may(permission):
        raise NotAllowed
    return person


def demand_may_send(merchant: Merchant) -> None:
    """Raises `MerchantBlocked`, `MerchantInDebt`."""
    if Merchant.objects.get(pk=merchant.pk).is_blocked:
        raise MerchantBlocked
    if any(balance.debt for balance in ledger.balances(merchant)):
        raise MerchantInDebt


def approvers(*, merchant: Merchant, requested_by_id: int | None, now: datetime) -> tuple[Membership, ...]:
    """Who could approve now what that person (None: a program) asks for."""
    return tuple(
        member
        for member in team.members(merchant)
        if member.may(APPROVE)
        and member.user_id != requested_by_id
        and member.user.is_active
        and team.may_move_money(member, now)
    )
