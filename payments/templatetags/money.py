"""Money in templates: never rounded for show, and what a merchant's balances are worth together."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from django import template

from merchants import clock
from merchants.models import Merchant
from payments import currencies, worth
from payments.money import Money

register = template.Library()


@register.filter
def amount(value: Decimal | Money | None) -> str:
    """All digits that say something: trailing zeros go, down to two decimals of a fiat amount."""
    if value is None:
        return "–"
    if isinstance(value, Money):
        return _text(value.amount, value.currency)
    return _text(value, "")


@register.filter
def in_currency(value: Decimal | None, currency: str) -> str:
    """As `amount`, for a plain number of this currency."""
    return "–" if value is None else _text(value, currency)


@register.filter
def percent(fraction: Decimal) -> str:
    """A fraction as people say it: 0.008 is 0.8 %."""
    return f"{_text(fraction * 100, '')} %"


@register.filter
def thousands(text: str) -> str:
    """Narrow spaces between thousands, for sums that are read and not copied."""
    whole, point, decimals = text.partition(".")
    return f"{int(whole):,}".replace(",", "\u202f") + point + decimals


@register.inclusion_tag("backoffice/_totals.html")
def totals(merchant: Merchant) -> dict[str, Any]:
    """The merchant's whole balance in EUR and in BTC, at the current prices."""
    return {"worth": worth.of_merchant(merchant=merchant, now=clock.now())}


def _text(value: Decimal, currency: str) -> str:
    least = 2 if currency in currencies.CURRENCIES and not currencies.get(currency).is_crypto else 0
    text = f"{value:f}"
    whole, _, decimals = text.partition(".")
    decimals = decimals.rstrip("0").ljust(least, "0")
    return f"{whole}.{decimals}" if decimals else whole
