"""The API's calls about invoices: parameters, views and answers."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any

from django.urls import reverse
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from merchants import links
from merchants.errors import Refusal
from payments import doorbell, invoice_quotes, invoices, tasks, terms, wire
from payments.api.params import (
    Amount,
    Boolean,
    Email,
    EnabledCurrency,
    Line,
    Link,
    OneOf,
    Params,
    Person,
    Text,
)
from payments.api.shapes import Json
from payments.api.views import SignedView
from payments.invoice_quotes import Prices
from payments.models import Invoice, InvoiceMode
from payments.money import Money
from payments.processors.base import Pair
from payments.rates import NoRate
from payments.terms import Offer

LONGEST_DESCRIPTION = 2000


class CreateInvoiceParams(Params):
    """The context holds the merchant's `offers` and the `prices` between them."""

    timer = Boolean()
    title = Line()
    type = OneOf(words=InvoiceMode.values, required=False)
    description = Line(required=False, longest=LONGEST_DESCRIPTION, multiline=True)
    currency = EnabledCurrency(help_text="What the merchant shall get: an enabled currency, fiat or crypto.")
    sender_currency = EnabledCurrency(crypto_only=True, required=False)
    amount = Amount()
    foreign_id = Text(
        help_text="The invoice, as the merchant calls it: once among its invoices. Answered as a string."
    )
    url_success = Link()
    url_failed = Link()
    email_user = Email(required=False)
    end_user_reference = Text(required=False)
    sender_type = Text(required=False)
    sender_data = Person(required=False)

    def validate_amount(self, amount: Decimal) -> Decimal:
        """Within the limits, where it is known of what."""
        currency = self.initial_data.get("currency")
        if isinstance(currency, str) and currency in self.context["offers"]:
            asked, found = Money(amount, currency), self.context["prices"]
            _refuse(lambda: invoice_quotes.demand_within_limits(asked, found=found))
        return amount

    def validate_sender_currency(self, offer: Offer) -> Offer:
        """It must be convertible to what is asked for."""
        code, currency = offer.currency.code, self.initial_data.get("currency")
        known = isinstance(currency, str) and currency in self.context["offers"]
        if known and code != currency and Pair(code, str(currency)) not in self.context["prices"]:
            raise serializers.ValidationError(str(NoRate()))
        return offer

    def validate_sender_type(self, text: str) -> str:
        if text not in Person.SHAPES:
            self.fields["sender_type"].fail("invalid")
        return text


def _refuse(judge: Any) -> None:
    try:
        judge()
    except Refusal as refusal:
        raise serializers.ValidationError(str(refusal)) from None


class InvoicesCreate(SignedView):
    def post(self, request: Request) -> Response:
        body = self.write_body()
        offers, prices = self._market(body)
        wanted = CreateInvoiceParams.read(body, offers=offers, prices=prices)
        invoice = invoices.create(
            merchant=self.merchant,
            asked=_asked(wanted),
            prices=prices,
            now=self.now,
            call_for_more=lambda: doorbell.ring(tasks.FILL_POOLS),
        )
        return Response({"data": shape(invoice, now=self.now)})

    def _market(self, body: dict[str, Any]) -> tuple[dict[str, Offer], Prices]:
        """What is enabled and what it costs: of the two currencies named, or of all that may be chosen."""
        named = [body.get(name) for name in ("currency", "sender_currency")]
        codes = [code for code in named if code and isinstance(code, str)]
        among = codes if len(codes) == len(named) else None
        offers = terms.enabled(merchant_id=self.caller.merchant_id, now=self.now, among=among)
        return offers, invoice_quotes.prices(merchant=self.merchant, codes=offers, now=self.now)


class InvoicesCancel(SignedView):
    def post(self, request: Request, foreign_id: str) -> Response:
        self.write_body()
        if not wire.is_storable(foreign_id):
            raise invoices.UnknownInvoice
        invoice = invoices.cancel(merchant=self.merchant, foreign_id=foreign_id, now=self.now)
        return Response({"data": shape(invoice, now=self.now)})


def _asked(wanted: dict[str, Any]) -> invoices.Asked:
    sender: dict[str, Any] = {name: wanted[name] for name in ("sender_type", "sender_data") if name in wanted}
    return invoices.Asked(
        foreign_id=wanted["foreign_id"],
        timer=wanted["timer"],
        title=wanted["title"],
        currency=wanted["currency"],
        amount=wanted["amount"],
        url_success=wanted["url_success"],
        url_failed=wanted["url_failed"],
        mode=InvoiceMode(wanted.get("type", InvoiceMode.FILL_OR_KILL)),
        description=wanted.get("description", ""),
        sender_currency=wanted.get("sender_currency"),
        email_user=wanted.get("email_user", ""),
        end_user_reference=wanted.get("end_user_reference"),
        sender=sender or None,
    )


def shape(invoice: Invoice, *, now: datetime) -> Json:
    """The invoice as the calls answer it; what its payer has not chosen yet is null."""
    address, sent = invoice.address, invoice.sender_amount
    answer: Json = {
        "id": invoice.wire_id,
        "url": links.address(reverse("invoice", kwargs={"code": invoice.code}), door="checkout"),
        "foreign_id": invoice.foreign_id,
        "address": address.address if address else None,
        "title": invoice.title,
        "name": invoice.title,
        "status": str(invoice.status),
        "currency": invoice.currency,
        "amount": wire.amount_text(invoice.amount),
        "sender_currency": invoice.sender_currency or None,
        "sender_amount": wire.amount_text(sent) if sent is not None else None,
        "fixed_at": _seconds(invoice.fixed_at),
        "release_at": _seconds(invoice.release_at),
        "seconds_left": _left(invoice, now),
    }
    if address is not None and address.tag is not None:
        answer["tag"] = address.tag
    return answer


def _seconds(moment: datetime | None) -> int | None:
    return int(moment.timestamp()) if moment else None


def _left(invoice: Invoice, now: datetime) -> int | None:
    if invoice.release_at is None:
        return None
    return max(int((invoice.release_at - now).total_seconds()), 0) if invoice.is_counting else 0
