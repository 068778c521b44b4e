"""What balances are worth together: at current prices, without what has none, rounded down."""

from __future__ import annotations

from decimal import Decimal

from payments import worth
from payments.models import Rate
from payments.money import Money
from payments.processors.base import Pair

PRICES = {
    Pair(source, target): Rate(source=source, target=target, price=Decimal(price))
    for source, target, price in (
        ("BTC", "EUR", "60000"),
        ("EUR", "BTC", "0.00001666"),
        ("USD", "BTC", "0.00001333"),
    )
}


def money(amount, currency):
    return Money(Decimal(amount), currency)


class TestOfAmounts:
    def test_adds_at_the_current_prices(self):
        found = worth.of_amounts([money("0.5", "BTC"), money("10.019", "EUR")], PRICES)
        assert found.total == money("30010.01", "EUR")
        assert found.beside == money("0.49996691", "BTC")
        assert found.without == []

    def test_goes_by_way_of_bitcoin_where_there_is_no_direct_price(self):
        assert worth.of_amounts([money("100", "USD")], PRICES).total == money("79.98", "EUR")

    def test_names_what_has_no_price(self):
        found = worth.of_amounts([money("5", "XRP"), money("1", "EUR")], PRICES)
        assert (found.total, found.without) == (money("1.00", "EUR"), ["XRP"])

    def test_subtracts_debts(self):
        assert worth.of_amounts([money("-1", "EUR")], {}).total == money("-1.00", "EUR")
