"""Exchanges: prices promised to merchants for a minute, and balances converted at them or at the market.

A promise binds pair and price, not the amount. An exchange sets its amount aside as it is made, under a
number of the merchant's that the database lets it use once; the sender hands it over, and what the
processor says of it ends it (`exchange_outcomes`). The fee comes on top. Between a promise and its price
stands the house, within the limit of `positions`.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import cast

from django.db import IntegrityError, transaction

from merchants.models import Merchant
from payments import controls, conversions, ledger, positions, rates, terms
from payments.errors import FieldRefusal
from payments.ledger import InsufficientFunds, NewEntry
from payments.models import (
    Exchange,
    ExchangeState,
    Leg,
    LegType,
    Operation,
    OperationKind,
    OperationStatus,
    Origin,
    Quote,
    Rate,
    Terms,
    TransactionType,
)
from payments.models.operation import new_ids
from payments.money import CONTEXT, Money
from payments.rates import NoRate

PRICE_HOLDS = timedelta(seconds=60)
KEPT_FOR = timedelta(days=7)
TOLERANCE = Decimal("0.000001")
"""How far, relatively, a price may be off the promised one: clients write numbers in their own ways."""
MOST_TRIES = 5


class TooSmall(FieldRefusal):
    """The amount must be at least {minimum}"""

    field = "sender_amount"


class TooBig(FieldRefusal):
    """The {attr} is too large."""

    field = "sender_amount"


class PriceExpired(FieldRefusal):
    """The price is expired or invalid."""

    field = "price"


class ForeignIdTaken(FieldRefusal):
    """The foreign id has already been taken."""

    field = "foreign_id"


@dataclass(frozen=True, slots=True)
class Wish:
    """What a merchant wants converted: `source` to `target`, by exactly one of the amounts.

    sent: of source, without the fee. received: of target.
    """

    source: str
    target: str
    sent: Decimal | None = None
    received: Decimal | None = None


@dataclass(frozen=True, slots=True)
class Deal:
    """A wish at a price: both amounts and the fee on top. quote: the promise, None at the market."""

    sent: Money
    received: Money
    fee: Money
    price: Decimal
    rate: Rate
    terms: Terms
    quote: Quote | None = None

    @property
    def held(self) -> Money:
        """What is set aside of the sender's currency; a fee in the other one comes off what it brings."""
        return self.sent + self.fee if self.fee.currency == self.sent.currency else self.sent


def calculate(*, merchant: Merchant, wish: Wish, now: datetime) -> Deal:
    """Promises the present price of a pair until `quote.release_at`.

    Raises `NoRate`, `TooSmall`, `TooBig`.
    """
    deal = _at_market(merchant, wish, now)
    positions.demand_room(merchant=merchant, currencies={wish.source, wish.target}, now=now)
    quote = Quote.objects.create(
        merchant=merchant,
        source=wish.source,
        target=wish.target,
        price=deal.price,
        rate=deal.rate,
        fixed_at=now,
        release_at=now + PRICE_HOLDS,
    )
    return _deal(wish, quote.price, deal.rate, deal.terms, quote)


def at_quote(
    *, merchant: Merchant, wish: Wish, foreign_id: str, price: Decimal, api_key_id: int, now: datetime
) -> Exchange:
    """Exchanges at a price that was promised to the merchant and still holds.

    Raises `PriceExpired`, `ForeignIdTaken`, `InsufficientFunds` and what `calculate` raises.
    """
    source_terms = _terms(merchant, wish, now)
    quote = _promised(merchant, wish, price, now)
    if quote is None:
        raise PriceExpired
    positions.demand_room(merchant=merchant, currencies={wish.source, wish.target}, now=now)
    deal = _deal(wish, quote.price, quote.rate, source_terms, quote)
    return _place(merchant, deal, foreign_id, api_key_id, now)


def at_market(*, merchant: Merchant, wish: Wish, foreign_id: str, api_key_id: int, now: datetime) -> Exchange:
    """Exchanges what it takes at the present price; the merchant gets what the processor makes of it.

    Raises `ForeignIdTaken`, `InsufficientFunds` and what `calculate` raises.
    """
    return _place(merchant, _at_market(merchant, wish, now), foreign_id, api_key_id, now)


def prune(*, now: datetime) -> int:
    """Forgets promises that nobody took up, a week after their end; returns how many."""
    return Quote.objects.forgettable(now - KEPT_FOR).delete()[0]


# --- prices ---


def _at_market(merchant: Merchant, wish: Wish, now: datetime) -> Deal:
    source_terms = _terms(merchant, wish, now)
    rate = rates.fresh(merchant=merchant, source=wish.source, target=wish.target, now=now)
    return _deal(wish, conversions.promised(rate.price), rate, source_terms, None)


def _terms(merchant: Merchant, wish: Wish, now: datetime) -> Terms:
    """What the merchant agreed for the source.

    Raises `NoRate` where a side is not enabled, and while payouts are stopped: nothing is sent then.
    """
    offers = terms.enabled(merchant_id=merchant.pk, now=now, among=[wish.source, wish.target])
    if wish.source not in offers or wish.target not in offers or controls.is_stopped(merchant.pk):
        raise NoRate
    return offers[wish.source].terms


