"""Callbacks into notices: the published bodies, what deviates from them, and what is hostile."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from payments.money import Money
from payments.processors.base import (
    BadSignature,
    ConversionNotice,
    DepositNotice,
    DepositStatus,
    NoticeFee,
    PayoutNotice,
    PayoutStatus,
    RawRequest,
    Risk,
    Unreadable,
)
from payments.processors.gateway import GatewayInbound
from tests.vectors import VECTORS, callbacks

KEY, SECRET = VECTORS["meta"]["demo_public_key"], VECTORS["meta"]["demo_secret"]
ORDERED = callbacks("deposit", "deposit_exchange", "withdrawal", "withdrawal_exchange", "exchange")
OTHERS = callbacks("invoice", "withdrawal_instant", "withdrawal_instant_exchange", "payment_request")
BY_NAME = {vector["name"]: vector["payload"] for vector in ORDERED}
TXID = "c0ffee00" * 8
BAD_TXID = "badc0de1" * 8


def money(amount: str, currency: str) -> Money:
    return Money(Decimal(amount), currency)


def parse(payload: object) -> Any:
    (notice,) = GatewayInbound().parse(json.dumps(payload).encode())
    return notice


def vector(name: str) -> dict[str, Any]:
    return copy.deepcopy(BY_NAME[name])


class TestVerify:
    def request(self, vector: dict[str, Any], **replaced: str) -> RawRequest:
        headers = {"x-processing-key": KEY, "x-processing-signature": vector["signature"]} | replaced
        return RawRequest(headers, vector["raw"].encode())

    @pytest.mark.parametrize("vector", VECTORS["callbacks"], ids=lambda vector: vector["name"])
    def test_takes_every_published_callback(self, vector: dict[str, Any]) -> None:
        GatewayInbound(key=KEY, secret=SECRET).verify(self.request(vector))

    @pytest.mark.parametrize(
        "replaced",
        [
            {"x-processing-key": "another"},
            {"x-processing-key": ""},
            {"x-processing-key": "\udcff"},
            {"x-processing-signature": "0" * 128},
            {"x-processing-signature": "é"},
            {"x-processing-signature": ""},
        ],
    )
    def test_refuses_other_headers(self, replaced: dict[str, str]) -> None:
        with pytest.raises(BadSignature):
            GatewayInbound(key=KEY, secret=SECRET).verify(self.request(ORDERED[0], **replaced))

    def test_refuses_everything_without_a_secret(self) -> None:
        with pytest.raises(BadSignature):
            GatewayInbound().verify(self.request(ORDERED[0], **{"x-processing-key": ""}))


class TestDeposit:
    def test_seen(self) -> None:
        assert parse(vector("deposit.not_confirmed")) == DepositNotice(
            external_id="500101",
            address="bc1qdemo0000000000000000000000000deposit1",
            tag=None,
            status=DepositStatus.NOT_CONFIRMED,
            sent=money("0.015", "BTC"),
            received=money("0.015", "BTC"),
            credited=None,
            txid=TXID,
            risk=Risk("0.12"),
        )

    def test_confirmed(self) -> None:
        assert parse(vector("deposit.confirmed")) == DepositNotice(
            external_id="500101",
            address="bc1qdemo0000000000000000000000000deposit1",
            tag=None,
            status=DepositStatus.CONFIRMED,
            sent=money("0.015", "BTC"),
            received=money("0.015", "BTC"),
            credited=money("0.01488", "BTC"),
            fees=(NoticeFee("deposit", money("0.00012", "BTC")),),
            txid=TXID,
            confirmations=1,
            risk=Risk("0.12"),
        )

    def test_with_a_tag_and_without_a_score(self) -> None:
        notice = parse(vector("deposit.confirmed.token_with_tag"))
        assert (notice.tag, notice.risk, notice.credited) == ("88012345", None, money("248", "XRP"))

    def test_with_a_fee_in_the_chains_coin(self) -> None:
        notice = parse(vector("deposit.confirmed.erc20_transfer_fee"))
        assert notice.credited == money("99.2", "USDTE")
        assert notice.fees == (
            NoticeFee("transfer", money("0.00041", "ETH")),
            NoticeFee("deposit", money("0.8", "USDTE")),
        )

    @pytest.mark.parametrize(
        ("name", "error"),
        [
            ("deposit.cancelled.below_minimum", "Transaction amount less than minimum deposit"),
            ("deposit.cancelled.double_spend", "Transaction was replaced in the network"),
        ],
    )
    def test_cancelled(self, name: str, error: str) -> None:
        notice = parse(vector(name))
        assert (notice.status, notice.error, notice.credited, notice.txid) == (
            DepositStatus.CANCELLED,
            error,
            None,
            BAD_TXID,
        )

    def test_in_another_currency(self) -> None:
        notice = parse(vector("deposit.confirmed.cross_currency"))
        assert (notice.sent, notice.expected_currency) == (money("0.05", "ETH"), "USDTE")

    def test_in_another_currency_as_other_editions_spell_it(self) -> None:
        at_root = vector("deposit.confirmed.cross_currency")
        at_root["expected_currency"] = at_root["crypto_address"].pop("expected_currency")
        assert parse(at_root).expected_currency == "USDTE"
        as_the_addresses = vector("deposit.confirmed.cross_currency")
        as_the_addresses["crypto_address"]["currency"] = as_the_addresses["crypto_address"].pop(
            "expected_currency"
        )
        assert parse(as_the_addresses).expected_currency == "USDTE"

    def test_in_another_currency_than_nobody_knows_is_unreadable(self) -> None:
        payload = vector("deposit.confirmed.cross_currency")
        del payload["crypto_address"]["expected_currency"]
        with pytest.raises(Unreadable, match="what was expected"):
            parse(payload)

    def test_converted(self) -> None:
        notice = parse(vector("deposit_exchange.confirmed"))
        assert notice.converted
        assert (notice.sent, notice.received, notice.credited) == (
            money("0.004", "BTC"),
            money("241.2", "EUR"),
            money("237.582", "EUR"),
        )

    def test_converted_but_cancelled_takes_what_was_sent_from_its_leg(self) -> None:
        notice = parse(vector("deposit_exchange.cancelled"))
        assert (notice.sent, notice.received, notice.status) == (
            money("0.004", "BTC"),
            None,
            DepositStatus.CANCELLED,
        )

    def test_with_a_score_that_is_not_known_yet(self) -> None:
        assert parse(vector("deposit_exchange.not_confirmed")).risk == Risk(None)

    def test_by_a_sender_who_is_named(self) -> None:
        payload = vector("deposit.confirmed")
        payload["transactions"][0]["sender"] = {"address": "bc1qsender"}
        assert parse(payload).sender_address == "bc1qsender"

    def test_confirmed_without_a_net_amount_is_credited_less_its_fees(self) -> None:
        payload = vector("deposit.confirmed")
        del payload["currency_received"]["amount_minus_fee"]
        assert parse(payload).credited == money("0.01488", "BTC")
        payload["fees"][0]["amount"] = "1.00000000"
        with pytest.raises(Unreadable, match="fees are more"):
            parse(payload)

    def test_credited_with_nothing_is_not_credited_with_all(self) -> None:
        payload = vector("deposit.confirmed")
        payload["currency_received"]["amount_minus_fee"] = "0.00000000"
        assert parse(payload).credited == money("0", "BTC")


class TestPayout:
    def test_confirmed(self) -> None:
        assert parse(vector("withdrawal.confirmed")) == PayoutNotice(
            our_id="wd-2026-0001",
            external_id="500120",
            status=PayoutStatus.CONFIRMED,
            paid=money("0.02", "BTC"),
            received=money("0.02", "BTC"),
            fees=(
                NoticeFee("mining", money("0.000031", "BTC")),
                NoticeFee("withdrawal", money("0.00002", "BTC")),
            ),
            txid=TXID,
        )

    def test_inside_the_processor(self) -> None:
        assert parse(vector("withdrawal.confirmed.internal")).txid == "CP:BTCW700221"

    def test_pending_has_no_txid(self) -> None:
        notice = parse(vector("withdrawal.pending"))
        assert (notice.status, notice.txid) == (PayoutStatus.PENDING, None)

    @pytest.mark.parametrize(
        ("name", "status"),
        [
            ("withdrawal.cancelled", PayoutStatus.CANCELLED),
            ("withdrawal.declined", PayoutStatus.DECLINED),
            ("withdrawal_exchange.cancelled", PayoutStatus.CANCELLED),
            ("withdrawal_exchange.declined", PayoutStatus.DECLINED),
        ],
    )
    def test_that_failed_paid_nothing(self, name: str, status: PayoutStatus) -> None:
        notice = parse(vector(name))
        assert (notice.status, notice.paid, notice.received) == (status, None, None)
        assert notice.error == vector(name)["error"]

    def test_converted(self) -> None:
        notice = parse(vector("withdrawal_exchange.confirmed"))
        assert (notice.our_id, notice.paid, notice.received, notice.txid) == (
            "wdx-0001",
            money("381", "EUR"),
            money("0.00632", "BTC"),
            TXID,
        )

    def test_accepts_old_numbers_for_amounts(self) -> None:
        payload = vector("withdrawal_exchange.confirmed")
        payload["currency_sent"]["amount"] = 381
        assert parse(payload).paid == money("381", "EUR")

    def test_of_nobodys_order_is_unreadable(self) -> None:
        payload = vector("withdrawal.confirmed")
        del payload["foreign_id"]
        with pytest.raises(Unreadable, match="foreign_id"):
            parse(payload)


class TestConversion:
    def test_confirmed(self) -> None:
        assert parse(vector("exchange.confirmed")) == ConversionNotice(
            our_id="ex-0001",
            external_id="500140",
            status=PayoutStatus.CONFIRMED,
            sent=money("180.5", "EUR"),
            received=money("0.003", "BTC"),
            fees=(NoticeFee("exchange", money("1.805", "EUR")),),
        )

    def test_without_a_foreign_id_is_known_by_its_external_id(self) -> None:
        payload = vector("exchange.cancelled")
        del payload["foreign_id"]
        notice = parse(payload)
        assert (notice.our_id, notice.external_id) == ("", "500141")


class TestUnreadable:
    @pytest.mark.parametrize("vector", OTHERS, ids=lambda vector: vector["name"])
    def test_what_is_never_ordered(self, vector: dict[str, Any]) -> None:
        with pytest.raises(Unreadable):
            GatewayInbound().parse(vector["raw"].encode())

    @pytest.mark.parametrize(
        ("path", "value"),
        [
            (["id"], 0),
            (["id"], -1),
            (["id"], True),
            (["id"], "500101"),
            (["id"], 1.5),
            (["id"], 2**53),
            (["type"], None),
            (["type"], ["deposit"]),
            (["status"], "paid"),
            (["status"], None),
            (["status"], ["confirmed"]),
            (["crypto_address"], None),
            (["crypto_address"], []),
            (["crypto_address", "address"], ""),
            (["crypto_address", "address"], "a" * 256),
            (["crypto_address", "address"], {}),
            (["crypto_address", "tag"], ""),
            (["crypto_address", "tag"], [1]),
            (["crypto_address", "cross_currency"], "yes"),
            (["currency_sent"], "0.015"),
            (["currency_sent", "currency"], "btc"),
            (["currency_sent", "currency"], "B"),
            (["currency_sent", "currency"], None),
            (["currency_sent", "amount"], None),
            (["currency_sent", "amount"], "-0.01500000"),
            (["currency_sent", "amount"], "1E-2"),
            (["currency_sent", "amount"], "NaN"),
            (["currency_sent", "amount"], "Infinity"),
            (["currency_sent", "amount"], "１２"),
            (["currency_sent", "amount"], " 5"),
            (["currency_sent", "amount"], "0.000000001"),
            (["currency_sent", "amount"], "9" * 18),
            (["currency_sent", "amount"], True),
            (["currency_received"], None),
            (["currency_received", "amount_minus_fee"], "-1"),
            (["transactions"], {}),
            (["transactions"], [1]),
            (["transactions", 0, "txid"], ""),
            (["transactions", 0, "confirmations"], "-1"),
            (["transactions", 0, "confirmations"], "1.0"),
            (["transactions", 0, "confirmations"], None),
            (["transactions", 0, "riskscore"], "high"),
            (["transactions", 0, "riskscore"], 10**200),
            (["transactions", 0, "sender"], "somebody"),
            (["fees"], None),
            (["fees", 0], "free"),
            (["fees", 0, "type"], ""),
            (["fees", 0, "amount"], "-1"),
            (["error"], 5),
        ],
    )
    def test_a_confirmed_deposit_with_one_field_bent(self, path: list[Any], value: object) -> None:
        payload = vector("deposit.confirmed")
        holder: Any = payload
        for step in path[:-1]:
            holder = holder[step]
        holder[path[-1]] = value
        with pytest.raises(Unreadable):
            parse(payload)

    @pytest.mark.parametrize(
        "body",
        [
            b"",
            b"null",
            b"[]",
            b'"deposit"',
            b"{",
            b"\xff\xfe",
            b'{"type":"deposit","type":"deposit"}',
            b'{"id":NaN}',
            b"[" * 50_000,
            b'{"id":1,"error":"\\u0000"}',
            b'{"id":1,"error":"\\ud800"}',
            b'{"a":"' + b"x" * 70_000 + b'"}',
        ],
    )
    def test_bytes_that_are_no_strict_object(self, body: bytes) -> None:
        with pytest.raises(Unreadable):
            GatewayInbound().parse(body)


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.sampled_from(["BTC", "1.0", "0"]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=8,
)


def _paths(value: object, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    steps = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(found for step, inner in steps for found in _paths(inner, (*path, step)))]


class TestHostileInput:
    """Whatever comes, `parse` answers with a notice or with `Unreadable`; nothing else ever comes out."""

    def survive(self, body: bytes) -> None:
        try:
            notices = GatewayInbound().parse(body)
        except Unreadable:
            return
        assert len(notices) == 1

    @given(st.binary(max_size=300))
    def test_random_bytes(self, body: bytes) -> None:
        self.survive(body)

    @given(JSON)
    def test_random_json(self, value: object) -> None:
        self.survive(json.dumps(value).encode())

    @settings(max_examples=400)
    @given(st.sampled_from(ORDERED), st.data())
    def test_a_published_body_with_anything_anywhere(self, chosen: dict[str, Any], data: Any) -> None:
        payload = copy.deepcopy(chosen["payload"])
        path = data.draw(st.sampled_from(_paths(payload)[1:]))
        holder: Any = payload
        for step in path[:-1]:
            holder = holder[step]
        change: Callable[[Any], None] = data.draw(
            st.sampled_from(
                [lambda value: holder.__setitem__(path[-1], value), lambda _: holder.__delitem__(path[-1])]
            )
        )
        change(data.draw(JSON))
        self.survive(json.dumps(payload).encode())

    @given(st.sampled_from(ORDERED), st.integers(0, 2000), st.binary(max_size=3))
    def test_a_published_body_with_other_bytes_somewhere(
        self, chosen: dict[str, Any], at: int, put: bytes
    ) -> None:
        raw = chosen["raw"].encode()
        self.survive(raw[: at % len(raw)] + put + raw[at % len(raw) + len(put) :])
