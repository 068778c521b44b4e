"""What the page shows of an invoice: plain values, so that the template only has to set them."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from payments import invoice_bodies
from payments.checkout import simulate, wallets
from payments.checkout.forms import ChoiceForm
from payments.checkout.stages import WAITING, Stage, stage, was_replaced
from payments.currencies import CURRENCIES
from payments.models import Invoice, InvoiceMode, InvoicePart, LegType

RETURNS_AFTER_SECONDS = 8
"""Until a page that says "paid" goes back to the shop by itself, where there is a script."""


def card(invoice: Invoice, *, form: ChoiceForm | None, now: datetime) -> dict[str, Any]:
    """The context of the card. form: as the payer sent it, when it was refused."""
    parts = list(invoice.parts.all())
    at = stage(invoice, parts, now=now)
    if at is Stage.CHOOSE and form is None:
        form = ChoiceForm(invoice=invoice, now=now)
    return {
        "invoice": invoice,
        "shop": invoice.merchant.public_name,
        "stage": str(at),
        "is_waiting": at in WAITING,
        "form": form,
        "choices": _choices(form),
        "in_parts": invoice.mode == InvoiceMode.GOOD_UNTIL_EXPIRED,
        "replaced": was_replaced(parts),
        "payments": [_payment(part) for part in parts],
        "left": [part for part in parts if part.left],
        "returns_after": RETURNS_AFTER_SECONDS,
        "acts": simulate.offered(at, has_address=invoice.address is not None).items(),
    } | _payable(invoice, parts)


def _payable(invoice: Invoice, parts: list[InvoicePart]) -> dict[str, Any]:
    """What to send and where, once something was chosen."""
    address, coin = invoice.address, CURRENCIES.get(invoice.sender_currency)
    if address is None or coin is None or coin.network is None:
        return {}
    standing = [part for part in parts if part.stands]
    remaining = invoice_bodies.remaining(invoice, standing)
    text = address.address or ""
    return {
        "coin": coin,
        "network": coin.network.name,
        "address": text,
        "tag": address.tag,
        "remaining": remaining,
        "paid_so_far": sum((part.operation.amount_sent for part in standing), start=type(remaining)(0)),
        "link": wallets.link(currency=coin, address=text, amount=remaining or None),
        "needed": coin.confirmations,
    }


def _choices(form: ChoiceForm | None) -> list[dict[str, Any]]:
    if form is None:
        return []
    return [
        {
            "quote": quote,
            "coin": CURRENCIES[quote.sent.currency],
            "is_chosen": form["currency"].value() == quote.sent.currency,
        }
        for quote in form.quotes
    ]


def _payment(part: InvoicePart) -> dict[str, Any]:
    leg = next(leg for leg in part.operation.legs.all() if leg.type == LegType.DEPOSIT)
    return {
        "amount": leg.amount,
        "currency": leg.currency,
        "confirmations": leg.confirmations,
        "txid": leg.txid,
        "status": part.operation.status,
        "standing": part.standing,
    }
