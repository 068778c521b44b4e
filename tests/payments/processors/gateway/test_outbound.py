"""What is asked of an upstream, byte for byte, and what each kind of answer is taken for."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any, ClassVar

import pytest

from payments.money import Money
from payments.processors.base import (
    Accepted,
    CannotTell,
    Conversion,
    ConversionNotice,
    Fee,
    Issued,
    NotFound,
    Pair,
    Payout,
    PayoutNotice,
    PayoutStatus,
    Prepared,
    ProcessorError,
    Quote,
    Refused,
    Unreachable,
    Unreadable,
)
from payments.processors.gateway import GatewayOutbound
from tests.payments.processors.gateway.scripted import ScriptedUpstream
from tests.vectors import callbacks

TAKEN = "The foreign id has already been taken."


@pytest.fixture
def outbound(upstream: ScriptedUpstream) -> GatewayOutbound:
    return GatewayOutbound(url=upstream.url, key="key", secret="secret", deadline=5)


def money(amount: str, currency: str) -> Money:
    return Money(Decimal(amount), currency)


def payout(**values: Any) -> Payout:
    return Payout(**{"our_id": "m1-w-1", "amount": money("0.5", "BTC"), "address": "2N", **values})


def prepared(path: str = "withdrawal/crypto", our_id: str = "m1-w-1") -> Prepared:
    return Prepared(our_id=our_id, blob=f'{path}\n{{"foreign_id":"{our_id}"}}'.encode())


def accepted(**values: Any) -> dict[str, Any]:
    return {"data": {"id": 7, "foreign_id": "m1-w-1", "status": "processing", **values}}


class TestIssue:
    DATA: ClassVar = {"id": 9001, "currency": "XRP", "address": "rX", "tag": 88012345, "foreign_id": "pool-1"}

    def test_asks_under_the_reference_and_reads_the_tag_as_text(
        self, upstream: ScriptedUpstream, outbound: GatewayOutbound
    ) -> None:
        upstream.says(201, {"data": self.DATA})
        assert outbound.issue(currency="XRP", convert_to=None, references=["pool-1"]) == [
            Issued("pool-1", "XRP", None, "rX", "88012345", "9001")
        ]
        assert upstream.bodies == [b'{"foreign_id":"pool-1","currency":"XRP"}']

    def test_asks_for_the_conversion(self, upstream: ScriptedUpstream, outbound: GatewayOutbound) -> None:
        upstream.says(201, {"data": {**self.DATA, "convert_to": "EUR"}})
        outbound.issue(currency="XRP", convert_to="EUR", references=["pool-1"])
        assert upstream.bodies == [b'{"foreign_id":"pool-1","currency":"XRP","convert_to":"EUR"}']

    @pytest.mark.parametrize(
        "bent",
        [{"foreign_id": "pool-2"}, {"currency": "BTC"}, {"convert_to": "EUR"}, {"address": ""}, {"id": None}],
    )
    def test_takes_no_other_address_than_it_asked_for(
        self, upstream: ScriptedUpstream, outbound: GatewayOutbound, bent: dict[str, Any]
    ) -> None:
        upstream.says(201, {"data": self.DATA | bent})
        with pytest.raises(Unreadable):
            outbound.issue(currency="XRP", convert_to=None, references=["pool-1"])

    @pytest.mark.parametrize(
        ("status", "body", "error"),
        [
            (400, {"errors": {"currency": "The selected currency is invalid."}}, Refused),
            (403, {"error": "Bad key header", "code": "bad_header_key"}, Unreachable),
            (502, b"<html>", Unreachable),
            (201, b"<html>", Unreadable),
            (201, {"data": []}, Unreadable),
        ],
    )
    def test_says_why_there_is_none(
        self,
        upstream: ScriptedUpstream,
        outbound: GatewayOutbound,
        status: int,
        body: object,
        error: type[ProcessorError],
    ) -> None:
        upstream.says(status, body)
        with pytest.raises(error):
            outbound.issue(currency="XRP", convert_to=None, references=["pool-1"])


def pair(source: str, target: str, rate_to: str, rate_from: str = "1", **more: str) -> dict[str, Any]:
    fiat = {"EUR", "USD"}
    return {
        "currency_from": {"currency": source, "type": "fiat" if source in fiat else "crypto", **more},
        "currency_to": {"currency": target, "type": "fiat" if target in fiat else "crypto"},
        "rate_from": rate_from,
        "rate_to": rate_to,
    }


class TestQuotes:
    def test_turns_the_price_of_the_crypto_round_when_fiat_comes_first(
        self, upstream: ScriptedUpstream, outbound: GatewayOutbound
    ) -> None:
        upstream.says(
            200,
            {
                "data": [
                    pair(
                        "BTC",
                        "EUR",
                        "48715.6168",
                        min_amount="0.003",
                        min_amount_deposit_with_exchange="0.0001",
                    ),
                    pair("EUR", "BTC", "8885.72"),
                    pair("ETH", "BTC", "0.1", rate_from="2"),
                ]
            },
        )
        assert outbound.quotes() == [
            Quote(Pair("BTC", "EUR"), Decimal("48715.6168"), Decimal("0.003"), Decimal("0.0001")),
            Quote(Pair("EUR", "BTC"), Decimal("0.000112540120552977")),
            Quote(Pair("ETH", "BTC"), Decimal("0.05")),
        ]
        assert upstream.bodies == [b"{}"]

    def test_leaves_out_what_has_no_price_and_what_was_not_asked_for(
        self, upstream: ScriptedUpstream, outbound: GatewayOutbound
    ) -> None:
        lines = [pair("BTC", "EUR", "0"), pair("BTC", "USD", "1"), pair("ETH", "EUR", "junk")]
        upstream.says(200, {"data": lines})
        assert outbound.quotes([Pair("BTC", "EUR"), Pair("BTC", "USD")]) == [
            Quote(Pair("BTC", "USD"), Decimal(1))
        ]

    @pytest.mark.parametrize("rate", ["junk", "-1", None, "1E5", True])
    def test_reads_no_price_into_junk(
        self, upstream: ScriptedUpstream, outbound: GatewayOutbound, rate: Any
    ) -> None:
        upstream.says(200, {"data": [pair("BTC", "EUR", rate)]})
        with pytest.raises(Unreadable):
            outbound.quotes([Pair("BTC", "EUR")])

    def test_reads_answers_longer_than_a_callback_may_be(
        self, upstream: ScriptedUpstream, outbound: GatewayOutbound
    ) -> None:
        upstream.says(200, {"data": [pair("BTC", "EUR", "1.5")] * 1000})
        assert len(outbound.quotes()) == 1000


class TestBalances:
    def test_reads_debts_too(self, upstream: ScriptedUpstream, outbound: GatewayOutbound) -> None:
        lines = [{"currency": "EUR", "balance": "5973.9756892"}, {"currency": "ETH", "balance": "-0.00041"}]
        upstream.says(200, {"data": lines})
        assert outbound.balances() == [money("5973.9756892", "EUR"), money("-0.00041", "ETH")]

    @pytest.mark.parametrize("balance", ["--1", "-", "", None, "1e3"])
    def test_reads_no_money_into_junk(
        self, upstream: ScriptedUpstream, outbound: GatewayOutbound, balance: Any
    ) -> None:
        upstream.says(200, {"data": [{"currency": "EUR", "balance": balance}]})
        with pytest.raises(Unreadable):
            outbound.balances()


class TestEstimate:
    def test_of_a_plain_payout_is_the_published_percentage_rounded_up(
        self, upstream: ScriptedUpstream, outbound: GatewayOutbound
    ) -> None:
        upstream.says(200, {"data": [{"currency": "BTC", "withdrawal_fee_percent": "0.001500"}]})
        order = payout(amount=money("0.00012345", "BTC"))
        assert outbound.estimate(order) == Fee(processing=money("0.00000019", "BTC"))

    def test_of_a_currency_that_is_not_carried_is_refused(
        self, upstream: ScriptedUpstream, outbound: GatewayOutbound
    ) -> None:
        upstream.says(200, {"data": []})
        with pytest.raises(Refused):
            outbound.estimate(payout())

    @pytest.mark.parametrize(
        ("order", "asked"),
        [
            (
                Conversion("x", "BTC", "EUR", amount=money("1", "BTC")),
                {"sender_amount": "1.00000000"},
            ),
            (
                Conversion("x", "BTC", "EUR", amount_to=money("5", "EUR")),
                {"receiver_amount": "5.00000000"},
            ),
            (payout(convert_to="EUR"), {"sender_amount": "0.50000000"}),
            (
                payout(convert_to="EUR", amount_to=money("5", "EUR")),
                {"receiver_amount": "5.00000000"},
            ),
        ],
    )
    def test_of_a_conversion_is_calculated_there(
        self,
        upstream: ScriptedUpstream,
        outbound: GatewayOutbound,
        order: Payout | Conversion,
        asked: dict[str, str],
    ) -> None:
        upstream.says(200, {"data": {"fee_amount": "15.46285289", "fee_currency": "EUR"}})
        assert outbound.estimate(order) == Fee(processing=money("15.46285289", "EUR"))
        assert json.loads(upstream.bodies[0]) == {
            "sender_currency": "BTC",
            "receiver_currency": "EUR",
            **asked,
        }


class TestPrepare:
    def test_makes_the_bytes_of_a_payout(self, outbound: GatewayOutbound) -> None:
        order = payout(tag="7", end_user_reference="p/1", extra={"sender_type": "natural", "amount": "9"})
        assert outbound.prepare(order).blob == (
            b'withdrawal/crypto\n{"foreign_id":"m1-w-1","amount":"0.50000000","currency":"BTC",'
            b'"address":"2N","tag":"7","end_user_reference":"p\\/1","sender_type":"natural"}'
        )

    def test_makes_the_bytes_of_a_converting_payout(self, outbound: GatewayOutbound) -> None:
        order = payout(amount=money("0", "EUR"), convert_to="BTC", amount_to=money("0.01", "BTC"))
        assert outbound.prepare(order).blob == (
            b'withdrawal/crypto\n{"foreign_id":"m1-w-1","amount_to":"0.01000000","currency":"EUR",'
            b'"convert_to":"BTC","address":"2N"}'
        )

    def test_makes_the_bytes_of_conversions(self, outbound: GatewayOutbound) -> None:
        now = Conversion("x", "BTC", "EUR", amount=money("1", "BTC"))
        fixed = Conversion("x", "EUR", "BTC", amount_to=money("1", "BTC"), price=Decimal("1.6E-5"))
        assert outbound.prepare(now).blob == (
            b'exchange/now\n{"foreign_id":"x","sender_currency":"BTC","receiver_currency":"EUR",'
            b'"sender_amount":"1.00000000"}'
        )
        assert outbound.prepare(fixed).blob == (
            b'exchange/fixed\n{"foreign_id":"x","sender_currency":"EUR","receiver_currency":"BTC",'
            b'"receiver_amount":"1.00000000","price":"0.000016"}'
        )

    @pytest.mark.parametrize("amount", [None, money("1", "BTC")])
    def test_wants_one_amount_of_a_conversion(self, outbound: GatewayOutbound, amount: Money | None) -> None:
        order = Conversion("x", "BTC", "EUR", amount=amount, amount_to=amount)
        with pytest.raises(ProcessorError, match="exactly one"):
            outbound.prepare(order)


class TestSubmit:
    def test_sends_the_stored_bytes(self, upstream: ScriptedUpstream, outbound: GatewayOutbound) -> None:
        upstream.says(201, accepted())
        assert outbound.submit(prepared()) == Accepted("7", PayoutStatus.PROCESSING)
        assert upstream.requests[0].startswith(b"POST /api/v2/withdrawal/crypto HTTP/1.1\r\n")
        assert upstream.bodies == [b'{"foreign_id":"m1-w-1"}']

    @pytest.mark.parametrize(
        ("errors", "field"),
        [
            ({"amount": "The amount must be at least 0.001."}, "amount"),
            ({"address": "The address is invalid.", "tag": "The tag is invalid."}, "address"),
        ],
    )
    def test_is_refused_only_by_fields_of_a_400(
        self,
        upstream: ScriptedUpstream,
        outbound: GatewayOutbound,
        errors: dict[str, str],
        field: str,
    ) -> None:
        upstream.says(400, {"errors": errors})
        with pytest.raises(Refused) as refused:
            outbound.submit(prepared())
        assert (refused.value.reason, refused.value.field) == ("; ".join(errors.values()), field)

    @pytest.mark.parametrize(
        ("status", "body"),
        [
            (400, {"errors": {"foreign_id": TAKEN}}),
            (400, {"errors": {"amount": "Not enough money on balance", "foreign_id": TAKEN}}),
            (400, {"errors": {"error": "Withdrawal already exists"}}),
            (400, {"errors": {}}),
            (400, {"errors": []}),
            (400, {"errors": {"amount": ["The amount is invalid."]}}),
            (400, {"error": "Bad content format", "code": "bad_content_format"}),
            (400, b"<html>"),
            (401, {"errors": {"amount": "no"}}),
            (403, {"error": "Bad signature header", "code": "bad_header_signature"}),
            (404, {"errors": {"amount": "no"}}),
            (409, {"errors": {"amount": "no"}}),
            (422, {"errors": {"amount": "no"}}),
            (429, {"errors": {"limit": "Too many requests. Try again in one minute."}}),
            (500, {"errors": {"amount": "no"}}),
            (502, b"<html>"),
            (307, b""),
            (204, b""),
            (201, b""),
            (201, b"<html>"),
            (201, {"data": []}),
            (201, accepted(id=None)),
            (201, accepted(status="on its way")),
            (201, accepted(foreign_id="m1-w-2")),
            (201, {"data": {"id": 7, "status": "processing"}}),
        ],
    )
    def test_leaves_the_outcome_open_after_anything_else(
        self, upstream: ScriptedUpstream, outbound: GatewayOutbound, status: int, body: object
    ) -> None:
        upstream.says(status, body)
        with pytest.raises(Unreachable):
            outbound.submit(prepared())
        assert len(upstream.requests) == 1

    @pytest.mark.parametrize(
        "blob", [b"", b"withdrawal/crypto", b"withdrawal/crypto\n", b"\xff\n{}", b"ping\n{}"]
    )
    def test_sends_nothing_but_orders(
        self, upstream: ScriptedUpstream, outbound: GatewayOutbound, blob: bytes
    ) -> None:
        with pytest.raises(ProcessorError, match="no order"):
            outbound.submit(Prepared(our_id="x", blob=blob))
        assert upstream.requests == []


PAYOUT = next(vector["payload"] for vector in callbacks("withdrawal") if vector["status"] == "confirmed")
EXCHANGE = next(vector["payload"] for vector in callbacks("exchange") if vector["status"] == "confirmed")


class TestFind:
    def test_asks_by_our_id_with_a_body_on_a_get(
        self, upstream: ScriptedUpstream, outbound: GatewayOutbound
    ) -> None:
        upstream.says(200, PAYOUT)
        found = outbound.find(prepared(our_id="wd-2026-0001"))
        assert isinstance(found, PayoutNotice)
        assert (found.our_id, found.status) == ("wd-2026-0001", PayoutStatus.CONFIRMED)
        assert upstream.requests[0].startswith(b"GET /api/v2/transactions/info HTTP/1.1\r\n")
        assert upstream.bodies == [b'{"foreign_id":"wd-2026-0001"}']

    def test_names_an_exchange_that_comes_without_its_foreign_id(
        self, upstream: ScriptedUpstream, outbound: GatewayOutbound
    ) -> None:
        upstream.says(200, {key: value for key, value in EXCHANGE.items() if key != "foreign_id"})
        found = outbound.find(prepared("exchange/now", our_id="ex-0001"))
        assert isinstance(found, ConversionNotice)
        assert found.our_id == "ex-0001"

    def test_knows_the_answer_that_there_is_none(
        self, upstream: ScriptedUpstream, outbound: GatewayOutbound
    ) -> None:
        upstream.says(404, {"errors": {"foreign_id": "Transaction not found."}})
        assert outbound.find(prepared()) == NotFound()

    @pytest.mark.parametrize(
        ("status", "body"),
        [
            (404, b"<html>"),
            (404, {"error": "Not found", "code": "not_found"}),
            (400, {"errors": {"foreign_id": "Transaction not found."}}),
            (403, {"error": "IP address is not allowed", "code": "forbidden_ip"}),
            (502, b""),
            (200, b"<html>"),
            (200, {**PAYOUT, "status": "lost"}),
            (200, PAYOUT),
            (200, {**EXCHANGE, "foreign_id": "m1-w-1"}),
            (200, {**callbacks("deposit")[0]["payload"], "foreign_id": "m1-w-1"}),
        ],
    )
    def test_cannot_tell_from_anything_else(
        self, upstream: ScriptedUpstream, outbound: GatewayOutbound, status: int, body: object
    ) -> None:
        upstream.says(status, body)
        assert isinstance(outbound.find(prepared()), CannotTell)


class TestCapabilities:
    def test_promise_no_safe_repetition_and_no_final_absence(self) -> None:
        capabilities = GatewayOutbound.capabilities
        assert capabilities.pushes
        assert capabilities.pools
        assert not capabilities.resubmit_is_safe
        assert not capabilities.not_found_is_final
