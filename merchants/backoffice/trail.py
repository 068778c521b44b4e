"""The audit page: who did what, what it changed, from where, with which proof; and its export."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from urllib.parse import urlencode

from django import forms
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase

from merchants import audit, trail
from merchants.backoffice.access import Act, Page
from merchants.backoffice.forms import BackofficeForm, StepUpForm
from merchants.trail import Filters

_ACTS = (
    ("", "All"),
    ("keys.", "API keys"),
    ("callbacks.", "Callbacks"),
    ("currencies.", "Currencies"),
    ("team.", "Team"),
    ("export.", "Exports"),
    ("operator.", "The operator"),
    ("refused", "Refused tries"),
)


class FilterForm(forms.Form):
    """The filters in the URL; what makes no sense is left out and said at its field."""

    actor = forms.CharField(label="Who", required=False, max_length=254)
    act = forms.ChoiceField(label="What", required=False, choices=_ACTS)
    since = forms.DateField(
        label="From (UTC)", required=False, widget=forms.DateInput(attrs={"type": "date"})
    )
    until = forms.DateField(label="To (UTC)", required=False, widget=forms.DateInput(attrs={"type": "date"}))

    @property
    def filters(self) -> Filters:
        given = self.cleaned_data if self.is_valid() or self.cleaned_data else {}
        since, until = given.get("since"), given.get("until")
        return Filters(
            actor=given.get("actor", ""),
            act=given.get("act", ""),
            since=_midnight(since) if since else None,
            until=_midnight(until + timedelta(days=1)) if until else None,
        )

    def query(self, **more: object) -> str:
        given = {name: self.data[name] for name in self.fields if self.data.get(name)}
        return urlencode({**given, **{name: value for name, value in more.items() if value}})


class Trail(Page):
    act, tab, title = "audit.view", "audit", "Audit"
    template_name = "backoffice/audit/list.html"

    def get(self, request: HttpRequest, client_id: int) -> HttpResponse:
        form = FilterForm(request.GET)
        older_than = _number(request.GET.get("older_than", ""))
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
        name = f"bursar-{self.merchant.wire_id}-audit-{self.now:%Y%m%dT%H%M%SZ}.csv"
        return StreamingHttpResponse(
            trail.as_csv(merchant=self.merchant, filters=filters.filters),
            content_type="text/csv; charset=utf-8",
            headers={"Content-Disposition": f'attachment; filename="{name}"', "X-Accel-Buffering": "no"},
        )


def _number(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 18 else None


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time.min, tzinfo=UTC)
