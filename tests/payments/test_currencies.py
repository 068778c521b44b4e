"""The registry: ids that never move, the published table, and what may be enabled."""

from __future__ import annotations

from decimal import Decimal

import pytest

from payments import currencies
from payments.currencies import CURRENCIES, CurrencyKind, UnknownCurrency
from payments.money import WIRE_PLACES

# The docs' table of 2023-12: code, network, confirmations, at none by risk service, minimum, tag.
PUBLISHED = [
    ("BTC", "bitcoin", 1, True, "0.0001", False),
    ("BCH", "bitcoin-cash", 6, True, "0.001", False),
    ("LTC", "litecoin", 6, False, "0.01", False),
    ("DOGE", "dogecoin", 6, False, "1", False),
    ("ETH", "ethereum", 10, False, "0.01", False),
    ("USDTE", "ethereum", 10, False, "5", False),
    ("USDTT", "tron", 19, False, "2", False),
    ("USDTB", "bnb-smart-chain", 25, False, "5", False),
    ("USDC", "ethereum", 10, False, "5", False),
    ("DAI", "ethereum", 10, False, "5", False),
    ("TRX", "tron", 19, False, "10", False),
    ("XRP", "xrp-ledger", 1, False, "0.001", True),
    ("BNB", "bnb-beacon", 1, False, "0.01", True),
    ("BNB-BSC", "bnb-smart-chain", 25, False, "0.01", False),
    ("ADA", "cardano", 15, False, "2", False),
    ("CSC", "xrp-ledger", 1, False, "1", True),
    ("EURS", "ethereum", 10, False, "0.01", False),
    ("BRZ", "ethereum", 10, False, "0.01", False),
    ("CPD", "ethereum", 10, False, "0.01", False),
    ("XED", "ethereum", 10, False, "0.01", False),
    ("WBTC", "ethereum", 10, False, "0.0001", False),
    ("VERSE", "ethereum", 10, False, "10000", False),
    ("SNACK", "bnb-smart-chain", 25, False, "10", False),
]
LATER = ["ETHA", "ETHBASE", "EURCE", "EURCBASE", "EURCS", "USDCS", "POL", "SOL"]
_FIAT_CODES = (
    "EUR USD GBP ARS AUD AZN BDT BRL BYN CAD CHF CLP CNY CZK GEL HUF IDR ILS INR JPY KGS KRW KZT LKR MDL MXN "
    "MYR NGN NOK NPR NZD PEN PHP PLN RUB SEK THB TJS TRY UAH VND ZAR"
)
FIAT = _FIAT_CODES.split()


