"""Bodies: every deposit of the published vectors, from rows, byte for byte."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from payments import bodies
from payments.models import Future, FutureDeposit, Leg, Operation, OperationFee, Rate
from tests import factories
from tests.factories import NOW
from tests.vectors import callbacks

pytestmark = pytest.mark.django_db

DEPOSITS = callbacks("deposit", "deposit_exchange")


def stored(payload: dict[str, Any]) -> Operation:
    """The rows that such a callback comes from."""
    shown = payload["crypto_address"]
    merchant = factories.merchant()
    address = factories.address(
        merchant,
        shown.get("expected_currency", shown["currency"]),
        wire_id=shown["id"],
        address=shown["address"],
        tag=shown["tag"],
        foreign_id=shown["foreign_id"],
        convert_to=shown.get("convert_to", ""),
    )
    sent = payload.get("currency_sent", {"currency": shown["currency"], "amount": "0.00400000"})
    received = payload.get("currency_received", {"currency": "EUR", "amount": "0", "amount_minus_fee": "0"})
    operation = Operation.objects.create(
        merchant=merchant,
        wire_id=payload["id"],
        kind=payload["type"],
        status=payload["status"],
        processor=address.processor,
        external_id="up-1",
        address=address,
        end_user_reference=payload.get("end_user_reference"),
        currency_sent=sent["currency"],
        amount_sent=Decimal(sent["amount"]),
        currency_received=received["currency"],
        amount_received=Decimal(received["amount"]),
        amount_minus_fee=Decimal(received["amount_minus_fee"]),
        error=payload["error"],
        **_booked(payload, Decimal(received["amount_minus_fee"])),
        created_at=NOW,
        changed_at=NOW,
    )
    for leg in payload["transactions"]:
        _store_leg(operation, leg)
    for fee in payload["fees"]:
        OperationFee.objects.create(operation=operation, **fee | {"amount": Decimal(fee["amount"])})
    if "futures_id" in payload:
        _hold_price(operation, payload["futures_id"])
    return operation


def _hold_price(operation: Operation, number: int) -> None:
    """The future that the deposit was converted under."""
    source, target = operation.currency_sent, operation.currency_received
    price = operation.amount_received / operation.amount_sent
    rate = Rate.objects.create(
        processor=operation.processor, source=source, target=target, price=price, quoted_at=NOW, seen_at=NOW
    )
    future = Future.objects.create(
        merchant=operation.merchant,
        wire_id=number,
        address=operation.address,
        rate=rate,
        source=source,
        target=target,
        price=price,
        sender_amount=operation.amount_sent,
        receiver_amount=operation.amount_received,
        fee=0,
        cap=operation.amount_received,
        fixed_at=NOW,
        release_at=NOW + timedelta(seconds=600),
    )
    FutureDeposit.objects.create(
        operation=operation,
        merchant=operation.merchant,
        future=future,
        amount_to=operation.amount_received,
    )


def _booked(payload: dict[str, Any], net: Decimal) -> dict[str, Any]:
    if payload["status"] != "confirmed":
        return {}
    return {"credited": net, "credited_to": "available", "bookings": 1}


def _store_leg(operation: Operation, leg: dict[str, Any]) -> None:
    Leg.objects.create(
        merchant=operation.merchant,
        operation=operation,
        wire_id=leg["id"],
        transaction_type=leg["transaction_type"],
        type=leg["type"],
        currency=leg["currency"],
        currency_to=leg.get("currency_to", ""),
        address=leg.get("address", ""),
        tag=leg.get("tag"),
        amount=Decimal(leg["amount"]),
        amount_to=Decimal(leg["amount_to"]) if "amount_to" in leg else None,
        txid=leg.get("txid", ""),
        risk_asked="riskscore" in leg,
        riskscore=leg.get("riskscore"),
        confirmations=int(leg["confirmations"]),
    )


class TestOperationBody:
    @pytest.mark.parametrize("vector", DEPOSITS, ids=lambda vector: vector["name"])
    def test_is_the_published_one_to_the_byte(self, vector):
        payload = vector["payload"]
        body = bodies.operation_body(Operation.objects.for_bodies().get(pk=stored(payload).pk))
        assert list(body) == list(payload)
        assert bodies.render(body) == vector["raw"].encode()

    def test_reads_address_legs_and_fees_in_three_queries(self, django_assert_num_queries):
        pk = stored(DEPOSITS[1]["payload"]).pk
        with django_assert_num_queries(3):
            bodies.operation_body(Operation.objects.for_bodies().get(pk=pk))

    def test_names_the_payer_only_when_asked(self):
        operation = stored(DEPOSITS[0]["payload"])
        operation.legs.update(sender_address="bc1qpayer")
        silent = bodies.operation_body(operation)["transactions"][0]
        spoken = bodies.operation_body(operation, with_sender=True)["transactions"][0]
        assert "sender" not in silent
        assert spoken["sender"] == {"address": "bc1qpayer"}

    def test_shows_money_without_an_exponent(self):
        operation = stored(DEPOSITS[0]["payload"])
        operation.amount_sent = Decimal("1E-8")
        assert bodies.operation_body(operation)["currency_sent"]["amount"] == "0.00000001"
