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

    network: what is charged for the network besides. of, costs: an example, reckoned as it will be charged.
    """

    currency: Currency
    percent: Decimal
    minimum_fee: Decimal
    minimum: Decimal
    network: Decimal
    of: Decimal
    costs: Decimal


@dataclass(frozen=True, slots=True)
class Operation:
    """A kind of operation, in words, and what its price is read from.

    read: (percent, least fee, least amount, for the network) of a currency's terms.
    """

    name: str
    words: str
    crypto_only: bool
    read: Callable[[Terms], tuple[Decimal, Decimal, Decimal, Decimal]]

    @property
    def has_network(self) -> bool:
        """Whether something is charged for the network besides."""
        return self.name.startswith("Withdrawal")

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
        read=lambda row: (row.deposit_fee_percent, row.deposit_minimum_fee, row.deposit_minimum, _NONE),
    ),
    Operation(
        "Deposit with conversion",
        "What arrives is converted at once. The fee is taken from the result, in the currency that you get.",
        crypto_only=True,
        read=lambda row: (row.deposit_exchange_fee_percent, _NONE, row.deposit_minimum, _NONE),
    ),
    Operation(
        "Withdrawal",
        "You send money out. Fee and network are taken on top, from the same balance.",
        crypto_only=True,
        read=lambda row: (
            row.withdrawal_fee_percent,
            row.withdrawal_minimum_fee,
            row.withdrawal_minimum,
            row.withdrawal_mining_fee,
        ),
    ),
    Operation(
        "Withdrawal with conversion",
        "You send out another currency than your balance is in. Fee and network are taken on top of what is"
        " converted; the least amount is that of the currency that arrives.",
        crypto_only=False,
        read=lambda row: (
            row.withdrawal_exchange_fee_percent,
            row.withdrawal_minimum_fee,
            _NONE,
            row.withdrawal_mining_fee,
        ),
    ),
    Operation(
        "Exchange",
        "You exchange one of your balances for another, at the fee of the currency that you give.",
        crypto_only=False,
        read=lambda row: (row.exchange_fee_percent, _NONE, _NONE, _NONE),
    ),
)


class Fees(Page):
    act, tab, title = "fees.view", "currencies", "Fees"
    template_name = "backoffice/money/fees.html"

    def get(self, request: HttpRequest, client_id: int) -> HttpResponse:
        offers = list(terms.enabled(merchant_id=self.merchant.pk, now=self.now).values())
        schedule = [(operation, operation.prices(offers)) for operation in OPERATIONS]
        return self.render({"schedule": [row for row in schedule if row[1]]})


def _price(offer: Offer, percent: Decimal, minimum_fee: Decimal, minimum: Decimal, network: Decimal) -> Price:
    """The example is a hundred times the least amount: enough for the percentage to be what counts."""
    of = minimum * 100 if minimum else Decimal(100)
    fee = fees.fee_for(Money(of, offer.currency.code), percent=percent, minimum=minimum_fee)
    return Price(offer.currency, percent, minimum_fee, minimum, network, of, fee.amount + network)
