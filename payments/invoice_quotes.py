"""At which price an invoice may be paid, and how much one may ask for.

Prices are those that the merchant's processor quotes; a conversion needs a fresh one, a limit makes do with
the last that is known. The limits stand in the settings in euro and hold for what they are worth in the
invoice's own currency; where nothing ever had a price, there is nothing to compare and no limit.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import ROUND_CEILING, ROUND_FLOOR, Context, Decimal

from django.conf import settings
from django.db import connection

from merchants.errors import Refusal
from merchants.models import Merchant
from payments import invoice_rules
from payments.currencies import CURRENCIES
from payments.models import Route, Terms
from payments.models.route import RouteOperation
from payments.money import CONTEXT, WIRE_PLACES, Money
from payments.processors.base import Pair
from payments.rates import STALE_AFTER, NoRate
from payments.terms import Offer

LIMITS_IN = "EUR"
BY_WAY_OF = "BTC"
FIAT_PLACES = 2
_ONE = Decimal(1)
_UP = Context(prec=78, rounding=ROUND_CEILING)
_DOWN = Context(prec=78, rounding=ROUND_FLOOR)


class AmountTooSmall(Refusal):
    """The amount is too small. The minimum amount is {minimum} {currency}."""

    field = "amount"


class AmountTooLarge(Refusal):
    """The amount is too large. The maximum amount is {maximum} {currency}."""

    field = "amount"


@dataclass(frozen=True, slots=True)
class Price:
    """What one unit of a pair's source costs, by which row. minimum_deposit: the least that is converted."""

    rate_id: int
    price: Decimal
    minimum_deposit: Decimal | None
    is_fresh: bool


Prices = Mapping[Pair, Price]


@dataclass(frozen=True, slots=True)
class Quote:
    """What a payer is asked. rate_id: None where nothing is converted; least: the least that can be sent."""

    sent: Money
    price: Decimal
    rate_id: int | None
    terms: Terms
    least: Decimal


def prices(*, merchant: Merchant, codes: Iterable[str], now: datetime) -> Prices:
    """What the merchant's processor quotes, or last quoted, between `codes` and for their worth in euro."""
    processor = Route.objects.choose(
        merchant=merchant, currency="", operation=RouteOperation.EXCHANGE, now=now
    )
    if processor is None:
        return {}
    wanted = sorted({*codes, LIMITS_IN, BY_WAY_OF})
    with connection.cursor() as cursor:  # by hand: rows of every pair cost more than the rest of creating
        cursor.execute(_PRICES, [STALE_AFTER.total_seconds(), processor.pk, wanted, wanted])
        return {Pair(source, target): Price(*row) for source, target, *row in cursor.fetchall()}


_PRICES = """
SELECT source, target, id, price, minimum_deposit,
       seen_at >= statement_timestamp() - %s * interval '1 second'
  FROM payments_rate WHERE processor_id = %s AND is_current AND source = ANY(%s) AND target = ANY(%s)
"""


def quote(asked: Money, *, offer: Offer, found: Prices) -> Quote:
    """What `asked` is in the offered currency now. Raises `NoRate` without a fresh price."""
    code = offer.currency.code
    if code == asked.currency:
        return Quote(asked, _ONE, None, offer.terms, offer.terms.deposit_minimum)
    price = found.get(Pair(code, asked.currency))
    if price is None or not price.is_fresh:
        raise NoRate
    return held(asked, offer=offer, price=price)


def held(asked: Money, *, offer: Offer, price: Price) -> Quote:
    """The same at a price that was held."""
    code = offer.currency.code
    return Quote(
        sent=invoice_rules.to_send(asked, price=price.price, currency=code),
        price=price.price,
        rate_id=price.rate_id,
        terms=offer.terms,
        least=max(price.minimum_deposit or Decimal(0), offer.terms.deposit_minimum),
    )


def demand_sendable(asked: Money, quoted: Quote) -> None:
    """Raises `AmountTooSmall` when so little would not be credited on arrival."""
    if quoted.sent.amount < quoted.least:
        least = CONTEXT.multiply(quoted.least, quoted.price)
        raise AmountTooSmall(minimum=_shown(least, asked.currency, _UP), currency=asked.currency)


def demand_within_limits(asked: Money, *, found: Prices) -> None:
    """Raises `AmountTooSmall` or `AmountTooLarge` by what the limits are worth in the invoice's currency."""
    worth = _worth(asked.currency, found)
    if worth is None:
        return
    least, most = (_UP.divide(limit, worth) for limit in settings.INVOICE_LIMITS_EUR)
    places = _places(asked.currency)
    least, most = _at(least, places, _UP), _at(most, places, _DOWN)
    if asked.amount < least:
        raise AmountTooSmall(minimum=f"{least:f}", currency=asked.currency)
    if asked.amount > most:
        raise AmountTooLarge(maximum=f"{most:f}", currency=asked.currency)


def _worth(currency: str, found: Prices) -> Decimal | None:
    """Of one unit, in euro: at the direct price, or by way of bitcoin."""
    if currency == LIMITS_IN:
        return _ONE
    direct = found.get(Pair(currency, LIMITS_IN))
    if direct is not None:
        return direct.price
    first, second = found.get(Pair(currency, BY_WAY_OF)), found.get(Pair(BY_WAY_OF, LIMITS_IN))
    return CONTEXT.multiply(first.price, second.price) if first and second else None


def _shown(amount: Decimal, currency: str, context: Context) -> str:
    return f"{_at(amount, _places(currency), context):f}"


def _places(currency: str) -> int:
    return WIRE_PLACES if CURRENCIES[currency].is_crypto else FIAT_PLACES


def _at(amount: Decimal, places: int, context: Context) -> Decimal:
    return amount.quantize(_ONE.scaleb(-places), context=context)
