"""The reading endpoints and addresses/take, field by field."""

from __future__ import annotations

from typing import Any

import pytest

from payments import address_formats
from payments.currencies import CURRENCIES
from sandbox.control import Control
from sandbox.prices import CARRIED
from tests.sandbox.running import Client


class TestListCurrencies:
    def test_shows_what_is_carried_by_id(self, client: Client) -> None:
        status, body = client.call("currencies/list", {"visible": True})
        assert status == 200
        assert body["data"][0] == {
            "id": 1,
            "type": "crypto",
            "currency": "BTC",
            "minimum_amount": "0.00010000",
            "deposit_fee_percent": "0.001000",
            "withdrawal_fee_percent": "0.001000",
            "precision": 8,
        }
        ids = [line["id"] for line in body["data"]]
        assert ids == sorted(ids)

    def test_shows_no_others(self, client: Client) -> None:
        assert client.call("currencies/list", {"visible": False}) == (200, {"data": []})


class TestListPairs:
    def test_shows_the_price_and_the_minima(self, client: Client) -> None:
        params = {"currency_from": "BTC", "currency_to": "EUR"}
        assert client.call("currencies/rates", params) == (
            200,
            {
                "data": [
                    {
                        "currency_from": {
                            "currency": "BTC",
                            "type": "crypto",
                            "min_amount": "0.00300000",
                            "min_amount_deposit_with_exchange": "0.00010000",
                        },
                        "currency_to": {"currency": "EUR", "type": "fiat"},
                        "rate_from": "1",
                        "rate_to": "60000.00000000",
                    }
                ]
            },
        )

    def test_shows_the_price_of_the_crypto_when_fiat_comes_first(self, client: Client) -> None:
        body = client.call("currencies/pairs", {"currency_from": "USD", "currency_to": "BTC"})[1]
        assert body["data"][0]["rate_to"] == "75000.00000000"
        assert "min_amount_deposit_with_exchange" not in body["data"][0]["currency_from"]

    def test_shows_all_but_those_between_fiat(self, client: Client) -> None:
        pairs = client.call("currencies/pairs")[1]["data"]
        types = {(pair["currency_from"]["type"], pair["currency_to"]["type"]) for pair in pairs}
        assert types == {("crypto", "crypto"), ("crypto", "fiat"), ("fiat", "crypto")}
        fiat = sum(not entry.is_crypto for entry in CARRIED.values())
        assert len(pairs) == len(CARRIED) * (len(CARRIED) - 1) - fiat * (fiat - 1)

    def test_names_both_unknown_currencies(self, client: Client) -> None:
        assert client.call("currencies/pairs", {"currency_from": "XXX", "currency_to": 5}) == (
            400,
            {
                "errors": {
                    "currency_from": "The selected currency from is invalid.",
                    "currency_to": "The selected currency to is invalid.",
                }
            },
        )

    def test_is_empty_without_a_pair(self, client: Client) -> None:
        params = {"currency_from": "EUR", "currency_to": "USD"}
        assert client.call("currencies/pairs", params) == (200, {"data": []})


