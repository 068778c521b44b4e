"""Fees: what each operation costs this merchant in each of its currencies, and the least that is taken."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from decimal import Decimal

from django.http import HttpRequest, HttpResponse

from merchants.backoffice.access import Page
from payments import fees, terms
from payments.currencies import Currency
from payments.models import Terms
from payments.money import Money
from payments.terms import Offer

_NONE = Decimal(0)


@dataclass(frozen=True, slots=True)
class Price:
    """One currency's price for an operation. percent: a fraction; amounts in the currency itself.

    of, costs: an example, reckoned as the fee itself will be.
    """

    currency: Currency
    percent: Decimal
    minimum_fee: Decimal
    minimum: Decimal
    of: Decimal
    costs: Decimal


@dataclass(frozen=True, slots=True)
class Operation:
    """A kind of operation, in words, and what its price is read from.

    read: (percent, least fee, least amount) of a currency's terms.
    """

    name: str
    words: str
    crypto_only: bool
    read: Callable[[Terms], tuple[Decimal, Decimal, Decimal]]

    def prices(self, offers: Iterable[Offer]) -> list[Price]:
        return [
            _price(offer, *self.read(offer.terms))
            for offer in offers
            if offer.currency.is_crypto or not self.crypto_only
        ]


OPERATIONS = (
    Operation(
        "Deposit",
        "Somebody pays to one of your addresses, and you keep the currency. The fee is part of what arrives.",
        crypto_only=True,
        read=lambda row: (row.deposit_fee_percent, row.deposit_minimum_fee, row.deposit_minimum),
    ),
    Operation(
        "Deposit with conversion",
        "What arrives is converted at once. The fee is taken from the result, in the currency that you get.",
        crypto_only=True,
        read=lambda row: (row.deposit_exchange_fee_percent, _NONE, row.deposit_minimum),
    ),
    Operation(
        "Withdrawal",
        "You send money out. The fee is taken on top, from your balance in the same currency.",
        crypto_only=False,
        read=lambda row: (row.withdrawal_fee_percent, row.withdrawal_minimum_fee, row.withdrawal_minimum),
    ),
    Operation(
        "Withdrawal with conversion",
        "You send out another currency than the one your balance is charged in.",
        crypto_only=False,
        read=lambda row: (row.withdrawal_exchange_fee_percent, _NONE, row.withdrawal_minimum),
    ),
    Operation(
        "Exchange",
        "You exchange one of your balances for another. The fee is part of the amount that you get.",
        crypto_only=False,
        read=lambda row: (row.exchange_fee_percent, _NONE, _NONE),
    ),
)


class Fees(Page):
    act, tab, title = "fees.view", "currencies", "Fees"
    template_name = "backoffice/money/fees.html"

    def get(self, request: HttpRequest, client_id: int) -> HttpResponse:
        offers = list(terms.enabled(merchant_id=self.merchant.pk, now=self.now).values())
        schedule = [(operation, operation.prices(offers)) for operation in OPERATIONS]
        return self.render({"schedule": [row for row in schedule if row[1]]})


def _price(offer: Offer, percent: Decimal, minimum_fee: Decimal, minimum: Decimal) -> Price:
    """The example is a hundred times the least amount: enough for the percentage to be what counts."""
    of = minimum * 100 if minimum else Decimal(100)
    fee = fees.fee_for(Money(of, offer.currency.code), percent=percent, minimum=minimum_fee)
    return Price(offer.currency, percent, minimum_fee, minimum, of, fee.amount)
