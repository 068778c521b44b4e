"""Settings → API: where a merchant is called back and of what, which key signs, and a test callback."""

from __future__ import annotations

from typing import Any

from django import forms
from django.http import HttpRequest, HttpResponse

from callbacks import endpoints, schedule, tasks, trial
from callbacks.backoffice.letters import LetterPage
from callbacks.models import OutgoingCallback, OutgoingState, Preset
from merchants import keys
from merchants.backoffice.access import Act, Page
from merchants.backoffice.forms import BackofficeForm, StepUpForm
from payments import doorbell


class ApiSettings(Page):
    act, tab, title = "callbacks.view", "settings", "API settings"
    template_name = "backoffice/callbacks/settings.html"

    def get(self, request: HttpRequest, client_id: int) -> HttpResponse:
        endpoint = endpoints.of(self.merchant)
        return self.render(
            {
                "endpoint": endpoint,
                "minutes": schedule.RETRY_MINUTES[endpoint.preset],
                "signing": keys.signing_key_for(self.merchant),
                "tests": trial.sent(self.merchant).order_by("-version")[:5],
            }
        )


class EndpointForm(StepUpForm):
    url = forms.CharField(
        label="Callback URL",
        required=False,
        max_length=2000,
        widget=forms.URLInput(attrs={"placeholder": "https://shop.example/callbacks", "spellcheck": "false"}),
        help_text="http or https, reachable from the internet. Empty: nobody is called back.",
    )
    preset = forms.ChoiceField(label="Retries after a failure", choices=Preset.choices)
    below_minimum = forms.BooleanField(label="Deposits below the minimum (as cancelled)", required=False)
    cross_currency = forms.BooleanField(
        label="Deposits in another currency than the address was taken for", required=False
    )
    staff_operations = forms.BooleanField(label="Operations made by staff", required=False)
    sender_address = forms.BooleanField(label="The payer's own address, in each callback", required=False)
    field_order = ("url", "preset", *endpoints.SWITCHES, "code")


class EditEndpoint(Act):
    act, tab, title = "callbacks.set_endpoint", "settings", "Callback address"
    template_name = "backoffice/callbacks/endpoint.html"
    form_class = EndpointForm

    def initial(self) -> dict[str, Any]:
        endpoint = endpoints.of(self.merchant)
        return {
            "url": endpoint.url,
            "preset": endpoint.preset,
            **{name: getattr(endpoint, name) for name in endpoints.SWITCHES},
        }

    def perform(self, form: BackofficeForm) -> HttpResponse:
        given = form.cleaned_data
        endpoints.change(
            merchant=self.merchant,
            url=given["url"].strip(),
            preset=given["preset"],
            switches={name: given[name] for name in endpoints.SWITCHES},
            by=self.person,
            now=self.now,
            **self.how(),
        )
        return self.done("The callback settings are saved.", "settings")


class SendTest(Act):
    """Writes a test callback and goes to the page that shows what becomes of it."""

    act, tab, title = "callbacks.test", "settings", "Test callback"
    template_name = "backoffice/callbacks/test_send.html"
    form_class = BackofficeForm

    def show(self, form: BackofficeForm, *, status: int = 200) -> HttpResponse:
        return self.render({"form": form, "endpoint": endpoints.of(self.merchant)}, status=status)

    def perform(self, form: BackofficeForm) -> HttpResponse:
        row = trial.send(merchant=self.merchant, by=self.person, now=self.now, **self.how())
        doorbell.ring(tasks.DELIVER)
        return self.done("The test callback is on its way.", "test_callback", number=row.version)


class TestCallback(LetterPage):
    """A test callback: its request, signature, answer and timing; looks again until there is an answer."""

    tab, title = "settings", "Test callback"

    def callback(self) -> OutgoingCallback | None:
        return trial.sent(self.merchant).filter(version=self.kwargs["number"]).first()

    def context(self) -> dict[str, Any]:
        return super().context() | {"is_test": True}

    def looks_again(self, row: OutgoingCallback) -> bool:
        return row.state == OutgoingState.DUE
