"""What a processor's notice makes of a deposit: pure decisions, no database.

Ranks: a final status is never undone by an earlier one that arrives late; `confirmed` and `cancelled` may
follow each other, since chains reorganise. A notice that contradicts what is recorded raises
`Contradiction` and is looked at by people.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from merchants.errors import Refusal
from payments import fees, ledger
from payments.currencies import CURRENCIES
from payments.models import (
    BELOW_MINIMUM,
    Address,
    AddressOrigin,
    CreditedTo,
    Future,
    Leg,
    LegType,
    Operation,
    OperationKind,
    OperationStatus,
    Terms,
    TransactionType,
)
from payments.money import Money
from payments.processors.base import DepositNotice, DepositStatus

REPLACED = "Transaction was replaced in the network"
_LONGEST_ERROR = 255
"""Of a processor's own words, what an operation keeps; no text may keep money from being taken back."""


class Contradiction(Refusal):
    """The processor contradicts what is recorded: {what}."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a deposit is, by one notice.

    received: gross. net: what the merchant gets. credited: what the processor credited us, None while
    nothing was. fee: ours, charged to the merchant. difference: what it made beyond a held price.
    """

    status: OperationStatus
    error: str
    received: Money
    net: Money
    fee: Money
    credited: Money | None
    credited_to: CreditedTo
    difference: Money | None = None


def demand_sane(notice: DepositNotice, *, currency: str, convert_to: str) -> None:
    """Raises `Contradiction` unless the notice's amounts fit an address of `currency` and each other."""
    received, credited = notice.received, notice.credited
    _demand(notice.sent.amount > 0, f"{notice.external_id} moves nothing")
    _demand(notice.sent.currency in CURRENCIES, f"unknown currency {notice.sent.currency}")
    if notice.expected_currency is not None:
        _demand(notice.expected_currency == currency, f"address was issued for {currency}")
    elif not convert_to:
        _demand(notice.sent.currency == currency, f"{notice.sent.currency} at an address for {currency}")
    if received is not None:
        _demand(received.currency == (convert_to or notice.sent.currency), f"received {received.currency}")
        _demand(received.amount >= 0, "a negative amount was received")
        _demand(convert_to or received <= notice.sent, "more was received than sent")
        _demand(
            received or notice.status != DepositStatus.CONFIRMED, f"nothing was received of {notice.sent}"
        )
    if credited is not None:
        _demand(received is not None and credited.currency == received.currency, "credited another currency")
        _demand(received is not None and credited <= received, "more was credited than received")
        _demand(credited.amount >= 0, "a negative amount was credited")


def demand_same(operation: Operation, notice: DepositNotice, *, lookup: str) -> None:
    """Raises `Contradiction` when the notice speaks of another amount or address than recorded."""
    _demand(notice.sent == operation.sent, f"{operation.sent} was recorded, {notice.sent} is reported")
    _demand(operation.came_to.lookup == lookup, "another address is reported")
    _demand(operation.came_to.tag == notice.tag, "another tag is reported")


def _demand(fits: object, what: str) -> None:
    if not fits:
        raise Contradiction(what=what)


def demand_news(operation: Operation, notice: DepositNotice) -> None:
    """Raises `Contradiction` when bytes that were applied before would now undo what was said since.

    The processor may have gone back to its first word, or an old message may have been sent again; nothing
    in the bytes tells which, so people ask.
    """
    undoes = notice.status == (DepositStatus.CANCELLED if operation.is_booked else DepositStatus.CONFIRMED)
    _demand(
        not (notice.repeated and undoes),
        f"the same bytes say {notice.status} again after it had said otherwise; ask it, then replay",
    )


def stands(operation: Operation, notice: DepositNotice) -> bool:
    """Whether a notice that was applied once would change nothing now."""
    if notice.status == DepositStatus.NOT_CONFIRMED:
        return True
    if notice.status == DepositStatus.CONFIRMED:
        return operation.is_booked
    return operation.status == OperationStatus.CANCELLED and not operation.is_booked


def is_late(operation: Operation, notice: DepositNotice) -> bool:
    """An earlier status than the recorded one, or an earlier word of the same rank, coming after it."""
    if operation.status == OperationStatus.NOT_CONFIRMED:
        return False
    if notice.status == DepositStatus.NOT_CONFIRMED:
        return True
    return bool(operation.heard_at and notice.heard_at and notice.heard_at < operation.heard_at)


