"""Withdrawal limits: beyond which a withdrawal waits for an Owner, for programs and for staff apart."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from django import forms
from django.http import Http404, HttpRequest, HttpResponse
from django.utils.functional import cached_property

from merchants.backoffice.access import Act, Page
from merchants.backoffice.forms import BackofficeForm, StepUpForm
from payments import limits, terms
from payments.backoffice.amounts import AmountField
from payments.models import Origin, WithdrawalLimit

DEFAULT = "default"
"""Stands in a URL for the row that counts every currency in EUR."""
SETS = (
    (Origin.API, "Made by your programs", "Any Owner may approve what lies beyond these."),
    (Origin.STAFF, "Made by your staff", "Another Owner than the one who asked must approve."),
)
ZERO = "0 would be no limit and no permission either. Leave it empty for unlimited, or tick the box below."


@dataclass(frozen=True)
class Set:
    """One origin's limits in words. default: None while everything is unlimited."""

    origin: str
    name: str
    words: str
    default: WithdrawalLimit | None
    overrides: list[WithdrawalLimit]


class WithdrawalLimits(Page):
    act, tab, title = "limits.view", "settings", "Withdrawal limits"
    template_name = "backoffice/limits/list.html"

    def get(self, request: HttpRequest, client_id: int) -> HttpResponse:
        rows = limits.of(self.merchant)
        recipients = limits.recipients(self.merchant)
        return self.render({"sets": [_set(rows, *named) for named in SETS], "recipients": recipients})


def _set(rows: list[WithdrawalLimit], origin: Origin, name: str, words: str) -> Set:
    mine = [row for row in rows if row.origin == origin]
    default = next((row for row in mine if not row.currency), None)
    return Set(origin, name, words, default, [row for row in mine if row.currency])


class LimitForm(StepUpForm):
    """The three limits of one row; all empty is unlimited."""

    one_operation = AmountField(label="One operation", required=False, zero=ZERO)
    per_hour = AmountField(label="Within an hour", required=False, zero=ZERO)
    per_day = AmountField(label="Within a day", required=False, zero=ZERO)
    everything = forms.BooleanField(
        label="Every withdrawal is approved by hand, whatever its amount", required=False
    )
    field_order = ("currency", "one_operation", "per_hour", "per_day", "everything", "code")


class NewLimitForm(LimitForm):
    """The same for a currency that has no row yet."""

    currency = forms.ChoiceField(
        label="Currency", error_messages={"required": "Choose the currency that gets limits of its own."}
    )

    def __init__(self, *args: Any, codes: list[str], **options: Any) -> None:
        super().__init__(*args, **options)
        choices = [("", "Choose"), *((code, code) for code in codes)]
        self.fields["currency"].choices = choices  # type: ignore[attr-defined]


class _OfSet(Act):
    """An act on one of the two sets, which the URL names."""

    act, tab, title = "limits.withdrawal", "settings", "Withdrawal limits"
    template_name = "backoffice/limits/edit.html"

    @cached_property
    def origin(self) -> Origin:
        if self.kwargs["origin"] not in {Origin.API, Origin.STAFF}:
            raise Http404
        return Origin(self.kwargs["origin"])

    @cached_property
    def currency(self) -> str:
        """Of the row; empty for the default."""
        named: str = self.kwargs["currency"]
        if named == DEFAULT:
            return ""
        if self.row_of(named) is None:
            raise Http404
        return named

    def row_of(self, currency: str) -> WithdrawalLimit | None:
        rows = limits.of(self.merchant)
        return next((row for row in rows if (row.origin, row.currency) == (self.origin, currency)), None)

    def show(self, form: BackofficeForm, *, status: int = 200) -> HttpResponse:
        name, words = next(named[1:] for named in SETS if named[0] == self.origin)
        context = {"form": form, "set_name": name, "set_words": words, "unit": self.unit()}
        return self.render(context | self.named(), status=status)

    def named(self) -> dict[str, Any]:
        """What the page says of the row."""
        return {"currency": self.currency}

    def unit(self) -> str:
        """What the row's amounts are in."""
        return self.currency or "EUR"

    def save(self, form: BackofficeForm, currency: str) -> None:
        given = form.cleaned_data
        limits.set_limit(
            merchant=self.merchant,
            origin=self.origin,
            currency=currency,
            one_operation=given["one_operation"],
            per_hour=given["per_hour"],
            per_day=given["per_day"],
            everything=given["everything"],
            by=self.person,
            now=self.now,
            **self.how(),
        )


