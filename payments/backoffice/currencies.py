"""Currencies and fees: what is enabled at which terms, what could be, and what hangs on disabling one."""

from __future__ import annotations

from typing import Any

from django import forms
from django.http import Http404, HttpRequest, HttpResponse
from django.utils.functional import cached_property

from merchants.backoffice.access import Act, Page
from merchants.backoffice.forms import BackofficeForm
from payments import standing, terms
from payments.terms import Offer


class Currencies(Page):
    act, tab, title = "currencies.view", "currencies", "Currencies & fees"
    template_name = "backoffice/money/currencies.html"

    def get(self, request: HttpRequest, client_id: int) -> HttpResponse:
        offers = terms.enabled(merchant_id=self.merchant.pk, now=self.now).values()
        return self.render(
            {
                "crypto": [offer for offer in offers if offer.currency.is_crypto],
                "fiat": [offer for offer in offers if not offer.currency.is_crypto],
            }
        )


class AddForm(BackofficeForm):
    """Which of the currencies on offer to enable."""

    currencies = forms.MultipleChoiceField(
        label="Currencies",
        widget=forms.CheckboxSelectMultiple,
        error_messages={
            "required": "Choose at least one currency.",
            "invalid_choice": "%(value)s is not on offer, or enabled already.",
        },
    )

    def __init__(self, *args: Any, offers: dict[str, Offer], **options: Any) -> None:
        super().__init__(*args, **options)
        field: Any = self.fields["currencies"]
        field.choices = [(code, offer.currency.name) for code, offer in offers.items()]


class AddCurrencies(Act):
    act, tab, title = "currencies.enable", "currencies", "Add new currency"
    template_name = "backoffice/money/currencies_add.html"

    def form(self, data: Any = None) -> BackofficeForm:
        self.offers = terms.available(merchant_id=self.merchant.pk, now=self.now)
        return AddForm(data, offers=self.offers)

    def show(self, form: BackofficeForm, *, status: int = 200) -> HttpResponse:
        wanted = self.request.GET.get("q", "").strip()
        chosen = set(form.data.getlist("currencies")) if form.is_bound else set()  # type: ignore[attr-defined]
        offers = [offer for offer in self.offers.values() if _matches(offer, wanted)]
        context = {"form": form, "offers": offers, "wanted": wanted, "chosen": chosen}
        return self.render(context, status=status)

    def perform(self, form: BackofficeForm) -> HttpResponse:
        codes = form.cleaned_data["currencies"]
        terms.enable_all(merchant=self.merchant, currencies=codes, by=self.person, now=self.now, **self.how())
        return self.done(f"Enabled: {', '.join(codes)}.", "currencies")


class DisableCurrency(Act):
    act, tab, title = "currencies.enable", "currencies", "Disable a currency"
    template_name = "backoffice/money/currency_disable.html"
    form_class = BackofficeForm

    @cached_property
    def offer(self) -> Offer:
        offer = terms.enabled(merchant_id=self.merchant.pk, now=self.now).get(self.kwargs["currency"])
        if offer is None:
            raise Http404
        return offer

    def show(self, form: BackofficeForm, *, status: int = 200) -> HttpResponse:
        code = self.offer.currency.code
        in_use = standing.in_use(merchant=self.merchant, currency=code)
        return self.render({"form": form, "offer": self.offer, "in_use": in_use}, status=status)

    def perform(self, form: BackofficeForm) -> HttpResponse:
        code = self.offer.currency.code
        terms.disable(merchant=self.merchant, currency=code, by=self.person, now=self.now, **self.how())
        return self.done(f"{code} is disabled.", "currencies")


def _matches(offer: Offer, wanted: str) -> bool:
    """Whether the words typed occur in code, name or network."""
    currency = offer.currency
    network = currency.network.name if currency.network else "fiat"
    text = f"{currency.code} {currency.ticker} {currency.name} {network}".lower()
    return all(word in text for word in wanted.lower().split())
