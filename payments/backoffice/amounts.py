"""Amounts as people type them into forms: read once, exactly, and refused where they would be rounded."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from django import forms

from payments import wire
from payments.money import WIRE_PLACES

PLAIN = "Write a plain number, such as 0.25: a point before the decimals, nothing between the thousands."
TOO_FINE = f"At most {WIRE_PLACES} decimals: more would be rounded."


class AmountInput(forms.TextInput):
    """Phones show their digits for it; browsers neither round nor localise what is typed."""

    def __init__(self) -> None:
        super().__init__(attrs={"inputmode": "decimal", "autocomplete": "off", "spellcheck": "false"})


class AmountField(forms.CharField):
    """A positive amount, as a Decimal of eight decimals; None when it is empty and need not be given.

    zero: the sentence that refuses 0.
    """

    def __init__(self, *, zero: str = "The amount must be more than 0.", **options: Any) -> None:
        super().__init__(max_length=40, widget=AmountInput, **options)
        self.zero = zero

    def clean(self, value: Any) -> Any:
        text = super().clean(value)
        if not text:
            return None
        try:
            amount = wire.parse_amount(text, places=WIRE_PLACES)
        except wire.TooManyDecimals:
            raise forms.ValidationError(TOO_FINE) from None
        except wire.BadAmount:
            raise forms.ValidationError(PLAIN) from None
        if amount == Decimal(0):
            raise forms.ValidationError(self.zero)
        return amount
