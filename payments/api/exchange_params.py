"""Parameters of exchanges and futures."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, cast

from rest_framework import serializers

from payments import wire
from payments.api.params import Amount, CurrencyCode, Parameter, Params, Text
from payments.errors import Required
from payments.exchanges import Wish
from payments.models.columns import RATE_PLACES


class Price(Parameter):
    """A price: a decimal in a string, or a number, of at most 18 places."""

    def parse(self, data: Any) -> Decimal:
        return wire.parse_amount(data, places=RATE_PLACES, field=self.name)


class CalculateParams(Params):
    """One of the amounts; where both are given, the sender's counts."""

    sender_currency = CurrencyCode(help_text="What is debited.")
    receiver_currency = CurrencyCode()
    sender_amount = Amount(required=False)
    receiver_amount = Amount(required=False)

    def to_internal_value(self, data: Mapping[str, Any]) -> Any:
        """Every failing field at once, and both amounts where there is none."""
        errors: dict[str, Any] = {}
        values: Any = {}
        try:
            values = super().to_internal_value(data)
        except serializers.ValidationError as failed:
            errors |= cast(dict[str, Any], failed.detail)
        if not {"sender_amount", "receiver_amount"} & data.keys():
            errors |= {name: [str(Required(field=name))] for name in ("sender_amount", "receiver_amount")}
        if errors:
            raise serializers.ValidationError(errors)
        return values


class ExchangeNowParams(CalculateParams):
    foreign_id = Text(help_text="The exchange, as the merchant calls it; used once. Answered as a string.")


class ExchangeFixedParams(ExchangeNowParams):
    price = Price()


class FuturesRatesParams(Params):
    address = Text()


class FuturesConfirmParams(Params):
    address = Text()
    sender_currency = CurrencyCode(help_text="What will be paid: the address's currency.")
    receiver_currency = CurrencyCode(help_text="What the address converts to.")
    receiver_amount = Amount(help_text="What is to be got, before the fee.")


def wish(wanted: Mapping[str, Any]) -> Wish:
    """What the parameters want converted."""
    sent = wanted.get("sender_amount")
    return Wish(
        source=wanted["sender_currency"],
        target=wanted["receiver_currency"],
        sent=sent,
        received=wanted["receiver_amount"] if sent is None else None,
    )
