"""Withdrawals as callbacks: every published body, made by the verbs from an order, byte for byte."""

from __future__ import annotations

from decimal import ROUND_CEILING, Decimal
from typing import Any

import pytest
from django.db import connection, transaction

from callbacks.models import OutgoingCallback
from payments import address_formats, approvals, bodies
from payments import payouts as verbs
from payments.models import Operation, Withdrawal
from payments.processors.base import PayoutNotice, PayoutStatus
from tests import factories, payouts
from tests.constraints import judge_now
from tests.factories import NOW, money
from tests.payouts import ask
from tests.vectors import callbacks

pytestmark = pytest.mark.django_db

VECTORS = callbacks("withdrawal", "withdrawal_exchange")


@pytest.fixture(autouse=True)
def _addresses_are_invented(monkeypatch):
    """Those of the vectors carry no valid checksum."""
    monkeypatch.setattr(address_formats, "is_valid", lambda *_, **__: True)


class Play:
    """One published body, played from the order on."""

    def __init__(self, payload: dict[str, Any]) -> None:
        self.payload, self.status = payload, payload["status"]
        self.legs = payload["transactions"]
        self.address = payload["crypto_address"]
        self.converts = "convert_to" in self.address
        self.currency = self.address["currency"]
        self.arrives = (
            Decimal(self.legs[0]["amount_to"]) if self.converts else Decimal(self.legs[0]["amount"])
        )
        self.merchant = factories.merchant()
        factories.processor()
        self._agree()

    def _agree(self) -> None:
        fees = {fee["type"]: Decimal(fee["amount"]) for fee in self.payload["fees"]}
        payouts.enable(
            self.merchant,
            self.currency,
            "10000",
            withdrawal_fee_percent=Decimal(0),
            withdrawal_minimum_fee=fees.get("withdrawal", fees.get("exchange", Decimal(0))),
            withdrawal_mining_fee=fees.get("mining", Decimal(0)),
        )
        if self.converts:
            sent = Decimal(self.legs[0]["amount"])
            price = (self.arrives / sent).quantize(Decimal("1e-18"), rounding=ROUND_CEILING)
            payouts.enable(self.merchant, self.address["convert_to"], "0")
            payouts.price(self.currency, self.address["convert_to"], str(price))
        if self.legs[0]["transaction_type"] == "internal":
            factories.terms("BTC", merchant=(other := factories.merchant()))
            factories.address(other, "BTC", address=self.address["address"])

    def number(self, sequence: str, value: int) -> None:
        with connection.cursor() as cursor:
            cursor.execute("SELECT setval(%s, %s, false)", [sequence, value])

    def run(self) -> None:
        if self.status in {"pending", "declined"}:
            payouts.limit(self.merchant, everything=True)
        key = payouts.key_id(self.merchant)
        self.number("operation_wire_id", self.payload["id"])
        self.number("leg_wire_id", self.legs[0]["id"])
        self.number("address_wire_id", self.address["id"])
        operation = ask(
            self.merchant,
            api_key_id=key,
            foreign_id=self.payload["foreign_id"],
            end_user_reference=self.payload.get("end_user_reference"),
            currency=self.currency,
            convert_to=self.address.get("convert_to", ""),
            address=self.address["address"],
            amount=Decimal(self.legs[0]["amount"]),
        )
        self.number("leg_wire_id", self.legs[-1]["id"])
        if self.status == "declined":
            approvals.decline(
                merchant=self.merchant,
                numbers=[operation.wire_id],
                by=payouts.owner(self.merchant),
                reason="not ours",
                now=NOW,
            )
        if self.status in {"cancelled", "confirmed"} and not operation.withdrawal.is_internal:
            self.told(payouts.sent(operation))

    def told(self, row: Withdrawal) -> None:
        confirmed = self.status == "confirmed"
        notice = PayoutNotice(
            our_id=row.our_id,
            external_id="4711",
            status=PayoutStatus(self.status),
            paid=row.money if confirmed else None,
            received=money(str(self.arrives), row.pays.currency) if confirmed else None,
            txid=self.legs[-1].get("txid"),
            error=self.payload["error"],
        )
        with transaction.atomic():
            verbs.record_many(processor=factories.processor(), notices=[notice], now=NOW)
            judge_now()


class TestCallback:
    @pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["name"])
    def test_is_the_published_one_to_the_byte(self, vector):
        play = Play(vector["payload"])
        play.run()
        written = OutgoingCallback.objects.filter(merchant=play.merchant).order_by("version")
        assert bytes(written.last().body) == vector["raw"].encode()

    @pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["name"])
    def test_is_told_for_pending_and_for_every_end(self, vector):
        play = Play(vector["payload"])
        play.run()
        told = [bytes(row.body) for row in OutgoingCallback.objects.filter(merchant=play.merchant)]
        expected = {"pending": 1, "declined": 2, "confirmed": 1, "cancelled": 1}
        assert len(told) == expected[play.status]
        assert not any(b'"status":"processing"' in body for body in told)


class TestOperationBody:
    def test_of_one_under_way_shows_its_amounts_and_no_fee(self):
        merchant = payouts.merchant()
        operation = Operation.objects.for_bodies().get(pk=ask(merchant).pk)
        body = bodies.operation_body(operation)
        assert (body["status"], body["fees"]) == ("processing", [])
        assert body["currency_sent"] == {"currency": "BTC", "amount": "0.10000000"}
        assert body["currency_received"] == {"currency": "BTC", "amount": "0.10000000"}

    def test_reads_withdrawal_legs_and_fees_in_three_queries(self, django_assert_num_queries):
        pk = ask(payouts.merchant()).pk
        with django_assert_num_queries(3):
            bodies.operation_body(Operation.objects.for_bodies().get(pk=pk))
