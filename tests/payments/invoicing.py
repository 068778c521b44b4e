"""A merchant that asks for payment, and payers whose deposits a processor reports."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from django.db import transaction
from django.db.models.functions import Now

from payments import deposits, invoice_quotes, invoices, ledger, rates, terms
from payments.models import Address, AddressPool, Invoice, InvoiceMode, Operation, Rate
from payments.models.account import AccountKind
from payments.models.entry import Posting
from payments.money import Money
from payments.processors.base import DepositNotice, DepositStatus, Pair, Quote
from tests import factories
from tests.constraints import judge_now
from tests.factories import NOW

PRICE = Decimal("59305.55555556")
"""EUR for one BTC: 106.75 EUR are 0.0018 BTC, as in the published samples."""
SEEN, CONFIRMED, CANCELLED = DepositStatus.NOT_CONFIRMED, DepositStatus.CONFIRMED, DepositStatus.CANCELLED


def no_one() -> None:
    """Nobody is called for addresses."""


@dataclass
class Shop:
    """upstream: EUR that the processor makes of one BTC when it converts, whatever it quoted."""

    upstream: Decimal = PRICE
    now: datetime = NOW

    def __post_init__(self) -> None:
        self.merchant = factories.merchant()
        self.processor = factories.processor()
        fee = {"deposit_fee_percent": Decimal("0.008"), "deposit_exchange_fee_percent": Decimal("0.008")}
        for code in ("BTC", "ETH", "EUR", "USD"):
            factories.terms(code, merchant=self.merchant, **fee)
        self.quote(BTC_EUR=PRICE, ETH_EUR="2000", USD_EUR="0.9", BTC_USD="65000", ETH_BTC="0.03")
        for currency, convert_to in (("BTC", ""), ("BTC", "EUR"), ("ETH", "EUR"), ("BTC", "USD")):
            self.fill_pool(currency, convert_to)

    def quote(self, **prices: Decimal | str) -> None:
        rates.keep(
            processor=self.processor,
            quotes=[
                Quote(Pair(*pair.split("_")), Decimal(price), None, Decimal("0.0001"))
                for pair, price in prices.items()
            ],
        )

    def silence(self) -> None:
        """The processor has not repeated its prices for too long."""
        Rate.objects.update(seen_at=Now() - 2 * rates.STALE_AFTER)

    def fill_pool(self, currency: str, convert_to: str, count: int = 5) -> None:
        AddressPool.objects.get_or_create(processor=self.processor, currency=currency, convert_to=convert_to)
        for _ in range(count):
            row = Address.objects.create(processor=self.processor, currency=currency, convert_to=convert_to)
            text = f"2N{row.pk:033d}"
            row.issued(address=text, lookup=text, tag=None, external_id=f"up-{row.pk}")

    # --- invoices ---

    def asked(self, amount: str = "106.75", currency: str = "EUR", **options: Any) -> invoices.Asked:
        offers = terms.enabled(merchant_id=self.merchant.pk, now=self.now)
        if options.get("sender_currency"):
            options["sender_currency"] = offers[options["sender_currency"]]
        defaults: dict[str, Any] = {
            "foreign_id": f"inv-{Invoice.objects.count()}",
            "timer": True,
            "title": "An order",
            "currency": offers[currency],
            "amount": Decimal(amount),
            "url_success": "https://shop.example/ok",
            "url_failed": "https://shop.example/no",
            "mode": InvoiceMode.GOOD_UNTIL_EXPIRED,
        }
        return invoices.Asked(**defaults | options)

    def create(self, amount: str = "106.75", currency: str = "EUR", **options: Any) -> Invoice:
        asked = self.asked(amount, currency, **options)
        codes = terms.enabled(merchant_id=self.merchant.pk, now=self.now)
        found = invoice_quotes.prices(merchant=self.merchant, codes=codes, now=self.now)
        return invoices.create(
            merchant=self.merchant, asked=asked, prices=found, now=self.now, call_for_more=no_one
        )

    def ready(self, amount: str = "106.75", currency: str = "EUR", **options: Any) -> Invoice:
        """One that can be paid at once."""
        return self.create(amount, currency, **{"sender_currency": "BTC"} | options)

    def choose(self, invoice: Invoice, currency: str = "BTC", **options: Any) -> Invoice:
        return invoices.choose(
            code=invoice.code, currency=currency, now=self.now, call_for_more=no_one, **options
        )

    def again(self, invoice: Invoice) -> Invoice:
        return Invoice.objects.for_bodies().get(pk=invoice.pk)

    def wait(self, **spans: int) -> None:
        self.now += timedelta(**spans)

    def sweep(self) -> int:
        count = invoices.expire_due(now=self.now)
        judge_now()
        return count

    # --- deposits ---

    def payment(self, invoice: Invoice, amount: str, **options: Any) -> DepositNotice:
        """The processor's first word about a payment to the invoice's address."""
        address = self.again(invoice).address
        assert address is not None
        sent = options.pop("sent", Money(Decimal(amount), address.currency))
        received = sent
        if address.convert_to:
            received = Money(sent.amount * self.upstream, address.convert_to).rounded_down()
        return factories.notice(address, sent=sent, status=SEEN, received=received, **options)

    def report(self, *notices: DepositNotice) -> None:
        with transaction.atomic():
            deposits.record_many(processor=self.processor, notices=notices, now=self.now)
            judge_now()

    def pay(self, invoice: Invoice, amount: str, **options: Any) -> DepositNotice:
        notice = self.payment(invoice, amount, **options)
        self.report(notice)
        return notice

    def confirm(self, *notices: DepositNotice) -> None:
        self.report(*(confirmed(notice) for notice in notices))

    def cancel_deposits(self, *notices: DepositNotice) -> None:
        self.report(*(replace(notice, status=CANCELLED, error="gone") for notice in notices))

    # --- what came of it ---

    def balance(self, currency: str = "EUR") -> ledger.Balance:
        rows = [row for row in ledger.balances(self.merchant) if row.currency == currency]
        nothing = Decimal(0)
        return rows[0] if rows else ledger.Balance(currency, nothing, nothing, nothing)

    def booked(self, kind: AccountKind, currency: str = "EUR") -> Decimal:
        rows = Posting.objects.filter(account__kind=kind, currency=currency)
        return sum(rows.values_list("amount", flat=True), Decimal(0))

    def part(self, notice: DepositNotice) -> Any:
        return Operation.objects.get(external_id=notice.external_id).invoice_part


def confirmed(notice: DepositNotice) -> DepositNotice:
    return replace(notice, status=CONFIRMED, confirmations=2, credited=notice.received)


@contextmanager
def nothing_moves(*models: Any) -> Any:
    """Whatever happens within, the rows of `models` stay as they were."""
    before = [list(model.objects.order_by("pk").values()) for model in models]
    yield
    assert [list(model.objects.order_by("pk").values()) for model in models] == before
