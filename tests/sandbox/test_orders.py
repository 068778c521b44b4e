"""Withdrawals and exchanges: what is accepted, what it costs, what comes of it."""

from __future__ import annotations

from typing import Any

import pytest

from sandbox.control import Control
from tests.sandbox.receiver import Receiver
from tests.sandbox.running import Client

BTC_ADDRESS = "2MyznGQqCPWqADodvVMCDyM3K45Hdvm5ocn"
TRON_ADDRESS = "TDR3ZnZiRDgdB4AH7bmx5m74uwHv8ZY6XP"
XRP_ADDRESS = "rDcX5RLymguJcfQpaeFQFkGxfMA8kPcEju"


@pytest.fixture
def rich(control: Control) -> None:
    for currency, amount in {"BTC": "2", "EUR": "10000", "USDTT": "500", "XRP": "100"}.items():
        control.call("fund", currency=currency, amount=amount)


def order(**values: Any) -> dict[str, Any]:
    return {"foreign_id": "w-1", "amount": "0.02", "currency": "BTC", "address": BTC_ADDRESS} | values


@pytest.mark.usefixtures("rich")
class TestWithdraw:
    def test_is_processing_then_confirmed_with_a_txid_and_fees(
        self, client: Client, receiver: Receiver
    ) -> None:
        status, body = client.call("withdrawal/crypto", order(end_user_reference="p-1"))
        assert status == 201
        operation_id = body["data"].pop("id")
        assert body["data"] == {
            "foreign_id": "w-1",
            "type": "withdrawal",
            "status": "processing",
            "amount": "0.02000000",
            "sender_amount": "0.02000000",
            "sender_currency": "BTC",
            "receiver_amount": "0.02000000",
            "receiver_currency": "BTC",
            "end_user_reference": "p-1",
        }
        told = receiver.wait_for(1)[0]
        assert (told["id"], told["foreign_id"], told["status"]) == (operation_id, "w-1", "confirmed")
        assert told["fees"] == [
            {"type": "mining", "currency": "BTC", "amount": "0.00001000"},
            {"type": "withdrawal", "currency": "BTC", "amount": "0.00002000"},
        ]
        assert len(told["transactions"][0]["txid"]) == 64
        assert client.balance("BTC") == "1.97997000"

    def test_of_a_token_pays_the_network_in_its_coin(self, client: Client, receiver: Receiver) -> None:
        client.call("withdrawal/crypto", order(amount="100", currency="USDTT", address=TRON_ADDRESS))
        assert receiver.wait_for(1)[0]["fees"][0] == {
            "type": "mining",
            "currency": "TRX",
            "amount": "3.00000000",
        }
        assert client.balance("USDTT") == "399.90000000"
        assert client.balance("TRX") == "-3.00000000"

    def test_converts_from_fiat(self, client: Client, receiver: Receiver) -> None:
        status, body = client.call("withdrawal/crypto", order(amount="600", currency="EUR", convert_to="BTC"))
        assert (status, body["data"]["type"]) == (201, "withdrawal_exchange")
        told = receiver.wait_for(1)[0]
        assert told["currency_received"] == {"currency": "BTC", "amount": "0.01000000"}
        assert [leg["type"] for leg in told["transactions"]] == ["exchange", "withdrawal"]
        assert told["crypto_address"]["convert_to"] == "BTC"
        assert client.balance("EUR") == "9396.40000000"

    def test_converts_to_a_target_amount(self, client: Client) -> None:
        params = order(currency="EUR", convert_to="BTC", amount=None, amount_to="0.01")
        data = client.call("withdrawal/crypto", params)[1]["data"]
        assert data["receiver_amount"] == "0.01000000"
        assert data["sender_amount"] == "600.00000000"

    def test_to_an_address_issued_here_arrives_at_it(self, client: Client, receiver: Receiver) -> None:
        address = client.take("BTC")["address"]
        client.call("withdrawal/crypto", order(address=address))
        arrived, paid = sorted(receiver.wait_for(2), key=lambda body: str(body["type"]))
        assert (arrived["type"], arrived["status"]) == ("deposit", "not_confirmed")
        assert arrived["transactions"][0]["txid"] == paid["transactions"][0]["txid"]

    def test_takes_a_foreign_id_once(self, client: Client, receiver: Receiver) -> None:
        assert client.call("withdrawal/crypto", order())[0] == 201
        receiver.wait_for(1)
        assert client.call("withdrawal/crypto", order()) == (
            400,
            {"errors": {"foreign_id": "The foreign id has already been taken."}},
        )
        assert client.balance("BTC") == "1.97997000"

    @pytest.mark.parametrize(
        ("values", "errors"),
        [
            ({"foreign_id": None}, {"foreign_id": "The foreign id field is required."}),
            ({"amount": None}, {"amount": "The amount field is required."}),
            ({"amount": "1,5"}, {"amount": "The amount must be a number."}),
            ({"amount": "0.00001"}, {"amount": "The amount must be at least 0.0001."}),
            ({"amount": "2"}, {"amount": "Not enough money on balance"}),
            ({"currency": "EUR"}, {"currency": "The selected currency is invalid."}),
            ({"currency": "XXX"}, {"currency": "The selected currency is invalid."}),
            ({"address": TRON_ADDRESS}, {"address": "The address is invalid."}),
            ({"address": BTC_ADDRESS[:-1] + "m"}, {"address": "The address is invalid."}),
            (
                {"amount_to": "1", "currency": "EUR", "convert_to": "BTC"},
                {"amount": "Only one of amount and amount_to can be given."},
            ),
            ({"amount": None, "amount_to": "1"}, {"convert_to": "The convert to field is required."}),
            (
                {"currency": "BTC", "convert_to": "BTC"},
                {"convert_to": "Exchange is unavailable for given currencies"},
            ),
            (
                {"currency": "XRP", "amount": "10", "address": XRP_ADDRESS},
                {"tag": "The tag field is required."},
            ),
            (
                {"currency": "XRP", "amount": "10", "address": XRP_ADDRESS, "tag": "4294967296"},
                {"tag": "The tag is invalid."},
            ),
        ],
    )
    def test_refuses_and_moves_nothing(
        self, client: Client, control: Control, values: dict[str, Any], errors: dict[str, str]
    ) -> None:
        before = control.call("state")["balances"]
        status, body = client.call("withdrawal/crypto", order(**values))
        assert (status, body) == (400, {"errors": errors})
        state = control.call("state")
        assert (state["balances"], state["operations"]) == (before, [])


