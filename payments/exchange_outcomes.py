"""How exchanges end: converted, or released to where the money came from.

At a promised price the merchant gets what was promised and the house's `conversion` account takes what the
processor gave beside it; at the market the merchant gets what the processor made of it, less our fee. The
ledger's key `exchange:<id>:close` is shared by both endings, so that the database lets only one happen. What
contradicts the record stops the batch and is looked at by people; it never moves money twice.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import cast

from django.db import transaction

from merchants import audit
from merchants.errors import Refusal
from payments import alerts, conversions, events, exchanges, ledger
from payments.deposit_rules import Contradiction
from payments.ledger import AccountKind, NewEntry
from payments.models import (
    Exchange,
    ExchangeState,
    Leg,
    Operation,
    OperationFee,
    OperationStatus,
    Processor,
    Terms,
)
from payments.models.exchange import ExchangeQuerySet
from payments.money import Money
from payments.processors.base import ConversionNotice, NoticeFee, PayoutStatus

UNAVAILABLE = "Exchange is unavailable for given currencies"
"""The wire's published text of a cancelled exchange; the processor's own words are for operators."""


class NotUnknown(Refusal):
    """Only an exchange whose outcome is unknown can be given up; this one: {state}."""


class ReasonMissing(Refusal):
    """Say who decided and why."""

    field = "reason"


class NotKnownYet(Exception):
    """The processor names an order by its own number only, which we may not have heard so far: try again."""


def record_many(*, processor: Processor, notices: Sequence[ConversionNotice], now: datetime) -> None:
    """Records what a processor says about exchanges; inside the caller's transaction, as its last act.

    Raises `Contradiction` when a notice cannot be true beside what is recorded, `NotKnownYet`.
    """
    if not transaction.get_connection().in_atomic_block:
        raise RuntimeError("record_many outside a transaction")
    known = _locked(processor, notices)
    endings = _Endings(now)
    for notice in notices:
        exchange = known.get(notice.our_id or notice.external_id)
        if exchange is None and not notice.our_id:
            raise NotKnownYet(notice.external_id)
        if exchange is None:
            raise Contradiction(what=f"{notice.our_id} is no exchange of ours")
        _demand_same(exchange, notice)
        exchange.known_as(notice.external_id)
        _record(endings, exchange, notice)
    endings.post()


@transaction.atomic
def fail(*, our_id: str, reason: str, among: Collection[ExchangeState], now: datetime) -> bool:
    """It was definitely not done and will not be.

    among: the states in which the caller may know that; in any other nothing is done, and it is False.
    """
    exchange = _lock(Exchange.objects.filter(our_id=our_id))[0]
    if exchange.state not in among:
        return False
    endings = _Endings(now)
    endings.release(exchange, reason)
    endings.post()
    return True


@transaction.atomic
def give_up(*, our_id: str, by: str, reason: str, now: datetime) -> Exchange:
    """People found out that the processor never did it and never will: the money is the merchant's again.

    by: who says so, in words. Raises `NotUnknown`, `ReasonMissing`, `Exchange.DoesNotExist`. A processor that
    converts it all the same contradicts the record from then on.
    """
    if not by.strip() or not reason.strip():
        raise ReasonMissing
    found = _lock(Exchange.objects.filter(our_id=our_id))
    if not found:
        raise Exchange.DoesNotExist
    exchange = found[0]
    if exchange.state != ExchangeState.UNKNOWN:
        raise NotUnknown(state=exchange.get_state_display())
    audit.record(
        actor_label=f"{by.strip()} (on the server)"[:254],
        act="exchanges.give_up",
        merchant=exchange.merchant,
        subject=exchange.subject,
        before={"state": exchange.state, "unknown_reason": exchange.unknown_reason},
        after={"reason": reason.strip()},
        now=now,
    )
    endings = _Endings(now)
    endings.release(exchange, reason)
    endings.post()
    return exchange


# --- what a notice says ---


def _record(endings: _Endings, exchange: Exchange, notice: ConversionNotice) -> None:
    match notice.status:
        case PayoutStatus.PENDING | PayoutStatus.PROCESSING:
            endings.is_taken(exchange)
        case PayoutStatus.CONFIRMED:
            if exchange.state != ExchangeState.CONFIRMED:
                _demand(exchange.state != ExchangeState.FAILED, f"{exchange} was released and is converted")
                endings.settle(exchange, *_amounts(exchange, notice), notice.fees)
        case PayoutStatus.CANCELLED | PayoutStatus.DECLINED:
            if exchange.state != ExchangeState.FAILED:
                _demand(exchange.state != ExchangeState.CONFIRMED, f"{exchange} was converted and is not")
                endings.release(exchange, notice.error or str(notice.status))


def _demand_same(exchange: Exchange, notice: ConversionNotice) -> None:
    """Raises `Contradiction` when the notice speaks of an order that was not given, or of another one."""
    _demand(exchange.prepared is not None, f"{exchange} was not sent")
    known = exchange.external_id
    _demand(known in {None, notice.external_id}, f"{exchange} is {known}, not {notice.external_id}")
    sent, received = notice.sent, notice.received
    _demand(sent is None or sent == exchange.gives, f"{exchange.gives} was ordered, {sent} is reported")
    _demand(received is None or received.currency == exchange.target, f"{received} was received")


def _amounts(exchange: Exchange, notice: ConversionNotice) -> tuple[Money, Money]:
    """What the processor debited and what it gave."""
    received = notice.received
    if received is None or received.amount <= 0:
        raise Contradiction(what=f"nothing was received for {exchange}")
    return notice.sent or exchange.gives, received


def _demand(fits: object, what: str) -> None:
    if not fits:
        raise Contradiction(what=what)


# --- endings ---


@dataclass
class _Endings:
    """What is to be written, in the order of the house: rows, news, entries."""

    now: datetime
    exchanges: dict[int, Exchange] = field(default_factory=dict)
    told: list[Operation] = field(default_factory=list)
    gone_legs: list[Leg] = field(default_factory=list)
    new_legs: list[Leg] = field(default_factory=list)
    fees: list[OperationFee] = field(default_factory=list)
    entries: list[NewEntry] = field(default_factory=list)

    def is_taken(self, exchange: Exchange) -> None:
        """The processor has the order; nothing is booked and nobody is told."""
        if exchange.state in {ExchangeState.SENDING, ExchangeState.UNKNOWN}:
            exchange.advance(state=ExchangeState.SENT, now=self.now)
        self.exchanges[exchange.pk] = exchange

    def settle(self, exchange: Exchange, sent: Money, received: Money, fees: Sequence[NoticeFee]) -> None:
        """It was converted: the processor took `sent` and gave `received`, its own fees apart."""
        given = exchange.gets if exchange.quote_id is not None else received
        fee = _fee(exchange, given)
        net = given - fee if fee.currency == given.currency else given
        operation = exchange.operation
        operation.receive(received=given, net=net, terms=operation.terms, rate=operation.rate)
        self._end(exchange, ExchangeState.CONFIRMED, OperationStatus.CONFIRMED)
        self._show(exchange, given, fee)
        lines = _settlement(exchange, given=given, fee=fee, sent=sent, received=received, fees=fees)
        self._enter(exchange, "exchange", lines)

    def release(self, exchange: Exchange, reason: str) -> None:
        """It was not converted and will not be: what was held is the merchant's again."""
        self._end(exchange, ExchangeState.FAILED, OperationStatus.CANCELLED, reason)
        held, merchant_id = exchange.holding, exchange.merchant_id
        lines = [ledger.held(merchant_id, -held), ledger.credit(merchant_id, held)]
        self._enter(exchange, "exchange_release", lines)

    def post(self) -> None:
        """Writes, tells, then books: the last that a transaction does."""
        Exchange.objects.bulk_update(self.exchanges.values(), Exchange.CHANGING)
        Operation.objects.bulk_update(self.told, Operation.CHANGING)
        if self.gone_legs:
            Leg.objects.filter(pk__in=[leg.pk for leg in self.gone_legs]).delete()
        Leg.objects.bulk_create(self.new_legs)
        OperationFee.objects.bulk_create(self.fees)
        asked_about = [row for row in self.exchanges.values() if row.is_final and row.asks]
        if asked_about:
            alerts.settle(keys=[row.matter for row in asked_about], now=self.now)
        events.transactions_changed(self.told)
        ledger.post_many(self.entries)

    def _end(
        self, exchange: Exchange, state: ExchangeState, status: OperationStatus, reason: str = ""
    ) -> None:
        exchange.advance(state=state, now=self.now, failure=reason)
        error = UNAVAILABLE if status == OperationStatus.CANCELLED else ""
        exchange.operation.advance(status=status, error=error, now=self.now)
        self.exchanges[exchange.pk] = exchange
        self.told.append(exchange.operation)

    def _show(self, exchange: Exchange, given: Money, fee: Money) -> None:
        """The conversion as it came out, and the fee."""
        (shown,) = exchange.operation.legs.all()
        if shown.amount_to != given.amount:
            self.gone_legs.append(shown)
            self.new_legs.append(exchanges.leg(exchange.operation, shown.wire_id, exchange.gives, given))
        if fee:
            operation = exchange.operation
            self.fees.append(
                OperationFee(operation=operation, type="exchange", currency=fee.currency, amount=fee.amount)
            )

    def _enter(self, exchange: Exchange, kind: str, lines: list[ledger.Line]) -> None:
        key = f"exchange:{exchange.operation_id}:close"
        self.entries.append(NewEntry(key, kind, exchange.subject, self.now, lines))


