"""An invoice as its wire object: what its callbacks carry.

The key order is the contract's. What the payer has not chosen yet is left out, and so are deposits that were
cancelled or came when the invoice had ended: what is listed and what remains add up to what was asked.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from payments import invoice_rules, wire
from payments.models import Invoice, InvoicePart, Leg, LegType

Body = dict[str, Any]


def invoice_body(invoice: Invoice, *, with_sender: bool = False) -> Body:
    """The invoice in its present state; reads its address, its parts and their legs.

    with_sender: adds the payer's own address to the legs, which merchants ask for by a switch.
    """
    parts = [part for part in invoice.parts.all() if part.stands]
    return (
        {"id": invoice.wire_id, "foreign_id": invoice.foreign_id}
        | _optional("end_user_reference", invoice.end_user_reference)
        | {"type": "invoice"}
        | _payers_side(invoice, parts)
        | {
            "currency_received": {
                "currency": invoice.currency,
                "amount": wire.amount_text(invoice.amount),
            },
            "transactions": [
                _leg(leg, with_sender=with_sender)
                for part in parts
                for leg in part.operation.legs.all()
                if leg.type == LegType.DEPOSIT
            ],
            "fees": _fees(invoice),
            "error": invoice.error,
            "status": str(invoice.status),
        }
        | _times(invoice)
    )


def remaining(invoice: Invoice, parts: list[InvoicePart]) -> Decimal:
    """What is still to be sent, never below zero."""
    wanted: Decimal = invoice.sender_amount or Decimal(0)
    return max(wanted - invoice_rules.paid(parts).seen, Decimal(0))


def _payers_side(invoice: Invoice, parts: list[InvoicePart]) -> Body:
    address = invoice.address
    if address is None or invoice.sender_amount is None:
        return {}
    return {
        "crypto_address": {"id": address.wire_id, "currency": address.currency}
        | _optional("convert_to", address.convert_to)
        | {"address": address.address, "tag": address.tag},
        "currency_sent": {
            "currency": invoice.sender_currency,
            "amount": wire.amount_text(invoice.sender_amount),
            "remaining_amount": wire.amount_text(remaining(invoice, parts)),
        },
    }


def _leg(leg: Leg, *, with_sender: bool) -> Body:
    """As the samples have it: without a risk score."""
    body: Body = {
        "id": leg.wire_id,
        "currency": leg.currency,
        "transaction_type": str(leg.transaction_type),
        "type": str(leg.type),
        "address": leg.address,
        "tag": leg.tag,
        "amount": wire.amount_text(leg.amount),
    }
    body |= _optional("txid", leg.txid) | {"confirmations": str(leg.confirmations)}
    if with_sender and leg.sender_address:
        body |= {"sender": {"address": leg.sender_address}}
    return body


def _fees(invoice: Invoice) -> list[Body]:
    if not invoice.fee_amount:
        return []
    fee = wire.amount_text(invoice.fee_amount)
    return [{"type": invoice_rules.fee_type(invoice), "currency": invoice.currency, "amount": fee}]


def _times(invoice: Invoice) -> Body:
    if invoice.fixed_at is None or invoice.release_at is None:
        return {}
    return {
        "fixed_at": int(invoice.fixed_at.timestamp()),
        "expires_at": int(invoice.release_at.timestamp()),
    }


def _optional(key: str, value: object) -> Body:
    return {} if value in {None, ""} else {key: value}
