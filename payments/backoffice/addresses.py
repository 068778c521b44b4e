"""Deposit addresses: those that staff took and named, those that programs took, and one's own page."""

from __future__ import annotations

from typing import Any

from django import forms
from django.db.models import Q
from django.http import Http404, HttpRequest, HttpResponse
from django.utils.functional import cached_property

from merchants.backoffice.access import Act, Page
from merchants.backoffice.forms import BackofficeForm
from merchants.backoffice.lists import number
from payments import currencies, receiving, terms
from payments.models import Address, AddressOrigin

PAGE = 50


class FilterForm(forms.Form):
    """An address or a customer is found by its whole text, which the database's indexes know."""

    currency = forms.ChoiceField(label="Currency", required=False)
    address = forms.CharField(label="Address", required=False, max_length=150)
    foreign_id = forms.CharField(label="Customer", required=False, max_length=255)

    def __init__(self, data: Any, *, codes: list[str]) -> None:
        super().__init__(data)
        choices = [("", "All"), *((code, code) for code in codes)]
        self.fields["currency"].choices = choices  # type: ignore[attr-defined]

    def given(self) -> dict[str, str]:
        """What was understood of the filters, by field."""
        self.full_clean()
        return {name: value for name, value in self.cleaned_data.items() if value}

    def condition(self) -> Q:
        """The same for the database."""
        given, condition = self.given(), Q()
        if "currency" in given:
            condition &= Q(currency=given["currency"])
        if "address" in given:
            condition &= Q(address=given["address"])
        if "foreign_id" in given:
            condition &= Q(foreign_id=given["foreign_id"])
        return condition


class SystemAddresses(Page):
    """Newest first; the numbers are one ascending sequence, so a page goes on below a number."""

    act, tab, title = "addresses.view", "addresses", "System addresses"
    template_name = "backoffice/money/addresses.html"
    origin = AddressOrigin.API

    def get(self, request: HttpRequest, client_id: int) -> HttpResponse:
        older_than = number(request.GET.get("older_than", ""))
        offers = terms.enabled(merchant_id=self.merchant.pk, now=self.now)
        form = FilterForm(
            request.GET, codes=[code for code, offer in offers.items() if offer.currency.is_crypto]
        )
        rows = Address.objects.for_merchant(self.merchant).filter(form.condition(), origin=self.origin)
        rows = rows if older_than is None else rows.filter(wire_id__lt=older_than)
        found = list(rows.order_by("-wire_id")[: PAGE + 1])
        context: dict[str, Any] = {
            "addresses": found[:PAGE],
            "older": found[PAGE - 1].wire_id if len(found) > PAGE else None,
            "form": form,
            "is_filtered": bool(form.given()),
            "is_of_staff": self.origin == AddressOrigin.PORTAL,
        }
        return self.render(context)


class MyAddresses(SystemAddresses):
    """Those that staff took, by name."""

    title = "My addresses"
    origin = AddressOrigin.PORTAL


class _OfAddress:
    """The taken address that the URL numbers; another merchant's is as good as missing."""

    merchant: Any
    kwargs: dict[str, Any]

    @cached_property
    def address(self) -> Address:
        found = Address.objects.for_merchant(self.merchant).filter(wire_id=self.kwargs["number"]).first()
        if found is None:
            raise Http404
        return found


class AddressPage(_OfAddress, Page):
    """One address with its QR code."""

    act, tab, title = "addresses.view", "addresses", "Address"
    template_name = "backoffice/money/address.html"

    def get(self, request: HttpRequest, client_id: int, number: int) -> HttpResponse:
        address = self.address
        in_force = terms.in_force_for([(self.merchant.pk, address.currency)], now=self.now)
        offer = in_force.get((self.merchant.pk, address.currency))
        coin = currencies.get(address.currency)
        return self.render({"address": address, "coin": coin, "terms": offer})


class NameForm(BackofficeForm):
    label = forms.CharField(
        label="Name",
        max_length=receiving.LONGEST_LABEL,
        help_text="Your team sees it, payers do not.",
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
        error_messages={"required": str(receiving.NameMissing())},
    )


class RenameAddress(_OfAddress, Act):
    act, tab, title = "addresses.manage", "addresses", "Rename an address"
    template_name = "backoffice/money/address_rename.html"
    form_class = NameForm

    def initial(self) -> dict[str, Any]:
        return {"label": self.address.label}

    def show(self, form: BackofficeForm, *, status: int = 200) -> HttpResponse:
        if self.address.origin != AddressOrigin.PORTAL:
            raise Http404
        return self.render({"form": form, "address": self.address}, status=status)

    def perform(self, form: BackofficeForm) -> HttpResponse:
        address = receiving.rename(
            merchant=self.merchant,
            number=self.address.wire_id or 0,
            label=form.cleaned_data["label"],
            by=self.person,
            now=self.now,
            **self.how(),
        )
        return self.done(f"It is called “{address.label}” now.", "address", number=address.wire_id)
