"""What tests of exchanges stand on: a merchant with prices, and a processor that answers as it is told."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

from django.db import transaction

from merchants.models import Merchant
from payments import exchange_outcomes, ledger, rates, terms
from payments.models import Exchange
from payments.models.account import AccountKind
from payments.models.entry import Posting
from payments.processors.base import (
    Accepted,
    CannotTell,
    Capabilities,
    Conversion,
    ConversionNotice,
    NotFound,
    Pair,
    PayoutStatus,
    Prepared,
    Quote,
)
from tests import factories
from tests.constraints import judge_now
from tests.factories import NOW, money

PRICES = {
    ("BTC", "EUR"): ("60000", "0.003"),
    ("EUR", "BTC"): ("0.000016666666666667", "180"),
    ("BTC", "USD"): ("75000", "0.00033334"),
    ("USD", "EUR"): ("0.8", "1"),
    ("ETH", "BTC"): ("0.05", "0.06"),
    ("ETH", "EUR"): ("3000", "0.06"),
}
CODES = ("BTC", "ETH", "EUR", "USD")


def trader(**options: Any) -> Merchant:
    """A merchant with CODES enabled at 1 % for exchanges, and a price for each of PRICES."""
    owner, processor = factories.merchant(**options), factories.processor()
    for code in CODES:
        factories.terms(code, exchange_fee_percent=Decimal("0.01"))
        terms.enable(merchant=owner, currency=code, now=NOW)
    quoted(processor)
    return owner


def quoted(processor: Any, **changed: str) -> None:
    """The processor quotes PRICES, some of them changed: BTCEUR="61000"."""
    rates.keep(
        processor=processor,
        quotes=[
            Quote(Pair(*pair), Decimal(changed.get("".join(pair), price)), Decimal(least), Decimal("0.0001"))
            for pair, (price, least) in PRICES.items()
        ],
    )


def key_of(merchant: Merchant) -> int:
    """The id of a working key."""
    if not merchant.api_keys.exists():
        factories.active_key(merchant)
    return merchant.api_keys.get().pk


class Exchanger:
    """A processor's outbound side. answers: what `submit` raises or returns; found: what `find` returns."""

    capabilities = Capabilities(
        pools=True,
        converts=True,
        pushes=True,
        watches=False,
        resubmit_is_safe=False,
        not_found_is_final=False,
        needs_customer=False,
    )

    def __init__(self, answer: Any = None, found: Any = None) -> None:
        self.answer, self.found = answer, found
        self.submitted: list[bytes] = []
        self.asked: list[str] = []

    def can(self, **flags: bool) -> Exchanger:
        self.capabilities = replace(self.capabilities, **flags)
        return self

    def prepare(self, order: Conversion) -> Prepared:
        assert order.amount is not None
        return Prepared(our_id=order.our_id, blob=f"{order.our_id} {order.amount} {order.target}".encode())

    def submit(self, prepared: Prepared) -> Accepted:
        self.submitted.append(prepared.blob)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer or Accepted(f"up-{prepared.our_id}", PayoutStatus.PROCESSING)

    def find(self, prepared: Prepared) -> ConversionNotice | NotFound | CannotTell:
        self.asked.append(prepared.our_id)
        return self.found or CannotTell("not asked to answer")


def notice(exchange: Exchange, gave: str | None = None, /, **options: Any) -> ConversionNotice:
    """What the processor says of an exchange; by default that it gave what was promised."""
    defaults: dict[str, Any] = {
        "our_id": exchange.our_id,
        "external_id": f"up-{exchange.our_id}",
        "status": PayoutStatus.CONFIRMED,
        "sent": exchange.gives,
        "received": money(gave or str(exchange.amount_to), exchange.target),
    }
    return ConversionNotice(**defaults | options)


def record(*notices: ConversionNotice) -> None:
    with transaction.atomic():
        exchange_outcomes.record_many(processor=factories.processor(), notices=notices, now=NOW)
        judge_now()


def balance(merchant: Merchant, currency: str) -> tuple[Decimal, Decimal]:
    """(available, held)."""
    row = next(row for row in ledger.balances(merchant) if row.currency == currency)
    return row.available, row.held


def booked(kind: AccountKind, currency: str) -> Decimal:
    """The sum of an account that is not kept."""
    rows = Posting.objects.filter(account__kind=kind, currency=currency).values_list("amount", flat=True)
    return sum(rows, Decimal(0))
