"""Alerts: what the merchant's Owners must look at, what they have seen to, and the act that says so."""

from __future__ import annotations

from django.http import Http404, HttpRequest, HttpResponse
from django.utils.functional import cached_property

from merchants.backoffice.access import Act, Page
from merchants.backoffice.forms import BackofficeForm
from merchants.backoffice.lists import number
from payments import alerts
from payments.models import Alert

PAGE = 50


class AlertList(Page):
    """Open ones first; the cleared ones by pages, newest first."""

    act, tab, title = "withdrawals.approve", "alerts", "Alerts"
    template_name = "backoffice/alerts/list.html"

    def get(self, request: HttpRequest, client_id: int) -> HttpResponse:
        before = number(request.GET.get("older_than", ""), digits=18)
        cleared = Alert.objects.for_merchant(self.merchant).exclude(cleared_at=None)
        cleared = cleared.select_related("cleared_by").order_by("-id")
        found = list((cleared.filter(pk__lt=before) if before else cleared)[: PAGE + 1])
        context = {
            "open": [] if before else alerts.open_for(self.merchant),
            "cleared": found[:PAGE],
            "older": found[PAGE - 1].pk if len(found) > PAGE else None,
        }
        return self.render(context)


class ClearAlert(Act):
    """Somebody has seen to it; the matter may raise another."""

    act, tab, title = "withdrawals.approve", "alerts", "Clear an alert"
    template_name = "backoffice/alerts/clear.html"
    form_class = BackofficeForm

    @cached_property
    def alert(self) -> Alert:
        found = Alert.objects.for_merchant(self.merchant).filter(pk=self.kwargs["number"]).first()
        if found is None:
            raise Http404
        return found

    def show(self, form: BackofficeForm, *, status: int = 200) -> HttpResponse:
        return self.render({"form": form, "alert": self.alert}, status=status)

    def perform(self, form: BackofficeForm) -> HttpResponse:
        alerts.clear(alert=self.alert, by=self.person, now=self.now, **self.how())
        return self.done("The alert is cleared.", "alerts")
