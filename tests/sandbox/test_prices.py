"""The fixed prices and what is computed with them."""

from __future__ import annotations

from decimal import Decimal

import pytest

from payments.money import Money
from sandbox import prices


def money(amount: str, currency: str) -> Money:
    return Money(Decimal(amount), currency)


class TestPrice:
    @pytest.mark.parametrize(
        ("source", "target", "price"),
        [
            ("BTC", "EUR", "60000.00000000"),
            ("BTC", "USD", "75000.00000000"),
            ("ETH", "BTC", "0.050000000000000000"),
            ("EUR", "BTC", "0.000016666666666667"),
            ("SNACK", "BTC", "0.000000016666666667"),
        ],
    )
    def test_keeps_its_digits(self, source: str, target: str, price: str) -> None:
        assert f"{prices.price(source, target):f}" == price

    def test_is_above_zero_for_every_pair(self) -> None:
        assert all(prices.price(source.code, target.code) > 0 for source, target in prices.pairs())


class TestConverted:
    def test_rounds_down(self) -> None:
        assert prices.converted(money("100", "EUR"), "BTC") == money("0.00166666", "BTC")


class TestCost:
    def test_rounds_up_so_that_the_target_is_reached(self) -> None:
        cost = prices.cost(money("0.00166667", "BTC"), "EUR")
        assert prices.converted(cost, "BTC") >= money("0.00166666", "BTC")
        assert cost == money("100.00020000", "EUR")


class TestExchangeFee:
    @pytest.mark.parametrize(
        ("sent", "received", "fee"),
        [
            (("1", "BTC"), ("60000", "EUR"), ("300", "EUR")),
            (("60000", "EUR"), ("1", "BTC"), ("300", "EUR")),
            (("1", "BTC"), ("20", "ETH"), ("0.005", "BTC")),
        ],
    )
    def test_is_in_the_fiat_side_or_in_what_is_sent(
        self, sent: tuple[str, str], received: tuple[str, str], fee: tuple[str, str]
    ) -> None:
        assert prices.exchange_fee(money(*sent), money(*received)) == money(*fee)


class TestLeastExchange:
    def test_is_worth_the_same_in_every_currency(self) -> None:
        assert prices.least_exchange("BTC", "EUR") == money("0.003", "BTC")
        assert prices.least_exchange("EUR", "BTC") == money("180", "EUR")
        assert prices.least_exchange("BTC", "USD") == money("0.00033334", "BTC")
