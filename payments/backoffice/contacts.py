"""Contacts: destinations that staff named once, checked and cooled down, so that Send need not be typed."""

from __future__ import annotations

from typing import Any

from django import forms
from django.http import Http404, HttpRequest, HttpResponse
from django.utils.functional import cached_property

from merchants.backoffice.access import Act, Page
from merchants.backoffice.forms import BackofficeForm, StepUpForm
from payments import contacts, terms
from payments.models import Contact


class ContactList(Page):
    act, tab, title = "contacts.view", "addresses", "Contacts"
    template_name = "backoffice/contacts/list.html"

    def get(self, request: HttpRequest, client_id: int) -> HttpResponse:
        return self.render({"contacts": _kept(self), "is_contacts": True})


class ContactForm(StepUpForm):
    name = forms.CharField(
        label="Name",
        max_length=100,
        help_text="What your team calls it: “Cold wallet”, “Supplier in Kyiv”.",
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
        error_messages={"required": "Give the contact a name."},
    )
    currency = forms.ChoiceField(label="Currency", error_messages={"required": "Choose a currency."})
    address = forms.CharField(
        label="Address",
        max_length=150,
        widget=forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false", "autocapitalize": "off"}),
        error_messages={"required": "Give the address."},
    )
    tag = forms.CharField(
        label="Tag",
        required=False,
        max_length=40,
        help_text="Where the network needs one: a destination tag or memo.",
        widget=forms.TextInput(attrs={"autocomplete": "off", "inputmode": "numeric"}),
    )
    field_order = ("name", "currency", "address", "tag", "code")

    def __init__(self, *args: Any, choices: list[tuple[str, str]], **options: Any) -> None:
        super().__init__(*args, **options)
        self.fields["currency"].choices = [("", "Choose"), *choices]  # type: ignore[attr-defined]


class AddContact(Act):
    act, tab, title = "contacts.create", "addresses", "Add a contact"
    template_name = "backoffice/contacts/add.html"

    def form(self, data: Any = None) -> BackofficeForm:
        offers = terms.enabled(merchant_id=self.merchant.pk, now=self.now).values()
        named = [
            (
                offer.currency.code,
                f"{offer.currency.code}: {offer.currency.name} on {offer.currency.network.name}",
            )
            for offer in offers
            if offer.currency.network
        ]
        return ContactForm(data, choices=named)

    def perform(self, form: BackofficeForm) -> HttpResponse:
        given = form.cleaned_data
        contact = contacts.add(
            merchant=self.merchant,
            name=given["name"],
            currency=given["currency"],
            address=given["address"].strip(),
            tag=given["tag"].strip() or None,
            by=self.person,
            now=self.now,
            **self.how(),
        )
        return self.done(f"{contact.name} is kept.", "contacts")


class RemoveContact(Act):
    """The contact is gone for Send; what was sent to it stays as it is."""

    act, tab, title = "contacts.create", "addresses", "Remove a contact"
    template_name = "backoffice/contacts/remove.html"
    form_class = StepUpForm

    @cached_property
    def contact(self) -> Contact:
        found = next((one for one in _kept(self) if one.pk == self.kwargs["number"]), None)
        if found is None:
            raise Http404
        return found

    def show(self, form: BackofficeForm, *, status: int = 200) -> HttpResponse:
        return self.render({"form": form, "contact": self.contact}, status=status)

    def perform(self, form: BackofficeForm) -> HttpResponse:
        contact = self.contact
        contacts.remove(
            merchant=self.merchant, contact_id=contact.pk, by=self.person, now=self.now, **self.how()
        )
        return self.done(f"{contact.name} is removed.", "contacts")


def _kept(page: Page) -> list[Contact]:
    return list(contacts.of(page.merchant).select_related("created_by"))
