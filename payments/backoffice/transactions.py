"""Transactions: the list with its filters in the URL, and the export of exactly what it lists."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse, HttpResponseBase

from merchants import audit
from merchants.backoffice.access import Act, Page
from merchants.backoffice.forms import BackofficeForm, StepUpForm
from merchants.backoffice.lists import csv_file, number
from payments import listing
from payments.backoffice.filters import FilterForm, presets


class TransactionList(Page):
    act, tab, title = "transactions.view", "transactions", "Transactions"
    template_name = "backoffice/money/transactions.html"

    def get(self, request: HttpRequest, client_id: int) -> HttpResponse:
        form = FilterForm(request.GET)
        try:
            page = self._page(form)
        except listing.NoSuchPlace:
            page = listing.page(merchant=self.merchant, filters=form.filters)
        context = {
            "form": form,
            "page": page,
            "presets": presets(self.now),
            "older": form.query(older_than=page.older),
            "newer": form.query(newer_than=page.newer),
            "query": form.query(),
        }
        return self.render(context)

    def _page(self, form: FilterForm) -> listing.Page:
        return listing.page(
            merchant=self.merchant,
            filters=form.filters,
            older_than=number(self.request.GET.get("older_than", "")),
            newer_than=number(self.request.GET.get("newer_than", "")),
        )


class ExportTransactions(Act):
    """The rows that the filters choose, as CSV, after a fresh code; audited with its filters."""

    act, tab, title = "export.create", "transactions", "Export transactions"
    template_name = "backoffice/money/export.html"
    form_class = StepUpForm

    @property
    def filters(self) -> FilterForm:
        return FilterForm(self.request.GET)

    def show(self, form: BackofficeForm, *, status: int = 200) -> HttpResponse:
        filters = self.filters
        context = {"form": form, "chips": filters.chips(), "query": filters.query()}
        return self.render(context, status=status)

    def perform(self, form: BackofficeForm) -> HttpResponseBase:  # type: ignore[override]  # it is streamed
        filters = self.filters
        audit.record(
            actor=self.person,
            act="export.create",
            merchant=self.merchant,
            subject="transactions",
            after={"query": filters.query()},
            now=self.now,
            **self.how(),
        )
        rows = listing.csv(merchant=self.merchant, filters=filters.filters)
        return csv_file(rows, of="transactions", client_id=self.merchant.wire_id, now=self.now)
