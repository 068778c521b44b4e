"""Withdrawals: asked for by programs and staff, held at once, and let go or kept waiting.

`request` promises that a withdrawal exists only together with the money that is held for it, that a
merchant's number for one (`foreign_id`) is used once whatever runs in parallel, and that what is beyond a
limit waits for a person. `preview` says what `request` would do, and does nothing. Sending is others' work.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Unpack

from django.db import IntegrityError, connection, transaction

from merchants import audit, links, mail
from merchants.models import Membership, Merchant
from payments import closings, contacts, events, ledger, limits, movers, transfers, withdrawal_rules
from payments.closings import Closing
from payments.contacts import Familiarity
from payments.errors import FieldRefusal
from payments.ledger import InsufficientFunds
from payments.models import (
    Leg,
    Limit,
    Operation,
    OperationKind,
    OperationStatus,
    Origin,
    Withdrawal,
    WithdrawalState,
)
from payments.models.operation import new_ids
from payments.money import Money
from payments.movers import MerchantBlocked, MerchantInDebt, NotAllowed, NotSettled
from payments.withdrawal_rules import Checked, Order, Wrong

__all__ = [
    "ForeignIdTaken",
    "InsufficientFunds",
    "MerchantBlocked",
    "MerchantInDebt",
    "NotAllowed",
    "NotSettled",
    "Order",
    "Preview",
    "Wrong",
    "preview",
    "request",
]

WAITS_FOR = timedelta(hours=24)
"""For how long a withdrawal may be approved."""
_MOST_TRIES = 5
_NUMBERS = {
    "operation_wire_id_is_unique",
    "leg_wire_id_is_unique",
    "withdrawal_address_wire_id_is_unique",
}
"""Broken when a sequence has come round to a number that is in use: the next one is tried."""


class ForeignIdTaken(FieldRefusal):
    """The {attr} has already been taken."""

    field = "foreign_id"


@dataclass(frozen=True, slots=True)
class Preview:
    """What an order would come to. held: amount and fees. approvers: who could approve it, if it waits."""

    money: Money
    pays: Money
    fee: Money
    mining_fee: Money
    held: Money
    limit: Limit
    is_internal: bool
    approvers: tuple[Membership, ...]
    available: Money
    familiarity: Familiarity


@dataclass(frozen=True, slots=True)
class _Asker:
    """Who asks: a program by its key, a person, or nobody (a refund)."""

    merchant: Merchant
    origin: Origin
    person: Membership | None
    api_key_id: int | None

    @property
    def user_id(self) -> int | None:
        return self.person.user_id if self.person else None


def preview(
    *, merchant: Merchant, order: Order, origin: Origin, by: Membership | None = None, now: datetime
) -> Preview:
    """What `request` would do now. Raises what it raises, but for a taken `foreign_id`."""
    person = _person(merchant, origin, by, now)
    movers.demand_may_send(merchant)
    checked = withdrawal_rules.check(merchant=merchant, order=order, now=now)
    available = _available(merchant, checked.money.currency)
    if available < checked.held:
        raise InsufficientFunds
    limit = _limit(merchant, origin, checked, now)
    waits = limit != Limit.NONE
    asked_by = person.user_id if person else None
    return Preview(
        money=checked.money,
        pays=checked.pays,
        fee=checked.fee,
        mining_fee=checked.mining_fee,
        held=checked.held,
        limit=limit,
        is_internal=checked.is_internal,
        approvers=movers.approvers(merchant=merchant, requested_by_id=asked_by, now=now) if waits else (),
        available=available,
        familiarity=contacts.familiarity(
            merchant=merchant, currency=checked.pays.currency, address=checked.address, tag=checked.tag
        ),
    )


def request(
    *,
    merchant: Merchant,
    order: Order,
    origin: Origin,
    by: Membership | None = None,
    api_key_id: int | None = None,
    now: datetime,
    **how: Unpack[audit.How],
) -> Operation:
    """Takes an order and holds its money; the operation, with its `withdrawal`.

    by: the person who asks; a program's is asked by its key instead, a refund perhaps by nobody. It is
    pending when it waits, confirmed when it stays within the installation, else ready to be sent. Raises
    `Wrong` (everything wrong at once), `ForeignIdTaken`, `InsufficientFunds`, `NotAllowed`, `NotSettled`,
    `MerchantBlocked`, `MerchantInDebt`; then nothing has changed.
    """
    asker = _Asker(merchant, origin, _person(merchant, origin, by, now), api_key_id)
    for tries_left in reversed(range(_MOST_TRIES)):
        try:
            with transaction.atomic():
                return _request(asker, order, now, how)
        except IntegrityError as error:
            broken = getattr(getattr(error.__cause__, "diag", None), "constraint_name", "")
            if broken == "withdrawal_foreign_id_is_unique" and order.foreign_id is not None:
                raise ForeignIdTaken from None
            if not tries_left or broken not in {*_NUMBERS, "withdrawal_foreign_id_is_unique"}:
                raise
    raise AssertionError("the last try returns or raises")


def _request(asker: _Asker, order: Order, now: datetime, how: audit.How) -> Operation:
    movers.demand_may_send(asker.merchant)
    checked = withdrawal_rules.check(merchant=asker.merchant, order=order, now=now)
    limit = _limit(asker.merchant, asker.origin, checked, now, in_turn=True)
    operation, withdrawal, leg = _rows(asker, order, checked, limit, now)
    Operation.objects.bulk_create([operation])
    Withdrawal.objects.bulk_create([withdrawal])
    Leg.objects.bulk_create([leg])
    if limit != Limit.NONE:
        _tell_recipients(operation, withdrawal, now)
    if asker.person is not None:
        _audit(asker, operation, withdrawal, now, how)
    closing = Closing(now, entries=[closings.hold(withdrawal, now)])
    if withdrawal.is_internal and limit == Limit.NONE:
        transfers.settle(withdrawal, closing)
    else:
        events.transactions_changed([operation])
    closing.post()
    return operation


# --- who, and how much of it waits ---


def _person(merchant: Merchant, origin: Origin, by: Membership | None, now: datetime) -> Membership | None:
    """Who asks, as the database knows them now; staff is somebody. Raises `NotAllowed`, `NotSettled`."""
    if by is None:
        if origin == Origin.STAFF:
            raise NotAllowed
        return None
    return movers.demand(merchant=merchant, by=by, permission=movers.CREATE, now=now)


def _limit(
    merchant: Merchant, origin: Origin, checked: Checked, now: datetime, *, in_turn: bool = False
) -> Limit:
    """Why it waits: a limit, or staff sending to a contact that they have only just named."""
    limit = limits.hit(merchant=merchant, origin=origin, money=checked.money, now=now, in_turn=in_turn)
    if limit != Limit.NONE or origin != Origin.STAFF:
        return limit
    cools_down = contacts.cools_down(
        merchant=merchant, currency=checked.pays.currency, lookup=checked.lookup, tag=checked.tag, now=now
    )
    return Limit.NEW_DESTINATION if cools_down else Limit.NONE


def _available(merchant: Merchant, currency: str) -> Money:
    standing = {balance.currency: balance.available for balance in ledger.balances(merchant)}
    return Money(standing[currency], currency) if currency in standing else Money.zero(currency)


# --- rows ---


def _rows(
    asker: _Asker, order: Order, checked: Checked, limit: Limit, now: datetime
) -> tuple[Operation, Withdrawal, Leg]:
    """What is stored; unsaved."""
    operation_id, wire_id, leg_id, _ = new_ids(1)[0]
    waits = limit != Limit.NONE
    operation = Operation(
        id=operation_id,
        merchant=asker.merchant,
        wire_id=wire_id,
        kind=OperationKind.WITHDRAWAL_EXCHANGE if checked.convert_to else OperationKind.WITHDRAWAL,
        status=OperationStatus.PENDING if waits else OperationStatus.PROCESSING,
        processor=checked.processor,
        foreign_id=order.foreign_id if order.foreign_id is not None else f"bo-{wire_id}",
        origin=asker.origin,
        end_user_reference=order.end_user_reference,
        currency_sent=checked.money.currency,
        amount_sent=checked.money.amount,
        currency_received=checked.pays.currency,
        amount_received=checked.pays.amount,
        amount_minus_fee=checked.pays.amount,
        terms=checked.offer.terms,
        rate=checked.rate,
        created_at=now,
        changed_at=now,
    )
    withdrawal = _withdrawal(operation, asker, order, checked, limit, now)
    if withdrawal.converts:
        return operation, withdrawal, closings.exchange_leg(withdrawal, leg_id, checked.pays)
    return operation, withdrawal, closings.chain_leg(withdrawal, leg_id, checked.pays)


def _withdrawal(
    operation: Operation, asker: _Asker, order: Order, checked: Checked, limit: Limit, now: datetime
) -> Withdrawal:
    """The intent. Its name at the processor ends by chance, so that none comes again after a restore."""
    waits = limit != Limit.NONE
    return Withdrawal(
        operation=operation,
        merchant=asker.merchant,
        processor=checked.processor,
        state=WithdrawalState.PENDING if waits else WithdrawalState.APPROVED,
        origin=asker.origin,
        api_key_id=asker.api_key_id,
        requested_by_id=asker.user_id,
        requested_at=now,
        note=order.note,
        parties=order.parties,
        currency=checked.money.currency,
        amount=checked.money.amount,
        fixed_side=checked.fixed_side,
        convert_to=checked.convert_to,
        amount_to=checked.pays.amount if checked.convert_to else None,
        address=checked.address,
        lookup=checked.lookup,
        tag=checked.tag,
        address_wire_id=_next_address_number(),
        fee=checked.fee.amount,
        mining_fee=checked.mining_fee.amount,
        held=checked.held.amount,
        is_internal=checked.is_internal,
        limit=limit,
        expires_at=now + WAITS_FOR if waits else None,
        our_id=f"m{asker.merchant.wire_id}-withdrawal-{operation.wire_id}-{secrets.token_hex(4)}",
    )


def _next_address_number() -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT nextval('address_wire_id')")
        return int(cursor.fetchone()[0])


# --- telling ---


def _tell_recipients(operation: Operation, withdrawal: Withdrawal, now: datetime) -> None:
    """A letter to each address that the merchant lists, in this transaction.

    The page's path is spelled out: a role that serves no pages may take an order as well.
    """
    merchant = operation.merchant
    for recipient in limits.recipients(merchant):
        mail.write(
            to=recipient.email,
            subject=f"A withdrawal of {merchant.name} waits for approval",
            template="withdrawal_waits",
            merchant=merchant.name,
            number=operation.wire_id,
            money=str(withdrawal.money),
            address=withdrawal.address,
            why=Limit(withdrawal.limit).label,
            until=withdrawal.expires_at,
            url=links.address(f"/m/{merchant.wire_id}/approvals/"),
            now=now,
        )


def _audit(
    asker: _Asker, operation: Operation, withdrawal: Withdrawal, now: datetime, how: audit.How
) -> None:
    audit.record(
        actor=asker.person.user if asker.person else None,
        act="withdrawals.create",
        merchant=asker.merchant,
        subject=operation.subject,
        after={
            "number": operation.wire_id,
            "foreign_id": operation.foreign_id,
            "amount": withdrawal.amount,
            "currency": withdrawal.currency,
            "convert_to": withdrawal.convert_to,
            "address": withdrawal.address,
            "tag": withdrawal.tag,
            "fee": withdrawal.fee,
            "mining_fee": withdrawal.mining_fee,
            "limit": str(withdrawal.limit),
            "note": withdrawal.note,
        },
        now=now,
        **how,
    )
