"""Receive: a new address of one's own in a currency, with or without conversion; those taken before."""

from __future__ import annotations

from typing import Any

from django import forms
from django.http import Http404, HttpResponse
from django.utils.functional import cached_property

from merchants.backoffice.access import Act
from merchants.backoffice.forms import BackofficeForm
from payments import doorbell, receiving, tasks, terms
from payments.backoffice.addresses import NameForm
from payments.models import Address, AddressOrigin
from payments.terms import Offer

SHOWN = 5


class NewAddressForm(NameForm):
    """What the address is called, and what arrives there is converted to."""

    convert_to = forms.ChoiceField(label="Convert on arrival", required=False)

    def __init__(self, *args: Any, targets: dict[str, Offer], code: str, **options: Any) -> None:
        super().__init__(*args, **options)
        choices = [
            ("", f"No, keep {code}"),
            *((to, f"To {to}: {_named(one)}") for to, one in targets.items()),
        ]
        self.fields["convert_to"].choices = choices  # type: ignore[attr-defined]


class Receive(Act):
    """A POST takes a new address, which is the merchant's for good."""

    act, tab, title = "addresses.manage", "balances", "Receive"
    template_name = "backoffice/money/receive.html"

    @cached_property
    def offer(self) -> Offer:
        code = self.kwargs["currency"]
        offer = terms.enabled(merchant_id=self.merchant.pk, now=self.now, among=[code]).get(code)
        if offer is None or not offer.currency.is_crypto:
            raise Http404
        return offer

    def form(self, data: Any = None) -> BackofficeForm:
        code = self.offer.currency.code
        targets = receiving.targets(merchant=self.merchant, currency=code, now=self.now)
        return NewAddressForm(data, targets=targets, code=code)

    def show(self, form: BackofficeForm, *, status: int = 200) -> HttpResponse:
        mine = Address.objects.for_merchant(self.merchant).filter(
            origin=AddressOrigin.PORTAL, currency=self.offer.currency.code
        )
        found = list(mine.order_by("-wire_id")[: SHOWN + 1])
        context = {
            "form": form,
            "offer": self.offer,
            "addresses": found[:SHOWN],
            "more": len(found) > SHOWN,
        }
        return self.render(context, status=status)

    def perform(self, form: BackofficeForm) -> HttpResponse:
        address = receiving.take(
            merchant=self.merchant,
            currency=self.offer.currency.code,
            convert_to=form.cleaned_data["convert_to"],
            label=form.cleaned_data["label"],
            by=self.person,
            now=self.now,
            call_for_more=lambda: doorbell.ring(tasks.FILL_POOLS),
            **self.how(),
        )
        return self.done("This address is yours for good.", "address", number=address.wire_id)


def _named(offer: Offer) -> str:
    currency = offer.currency
    return f"{currency.name} on {currency.network.name}" if currency.network else currency.name
