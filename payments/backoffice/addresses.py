"""Deposit addresses: those that customers and staff have, and one to receive money at, with its QR code."""

from __future__ import annotations

from typing import Any

from django.http import Http404, HttpRequest, HttpResponse
from django.utils.functional import cached_property

from merchants.backoffice.access import Act, Page
from merchants.backoffice.forms import BackofficeForm
from merchants.backoffice.lists import number
from payments import addresses, doorbell, tasks, terms
from payments.models import Address, AddressOrigin
from payments.terms import Offer

PAGE = 50


class AddressList(Page):
    """Newest first; the numbers are one ascending sequence, so a page goes on below a number."""

    act, tab, title = "addresses.view", "addresses", "Addresses"
    template_name = "backoffice/money/addresses.html"

    def get(self, request: HttpRequest, client_id: int) -> HttpResponse:
        currency, older_than = request.GET.get("currency", ""), number(request.GET.get("older_than", ""))
        rows = Address.objects.for_merchant(self.merchant).order_by("-wire_id")
        rows = rows.filter(currency=currency) if currency else rows
        rows = rows if older_than is None else rows.filter(wire_id__lt=older_than)
        found = list(rows[: PAGE + 1])
        context: dict[str, Any] = {
            "addresses": found[:PAGE],
            "older": found[PAGE - 1].wire_id if len(found) > PAGE else None,
            "currency": currency,
            "offers": _crypto(self.merchant.pk, self.now),
        }
        return self.render(context)


class Receive(Act):
    """The latest address that staff took in a currency; a POST takes another."""

    act, tab, title = "addresses.manage", "balances", "Receive"
    template_name = "backoffice/money/receive.html"
    form_class = BackofficeForm

    @cached_property
    def offer(self) -> Offer:
        offer = _crypto(self.merchant.pk, self.now).get(self.kwargs["currency"])
        if offer is None:
            raise Http404
        return offer

    def show(self, form: BackofficeForm, *, status: int = 200) -> HttpResponse:
        offer = self.offer
        mine = Address.objects.for_merchant(self.merchant).filter(
            origin=AddressOrigin.PORTAL, currency=offer.currency.code, convert_to=""
        )
        address = mine.order_by("-wire_id").first()
        return self.render({"form": form, "offer": offer, "address": address}, status=status)

    def perform(self, form: BackofficeForm) -> HttpResponse:
        code = self.offer.currency.code
        addresses.take(
            merchant=self.merchant,
            order=addresses.Order(foreign_id=None, currency=code),
            now=self.now,
            call_for_more=lambda: doorbell.ring(tasks.FILL_POOLS),
        )
        return self.done("This address is yours for good.", "receive", currency=code)


def _crypto(merchant_id: int, now: Any) -> dict[str, Offer]:
    offers = terms.enabled(merchant_id=merchant_id, now=now)
    return {code: offer for code, offer in offers.items() if offer.currency.is_crypto}
