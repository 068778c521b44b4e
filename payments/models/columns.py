"""The column types that payments' tables share: amounts, prices, currency codes."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from django.db import models

AMOUNT_DIGITS = 36
AMOUNT_PLACES = 8
RATE_PLACES = 18


class AmountField(models.DecimalField):  # type: ignore[type-arg]  # not subscriptable at run time
    """An amount at the wire's precision; never NaN (each table says so by a constraint)."""

    def __init__(self, *args: Any, **options: Any) -> None:
        options.setdefault("max_digits", AMOUNT_DIGITS)
        options.setdefault("decimal_places", AMOUNT_PLACES)
        super().__init__(*args, **options)


class PriceField(models.DecimalField):  # type: ignore[type-arg]
    """A price or a fraction: up to 18 decimals."""

    def __init__(self, *args: Any, **options: Any) -> None:
        options.setdefault("max_digits", AMOUNT_DIGITS)
        options.setdefault("decimal_places", RATE_PLACES)
        super().__init__(*args, **options)


class CurrencyField(models.CharField):  # type: ignore[type-arg]
    """A currency code of `payments.currencies`."""

    def __init__(self, *args: Any, **options: Any) -> None:
        options.setdefault("max_length", 16)
        super().__init__(*args, **options)


BOUND = Decimal(10) ** 26
"""No column of money or price ever reaches this."""


def is_number(*columns: str) -> models.Q:
    """No NaN in `columns`. PostgreSQL holds NaN to be greater than any number, so an upper bound stops it."""
    condition = models.Q()
    for column in columns:
        condition &= models.Q(**{f"{column}__lt": BOUND})
    return condition
