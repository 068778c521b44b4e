"""Bodies: every deposit of the published vectors, from rows, byte for byte."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from payments import bodies
from payments.models import Leg, Operation, OperationFee
from tests import factories
from tests.factories import NOW
from tests.vectors import callbacks

pytestmark = pytest.mark.django_db

DEPOSITS = callbacks("deposit", "deposit_exchange")
FUTURES = (
    "deposit_exchange.confirmed.futures"  # its two further keys belong to futures, which do not exist yet
)


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
    return operation


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
        payload = dict(vector["payload"])
        expected = vector["raw"].encode()
        if vector["name"] == FUTURES:
            payload = {key: payload[key] for key in payload if key not in {"futures_id", "transaction_id"}}
            expected = bodies.render(payload)
        body = bodies.operation_body(Operation.objects.for_bodies().get(pk=stored(payload).pk))
        assert list(body) == list(payload)
        assert bodies.render(body) == expected

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
