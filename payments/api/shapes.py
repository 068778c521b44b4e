"""The API's answers as plain data, in the contract's key order; amounts as strings with 8 decimals."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

from payments import rates, wire
from payments.currencies import CURRENCIES
from payments.ledger import Balance
from payments.models import Address, Rate
from payments.processors.base import Pair
from payments.terms import Offer

Json = dict[str, Any]


def currency(offer: Offer) -> Json:
    known, terms = offer.currency, offer.terms
    return {
        "id": known.id,
        "type": str(known.kind),
        "currency": known.code,
        "minimum_amount": wire.amount_text(terms.deposit_minimum if known.is_crypto else Decimal(0)),
        "deposit_fee_percent": _fraction(terms.deposit_fee_percent if known.is_crypto else Decimal(0)),
        "withdrawal_fee_percent": _fraction(terms.withdrawal_fee_percent if known.is_crypto else Decimal(0)),
        "precision": known.precision,
    }


def account(balance: Balance) -> Json:
    return {
        "currency": balance.currency,
        "type": str(CURRENCIES[balance.currency].kind),
        "balance": wire.amount_text(balance.available),
    }


def pairs(current: Mapping[Pair, Rate], offers: Mapping[str, Offer], wanted: Pair) -> list[Json]:
    """The pairs between the merchant's currencies; an empty side of `wanted` means any."""
    return [
        _pair(offers[source], offers[target], current)
        for source in _of(offers, wanted.source)
        for target in _of(offers, wanted.target)
        if Pair(source, target) in current
    ]


def _of(offers: Mapping[str, Offer], code: str) -> Iterable[str]:
    return [known for known in offers if not code or known == code]


def _pair(source: Offer, target: Offer, current: Mapping[Pair, Rate]) -> Json:
    rate = current[Pair(source.currency.code, target.currency.code)]
    start: Json = {
        "currency": source.currency.code,
        "type": str(source.currency.kind),
        "min_amount": wire.amount_text(rate.minimum or Decimal(0)),
    }
    if source.currency.is_crypto:
        least = max(rate.minimum_deposit or Decimal(0), source.terms.deposit_minimum)
        start["min_amount_deposit_with_exchange"] = wire.amount_text(least)
    return {
        "currency_from": start,
        "currency_to": {"currency": target.currency.code, "type": str(target.currency.kind)},
        "rate_from": "1",
        "rate_to": f"{_quoted(rate, current, source, target):.8f}",
    }


def _quoted(rate: Rate, current: Mapping[Pair, Rate], source: Offer, target: Offer) -> Decimal:
    """The price as the wire quotes it: between fiat and a coin always the coin's price in fiat.

    The published samples do so in both directions (gateway contract, choice A6).
    """
    price: Decimal = rate.price
    if source.currency.is_crypto or not target.currency.is_crypto:
        return price
    back = current.get(Pair(rate.target, rate.source))
    return Decimal(back.price) if back else rates.inverse(price)


def address(taken: Address, *, tag_as_string: bool) -> Json:
    answer: Json = {"id": taken.wire_id, "currency": taken.currency}
    if taken.convert_to:
        answer["convert_to"] = taken.convert_to
    answer |= {
        "address": taken.address,
        "tag": wire.tag_for_take(taken.tag, as_string=tag_as_string),
        "foreign_id": taken.foreign_id,
    }
    if taken.end_user_reference is not None:
        answer["end_user_reference"] = taken.end_user_reference
    return answer


def _fraction(value: Decimal) -> str:
    return f"{value:.6f}"
