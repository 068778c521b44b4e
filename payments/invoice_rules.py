"""What invoices come to: pure decisions about amounts, no database.

The payer is asked for the amount at the held price, rounded up. What the payer sent is taken in the order in
which it came until that is reached; what is not taken stays the payer's, worth what the processor made of
it. The merchant gets the invoice's amount less our fee, whatever the processor's own rate was: the house's
`conversion` account takes the difference.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from decimal import ROUND_FLOOR, Context, Decimal

from payments import fees, ledger
from payments.currencies import CURRENCIES
from payments.models import (
    NOT_PAID,
    PROCESSING_TOO_LONG,
    UNDERPAID,
    CreditedTo,
    Invoice,
    InvoicePart,
    InvoiceStatus,
    Leftover,
    PartStanding,
)
from payments.money import CONTEXT, WIRE_PLACES, Money

HELD_FOR = timedelta(minutes=15)
"""How long a rate is held for a payer."""
CONFIRMED_WITHIN = timedelta(hours=24)
"""How long the network may take, from the moment when the whole amount was seen."""
_STEP = Decimal(1).scaleb(-WIRE_PLACES)
_DOWN = Context(prec=78, rounding=ROUND_FLOOR)


@dataclass(frozen=True, slots=True)
class Paid:
    """What an invoice was paid, in the payer's currency: all that was seen, and what of it is confirmed."""

    seen: Decimal
    confirmed: Decimal


def to_send(asked: Money, *, price: Decimal, currency: str) -> Money:
    """The least amount of `currency` that is worth `asked` at `price` units of asked for one."""
    amount = _DOWN.divide(asked.amount, price).quantize(_STEP, context=_DOWN)
    while CONTEXT.multiply(amount, price) < asked.amount:
        amount = CONTEXT.add(amount, _STEP)
    return Money(amount, currency)


def standing_of(sent_in: str, invoice: Invoice) -> PartStanding:
    """What a deposit is to the invoice that is seen now for the first time."""
    if sent_in != invoice.sender_currency:
        return PartStanding.FOREIGN
    return PartStanding.COUNTED if invoice.is_counting else PartStanding.LATE


def paid(parts: Iterable[InvoicePart]) -> Paid:
    """The sums of the parts that stand."""
    standing = [part for part in parts if part.stands]
    confirmed = [part for part in standing if part.operation.is_booked]
    return Paid(seen=_sent(standing), confirmed=_sent(confirmed))


def _sent(parts: Iterable[InvoicePart]) -> Decimal:
    return sum((part.operation.amount_sent for part in parts), Decimal(0))


def reason_of_the_end(invoice: Invoice, parts: Iterable[InvoicePart]) -> str:
    """Why an invoice whose time is up has failed, in the wire's words."""
    if invoice.status == InvoiceStatus.PROCESSING:
        return PROCESSING_TOO_LONG
    return UNDERPAID if paid(parts).seen else NOT_PAID


def take(invoice: Invoice, parts: Sequence[InvoicePart]) -> list[InvoicePart]:
    """Marks what of the confirmed parts goes to the merchant; returns those that were needed."""
    wanted: Decimal = invoice.sender_amount or Decimal(0)
    needed = []
    for part in parts:
        if not (wanted and part.stands and part.operation.is_booked):
            continue
        sent, received = part.operation.amount_sent, part.operation.amount_received
        taken = min(wanted, sent)
        rest = _DOWN.divide(_DOWN.multiply(received, sent - taken), sent).quantize(_STEP, context=_DOWN)
        part.take(taken=taken, settled=received - rest)
        needed.append(part)
        wanted -= taken
    return needed


def fee_of(invoice: Invoice) -> Money:
    """Our fee, of the amount that the merchant asked for, by the terms of the payer's currency."""
    terms = invoice.terms
    if terms is None:
        raise RuntimeError(f"{invoice} has no terms")
    if invoice.sender_currency == invoice.currency:
        percent, minimum = terms.deposit_fee_percent, terms.deposit_minimum_fee
    else:
        percent, minimum = terms.deposit_exchange_fee_percent, Decimal(0)
    return fees.fee_for(invoice.asked, percent=percent, minimum=minimum)


def fee_type(invoice: Invoice) -> str:
    """The wire's long name of it."""
    to_fiat = not CURRENCIES[invoice.currency].is_crypto
    return "fee_crypto_deposit_to_fiat" if to_fiat else "fee_crypto_deposit"


def settlement(invoice: Invoice, needed: Iterable[InvoicePart], fee: Money) -> list[ledger.Line]:
    """The ledger lines that credit the merchant out of what the needed parts hold."""
    came = Money(sum((part.settled for part in needed), Decimal(0)), invoice.currency)
    to_merchant = ledger.held if invoice.credited_to == CreditedTo.HELD else ledger.credit
    return [
        ledger.held(invoice.merchant_id, -came),
        to_merchant(invoice.merchant_id, invoice.asked - fee),
        ledger.house(ledger.AccountKind.FEE_INCOME, fee),
        ledger.house(ledger.AccountKind.CONVERSION, came - invoice.asked),
    ]


def leave(invoice: Invoice, parts: Iterable[InvoicePart]) -> None:
    """Marks what of each part is left for the payer: nothing while the invoice may still be paid."""
    for part in parts:
        part.leave(_leftover(invoice, part))


def _leftover(invoice: Invoice, part: InvoicePart) -> Leftover:
    if part.standing == PartStanding.FOREIGN:
        return Leftover.FOREIGN
    if part.standing == PartStanding.LATE:
        return Leftover.LATE
    if invoice.is_counting:
        return Leftover.NONE
    return Leftover.OVERPAID if invoice.status == InvoiceStatus.CONFIRMED else Leftover.FAILED