class TestTakeAddress:
    @pytest.mark.parametrize("code", [code for code, entry in CARRIED.items() if entry.is_crypto])
    def test_issues_a_testnet_address_that_its_network_accepts(self, client: Client, code: str) -> None:
        issued = client.take(code)
        currency = CURRENCIES[code]
        assert address_formats.is_valid(currency.address_format or "", issued["address"], testnet=True)
        assert isinstance(issued["tag"], int) == currency.takes_tag
        assert 0 < issued["id"] < 2**31

    def test_of_bitcoin_is_pay_to_script_hash(self, client: Client) -> None:
        address = client.take("BTC")["address"]
        assert address.startswith("2")
        assert len(address) == 35

    def test_answers_the_fields_in_their_order(self, client: Client) -> None:
        params = {"foreign_id": 77, "currency": "BTC", "convert_to": "EUR", "end_user_reference": "p-1"}
        status, body = client.call("addresses/take", params)
        assert status == 201
        names = ["id", "currency", "convert_to", "address", "tag", "foreign_id", "end_user_reference"]
        assert list(body["data"]) == names
        assert (body["data"]["foreign_id"], body["data"]["tag"]) == ("77", None)

    def test_gives_the_same_address_again_and_another_for_another_conversion(self, client: Client) -> None:
        first = client.take("BTC")
        assert client.take("BTC") == first
        assert client.take("BTC", "EUR")["address"] != first["address"]
        assert client.take("BTC", foreign_id="u-2")["address"] != first["address"]

    def test_tells_customers_of_one_tagged_address_apart(self, client: Client) -> None:
        first, second = client.take("XRP"), client.take("XRP", foreign_id="u-2")
        assert first["address"] == second["address"]
        assert first["tag"] != second["tag"]

    @pytest.mark.parametrize(
        ("params", "errors"),
        [
            (
                {},
                {
                    "foreign_id": "The foreign id field is required.",
                    "currency": "The currency field is required.",
                },
            ),
            ({"foreign_id": "u", "currency": "EUR"}, {"currency": "The selected currency is invalid."}),
            ({"foreign_id": "u", "currency": "ADA"}, {"currency": "The selected currency is invalid."}),
            (
                {"foreign_id": "u" * 256, "currency": "BTC"},
                {"foreign_id": "The foreign id may not be greater than 255 characters."},
            ),
            (
                {"foreign_id": "u", "currency": "ETH", "convert_to": "ETH"},
                {"convert_to": "Exchange is unavailable for given currencies"},
            ),
            (
                {"foreign_id": "u", "currency": "ETH", "convert_to": "junk"},
                {"convert_to": "The selected convert to is invalid."},
            ),
        ],
    )
    def test_refuses(self, client: Client, params: dict[str, Any], errors: dict[str, str]) -> None:
        assert client.call("addresses/take", params) == (400, {"errors": errors})


class TestListAccounts:
    def test_shows_every_account_even_empty_ones(self, client: Client, control: Control) -> None:
        control.call("fund", currency="EUR", amount="10.5")
        accounts = client.call("accounts/list")[1]["data"]
        assert [account["currency"] for account in accounts] == list(CARRIED)
        assert accounts[2] == {"currency": "EUR", "type": "fiat", "balance": "10.50000000"}
        assert accounts[0] == {"currency": "BTC", "type": "crypto", "balance": "0.00000000"}


class TestShowTransaction:
    @pytest.fixture
    def deposit(self, client: Client, control: Control) -> dict[str, Any]:
        address = client.take("BTC")["address"]
        operation: dict[str, Any] = control.call("pay", address=address, amount="0.5")["operations"][0]
        return operation

    def test_answers_the_bare_callback_object(self, client: Client, deposit: dict[str, Any]) -> None:
        status, body = client.call("transactions/info", {"id": deposit["id"]}, method="GET")
        assert (status, body["id"], body["type"], body["status"]) == (
            200,
            deposit["id"],
            "deposit",
            "not_confirmed",
        )

    def test_takes_the_txid_from_the_query_too(self, client: Client, deposit: dict[str, Any]) -> None:
        status, body = client.call(f"transactions/info?txid={deposit['txid']}", method="GET")
        assert (status, body["id"]) == (200, deposit["id"])

    def test_narrows_by_type(self, client: Client, deposit: dict[str, Any]) -> None:
        params = {"id": deposit["id"], "type": "withdrawal"}
        assert client.call("transactions/info", params)[0] == 404

    def test_knows_no_other(self, client: Client) -> None:
        assert client.call("transactions/info", {"foreign_id": "x"}, method="GET") == (
            404,
            {"errors": {"foreign_id": "Transaction not found."}},
        )

    @pytest.mark.parametrize("params", [{}, {"id": 1, "txid": "x"}])
    def test_wants_exactly_one_key(self, client: Client, params: dict[str, Any]) -> None:
        assert client.call("transactions/info", params) == (
            400,
            {"errors": {"id": "Provide exactly one of id, foreign_id, txid."}},
        )