class TestTheRegistry:
    @pytest.mark.parametrize(
        ("code", "network", "confirmations", "instant", "minimum", "takes_tag"), PUBLISHED
    )
    def test_holds_the_published_table(
        self, code: str, network: str, confirmations: int, instant: bool, minimum: str, takes_tag: bool
    ) -> None:
        currency = CURRENCIES[code]
        assert currency.network is not None
        assert currency.network.code == network
        assert (currency.confirmations, currency.instant) == (confirmations, instant)
        assert currency.minimum_deposit == currency.minimum_withdrawal == Decimal(minimum)
        assert currency.takes_tag is takes_tag

    def test_holds_these_currencies_and_no_others(self) -> None:
        assert set(CURRENCIES) == {*(row[0] for row in PUBLISHED), *LATER, *FIAT}

    def test_gives_the_first_ids_as_recorded(self) -> None:
        assert {code: CURRENCIES[code].id for code in ("BTC", "ETH", "EUR", "USD")} == {
            "BTC": 1,
            "ETH": 2,
            "EUR": 3,
            "USD": 4,
        }

    def test_numbers_without_a_gap_or_a_double_and_lists_in_that_order(self) -> None:
        assert [currency.id for currency in CURRENCIES.values()] == list(range(1, len(CURRENCIES) + 1))

    def test_lists_the_fiat_that_everybody_uses_first(self) -> None:
        assert [code for code in CURRENCIES if not CURRENCIES[code].is_crypto] == FIAT

    @pytest.mark.parametrize(
        ("code", "id"), [("GBP", 5), ("XRP", 15), ("SNACK", 26), ("ZAR", 65), ("SOL", 73)]
    )
    def test_never_renumbers(self, code: str, id: int) -> None:
        assert CURRENCIES[code].id == id

    def test_can_not_be_changed(self) -> None:
        with pytest.raises(TypeError):
            CURRENCIES["BTC"] = CURRENCIES["ETH"]  # type: ignore[index]  # the point of the test

    def test_keys_every_currency_by_its_own_code_in_ascii(self) -> None:
        for code, currency in CURRENCIES.items():
            assert currency.code == code
            assert code.isascii()
            assert code == code.upper()
            assert len(code) <= 16

    def test_writes_every_currency_at_the_wires_precision(self) -> None:
        assert {currency.precision for currency in CURRENCIES.values()} == {WIRE_PLACES}

    def test_scores_risk_for_four_coins(self) -> None:
        assert {code for code, currency in CURRENCIES.items() if currency.has_riskscore} == {
            "BTC",
            "BCH",
            "ETH",
            "LTC",
        }

    def test_keeps_one_ticker_for_the_forms_of_one_coin(self) -> None:
        assert [code for code, currency in CURRENCIES.items() if currency.ticker == "USDT"] == [
            "USDTE",
            "USDTT",
            "USDTB",
        ]


class TestFiat:
    @pytest.mark.parametrize("code", FIAT)
    def test_moves_on_no_network_and_has_no_minimum(self, code: str) -> None:
        currency = CURRENCIES[code]
        assert currency.kind is CurrencyKind.FIAT
        assert currency.network is None
        assert currency.address_format is None
        assert currency.minimum_deposit == currency.minimum_withdrawal == 0
        assert currency.can_be_enabled


class TestCanBeEnabled:
    def test_refuses_the_coins_whose_addresses_can_not_be_checked_yet(self) -> None:
        refused = {code for code, currency in CURRENCIES.items() if not currency.can_be_enabled}
        assert refused == {"BNB", "ADA", "EURCS", "USDCS", "SOL"}


class TestGet:
    def test_finds_the_exact_code(self) -> None:
        assert currencies.get("BNB-BSC").ticker == "BNB"

    @pytest.mark.parametrize("code", ["btc", "BTC ", "", "XXX", "ВТС"])
    def test_refuses_any_other_spelling(self, code: str) -> None:
        with pytest.raises(UnknownCurrency, match=r"^The selected currency is invalid\.$") as refusal:
            currencies.get(code)
        assert refusal.value.field == "currency"

    def test_stands_at_the_field_that_was_asked(self) -> None:
        with pytest.raises(UnknownCurrency, match=r"^The selected currency from is invalid\.$") as refusal:
            currencies.get("XXX", field="currency_from")
        assert refusal.value.field == "currency_from"


class TestNetwork:
    def test_points_at_the_explorer_of_the_right_side(self) -> None:
        network = CURRENCIES["BTC"].network
        assert network is not None
        assert network.transaction_url(txid="ab12", testnet=False) == "https://mempool.space/tx/ab12"
        assert network.transaction_url(txid="ab12", testnet=True) == "https://mempool.space/testnet/tx/ab12"

    def test_says_nothing_where_no_explorer_is(self) -> None:
        network = CURRENCIES["DOGE"].network
        assert network is not None
        assert network.transaction_url(txid="ab12", testnet=True) == ""

    def test_has_https_links_that_carry_the_txid(self) -> None:
        for network in {currency.network for currency in CURRENCIES.values() if currency.network}:
            for testnet in (False, True):
                link = network.transaction_url(txid="ab12", testnet=testnet)
                assert not link or (link.startswith("https://") and link.count("ab12") == 1)
