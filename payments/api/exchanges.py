"""The API's calls that convert: prices and exchanges of balances, prices held for deposits."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

from django.conf import settings
from rest_framework.request import Request
from rest_framework.response import Response

from payments import conversions, doorbell, exchanges, futures, tasks, wire
from payments.api import pace
from payments.api.exchange_params import (
    CalculateParams,
    ExchangeFixedParams,
    ExchangeNowParams,
    FuturesConfirmParams,
    FuturesRatesParams,
    wish,
)
from payments.api.shapes import Json
from payments.api.views import SignedView
from payments.exchanges import Deal
from payments.futures import Ladder
from payments.models import Address, Exchange, Future, Quote
from payments.money import Money


class Calculate(SignedView):
    """A price, promised for a minute; so many a minute and client as the settings say."""

    def post(self, request: Request) -> Response:
        limit = settings.CALCULATIONS_A_MINUTE
        if not pace.allows(request._request, what="calculate", a_minute=limit):
            return Response(pace.REFUSED, status=429, headers=pace.RETRY)
        wanted = CalculateParams.read(self.write_body())
        deal = exchanges.calculate(merchant=self.merchant, wish=wish(wanted), now=self.now)
        return Response({"data": _calculation(deal)})


class ExchangeFixed(SignedView):
    def post(self, request: Request) -> Response:
        wanted = ExchangeFixedParams.read(self.write_body())
        exchange = exchanges.at_quote(
            merchant=self.merchant,
            wish=wish(wanted),
            foreign_id=wanted["foreign_id"],
            price=wanted["price"],
            api_key_id=self.caller.key_id,
            now=self.now,
        )
        return _accepted(exchange)


class ExchangeNow(SignedView):
    def post(self, request: Request) -> Response:
        wanted = ExchangeNowParams.read(self.write_body())
        exchange = exchanges.at_market(
            merchant=self.merchant,
            wish=wish(wanted),
            foreign_id=wanted["foreign_id"],
            api_key_id=self.caller.key_id,
            now=self.now,
        )
        return _accepted(exchange)


class FuturesRates(SignedView):
    def post(self, request: Request) -> Response:
        wanted = FuturesRatesParams.read(self.body())
        ladder = futures.ladder(merchant=self.merchant, address=wanted["address"], now=self.now)
        return Response({"data": _ladder(ladder)})


class FuturesConfirm(SignedView):
    def post(self, request: Request) -> Response:
        wanted = FuturesConfirmParams.read(self.write_body())
        future = futures.confirm(
            merchant=self.merchant,
            address=wanted["address"],
            source=wanted["sender_currency"],
            target=wanted["receiver_currency"],
            received=wanted["receiver_amount"],
            now=self.now,
        )
        return Response({"data": _future(future)})


# --- answers ---


def _accepted(exchange: Exchange) -> Response:
    """201, and the sender is rung once it is committed."""
    doorbell.ring_on_commit(tasks.WORK_EXCHANGES)
    operation = exchange.operation
    shown: Json = {
        "id": operation.wire_id,
        "foreign_id": operation.foreign_id,
        "type": str(operation.kind),
    }
    shown |= _sides(exchange.gives, exchange.gets, exchange.charged, exchange.price)
    return Response({"data": shown | {"status": str(operation.status)}}, status=201)


def _calculation(deal: Deal) -> Json:
    return _sides(deal.sent, deal.received, deal.fee, deal.price) | _period(deal.quote)


def _period(quote: Quote | None) -> Json:
    if quote is None:
        raise TypeError("a calculation promises its price")
    held = int((quote.release_at - quote.fixed_at).total_seconds())
    return {**_window(quote.fixed_at, quote.release_at), "fix_period": held}


def _sides(sent: Money, received: Money, fee: Money, price: Decimal) -> Json:
    return {
        "sender_amount": wire.amount_text(sent.amount),
        "sender_currency": sent.currency,
        "receiver_amount": wire.amount_text(received.amount),
        "receiver_currency": received.currency,
        "fee_amount": wire.amount_text(fee.amount),
        "fee_currency": fee.currency,
        "price": conversions.price_text(price),
    }


def _window(fixed_at: datetime, release_at: datetime) -> Json:
    return {"ts_fixed": int(fixed_at.timestamp()), "ts_release": int(release_at.timestamp())}


def _ladder(ladder: Ladder) -> Json:
    return {
        "addresses": [_address(one) for one in ladder.addresses],
        **_window(ladder.fixed_at, ladder.release_at),
        "rates": {
            f"{pair.source}{pair.target}": {wire.amount_text(bound): _step(price) for bound, price in steps}
            for pair, steps in ladder.steps.items()
        },
    }


def _step(price: Decimal) -> str:
    return conversions.price_text(price) if price else wire.amount_text(price)


def _future(future: Future) -> Json:
    return {
        "futures_id": future.wire_id,
        "sender_currency": future.source,
        "receiver_currency": future.target,
        "fee_currency": future.target,
        "price": conversions.price_text(future.price),
        "address": _address(future.address),
        "sender_amount": wire.amount_text(future.sender_amount),
        "receiver_amount": wire.amount_text(future.receiver_amount),
        "fee_amount": wire.amount_text(future.fee),
        **_window(future.fixed_at, future.release_at),
    }


def _address(address: Address) -> Json:
    return {
        "id": address.wire_id,
        "currency": address.currency,
        "convert_to": address.convert_to,
        "address": address.address,
        "tag": address.tag,
        "foreign_id": address.foreign_id,
    }
