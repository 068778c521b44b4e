"""What a conversion comes to: the price as it is promised and shown, both amounts, the fee on top.

Pure. Amounts round to the merchant's disadvantage by less than the last digit of the wire: what is got
down, what it costs up. A price is promised in the very digits that are shown.
"""

from __future__ import annotations

from decimal import ROUND_CEILING, ROUND_FLOOR, Context, Decimal

from payments import fees
from payments.currencies import CURRENCIES
from payments.money import WIRE_PLACES, Money

SMALLEST = Decimal(1).scaleb(-WIRE_PLACES)
MOST = Decimal(10) ** 17
"""No amount on the wire has more digits before its point."""
_PLACES_BELOW_ONE = 18
_DOWN = Context(prec=78, rounding=ROUND_FLOOR)
_UP = Context(prec=78, rounding=ROUND_CEILING)


def promised(price: Decimal) -> Decimal:
    """A processor's price as a merchant is promised it: 8 decimals, or 18 where it is below one."""
    places = WIRE_PLACES if price >= 1 else _PLACES_BELOW_ONE
    return price.quantize(Decimal(1).scaleb(-places), context=_DOWN)


def price_text(price: Decimal) -> str:
    """A promised price as the wire shows it: all its digits, never an exponent."""
    return f"{promised(price):f}"


def made_of(sent: Money, *, price: Decimal, target: str) -> Money:
    """What `sent` makes at `price` units of `target` for one; rounded down."""
    return Money(sent.times(price).amount, target).rounded_down()


def cost_of(received: Money, *, price: Decimal, source: str) -> Money:
    """How much of `source` it takes to make `received`; rounded up."""
    return Money(_UP.divide(received.amount, price), source).rounded_up()


def fee_on(sent: Money, received: Money, *, percent: Decimal) -> Money:
    """The fee on top, in the fiat side of the pair, or in the sender's currency between two coins.

    percent: a fraction, 0.01 is 1 %. Of the published samples (gateway contract, choice A7).
    """
    base = sent if CURRENCIES[received.currency].is_crypto else received
    return fees.fee_for(base, percent=percent, minimum=Decimal(0))
