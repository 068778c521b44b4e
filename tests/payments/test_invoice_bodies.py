"""Invoices' bodies: every invoice of the published vectors, from rows, byte for byte."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from payments import bodies, invoice_bodies
from payments.models import Invoice, InvoicePart, Leg, Operation, Rate
from payments.money import Money
from tests import factories
from tests.factories import NOW
from tests.vectors import callbacks

pytestmark = pytest.mark.django_db

INVOICES = callbacks("invoice")
WAY = {
    "pending": [],
    "processing": ["processing"],
    "confirmed": ["processing", "confirmed"],
    "failed": ["failed"],
}


def at(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def stored(payload: dict[str, Any]) -> Invoice:
    """The rows that such a callback comes from, moved there as Bursar moves them."""
    shown, sent = payload["crypto_address"], payload["currency_sent"]
    merchant = factories.merchant()
    terms = factories.terms(shown["currency"], merchant=merchant, deposit_exchange_fee_percent="0.008")
    address = factories.address(
        merchant,
        shown["currency"],
        wire_id=shown["id"],
        address=shown["address"],
        tag=shown["tag"],
        convert_to=shown["convert_to"],
        origin="invoice",
        foreign_id=payload["foreign_id"],
    )
    invoice = factories.invoice(
        merchant,
        wire_id=payload["id"],
        foreign_id=payload["foreign_id"],
        end_user_reference=payload["end_user_reference"],
        amount=Decimal(payload["currency_received"]["amount"]),
        fixed_at=at(payload["fixed_at"]),
        release_at=at(payload["fixed_at"] + 900),
    )
    rate = Rate.objects.create(
        processor=address.processor, source="BTC", target="EUR", price=59306, quoted_at=NOW, seen_at=NOW
    )
    invoice.hold(
        sent=Money(Decimal(sent["amount"]), sent["currency"]),
        price=rate.price,
        rate_id=rate.pk,
        terms=terms,
        address=address,
    )
    invoice.touch(NOW)
    invoice.keep_choice()
    for leg in payload["transactions"]:
        _store_part(invoice, address, leg, confirmed=payload["status"] == "confirmed")
    for status in WAY[payload["status"]]:
        _move(invoice, status, payload)
    return Invoice.objects.for_bodies().get(pk=invoice.pk)


def _move(invoice: Invoice, status: str, payload: dict[str, Any]) -> None:
    invoice.advance(status=status, now=NOW, error=payload["error"], release_at=at(payload["expires_at"]))
    if status == "confirmed":
        invoice.settle(
            credited_to="available", fee=Money(Decimal(payload["fees"][0]["amount"]), invoice.currency)
        )
    invoice.keep()


def _store_part(invoice: Invoice, address: Any, leg: dict[str, Any], *, confirmed: bool) -> None:
    amount = Decimal(leg["amount"])
    booked = {"status": "confirmed", "credited": 50, "credited_to": "held", "bookings": 1}
    operation = Operation.objects.create(
        merchant=invoice.merchant,
        wire_id=leg["id"],
        kind="deposit_exchange",
        processor=address.processor,
        external_id=f"up-{leg['id']}",
        address=address,
        currency_sent=leg["currency"],
        amount_sent=amount,
        currency_received="EUR",
        amount_received=50,
        amount_minus_fee=50,
        created_at=NOW,
        changed_at=NOW,
        **(booked if confirmed else {"status": "not_confirmed"}),
    )
    Leg.objects.create(
        merchant=invoice.merchant,
        operation=operation,
        wire_id=leg["id"],
        transaction_type=leg["transaction_type"],
        type=leg["type"],
        currency=leg["currency"],
        address=leg["address"],
        tag=leg["tag"],
        amount=amount,
        txid=leg["txid"],
        risk_asked=True,
        riskscore="0.05",
        confirmations=int(leg["confirmations"]),
    )
    InvoicePart.objects.create(
        merchant=invoice.merchant, invoice=invoice, operation=operation, standing="counted", seen_at=NOW
    )


class TestInvoiceBody:
    @pytest.mark.parametrize("vector", INVOICES, ids=lambda vector: vector["name"])
    def test_is_the_published_one_to_the_byte(self, vector):
        body = invoice_bodies.invoice_body(stored(vector["payload"]))
        assert bodies.render(body) == vector["raw"].encode()

    def test_covers_every_status_that_calls_back(self):
        assert {vector["status"] for vector in INVOICES} == {"pending", "processing", "confirmed", "failed"}

    def test_leaves_out_what_the_payer_has_not_chosen(self):
        invoice = factories.invoice(factories.merchant(), timer=False)
        body = invoice_bodies.invoice_body(invoice)
        assert list(body) == [
            *("id", "foreign_id", "type", "currency_received", "transactions", "fees", "error", "status")
        ]
        assert body["status"] == "created"

    def test_names_the_payer_only_when_asked(self):
        invoice = stored(INVOICES[0]["payload"])
        Leg.objects.update(sender_address="bc1qpayer")
        invoice = Invoice.objects.for_bodies().get(pk=invoice.pk)
        assert "sender" not in invoice_bodies.invoice_body(invoice)["transactions"][0]
        spoken = invoice_bodies.invoice_body(invoice, with_sender=True)["transactions"][0]
        assert spoken["sender"] == {"address": "bc1qpayer"}

    def test_reads_all_that_it_needs_in_four_queries(self, django_assert_num_queries):
        pk = stored(INVOICES[3]["payload"]).pk
        with django_assert_num_queries(4):
            invoice_bodies.invoice_body(Invoice.objects.for_bodies().get(pk=pk))
