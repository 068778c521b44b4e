"""Where an invoice stands for its payer: one stage, from which the page takes its words.

The wire has five statuses; a payer needs more, since "failed" is a word for six different things.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum

from payments.models import Invoice, InvoicePart, InvoiceStatus
from payments.models.invoice import CANCELLED_BY_MERCHANT, PROCESSING_TOO_LONG, UNDERPAID
from payments.models.invoice_part import Leftover, PartStanding


class Stage(StrEnum):
    """What a payer is told."""

    CHOOSE = "choose"
    """Nothing to pay in was chosen yet."""
    PAY = "pay"
    """Everything is ready; nothing has come."""
    PART_PAID = "part_paid"
    """Less than the whole was seen, and there is time left."""
    SEEN = "seen"
    """The whole was seen; the network confirms it."""
    PAID = "paid"
    OVERPAID = "overpaid"
    """Paid, and more than asked."""
    ENDING = "ending"
    """The time is over, and nobody has closed the invoice yet."""
    EXPIRED = "expired"
    """Nobody paid."""
    UNDERPAID = "underpaid"
    """Less than the whole came in time; it is kept for the payer."""
    TOO_LONG = "too_long"
    """The network did not confirm it within a day."""
    PAID_LATE = "paid_late"
    """Money came after the end; it is kept for the payer."""
    CANCELLED = "cancelled"
    """The shop gave the invoice up."""


WAITING = frozenset({Stage.PAY, Stage.PART_PAID, Stage.SEEN, Stage.ENDING})
"""Something is about to happen: without a script, the page loads itself again."""


def stage(invoice: Invoice, parts: Sequence[InvoicePart], *, now: datetime) -> Stage:
    """What the payer is told. parts: all deposits to the invoice's address."""
    if invoice.status == InvoiceStatus.CONFIRMED:
        over = any(part.leftover == Leftover.OVERPAID for part in parts)
        return Stage.OVERPAID if over else Stage.PAID
    if invoice.status == InvoiceStatus.FAILED:
        return _failed(invoice, parts)
    if invoice.is_over(now):
        return Stage.ENDING
    if invoice.status == InvoiceStatus.PROCESSING:
        return Stage.SEEN
    if not invoice.is_chosen:
        return Stage.CHOOSE
    return Stage.PART_PAID if any(part.stands for part in parts) else Stage.PAY


def _failed(invoice: Invoice, parts: Sequence[InvoicePart]) -> Stage:
    if any(part.standing == PartStanding.LATE for part in parts):
        return Stage.PAID_LATE
    reasons = {
        CANCELLED_BY_MERCHANT: Stage.CANCELLED,
        UNDERPAID: Stage.UNDERPAID,
        PROCESSING_TOO_LONG: Stage.TOO_LONG,
    }
    return reasons.get(invoice.error, Stage.EXPIRED)


def was_replaced(parts: Sequence[InvoicePart]) -> bool:
    """A payment was seen and then taken back by the network, and nothing came in its place."""
    return any(part.standing == PartStanding.COUNTED for part in parts) and not any(
        part.stands for part in parts
    )
