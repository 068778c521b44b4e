"""The stop switch: everything that a merchant would pay out stays where it is, at once.

A page can stop and never start again: lifting takes the server, so that whoever holds a stolen session or a
stolen phone cannot.
"""

from __future__ import annotations

from django import forms
from django.http import HttpRequest, HttpResponse

from merchants.backoffice.access import Act, Page
from merchants.backoffice.forms import BackofficeForm, StepUpForm
from payments import controls


class StopPage(Page):
    """Whether anything is stopped, since when and by whom; and what was before."""

    act, tab, title = "limits.view", "settings", "Stop withdrawals"
    template_name = "backoffice/stops/page.html"

    def get(self, request: HttpRequest, client_id: int) -> HttpResponse:
        context = {
            "stops": controls.open_stops(self.merchant),
            "own": controls.open_stops(self.merchant).filter(merchant=self.merchant).exists(),
            "past": controls.lifted_stops(self.merchant)[:20],
        }
        return self.render(context)


class StopForm(StepUpForm):
    reason = forms.CharField(
        label="Reason",
        max_length=255,
        help_text="Everybody on the team reads it above each page, and the operator before lifting the stop.",
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
        error_messages={"required": "Say why."},
    )
    field_order = ("reason", "code")


class StopAll(Act):
    act, tab, title = "withdrawals.approve", "settings", "Stop all withdrawals"
    template_name = "backoffice/stops/stop.html"
    form_class = StopForm

    def perform(self, form: BackofficeForm) -> HttpResponse:
        reason = form.cleaned_data["reason"]
        controls.stop(merchant=self.merchant, reason=reason, by=self.person, now=self.now, **self.how())
        return self.done("Withdrawals are stopped. Nothing more begins to be sent.", "stop")