def _promised(merchant: Merchant, wish: Wish, price: Decimal, now: datetime) -> Quote | None:
    """The promise that a client means by `price`: the nearest of those within the tolerance."""
    open_ones = Quote.objects.unexpired(merchant=merchant, source=wish.source, target=wish.target, now=now)
    off = {quote: CONTEXT.subtract(quote.price, price) for quote in open_ones.select_related("rate")}
    near = [quote for quote, by in off.items() if CONTEXT.abs(by) <= CONTEXT.multiply(quote.price, TOLERANCE)]
    return min(near, key=lambda quote: (CONTEXT.abs(off[quote]), -quote.pk), default=None)


def _deal(wish: Wish, price: Decimal, rate: Rate, source_terms: Terms, quote: Quote | None) -> Deal:
    if wish.sent is not None:
        sent = Money(wish.sent, wish.source)
        received = conversions.made_of(sent, price=price, target=wish.target)
    else:
        received = Money(cast(Decimal, wish.received), wish.target)
        sent = conversions.cost_of(received, price=price, source=wish.source)
    _demand_size(sent, received, rate)
    fee = conversions.fee_on(sent, received, percent=source_terms.exchange_fee_percent)
    return Deal(sent, received, fee, price, rate, source_terms, quote)


def _demand_size(sent: Money, received: Money, rate: Rate) -> None:
    smallest = Money(conversions.SMALLEST, received.currency)
    makes_something = conversions.cost_of(smallest, price=rate.price, source=sent.currency).amount
    least = max(rate.minimum or Decimal(0), makes_something)
    if sent.amount < least or not received:
        raise TooSmall(minimum=f"{least:.8f}")
    if sent.amount >= conversions.MOST:
        raise TooBig
    if received.amount >= conversions.MOST:
        raise TooBig(field="receiver_amount")


# --- orders ---


def _place(
    merchant: Merchant, deal: Deal, foreign_id: str, api_key_id: int, now: datetime, tries: int = MOST_TRIES
) -> Exchange:
    try:
        with transaction.atomic():
            return _write(merchant, deal, foreign_id, api_key_id, now)
    except IntegrityError as error:
        broken = _constraint(error)
        if broken == "exchange_foreign_id_is_unique":
            raise ForeignIdTaken from None
        if "wire_id_is_unique" not in broken or tries <= 1:
            raise
    except InsufficientFunds:
        raise InsufficientFunds(field="sender_amount") from None
    return _place(merchant, deal, foreign_id, api_key_id, now, tries - 1)  # the numbers have come round


def _constraint(error: IntegrityError) -> str:
    diagnosis = getattr(error.__cause__, "diag", None)
    return getattr(diagnosis, "constraint_name", None) or ""


def _write(merchant: Merchant, deal: Deal, foreign_id: str, api_key_id: int, now: datetime) -> Exchange:
    operation_id, wire_id, leg_id, _ = new_ids(1)[0]
    net = deal.received if deal.fee.currency == deal.sent.currency else deal.received - deal.fee
    operation = Operation.objects.create(
        id=operation_id,
        merchant=merchant,
        wire_id=wire_id,
        kind=OperationKind.EXCHANGE,
        status=OperationStatus.PROCESSING,
        processor_id=deal.rate.processor_id,
        foreign_id=foreign_id,
        origin=Origin.API,
        currency_sent=deal.sent.currency,
        amount_sent=deal.sent.amount,
        currency_received=deal.received.currency,
        amount_received=deal.received.amount,
        amount_minus_fee=net.amount,
        terms=deal.terms,
        rate=deal.rate,
        created_at=now,
        changed_at=now,
    )
    Leg.objects.bulk_create([leg(operation, leg_id, deal.sent, deal.received)])
    exchange = Exchange.objects.create(
        operation=operation,
        merchant=merchant,
        processor_id=deal.rate.processor_id,
        state=ExchangeState.PROCESSING,
        origin=Origin.API,
        api_key_id=api_key_id,
        requested_at=now,
        quote=deal.quote,
        source=deal.sent.currency,
        amount=deal.sent.amount,
        target=deal.received.currency,
        amount_to=deal.received.amount,
        price=deal.price,
        fee=deal.fee.amount,
        fee_currency=deal.fee.currency,
        held=deal.held.amount,
        our_id=_our_id(operation),
    )
    ledger.post(_hold(exchange, now))
    return exchange


def _our_id(operation: Operation) -> str:
    """Ends by chance: an installation restored from yesterday must not name an order like one sent since."""
    return f"m{operation.merchant.wire_id}-exchange-{operation.wire_id}-{secrets.token_hex(4)}"


def leg(operation: Operation, wire_id: int, sent: Money, received: Money) -> Leg:
    """The conversion as the wire shows it; unsaved."""
    return Leg(
        merchant_id=operation.merchant_id,
        operation=operation,
        wire_id=wire_id,
        transaction_type=TransactionType.EXCHANGE,
        type=LegType.EXCHANGE,
        currency=sent.currency,
        currency_to=received.currency,
        amount=sent.amount,
        amount_to=received.amount,
    )


def _hold(exchange: Exchange, now: datetime) -> NewEntry:
    """Sets the amount, and a fee in its currency, aside; refused when the merchant has not so much."""
    held = exchange.holding
    lines = [ledger.available(exchange.merchant_id, -held), ledger.held(exchange.merchant_id, held)]
    return NewEntry(f"exchange:{exchange.operation_id}:hold", "exchange_hold", exchange.subject, now, lines)
