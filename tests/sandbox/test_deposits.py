"""The simulated chain through `/sim/*`: what each payment makes of the callbacks and of the balance."""

from __future__ import annotations

from typing import Any

import pytest

from payments.wire import php_json
from sandbox.control import Control, ControlRefused
from tests.sandbox.receiver import Receiver
from tests.sandbox.running import Client


def pay(control: Control, at: dict[str, Any], amount: str, **more: Any) -> dict[str, Any]:
    tag = None if at["tag"] is None else str(at["tag"])
    answer = control.call("pay", **{"address": at["address"], "tag": tag, **more, "amount": amount})
    operation: dict[str, Any] = answer["operations"][0]
    return operation


class TestPay:
    def test_calls_back_when_the_payment_is_seen(
        self, client: Client, control: Control, receiver: Receiver
    ) -> None:
        address = client.take("BTC")
        paid = pay(control, address, "0.015", txid="ab" * 32, sender_address="tb1qpayer")
        assert receiver.wait_for(1) == [
            {
                "id": paid["id"],
                "type": "deposit",
                "crypto_address": {
                    "id": address["id"],
                    "currency": "BTC",
                    "address": address["address"],
                    "tag": None,
                    "foreign_id": "u-1",
                },
                "currency_sent": {"currency": "BTC", "amount": "0.01500000"},
                "currency_received": {
                    "currency": "BTC",
                    "amount": "0.01500000",
                    "amount_minus_fee": "0.01500000",
                },
                "transactions": [
                    {
                        "id": 2 * paid["id"],
                        "currency": "BTC",
                        "transaction_type": "blockchain",
                        "type": "deposit",
                        "address": address["address"],
                        "tag": None,
                        "amount": "0.01500000",
                        "txid": "ab" * 32,
                        "riskscore": None,
                        "confirmations": "0",
                        "sender": {"address": "tb1qpayer"},
                    }
                ],
                "fees": [],
                "error": "",
                "status": "not_confirmed",
            }
        ]
        assert client.balance("BTC") == "0.00000000"

    def test_splits_into_parts_that_add_up(
        self, client: Client, control: Control, receiver: Receiver
    ) -> None:
        address = client.take("BTC")["address"]
        parts = control.call("pay", address=address, amount="0.001", parts=3)["operations"]
        assert [part["amount"] for part in parts] == ["0.00033333", "0.00033333", "0.00033334"]
        assert [body["id"] for body in receiver.wait_for(3)] == [part["id"] for part in parts]

    def test_below_the_minimum_is_cancelled_at_once_and_never_credited(
        self, client: Client, control: Control, receiver: Receiver
    ) -> None:
        pay(control, client.take("BTC"), "0.00009")
        control.call("block", count=3)
        body = receiver.wait_for(1)[0]
        assert (body["status"], body["error"]) == (
            "cancelled",
            "Transaction amount less than minimum deposit",
        )
        assert body["currency_received"]["amount_minus_fee"] == "0.00000000"
        assert client.balance("BTC") == "0.00000000"
        assert len(receiver.bodies) == 1

    def test_in_another_currency_of_the_network_says_what_was_expected(
        self, client: Client, control: Control, receiver: Receiver
    ) -> None:
        pay(control, client.take("USDTE"), "0.05", currency="ETH")
        address = receiver.wait_for(1)[0]["crypto_address"]
        assert (address["currency"], address["cross_currency"], address["expected_currency"]) == (
            "ETH",
            True,
            "USDTE",
        )

    def test_with_a_tag_that_nobody_has_names_that_tag(
        self, client: Client, control: Control, receiver: Receiver
    ) -> None:
        address = client.take("XRP")
        pay(control, address, "25", tag="7")
        pay(control, address, "25", tag="7")
        control.call("block", network="XRP")
        for body in receiver.wait_for(4):
            assert body["crypto_address"]["address"] == address["address"]
            assert body["crypto_address"]["tag"] == "7"
            assert body["crypto_address"]["id"] != address["id"]

    def test_to_a_tagged_address_names_the_tag_as_text(
        self, client: Client, control: Control, receiver: Receiver
    ) -> None:
        address = client.take("XRP")
        pay(control, address, "25")
        assert receiver.wait_for(1)[0]["crypto_address"]["tag"] == str(address["tag"])

    @pytest.mark.parametrize(
        ("currency", "more", "field"),
        [
            ("BTC", {"address": "2MyznGQqCPWqADodvVMCDyM3K45Hdvm5ocn"}, "address"),
            ("BTC", {"amount": "0"}, "amount"),
            ("BTC", {"amount": "-1"}, "amount"),
            ("BTC", {"amount": "0.000000001"}, "amount"),
            ("USDTT", {"currency": "ETH"}, "currency"),
            ("BTC", {"currency": "EUR"}, "currency"),
            ("BTC", {"parts": 0}, "parts"),
            ("BTC", {"amount": "0.00000002", "parts": 3}, "parts"),
        ],
    )
    def test_refuses_what_no_payer_can_do(
        self, client: Client, control: Control, currency: str, more: dict[str, Any], field: str
    ) -> None:
        address = client.take(currency)
        with pytest.raises(ControlRefused) as refused:
            pay(control, address, **{"amount": "1", **more})
        assert list(refused.value.errors) == [field]
        assert control.call("state")["operations"] == []


