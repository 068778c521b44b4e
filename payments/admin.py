"""The operators' view of money: what they set by adding a newer row, what they ask for and approve, and
what they only look at. Nothing here edits or removes a row; the database would refuse it anyway.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import ValidationError
from django.core.paginator import Paginator
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import path
from django.utils.functional import cached_property

from merchants import clock
from merchants.admin import (
    AuditedAdmin,
    CodedActsAdmin,
    ReadOnlyAdmin,
    facts,
    how,
    note,
    operator_of,
    operator_site,
)
from merchants.models import Merchant
from payments import adjustments, currency_desk, held_deposits, terms
from payments import outflow_desk as _pages_of_its_own  # noqa: F401 - registers them
from payments.currencies import CURRENCIES
from payments.models import (
    Address,
    AddressPool,
    Adjustment,
    Leg,
    Operation,
    OperationFee,
    Processor,
    Rate,
    Route,
    Terms,
    UnmatchedDeposit,
)
from payments.models.account import Account
from payments.models.entry import Entry, Posting
from payments.money import Money

if TYPE_CHECKING:
    _Form = forms.ModelForm[Any]
    _Tabular = admin.TabularInline[Any, Any]
    _Paginator = Paginator[Any]
else:
    _Form, _Tabular, _Paginator = forms.ModelForm, admin.TabularInline, Paginator

MOST_LISTED = 10_000
"""Rows that a listing counts and pages through; whoever looks for an older one searches for it."""


def _currencies(*, enabled_only: bool) -> list[tuple[str, str]]:
    """The registry as choices, each with its network's name."""
    return [
        (code, f"{code}: {known.name}")
        for code, known in CURRENCIES.items()
        if known.can_be_enabled or not enabled_only
    ]


class AddOnlyAdmin(AuditedAdmin):
    """Rows that are replaced by newer ones: operators add, and change nothing."""

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class BoundedPaginator(_Paginator):
    """Counts no further than it pages: a table of millions is not read through for each look at it."""

    @cached_property
    def count(self) -> int:
        rows: QuerySet[Any] = self.object_list  # type: ignore[assignment]  # a listing's is a QuerySet
        return rows.order_by()[:MOST_LISTED].count()


class GrowingAdmin(ReadOnlyAdmin):
    """Rows to look at in tables that only grow; searched by whole values, which their indexes know."""

    paginator = BoundedPaginator
    show_facets = admin.ShowFacets.NEVER

    class Media:
        css = {"all": ("operator.css",)}


@admin.register(Processor, site=operator_site)
class ProcessorAdmin(AuditedAdmin):
    """Its credentials are in the environment of the roles that may hold them, never here."""

    list_display = ("code", "name", "connector", "is_active", "quotes_at")
    fields = ("code", "name", "connector", "is_active")

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        return ("code", "connector") if obj else ()

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class RouteForm(_Form):
    currency = forms.ChoiceField(required=False)

    class Meta:
        model = Route
        fields = ("merchant", "currency", "operation", "processor")

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.fields["currency"].choices = [("", "Any"), *_currencies(enabled_only=False)]  # type: ignore[attr-defined]


@admin.register(Route, site=operator_site)
class RouteAdmin(AddOnlyAdmin):
    form = RouteForm
    list_display = ("operation", "currency", "merchant", "processor", "valid_from")
    list_filter = ("operation", "processor")
    ordering = ("-id",)

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        obj.valid_from = clock.now()
        super().save_model(request, obj, form, change)


class TermsForm(_Form):
    """Says at the field what the table's constraints would refuse for the row."""

    currency = forms.ChoiceField()

    class Meta:
        model = Terms
        exclude = ("valid_from",)

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.fields["currency"].choices = _currencies(enabled_only=True)  # type: ignore[attr-defined]
        for name, field in self.fields.items():
            if isinstance(field, forms.DecimalField):
                field.validators.append(MinValueValidator(0))
            if name.endswith("_percent"):
                field.validators.append(MaxValueValidator(Decimal("0.999999")))
                field.help_text = "A fraction: 0.008 is 0.8 %."


@admin.register(Terms, site=operator_site)
class TermsAdmin(AddOnlyAdmin):
    """Percent columns are fractions: 0.008 is 0.8 %. A newer row replaces an older one."""

    form = TermsForm
    list_display = ("currency", "merchant", "enabled", "deposit_fee_percent", "deposit_minimum", "valid_from")
    list_filter = ("enabled", "merchant")
    search_fields = ("currency",)
    autocomplete_fields = ("merchant",)
    ordering = ("-id",)

    def get_urls(self) -> list[Any]:
        page = self.admin_site.admin_view(currency_desk.currencies)
        return [path("currencies/", page, name="payments_currencies"), *super().get_urls()]

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        row = terms.agree(now=clock.now(), **form.cleaned_data)
        obj.pk, obj.valid_from = row.pk, row.valid_from
        note(request, "add", row, before=None, after=facts(row))


