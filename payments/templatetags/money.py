"""Money in templates: never rounded for show, and what a merchant's balances are worth together."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from typing import Any

from django import template
from django.conf import settings

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


@register.simple_tag
def explorer(currency: str, txid: str) -> str:
    """Where a transaction can be looked up by anybody; nowhere for the sandbox's simulated chains."""
    network = currencies.get(currency).network if currency in currencies.CURRENCIES else None
    if settings.SANDBOX or network is None or not txid:
        return ""
    return network.transaction_url(txid=txid, testnet=False)


@register.filter
def share(fraction: str | None) -> str:
    """A risk score as people say it: "0.5" is 50 %."""
    try:
        return percent(Decimal(fraction or ""))
    except InvalidOperation:
        return "not known yet"


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