def _fee(exchange: Exchange, given: Money) -> Money:
    """As quoted; at the market a fee on what is got is on what was really got."""
    if exchange.quote_id is not None or exchange.fee_currency == exchange.source:
        return exchange.charged
    agreed = cast(Terms, exchange.operation.terms)  # each exchange keeps the terms that it was made under
    return conversions.fee_on(exchange.gives, given, percent=agreed.exchange_fee_percent)


def _settlement(
    exchange: Exchange,
    *,
    given: Money,
    fee: Money,
    sent: Money,
    received: Money,
    fees: Sequence[NoticeFee],
) -> list[ledger.Line]:
    """The lines of a converted exchange; each currency sums to zero by itself."""
    merchant_id, processor_id = exchange.merchant_id, exchange.processor_id
    lines = [
        ledger.held(merchant_id, -exchange.holding),
        ledger.at_processor(processor_id, sent),
        ledger.house(AccountKind.CONVERSION, exchange.gives - sent),
        ledger.credit(merchant_id, given - fee if fee.currency == given.currency else given),
        ledger.at_processor(processor_id, -received),
        ledger.house(AccountKind.CONVERSION, received - given),
        ledger.house(AccountKind.FEE_INCOME, fee),
    ]
    for taken in fees:
        lines += [
            ledger.at_processor(processor_id, taken.money),
            ledger.at_processor(processor_id, -taken.money, AccountKind.PROCESSOR_FEE),
        ]
    return lines


# --- loading ---


def _locked(processor: Processor, notices: Sequence[ConversionNotice]) -> dict[str, Exchange]:
    """The exchanges that the notices speak of, by our id and by the processor's."""
    mine = Exchange.objects.filter(processor=processor)
    by_us = mine.filter(our_id__in=[notice.our_id for notice in notices if notice.our_id])
    by_them = mine.filter(external_id__in=[notice.external_id for notice in notices if not notice.our_id])
    found = _lock(by_us | by_them)
    return {row.our_id: row for row in found} | {row.external_id: row for row in found if row.external_id}


def _lock(asked: ExchangeQuerySet) -> list[Exchange]:
    """The exchanges, and after them their operations, locked in one order with all that an ending reads."""
    rows = list(asked.select_for_update(no_key=True).order_by("operation_id"))
    operations = (
        Operation.objects.filter(pk__in=[row.pk for row in rows])
        .select_related("terms", "rate")
        .prefetch_related("legs")
        .select_for_update(of=("self",), no_key=True)
        .order_by("pk")
    )
    by_id = {operation.pk: operation for operation in operations}
    for row in rows:
        row.operation = by_id[row.pk]
    return rows
