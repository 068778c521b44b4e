"""Payouts: what processors report of withdrawals that were handed to them.

`record_many` takes a batch of notices in one transaction. A processor's word ends a withdrawal once:
settled when it was paid, released when it definitely was not. A word that comes twice or late changes
nothing, and one may come before the answer to handing the order over. What contradicts the record (an
amount that was not ordered, an order that was never made, another ending than before) stops the batch, so
that people look; it never moves money.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal

from django.db import transaction

from payments import closings
from payments.closings import Closing
from payments.currencies import CURRENCIES
from payments.deposit_rules import Contradiction
from payments.models import FixedSide, Processor, Withdrawal, WithdrawalState
from payments.models.withdrawal import IN_FLIGHT
from payments.money import Money
from payments.processors.base import Payout, PayoutNotice, PayoutStatus

__all__ = ["Contradiction", "confirm", "fail", "order_of", "record_many"]

NOT_EXECUTED = "The withdrawal was not executed"
"""Where the processor gives no words of its own that may go on the wire."""
_WIRE_SAFE = re.compile(r"[ !#-.0-\[\]-~]{1,255}", re.ASCII)
"""Printable ASCII without what receivers escape differently: a slash, a backslash, a quotation mark."""
_SLIPPAGE = Decimal(2)
"""The other side of a conversion may come out at half to double its estimate; beyond that people look."""
_OPEN = {PayoutStatus.PENDING, PayoutStatus.PROCESSING}


def record_many(*, processor: Processor, notices: Sequence[PayoutNotice], now: datetime) -> None:
    """Records what a processor says about payouts; inside the caller's transaction, and last in it.

    Raises `Contradiction` when a notice cannot be true beside what is recorded.
    """
    _demand_transaction()
    our_ids = {notice.our_id for notice in notices}
    withdrawals = {one.our_id: one for one in closings.locked(processor=processor, our_id__in=our_ids)}
    closing = Closing(now)
    for notice in notices:
        withdrawal = withdrawals.get(notice.our_id)
        if withdrawal is None:
            raise Contradiction(what=f"we ordered nothing as {notice.our_id}")
        _record(withdrawal, notice, closing)
    closing.post()


def fail(*, withdrawal: Withdrawal, error: str, now: datetime) -> None:
    """The processor refused the order, or two people say that it was not paid: the money goes back.

    withdrawal: one of `closings.locked`, in the caller's transaction, which this ends. error: the processor's
    words; what may not go on the wire is replaced.
    """
    _demand_transaction()
    closing = Closing(now)
    closing.release(withdrawal, WithdrawalState.FAILED, error=wire_safe(error))
    closing.post()


def confirm(*, withdrawal: Withdrawal, txid: str = "", now: datetime) -> None:
    """Two people say that it was paid: settled as it was ordered; the books learn of no fee. As `fail`."""
    _demand_transaction()
    closing = Closing(now)
    closing.settle(withdrawal, paid=withdrawal.money, received=withdrawal.pays, txid=txid)
    closing.post()


def order_of(withdrawal: Withdrawal) -> Payout:
    """What the processor is to be asked for; reads the operation."""
    fixes_arrival = withdrawal.fixed_side == FixedSide.RECEIVED
    return Payout(
        our_id=withdrawal.our_id,
        amount=withdrawal.money,
        address=withdrawal.address,
        tag=withdrawal.tag,
        convert_to=withdrawal.convert_to or None,
        amount_to=withdrawal.pays if fixes_arrival and withdrawal.converts else None,
        end_user_reference=withdrawal.operation.end_user_reference,
        extra=withdrawal.parties or {},
    )


def wire_safe(error: str) -> str:
    """The processor's words where they may go on the wire as they are, else a sentence of ours."""
    words = error.strip()
    return words if _WIRE_SAFE.fullmatch(words) else NOT_EXECUTED


# --- one notice ---


def _record(withdrawal: Withdrawal, notice: PayoutNotice, closing: Closing) -> None:
    _demand_ours(withdrawal, notice)
    if withdrawal.is_closed:
        _compare(withdrawal, notice, closing)
        return
    _demand(withdrawal.state in IN_FLIGHT, f"{notice.our_id} was never sent")
    withdrawal.took(notice.external_id)
    if notice.status in _OPEN:
        if withdrawal.state != WithdrawalState.SENT:
            closing.is_sent(withdrawal)
    elif notice.status == PayoutStatus.CONFIRMED:
        closing.settle(
            withdrawal,
            paid=notice.paid or withdrawal.money,
            received=notice.received or withdrawal.pays,
            fees=notice.fees,
            txid=notice.txid or "",
            confirmations=notice.confirmations,
        )
    else:
        closing.release(withdrawal, WithdrawalState.FAILED, error=wire_safe(notice.error))


def _compare(withdrawal: Withdrawal, notice: PayoutNotice, closing: Closing) -> None:
    """A word about one that has ended: it may come late, and may not say otherwise."""
    says_paid = notice.status == PayoutStatus.CONFIRMED
    if withdrawal.state == WithdrawalState.CONFIRMED:
        _demand(says_paid or notice.status in _OPEN, f"{notice.our_id} was paid before, now {notice.status}")
        if says_paid:
            closing.follow(withdrawal, txid=notice.txid, confirmations=notice.confirmations)
        return
    _demand(withdrawal.state == WithdrawalState.FAILED, f"{notice.our_id} was never sent")
    _demand(not says_paid, f"{notice.our_id} was not paid before, now it was")
    was_taken = withdrawal.external_id is not None
    _demand(was_taken or notice.status not in _OPEN, f"{notice.our_id} was refused, now {notice.status}")


def _demand_ours(withdrawal: Withdrawal, notice: PayoutNotice) -> None:
    """Raises `Contradiction` unless the notice speaks of this order and of what was ordered."""
    known = withdrawal.external_id in {None, notice.external_id}
    _demand(known, f"{notice.our_id} is {withdrawal.external_id} there, not {notice.external_id}")
    estimated = withdrawal.converts
    fixes_arrival = withdrawal.fixed_side == FixedSide.RECEIVED
    if notice.paid is not None:
        _demand_amount(notice.paid, withdrawal.money, estimated=estimated and fixes_arrival)
    if notice.received is not None:
        _demand_amount(notice.received, withdrawal.pays, estimated=estimated and not fixes_arrival)
    for fee in notice.fees:
        _demand(fee.money.currency in CURRENCIES, f"a fee in {fee.money.currency}")


def _demand_amount(said: Money, ordered: Money, *, estimated: bool) -> None:
    _demand(said.currency == ordered.currency, f"{ordered} was ordered, {said} is reported")
    if estimated:
        bounds = (ordered.amount / _SLIPPAGE, ordered.amount * _SLIPPAGE)
        _demand(bounds[0] <= said.amount <= bounds[1], f"{ordered} was reckoned, {said} is reported")
    else:
        _demand(said == ordered, f"{ordered} was ordered, {said} is reported")


def _demand(fits: object, what: str) -> None:
    if not fits:
        raise Contradiction(what=what)


def _demand_transaction() -> None:
    if not transaction.get_connection().in_atomic_block:
        raise RuntimeError("payouts are recorded inside a transaction")