def judge(
    notice: DepositNotice,
    *,
    address: Address,
    terms: Terms | None,
    blocked: bool,
    future: Future | None = None,
) -> Verdict:
    """What the deposit is by this notice alone, whatever was recorded before.

    One to an invoice's address counts however small it is, and costs nothing by itself: it is held whole
    until its invoice is paid, and the fee is the invoice's.
    """
    for_invoice = address.origin == AddressOrigin.INVOICE
    received = notice.received or Money.zero(address.convert_to or notice.sent.currency)
    if notice.status == DepositStatus.CANCELLED:
        return _cancelled(received, notice.error[:_LONGEST_ERROR] or REPLACED, None)
    credited = _credited(notice, received)
    if terms is not None and not for_invoice and notice.sent.amount < terms.deposit_minimum:
        return _cancelled(received, BELOW_MINIMUM, credited)
    given = received if future is None else future.converted(notice.sent)
    if notice.status == DepositStatus.NOT_CONFIRMED:
        return Verdict(
            status=OperationStatus.NOT_CONFIRMED,
            error="",
            received=given,
            net=given,
            fee=Money.zero(received.currency),
            credited=None,
            credited_to=CreditedTo.NOWHERE,
        )
    net, fee = _split(given, address, None if for_invoice else terms)
    return Verdict(
        status=OperationStatus.CONFIRMED,
        error="",
        received=given,
        net=net,
        fee=fee,
        credited=credited,
        credited_to=CreditedTo.HELD if blocked or for_invoice else CreditedTo.AVAILABLE,
        difference=None if future is None else received - given,
    )


def _cancelled(received: Money, error: str, credited: Money | None) -> Verdict:
    return Verdict(
        status=OperationStatus.CANCELLED,
        error=error,
        received=received,
        net=Money.zero(received.currency),
        fee=Money.zero(received.currency),
        credited=credited,
        credited_to=CreditedTo.NOWHERE if credited is None else CreditedTo.DUST,
    )


def _credited(notice: DepositNotice, received: Money) -> Money | None:
    """What the processor gave us, once it is final; all of it where the processor names no fee."""
    if notice.status != DepositStatus.CONFIRMED:
        return None
    return received if notice.credited is None else notice.credited


def _split(received: Money, address: Address, terms: Terms | None) -> tuple[Money, Money]:
    if terms is None:
        return received, Money.zero(received.currency)
    if address.convert_to:
        return fees.split(received, percent=terms.deposit_exchange_fee_percent, minimum=Decimal(0))
    return fees.split(received, percent=terms.deposit_fee_percent, minimum=terms.deposit_minimum_fee)


def fee_type(kind: str) -> str:
    """The wire's short name of our fee on a deposit."""
    return "exchange" if kind == OperationKind.DEPOSIT_EXCHANGE else "deposit"


def booking(
    verdict: Verdict, notice: DepositNotice, *, merchant_id: int, processor_id: int
) -> list[ledger.Line]:
    """The ledger lines of a credited deposit."""
    if verdict.credited_to == CreditedTo.DUST:
        return [
            *from_processor(verdict.received, verdict.credited, notice, processor_id=processor_id),
            ledger.at_processor(processor_id, verdict.received, ledger.AccountKind.DUST),
        ]
    to_merchant = ledger.held if verdict.credited_to == CreditedTo.HELD else ledger.credit
    difference = verdict.difference or Money.zero(verdict.received.currency)
    return [
        *from_processor(verdict.received + difference, verdict.credited, notice, processor_id=processor_id),
        ledger.house(ledger.AccountKind.CONVERSION, difference),
        to_merchant(merchant_id, verdict.net),
        ledger.house(ledger.AccountKind.FEE_INCOME, verdict.fee),
    ]


def from_processor(
    received: Money, credited: Money | None, notice: DepositNotice, *, processor_id: int
) -> list[ledger.Line]:
    """Where a deposit's gross amount lies: at the processor, less what the processor kept.

    A fee that the processor took in another currency (a token's sweep, in the chain's coin) is its own pair.
    """
    credited = received if credited is None else credited
    lines = [
        ledger.at_processor(processor_id, -credited),
        ledger.at_processor(processor_id, credited - received, ledger.AccountKind.PROCESSOR_FEE),
    ]
    for fee in notice.fees:
        if fee.money.currency != received.currency and fee.money:
            lines += [
                ledger.at_processor(processor_id, fee.money),
                ledger.at_processor(processor_id, -fee.money, ledger.AccountKind.PROCESSOR_FEE),
            ]
    return lines


def risk(notice: DepositNotice) -> tuple[bool, str | None]:
    """(whether a score was asked for, the score)."""
    return notice.risk is not None, notice.risk.score if notice.risk else None


def deposit_leg(operation: Operation, wire_id: int, notice: DepositNotice) -> Leg:
    """The movement on chain; unsaved."""
    asked, score = risk(notice)
    return Leg(
        merchant=operation.merchant,
        operation=operation,
        wire_id=wire_id,
        transaction_type=TransactionType.BLOCKCHAIN,
        type=LegType.DEPOSIT,
        currency=notice.sent.currency,
        address=operation.came_to.address or "",
        tag=operation.came_to.tag,
        amount=notice.sent.amount,
        txid=notice.txid or "",
        risk_asked=asked,
        riskscore=score,
        confirmations=notice.confirmations,
        sender_address=notice.sender_address or "",
    )


def exchange_leg(operation: Operation, wire_id: int, sent: Money, received: Money) -> Leg:
    """The conversion of what arrived; unsaved."""
    return Leg(
        merchant=operation.merchant,
        operation=operation,
        wire_id=wire_id,
        transaction_type=TransactionType.EXCHANGE,
        type=LegType.EXCHANGE,
        currency=sent.currency,
        currency_to=received.currency,
        amount=sent.amount,
        amount_to=received.amount,
    )