class AdjustmentForm(_Form):
    currency = forms.ChoiceField()

    class Meta:
        model = Adjustment
        fields = ("merchant", "currency", "amount", "reason")

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.fields["currency"].choices = _currencies(enabled_only=True)  # type: ignore[attr-defined]

    def clean_amount(self) -> Decimal:
        amount: Decimal = self.cleaned_data["amount"]
        if not amount:
            raise ValidationError(str(adjustments.MovesNothing()))
        return amount


@admin.register(Adjustment, site=operator_site)
class AdjustmentAdmin(CodedActsAdmin, AddOnlyAdmin):
    """Asked for by one operator here, decided by another through the actions, with a fresh code."""

    form = AdjustmentForm
    list_display = ("merchant", "amount", "currency", "reason", "status", "requested_by", "decided_by")
    list_filter = ("status",)
    autocomplete_fields = ("merchant",)
    ordering = ("-id",)
    actions = ("approve", "decline")

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        asked = adjustments.request(
            merchant=obj.merchant,
            money=Money(obj.amount, obj.currency),
            reason=obj.reason,
            by=operator_of(request),
            now=clock.now(),
            **how(request),
        )
        obj.pk = asked.pk

    @admin.action(description="Approve: book it")
    def approve(self, request: HttpRequest, rows: QuerySet[Adjustment]) -> None:
        self._decide(request, rows, adjustments.approve, "approved and booked.")

    @admin.action(description="Decline: book nothing")
    def decline(self, request: HttpRequest, rows: QuerySet[Adjustment]) -> None:
        self._decide(request, rows, adjustments.decline, "declined.")

    def _decide(self, request: HttpRequest, rows: QuerySet[Adjustment], verb: Any, done: str) -> None:
        common: Any = {"by": operator_of(request), "now": clock.now(), **how(request)}
        self.each(request, rows, lambda row: verb(adjustment_id=row.pk, **common), done)


class _Inline(_Tabular):
    extra = 0
    can_delete = False

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class LegInline(_Inline):
    model = Leg
    fields = ("wire_id", "type", "amount", "currency", "amount_to", "currency_to", "txid", "confirmations")


class FeeInline(_Inline):
    model = OperationFee
    fields = ("type", "amount", "currency")


@admin.register(Operation, site=operator_site)
class OperationAdmin(GrowingAdmin):
    list_display = ("wire_id", "created_at", "merchant", "kind", "word", "amount_sent", "currency_sent")
    list_filter = ("status", "kind")
    list_select_related = ("merchant",)
    search_fields = ("wire_id__exact", "external_id__exact")
    ordering = ("-id",)
    inlines = (LegInline, FeeInline)
    actions = ("release_held",)

    @admin.display(description="status", ordering="status")
    def word(self, row: Operation) -> str:
        return row.status

    @admin.action(description="Give these merchants what was held while they were blocked")
    def release_held(self, request: HttpRequest, rows: QuerySet[Operation]) -> None:
        for merchant in Merchant.objects.filter(operation__in=rows).distinct():
            if merchant.is_blocked:
                self.message_user(request, f"{merchant} is still blocked.", messages.ERROR)
                continue
            count = held_deposits.release(merchant=merchant, now=clock.now())
            note(request, "release_held", merchant, before=None, after={"deposits": count})
            self.message_user(request, f"{merchant}: {count} deposits released.", messages.SUCCESS)


@admin.register(UnmatchedDeposit, site=operator_site)
class UnmatchedDepositAdmin(GrowingAdmin):
    list_display = ("seen_at", "amount", "currency", "address", "tag", "status", "is_booked", "processor")
    list_filter = ("status", "processor")
    search_fields = ("external_id__exact", "address__exact", "txid__exact")
    ordering = ("-id",)


@admin.register(Address, site=operator_site)
class AddressAdmin(GrowingAdmin):
    list_display = ("address", "tag", "currency", "convert_to", "merchant", "foreign_id", "taken_at")
    list_filter = ("origin",)
    list_select_related = ("merchant",)
    search_fields = ("address__exact", "foreign_id__exact")
    ordering = ("-id",)


@admin.register(AddressPool, site=operator_site)
class AddressPoolAdmin(ReadOnlyAdmin):
    list_display = ("processor", "currency", "convert_to", "wanted")


@admin.register(Rate, site=operator_site)
class RateAdmin(GrowingAdmin):
    list_display = ("source", "target", "price", "quoted_at", "seen_at", "is_current", "processor")
    list_filter = ("is_current", "processor")
    ordering = ("-id",)


@admin.register(Account, site=operator_site)
class AccountAdmin(GrowingAdmin):
    list_display = ("word", "currency", "merchant", "processor", "kept", "balance", "seq")
    list_filter = ("kind",)
    list_select_related = ("merchant", "processor")
    ordering = ("id",)

    @admin.display(description="kind", ordering="kind")
    def word(self, row: Account) -> str:
        return row.kind


class PostingInline(_Inline):
    model = Posting
    fields = ("account", "amount", "currency", "seq", "balance_after")


@admin.register(Entry, site=operator_site)
class EntryAdmin(GrowingAdmin):
    list_display = ("id", "booked_at", "kind", "key", "subject")
    search_fields = ("key__exact", "subject__exact")
    ordering = ("-id",)
    inlines = (PostingInline,)
