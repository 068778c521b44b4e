"""The operators' pages of money that goes out: stops, caps, alerts, withdrawals, and reconciliation.

A stop is made here, with a fresh code; neither lifting one nor writing a cap is possible on any page.
"""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import path

from merchants import clock
from merchants.admin import CodedActsAdmin, ReadOnlyAdmin, how, operator_of, operator_site
from merchants.admin.bases import CodeForm, ConfirmedAdmin
from payments import alerts, controls, doorbell, reconciliation, tasks
from payments.models import Alert, Cap, Reconciliation, Stop, Withdrawal


class StopForm(CodeForm):
    class Meta:
        model = Stop
        fields = ("merchant", "reason")

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        if "merchant" in self.fields:
            self.fields["merchant"].required = False
            self.fields["merchant"].help_text = "Without one the whole installation stops paying out."


@admin.register(Stop, site=operator_site)
class StopAdmin(ConfirmedAdmin):
    """Made here, lifted on the server: `./bursar manage stops lift`."""

    form = StopForm
    list_display = ("whose", "stopped_at", "who", "reason", "lifted_at", "lifted_by", "lift_reason")
    list_select_related = ("merchant", "stopped_by")
    ordering = ("-id",)
    actions = None

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    @admin.display(description="stopped for")
    def whose(self, row: Stop) -> str:
        return str(row.merchant) if row.merchant else "The whole installation"

    @admin.display(description="stopped by")
    def who(self, row: Stop) -> str:
        return row.stopped_by.email if row.stopped_by else "The breaker"

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        made = controls.stop(
            merchant=obj.merchant,
            reason=obj.reason,
            by=operator_of(request),
            now=clock.now(),
            **how(request),
        )
        obj.pk, obj.stopped_at = made.pk, made.stopped_at


@admin.register(Cap, site=operator_site)
class CapAdmin(ReadOnlyAdmin):
    """Written on the server: `./bursar manage caps`."""

    list_display = ("__str__", "one_operation", "per_hour", "per_day", "changed_at")
    list_select_related = ("merchant",)


@admin.register(Alert, site=operator_site)
class AlertAdmin(CodedActsAdmin):
    """What people must look at, of every merchant and of the installation."""

    list_display = ("raised_at", "merchant", "kind", "text", "cleared_at", "cleared_by")
    list_filter = (("cleared_at", admin.EmptyFieldListFilter), "kind")
    list_select_related = ("merchant", "cleared_by")
    show_facets = admin.ShowFacets.NEVER
    ordering = ("-id",)
    actions = ("clear",)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    @admin.action(description="Clear: somebody has seen to it")
    def clear(self, request: HttpRequest, rows: QuerySet[Alert]) -> None:
        common: Any = {"by": operator_of(request), "now": clock.now(), **how(request)}
        self.each(request, rows, lambda row: alerts.clear(alert=row, **common), "cleared.")


@admin.register(Withdrawal, site=operator_site)
class WithdrawalAdmin(ReadOnlyAdmin):
    """Every merchant's, with what was handed over; found by our number, or the processor's."""

    list_display = ("our_id", "requested_at", "merchant", "amount", "currency", "state", "unknown_reason")
    list_filter = ("state", "processor")
    list_select_related = ("merchant",)
    show_facets = admin.ShowFacets.NEVER
    search_fields = ("our_id__exact", "external_id__exact", "address__exact")
    ordering = ("-operation_id",)
    readonly_fields = ("order",)
    exclude = ("prepared", "approved_hash")

    @admin.display(description="the order, as stored")
    def order(self, row: Withdrawal) -> str:
        return bytes(row.prepared or b"").decode("utf-8", "backslashreplace") or "–"


@admin.register(Reconciliation, site=operator_site)
class ReconciliationAdmin(ReadOnlyAdmin):
    """Every look; the page in front of it shows the latest of each currency and takes another."""

    list_display = ("at", "processor", "currency", "booked", "in_flight", "reported", "words")
    list_filter = ("processor", "currency")
    list_select_related = ("processor",)
    show_facets = admin.ShowFacets.NEVER
    ordering = ("-at", "-id")

    @admin.display(description="difference", ordering="difference")
    def words(self, row: Reconciliation) -> str:
        return in_words(row)

    def get_urls(self) -> list[Any]:
        page = self.admin_site.admin_view(latest)
        return [path("latest/", page, name="payments_reconciliation_latest"), *super().get_urls()]


def in_words(row: Reconciliation) -> str:
    """What a look found: agreement, or how much is missing or too much."""
    if not row.difference:
        return "agrees"
    what = "less" if row.difference < 0 else "more"
    return f"{abs(row.difference):f} {row.currency} {what} than booked"


def latest(request: HttpRequest) -> HttpResponse:
    """The latest look at each currency of each processor; a POST asks the sender for a new one."""
    if request.method == "POST":
        if doorbell.ring(tasks.RECONCILE):
            messages.success(request, "The sender looks now; the page shows it in a moment.")
        else:
            messages.warning(
                request, "The sender could not be called just now; it looks every hour by itself."
            )
        return redirect("operator:payments_reconciliation_latest")
    looks = reconciliation.latest()
    context = operator_site.each_context(request) | {
        "title": "Reconciliation",
        "looks": [(one, in_words(one.row)) for one in looks],
        "mismatches": sum(1 for one in looks if one.is_mismatch),
        "stops": controls.open_stops(),
        "now": clock.now(),
    }
    return TemplateResponse(request, "operator/reconciliation.html", context)
