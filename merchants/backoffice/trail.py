"""The audit page: who did what, what it changed, from where, with which proof; and its export."""

from __future__ import annotations

from typing import Any

from django import forms
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase

from merchants import audit, trail
from merchants.backoffice.access import Act, Page
from merchants.backoffice.forms import BackofficeForm, StepUpForm
from merchants.backoffice.lists import SpanForm, csv_file, number
from merchants.trail import Filters

_ACTS = (
    ("", "All"),
    ("keys.", "API keys"),
    ("callbacks.", "Callbacks"),
    ("currencies.", "Currencies"),
    ("addresses.", "Addresses"),
    ("team.", "Team"),
    ("export.", "Exports"),
    ("operator.", "The operator"),
    ("refused", "Refused tries"),
)


class FilterForm(SpanForm):
    """The audit's filters."""

    actor = forms.CharField(label="Who", required=False, max_length=254)
    act = forms.ChoiceField(label="What", required=False, choices=_ACTS)
    field_order = ("actor", "act", "since", "until")

    @property
    def filters(self) -> Filters:
        return Filters(**self.given())


class Trail(Page):
    act, tab, title = "audit.view", "audit", "Audit"
    template_name = "backoffice/audit/list.html"

    def get(self, request: HttpRequest, client_id: int) -> HttpResponse:
        form = FilterForm(request.GET)
        older_than = number(request.GET.get("older_than", ""), digits=17)
        found = trail.page(merchant=self.merchant, filters=form.filters, older_than=older_than)
        shown = found[: trail.PAGE]
        more = len(found) > trail.PAGE
        context: dict[str, Any] = {
            "form": form,
            "lines": shown,
            "query": form.query(),
            "older": form.query(older_than=shown[-1].record.number) if more else "",
        }
        return self.render(context)


class ExportTrail(Act):
    act, tab, title = "export.create", "audit", "Export the audit"
    template_name = "backoffice/audit/export.html"
    form_class = StepUpForm

    def show(self, form: BackofficeForm, *, status: int = 200) -> HttpResponse:
        return self.render({"form": form, "query": FilterForm(self.request.GET).query()}, status=status)

    def perform(self, form: BackofficeForm) -> HttpResponseBase:  # type: ignore[override]  # it is streamed
        filters = FilterForm(self.request.GET)
        audit.record(
            actor=self.person,
            act="export.create",
            merchant=self.merchant,
            subject="audit",
            after={"query": filters.query()},
            now=self.now,
            **self.how(),
        )
        rows = trail.as_csv(merchant=self.merchant, filters=filters.filters)
        return csv_file(rows, of="audit", client_id=self.merchant.wire_id, now=self.now)
