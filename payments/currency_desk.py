"""The operators' page of currencies: the registry as it is, who has what enabled, and one form that enables
or disables a currency for a merchant at the terms in force.
"""

from __future__ import annotations

from collections import Counter
from datetime import datetime
from typing import Any

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse

from merchants import clock
from merchants.admin import how, operator_of, operator_site
from merchants.errors import Refusal
from merchants.models import Merchant
from payments import terms
from payments.currencies import CURRENCIES
from payments.models import Terms

ACTS = {"enable": "enabled", "disable": "disabled"}


class SwitchForm(forms.Form):
    """Which currency of which merchant, on or off."""

    merchant = forms.ModelChoiceField(queryset=Merchant.objects.order_by("name"))
    currency = forms.ChoiceField(
        choices=[
            (code, f"{code}: {known.name}") for code, known in CURRENCIES.items() if known.can_be_enabled
        ]
    )
    act = forms.ChoiceField(choices=[(name, name) for name in ACTS])


def currencies(request: HttpRequest) -> HttpResponse:
    """Shows the registry; a POST switches one currency and comes back."""
    form = SwitchForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            switch(request, **form.cleaned_data)
        except Refusal as refusal:
            form.add_error("currency", str(refusal))
        else:
            return redirect("operator:payments_currencies")
    context = operator_site.each_context(request) | {
        "title": "Currencies",
        "form": form,
        "rows": _rows(clock.now()),
    }
    return TemplateResponse(request, "operator/currencies.html", context)


def switch(request: HttpRequest, *, merchant: Merchant, currency: str, act: str) -> None:
    common: Any = {"merchant": merchant, "by": operator_of(request), "now": clock.now(), **how(request)}
    if act == "enable":
        terms.enable(currency=currency, **common)
    else:
        terms.disable(currency=currency, **common)
    messages.success(request, f"{merchant}: {currency} is {ACTS[act]}.")


def _rows(now: datetime) -> list[dict[str, Any]]:
    in_force = Terms.objects.effective(now).exclude(merchant=None)
    enabled = Counter(row.currency for row in in_force if row.enabled)
    return [
        {
            "currency": known,
            "network": known.network.name if known.network else "",
            "merchants": enabled[code],
        }
        for code, known in CURRENCIES.items()
    ]