@pytest.mark.usefixtures("rich")
class TestCalculate:
    def test_quotes_a_price_that_holds_a_minute(self, client: Client) -> None:
        params = {"sender_currency": "BTC", "receiver_currency": "EUR", "sender_amount": "0.02"}
        data = client.call("exchange/calculate", params)[1]["data"]
        fixed_at = data.pop("ts_fixed")
        assert data.pop("ts_release") == fixed_at + 60
        assert data == {
            "sender_amount": "0.02000000",
            "sender_currency": "BTC",
            "receiver_amount": "1200.00000000",
            "receiver_currency": "EUR",
            "fee_amount": "6.00000000",
            "fee_currency": "EUR",
            "price": "60000.00000000",
            "fix_period": 60,
        }

    @pytest.mark.parametrize(
        ("values", "errors"),
        [
            (
                {"sender_amount": None},
                {
                    "sender_amount": "The sender amount field is required.",
                    "receiver_amount": "The receiver amount field is required.",
                },
            ),
            (
                {"sender_amount": "0.0001"},
                {"sender_amount": "The sender amount must be at least 0.00300000."},
            ),
            (
                {"sender_currency": "USD"},
                {"sender_currency": "Exchange is unavailable for given currencies"},
            ),
        ],
    )
    def test_refuses(self, client: Client, values: dict[str, Any], errors: dict[str, str]) -> None:
        params = {"sender_currency": "BTC", "receiver_currency": "EUR", "sender_amount": "0.02"} | values
        assert client.call("exchange/calculate", params) == (400, {"errors": errors})


@pytest.mark.usefixtures("rich")
class TestExchange:
    def test_now_credits_what_it_brings_less_the_fee(self, client: Client, receiver: Receiver) -> None:
        params = {
            "sender_currency": "BTC",
            "receiver_currency": "EUR",
            "sender_amount": "0.02",
            "foreign_id": "x-1",
        }
        status, body = client.call("exchange/now", params)
        assert (status, body["data"]["status"], body["data"]["type"]) == (201, "processing", "exchange")
        told = receiver.wait_for(1)[0]
        assert "crypto_address" not in told
        assert (told["foreign_id"], told["status"]) == ("x-1", "confirmed")
        assert (client.balance("BTC"), client.balance("EUR")) == ("1.98000000", "11194.00000000")

    def test_below_the_minimum_is_refused_and_moves_nothing(self, client: Client) -> None:
        params = {
            "sender_currency": "EUR",
            "receiver_currency": "BTC",
            "sender_amount": "179.99999999",
            "foreign_id": "x-1",
        }
        assert client.call("exchange/now", params) == (
            400,
            {"errors": {"sender_amount": "The sender amount must be at least 180.00000000."}},
        )
        assert client.balance("EUR") == "10000.00000000"

    def test_from_fiat_takes_its_fee_on_top(self, client: Client, receiver: Receiver) -> None:
        params = {
            "sender_currency": "EUR",
            "receiver_currency": "BTC",
            "receiver_amount": "0.01",
            "foreign_id": "x-1",
        }
        assert client.call("exchange/now", params)[0] == 201
        receiver.wait_for(1)
        assert (client.balance("BTC"), client.balance("EUR")) == ("2.01000000", "9397.00000000")

    def test_fixed_wants_a_price_that_was_quoted_and_still_holds(
        self, client: Client, control: Control
    ) -> None:
        params = {"sender_currency": "EUR", "receiver_currency": "BTC", "sender_amount": "600"}
        fixed = params | {"foreign_id": "x-1", "price": "0.0000166666666667"}
        expired = (400, {"errors": {"price": "The price is expired or invalid."}})
        assert client.call("exchange/fixed", fixed) == expired
        client.call("exchange/calculate", params)
        assert client.call("exchange/fixed", fixed | {"price": "0.00002"}) == expired
        assert client.call("exchange/fixed", fixed)[0] == 201
        control.call("wait", seconds=61)
        assert client.call("exchange/fixed", fixed | {"foreign_id": "x-2"}) == expired

    def test_takes_a_foreign_id_once_among_exchanges(self, client: Client) -> None:
        params = {
            "sender_currency": "BTC",
            "receiver_currency": "EUR",
            "sender_amount": "0.02",
            "foreign_id": "one",
        }
        assert client.call("withdrawal/crypto", order(foreign_id="one"))[0] == 201
        assert client.call("exchange/now", params)[0] == 201
        assert client.call("exchange/now", params)[1] == {
            "errors": {"foreign_id": "The foreign id has already been taken."}
        }
