"""Transactions: the list with its filters in the URL, views saved of it, and the export of what it lists."""

from __future__ import annotations

from django import forms
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect
from django.urls import reverse

from merchants import audit, saved_views
from merchants.backoffice.access import Act, Page
from merchants.backoffice.forms import BackofficeForm, StepUpForm
from merchants.backoffice.lists import csv_file, number
from merchants.models import SavedView, SavedViewPage
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
            "views": saved_views.of(
                merchant=self.merchant, user=self.person, page=SavedViewPage.TRANSACTIONS
            ),
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


class NameForm(BackofficeForm):
    name = forms.CharField(
        label="Name of the view",
        max_length=saved_views.LONGEST_NAME,
        help_text="It appears above your list of transactions. Nobody else sees it.",
        widget=forms.TextInput(attrs={"autocomplete": "off", "autofocus": True}),
        error_messages={"required": str(saved_views.ViewNameMissing())},
    )


class SaveView(Act):
    """Keeps the filters in the URL under a name, for this person."""

    act, tab, title = "transactions.view", "transactions", "Save this view"
    template_name = "backoffice/money/view_save.html"
    form_class = NameForm

    def show(self, form: BackofficeForm, *, status: int = 200) -> HttpResponse:
        filters = FilterForm(self.request.GET)
        context = {"form": form, "chips": filters.chips(), "query": filters.query()}
        return self.render(context, status=status)

    def perform(self, form: BackofficeForm) -> HttpResponse:
        view = saved_views.save(
            merchant=self.merchant,
            user=self.person,
            page=SavedViewPage.TRANSACTIONS,
            name=form.cleaned_data["name"],
            query=FilterForm(self.request.GET).understood(),
        )
        here = reverse("transactions", kwargs={"client_id": self.merchant.wire_id})
        return HttpResponseRedirect(f"{here}?{view.query}")


class RemoveView(Act):
    act, tab, title = "transactions.view", "transactions", "Remove a view"
    template_name = "backoffice/money/view_remove.html"
    form_class = BackofficeForm

    def show(self, form: BackofficeForm, *, status: int = 200) -> HttpResponse:
        mine = saved_views.of(merchant=self.merchant, user=self.person, page=SavedViewPage.TRANSACTIONS)
        view = next((view for view in mine if view.pk == self.kwargs["number"]), None)
        if view is None:
            raise Http404
        return self.render({"form": form, "view": view}, status=status)

    def perform(self, form: BackofficeForm) -> HttpResponse:
        try:
            saved_views.remove(merchant=self.merchant, user=self.person, view_id=self.kwargs["number"])
        except SavedView.DoesNotExist as missing:
            raise Http404 from missing
        return self.done("The view is removed.", "transactions")