class TestBlock:
    def test_confirms_after_as_many_blocks_as_the_currency_needs(
        self, client: Client, control: Control, receiver: Receiver
    ) -> None:
        pay(control, client.take("ETH"), "2")
        assert control.call("block", network="ethereum", count=9)["confirmed"] == []
        confirmed = control.call("block", network="ETH")["confirmed"]
        assert [(line["status"], line["confirmations"]) for line in confirmed] == [("confirmed", 10)]
        seen, body = receiver.wait_for(2)
        assert seen["status"] == "not_confirmed"
        assert body["transactions"][0]["confirmations"] == "10"
        assert body["fees"] == [{"type": "deposit", "currency": "ETH", "amount": "0.00200000"}]
        assert body["currency_received"] == {
            "currency": "ETH",
            "amount": "2.00000000",
            "amount_minus_fee": "1.99800000",
        }
        assert client.balance("ETH") == "1.99800000"

    def test_moves_only_its_own_network(self, client: Client, control: Control) -> None:
        pay(control, client.take("BTC"), "1")
        heights = control.call("block", network="litecoin", count=4)["heights"]
        assert heights == {"litecoin": 4}
        assert client.balance("BTC") == "0.00000000"

    def test_converts_what_came_to_a_converting_address(
        self, client: Client, control: Control, receiver: Receiver
    ) -> None:
        pay(control, client.take("BTC", "EUR"), "0.004")
        control.call("block")
        seen, body = receiver.wait_for(2)
        estimate = {"currency": "EUR", "amount": "240.00000000", "amount_minus_fee": "240.00000000"}
        assert (seen["currency_received"], len(seen["transactions"])) == (estimate, 1)
        assert body["type"] == "deposit_exchange"
        assert body["crypto_address"]["convert_to"] == "EUR"
        assert body["currency_received"] == {**estimate, "amount_minus_fee": "238.80000000"}
        assert body["fees"] == [{"type": "exchange", "currency": "EUR", "amount": "1.20000000"}]
        assert body["transactions"][1] == {
            "id": 2 * body["id"] + 1,
            "currency": "BTC",
            "currency_to": "EUR",
            "transaction_type": "exchange",
            "type": "exchange",
            "amount": "0.00400000",
            "amount_to": "240.00000000",
            "confirmations": "0",
        }
        assert client.balance("EUR") == "238.80000000"

    def test_refuses_an_unknown_network(self, control: Control) -> None:
        with pytest.raises(ControlRefused, match="There is no such network"):
            control.call("block", network="EUR")


class TestReplace:
    def test_cancels_a_payment_in_the_mempool_for_good(
        self, client: Client, control: Control, receiver: Receiver
    ) -> None:
        paid = pay(control, client.take("BTC"), "0.02")
        control.call("replace", id=paid["txid"])
        control.call("block", count=2)
        body = receiver.wait_for(2)[1]
        assert (body["status"], body["error"]) == ("cancelled", "Transaction was replaced in the network")
        assert client.balance("BTC") == "0.00000000"

    def test_leaves_out_the_amounts_of_a_conversion(
        self, client: Client, control: Control, receiver: Receiver
    ) -> None:
        paid = pay(control, client.take("BTC", "EUR"), "0.02")
        control.call("replace", id=paid["id"])
        body = receiver.wait_for(2)[1]
        assert "currency_sent" not in body
        assert "currency_received" not in body

    def test_may_pay_another_amount_instead(
        self, client: Client, control: Control, receiver: Receiver
    ) -> None:
        paid = pay(control, client.take("BTC"), "0.02")
        old, new = control.call("replace", id=paid["id"], amount="0.01")["operations"]
        assert (old["status"], new["status"], new["amount"]) == ("cancelled", "not_confirmed", "0.01000000")
        assert new["txid"] != old["txid"]
        receiver.wait_for(3)

    def test_refuses_what_is_in_a_block(self, client: Client, control: Control) -> None:
        paid = pay(control, client.take("BTC"), "0.02")
        control.call("block")
        with pytest.raises(ControlRefused, match="not in a block"):
            control.call("replace", id=paid["id"])
        assert client.balance("BTC") == "0.01998000"


class TestReorganise:
    def test_takes_a_confirmed_deposit_back_and_can_mine_it_again(
        self, client: Client, control: Control, receiver: Receiver
    ) -> None:
        paid = pay(control, client.take("BTC"), "1")
        control.call("block")
        control.call("reorg", id=paid["id"])
        assert client.balance("BTC") == "0.00000000"
        control.call("block")
        assert client.balance("BTC") == "0.00000000"
        control.call("remine", id=paid["id"])
        control.call("block")
        assert client.balance("BTC") == "0.99900000"
        assert [body["status"] for body in receiver.wait_for(4)] == [
            "not_confirmed",
            "confirmed",
            "cancelled",
            "confirmed",
        ]

    def test_refuses_what_is_not_confirmed(self, client: Client, control: Control) -> None:
        paid = pay(control, client.take("BTC"), "1")
        with pytest.raises(ControlRefused, match="Only a confirmed deposit"):
            control.call("reorg", id=paid["id"])
        with pytest.raises(ControlRefused, match="reorganised away can be mined"):
            control.call("remine", id=paid["id"])

    def test_refuses_an_unknown_deposit(self, control: Control) -> None:
        with pytest.raises(ControlRefused, match="No deposit has this id"):
            control.call("reorg", id="nobody")


class TestBodies:
    def test_survive_a_php_receivers_decoding_and_encoding(
        self, client: Client, control: Control, receiver: Receiver
    ) -> None:
        pay(control, client.take("XRP"), "25")
        body = receiver.wait_for(1)[0]
        assert php_json(body) == receiver.bodies[0]