class EditLimit(_OfSet):
    """The default, or a currency that has its own row."""

    form_class = LimitForm

    def initial(self) -> dict[str, Any]:
        row = self.row_of(self.currency)
        if row is None:
            return {}
        amounts = {name: getattr(row, name) for name in ("one_operation", "per_hour", "per_day")}
        shown = {name: f"{value.normalize():f}" for name, value in amounts.items() if value is not None}
        return {**shown, "everything": row.everything}

    def perform(self, form: BackofficeForm) -> HttpResponse:
        self.save(form, self.currency)
        return self.done("The limits are saved and count from now on.", "withdrawal_limits")


class AddLimit(_OfSet):
    """Limits of its own for one more currency."""

    title = "Limits for a currency"

    def form(self, data: Any = None) -> BackofficeForm:
        taken = {row.currency for row in limits.of(self.merchant) if row.origin == self.origin}
        enabled = terms.enabled(merchant_id=self.merchant.pk, now=self.now)
        return NewLimitForm(data, codes=[code for code in enabled if code not in taken])

    def unit(self) -> str:
        return "the currency itself"

    def named(self) -> dict[str, Any]:
        return {}

    def perform(self, form: BackofficeForm) -> HttpResponse:
        self.save(form, form.cleaned_data["currency"])
        return self.done("The limits are saved and count from now on.", "withdrawal_limits")


class RemoveLimit(_OfSet):
    """Takes a currency's own row away, so that the defaults count for it again."""

    title = "Remove a currency's limits"
    template_name = "backoffice/limits/remove.html"
    form_class = StepUpForm

    @cached_property
    def currency(self) -> str:
        """Of the row; the defaults are not removed, but emptied."""
        named: str = self.kwargs["currency"]
        if named == DEFAULT or self.row_of(named) is None:
            raise Http404
        return named

    def named(self) -> dict[str, Any]:
        return {"currency": self.currency, "row": self.row_of(self.currency)}

    def perform(self, form: BackofficeForm) -> HttpResponse:
        limits.remove(
            merchant=self.merchant,
            origin=self.origin,
            currency=self.currency,
            by=self.person,
            now=self.now,
            **self.how(),
        )
        return self.done(f"The defaults count for {self.currency} again.", "withdrawal_limits")


class RecipientsForm(StepUpForm):
    emails = forms.CharField(
        label="E-mail addresses",
        required=False,
        max_length=8000,
        widget=forms.Textarea(attrs={"rows": 3, "spellcheck": "false", "autocapitalize": "off"}),
        help_text="Separated by commas. Each gets a mail whenever a withdrawal waits. Empty: nobody.",
    )
    field_order = ("emails", "code")

    @property
    def entries(self) -> list[str]:
        return [entry for entry in re.split(r"[\s,;]+", self.cleaned_data.get("emails", "")) if entry]


class EditRecipients(Act):
    act, tab, title = "limits.withdrawal", "settings", "Who is told when a withdrawal waits"
    template_name = "backoffice/limits/recipients.html"
    form_class = RecipientsForm

    def initial(self) -> dict[str, Any]:
        told = limits.recipients(self.merchant).values_list("email", flat=True)
        return {"emails": ", ".join(told)}

    def perform(self, form: Any) -> HttpResponse:
        limits.set_recipients(
            merchant=self.merchant, emails=form.entries, by=self.person, now=self.now, **self.how()
        )
        return self.done("The addresses are saved.", "withdrawal_limits")
