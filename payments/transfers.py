"""Transfers: a withdrawal to another merchant of the installation moves no coins and is done at once.

It happens only where nothing could tell it from a payment on chain but the time: the address belongs to the
other merchant, is of the same currency and processor, and converts nothing. The other merchant gets an
ordinary deposit. In the books the amount passes through the processor's account, out and in again.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from payments import deposit_rules, terms
from payments.closings import Closing
from payments.ledger import NewEntry
from payments.models import (
    Address,
    AddressOrigin,
    CreditedTo,
    LegType,
    Operation,
    OperationFee,
    OperationKind,
    Terms,
    TransactionType,
    Withdrawal,
)
from payments.models.operation import new_ids
from payments.processors.base import DepositNotice, DepositStatus


def settle(withdrawal: Withdrawal, closing: Closing) -> None:
    """Settles an internal withdrawal and credits whose address it is."""
    leg = next(leg for leg in withdrawal.operation.legs.all() if leg.type == LegType.WITHDRAWAL)
    txid = f"CP:{withdrawal.currency}W{leg.wire_id}"
    money = withdrawal.money
    closing.settle(withdrawal, paid=money, received=money, txid=txid)
    _credit(withdrawal, txid, closing)


@dataclass(frozen=True, slots=True)
class Receiver:
    """Who would be credited without a chain. least: the smallest deposit there that is credited."""

    address: Address
    least: Decimal


def receiver(address: Address, *, currency: str, now: datetime) -> Receiver | None:
    """What a withdrawal in `currency` to a taken address would reach without a chain.

    None when the address is another currency's or converts, and when its merchant is blocked or has not
    enabled the currency: then it is paid on chain like any other.
    """
    if address.merchant is None or address.merchant.is_blocked:
        return None
    if address.currency != currency or address.convert_to:
        return None
    agreed = _terms(address, now)
    if agreed is None or not agreed.enabled:
        return None
    return Receiver(address, agreed.deposit_minimum)


def owned(*, processor_id: int, lookup: str, tag: str | None) -> Address | None:
    """The address there that some merchant has taken."""
    rows = Address.objects.filter(processor_id=processor_id, lookup=lookup, tag=tag)
    return rows.exclude(origin=AddressOrigin.POOL).select_related("merchant").first()


def _credit(withdrawal: Withdrawal, txid: str, closing: Closing) -> None:
    """The other side, as a deposit that is confirmed at first sight."""
    address = owned(processor_id=withdrawal.processor_id, lookup=withdrawal.lookup, tag=withdrawal.tag)
    if address is None or address.merchant is None:
        raise RuntimeError(f"{withdrawal} is internal and goes to nobody")
    notice = _notice(withdrawal, address, txid)
    agreed = _terms(address, closing.now)
    verdict = deposit_rules.judge(notice, address=address, terms=agreed, blocked=address.merchant.is_blocked)
    operation_id, wire_id, leg_id, _ = new_ids(1)[0]
    operation = Operation(
        id=operation_id,
        merchant=address.merchant,
        wire_id=wire_id,
        kind=OperationKind.DEPOSIT,
        status=verdict.status,
        processor_id=withdrawal.processor_id,
        external_id=notice.external_id,
        address=address,
        end_user_reference=address.end_user_reference,
        currency_sent=notice.sent.currency,
        amount_sent=notice.sent.amount,
        error=verdict.error,
        created_at=closing.now,
        changed_at=closing.now,
    )
    operation.receive(received=verdict.received, net=verdict.net, terms=agreed, rate=None)
    key = operation.book(credited_to=verdict.credited_to, credited=notice.sent.amount)
    lines = deposit_rules.booking(
        verdict, notice, merchant_id=operation.merchant_id, processor_id=withdrawal.processor_id
    )
    leg = deposit_rules.deposit_leg(operation, leg_id, notice)
    leg.transaction_type = TransactionType.INTERNAL
    closing.arrive(
        operation,
        leg,
        _fee(operation, verdict),
        NewEntry(key, "deposit", operation.subject, closing.now, lines),
    )


def _notice(withdrawal: Withdrawal, address: Address, txid: str) -> DepositNotice:
    money = withdrawal.money
    return DepositNotice(
        external_id=f"internal:{withdrawal.operation_id}",
        address=address.address or "",
        tag=address.tag,
        status=DepositStatus.CONFIRMED,
        sent=money,
        received=money,
        credited=money,
        txid=txid,
    )


def _fee(operation: Operation, verdict: deposit_rules.Verdict) -> OperationFee | None:
    if not verdict.fee or verdict.credited_to == CreditedTo.DUST:
        return None
    kind = deposit_rules.fee_type(operation.kind)
    return OperationFee(
        operation=operation, type=kind, currency=verdict.fee.currency, amount=verdict.fee.amount
    )


def _terms(address: Address, now: datetime) -> Terms | None:
    pair = (address.merchant_id or 0, address.currency)
    return terms.in_force_for([pair], now=now).get(pair)
