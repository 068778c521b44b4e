"""What everything costs: fixed prices, so that every run and every test gets the same figures.

All prices derive from one table in euro and are round numbers on purpose. Pairs are offered between two
currencies of which one is crypto at least; between two fiat currencies there are none.
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import ROUND_HALF_EVEN, Context, Decimal
from types import MappingProxyType

from payments.currencies import CURRENCIES, Currency
from payments.fees import fee_for
from payments.money import Money

_EURO = {
    "BTC": "60000", "WBTC": "60000", "ETH": "3000", "ETHA": "3000", "ETHBASE": "3000", "BCH": "400",
    "LTC": "80", "DOGE": "0.16", "BNB-BSC": "500", "TRX": "0.2", "XRP": "0.5", "POL": "0.4", "CSC": "0.01",
    "USDTE": "0.8", "USDTT": "0.8", "USDTB": "0.8", "USDC": "0.8", "DAI": "0.8", "EURS": "1", "EURCE": "1",
    "EURCBASE": "1", "BRZ": "0.16", "CPD": "0.01", "XED": "0.02", "VERSE": "0.0001", "SNACK": "0.001",
    "EUR": "1", "USD": "0.8", "GBP": "1.25",
}  # fmt: skip
_COMPUTING = Context(prec=60, rounding=ROUND_HALF_EVEN)

CARRIED = MappingProxyType(
    {code: entry for code, entry in CURRENCIES.items() if entry.can_be_enabled and code in _EURO}
)
"""The currencies of this processor: those with a price whose addresses can be made."""

DEPOSIT_FEE = Decimal("0.001")
WITHDRAWAL_FEE = Decimal("0.001")
EXCHANGE_FEE = Decimal("0.005")
_MINING_EURO = Decimal("0.6")
_LEAST_EXCHANGE_EURO = {"USD": Decimal(20)}
_ELSE_LEAST_EXCHANGE_EURO = Decimal(180)
PRICE_HOLDS_SECONDS = 60


def euro(currency: str) -> Decimal:
    """What one unit costs in euro. Raises `KeyError` for a currency not carried."""
    return Decimal(_EURO[CARRIED[currency].code])


def is_pair(source: str, target: str) -> bool:
    """Whether this processor converts `source` to `target`."""
    known = source in CARRIED and target in CARRIED and source != target
    return known and (CARRIED[source].is_crypto or CARRIED[target].is_crypto)


def price(source: str, target: str) -> Decimal:
    """Units of `target` for one `source`: 8 decimals, and 18 where it is below one, to keep its digits."""
    exact = _COMPUTING.divide(euro(source), euro(target))
    return exact.quantize(Decimal(1).scaleb(-8 if exact >= 1 else -18), context=_COMPUTING)


def shown_rate(source: str, target: str) -> Decimal:
    """The figure in `currencies/pairs` and `/rates`: from fiat to crypto it is the price of the crypto."""
    return price(target, source) if not CARRIED[source].is_crypto else price(source, target)


def converted(money: Money, target: str) -> Money:
    """What `money` becomes at the fixed price, rounded down."""
    return Money(money.times(price(money.currency, target)).amount, target).rounded_down()


def cost(money: Money, source: str) -> Money:
    """How much of `source` it takes to get `money`, rounded up."""
    amount = _COMPUTING.divide(money.amount, price(source, money.currency))
    return Money(amount, source).rounded_up()


def pairs() -> Iterator[tuple[Currency, Currency]]:
    """Every pair on offer, by the ids of its currencies."""
    for source in CARRIED.values():
        for target in CARRIED.values():
            if is_pair(source.code, target.code):
                yield source, target


def least_exchange(source: str, target: str) -> Money:
    """The smallest amount of `source` that is exchanged for `target`: each pair has its own."""
    least = _LEAST_EXCHANGE_EURO.get(target, _ELSE_LEAST_EXCHANGE_EURO)
    return Money(_COMPUTING.divide(least, euro(source)), source).rounded_up()


def exchange_fee(sent: Money, received: Money) -> Money:
    """On top, in the fiat side of the pair, or in the sender's currency between two cryptos."""
    base = received if not CARRIED[received.currency].is_crypto else sent
    return fee_for(base, percent=EXCHANGE_FEE, minimum=Decimal(0))


def mining_fee(currency: str) -> Money:
    """The network's fee of one payout, in `currency`: on every chain the same sum in euro."""
    return Money(_COMPUTING.divide(_MINING_EURO, euro(currency)), currency).rounded_up()
