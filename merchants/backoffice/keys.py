"""API keys: the list, a key's own page, and the acts on it. The secret is the answer to one POST only."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from django import forms
from django.http import Http404, HttpRequest, HttpResponse
from django.utils.functional import cached_property

from merchants import keys, usage
from merchants.backoffice.access import Act, Page
from merchants.backoffice.forms import BackofficeForm, StepUpForm
from merchants.errors import Refusal
from merchants.models import ApiKey, KeyState
from merchants.networks import Network

OVERLAPS = ((1, "1 hour"), (24, "1 day"), (72, "3 days"), (168, "7 days"))
LOCK_OUT = "LOCK OUT"
"""What is typed to lock out addresses that used the key within the last hour."""


@dataclass(frozen=True)
class Row:
    """A key as its line in the list shows it."""

    key: ApiKey
    allowlist: list[str]
    last: usage.LastUse | None


class KeyList(Page):
    act, tab, title = "keys.view", "keys", "API keys"
    template_name = "backoffice/keys/list.html"

    def get(self, request: HttpRequest, client_id: int) -> HttpResponse:
        found = ApiKey.objects.for_merchant(self.merchant).prefetch_related("allowlist").order_by("-id")
        last = usage.last_uses(found)
        rows = [Row(key, [str(entry) for entry in key.allowlist.all()], last.get(key.pk)) for key in found]
        return self.render({"rows": rows})


class _OfKey:
    """The key that the URL names; another merchant's is as good as missing."""

    merchant: Any
    kwargs: dict[str, Any]

    @cached_property
    def key(self) -> ApiKey:
        named = ApiKey.objects.for_merchant(self.merchant).filter(public_key=self.kwargs["public_key"])
        key = named.first()
        if key is None:
            raise Http404
        return key


class KeyPage(_OfKey, Page):
    """One key: where it is used from, on what, and which tries were refused."""

    act, tab, title = "keys.view", "keys", "API key"
    template_name = "backoffice/keys/detail.html"

    def get(self, request: HttpRequest, client_id: int, public_key: str) -> HttpResponse:
        key = self.key
        return self.render(
            {
                "key": key,
                "allowlist": keys.allowlist_of(key),
                "usage": usage.of_key(key, at=datetime.now(UTC)),
                "hours": range(24),
            }
        )


class _KeyAct(_OfKey, Act):
    """An act on one key, or on none yet."""

    tab = "keys"
    template_name = "backoffice/keys/act.html"

    def common(self) -> dict[str, Any]:
        """What every verb on a key is told."""
        return {"merchant": self.merchant, "by": self.person, "now": self.now, **self.how()}

    def show(self, form: BackofficeForm, *, status: int = 200) -> HttpResponse:
        key = self.key
        return self.render(
            {"form": form, "key": key, "act": self.act, "entries": keys.allowlist_of(key)}, status=status
        )

    def told(self, activated: keys.Activated) -> HttpResponse:
        """The one page that ever shows the secret. It is no redirect: nothing may keep it."""
        return self.render({"key": activated.key, "secret": activated.secret})


class Generate(_KeyAct):
    act, title = "keys.generate", "Generate an API key"
    template_name = "backoffice/keys/generate.html"
    form_class = StepUpForm

    def perform(self, form: BackofficeForm) -> HttpResponse:
        key = keys.generate(**self.common())
        return self.done("The key is made. Activate it to get its secret.", "key", public_key=key.public_key)

    def show(self, form: BackofficeForm, *, status: int = 200) -> HttpResponse:
        return self.render({"form": form}, status=status)


class _Telling(_KeyAct):
    """An act that ends with the secret on the page."""

    def perform(self, form: BackofficeForm) -> HttpResponse:
        activated = self.activated(form)
        self.template_name = "backoffice/keys/secret.html"  # type: ignore[misc]  # this request's answer alone
        return self.told(activated)

    def activated(self, form: BackofficeForm) -> keys.Activated:
        raise NotImplementedError


class Activate(_Telling):
    act, title = "keys.activate", "Activate an API key"
    form_class = StepUpForm

    def activated(self, form: BackofficeForm) -> keys.Activated:
        return keys.activate(key_id=self.key.pk, allowlist=keys.allowlist_of(self.key), **self.common())


class RotateForm(StepUpForm):
    overlap = forms.TypedChoiceField(
        label="Both keys work side by side for",
        choices=OVERLAPS,
        coerce=int,
        initial=24,
        help_text="Callbacks stay signed by the old key until the new one has made its first request.",
    )
    field_order = ("overlap", "code")


class Rotate(_Telling):
    act, title = "keys.rotate", "Rotate an API key"
    form_class = RotateForm

    def activated(self, form: BackofficeForm) -> keys.Activated:
        overlap = timedelta(hours=form.cleaned_data["overlap"])
        return keys.rotate(key_id=self.key.pk, overlap=overlap, **self.common())


class Deactivate(_KeyAct):
    act, title = "keys.deactivate", "Deactivate an API key"
    form_class = StepUpForm

    def perform(self, form: BackofficeForm) -> HttpResponse:
        key = keys.deactivate(key_id=self.key.pk, **self.common())
        return self.done(f"{key.short} is deactivated for good.", "keys")


class AllowlistForm(StepUpForm):
    """The addresses; what they would refuse is shown before it is saved, and not at the price of a code."""

    ips = forms.CharField(
        label="IPs",
        required=False,
        max_length=400_000,
        widget=forms.Textarea(attrs={"rows": 4, "spellcheck": "false", "autocapitalize": "off"}),
        help_text="Separated by commas: 203.0.113.9, 2001:db8::7, 198.51.100.0/24. Empty: from anywhere.",
    )
    everywhere = forms.BooleanField(
        label="Yes, allow requests from everywhere", required=False, widget=forms.HiddenInput
    )
    typed = forms.CharField(
        label=f"Type {LOCK_OUT} to refuse addresses that used this key within the hour",
        required=False,
        widget=forms.HiddenInput,
    )
    seen = forms.CharField(required=False, widget=forms.HiddenInput)
    previewed = forms.CharField(required=False, widget=forms.HiddenInput)
    field_order = ("ips", "everywhere", "typed", "code")

    def __init__(self, *args: Any, key: ApiKey, **options: Any) -> None:
        super().__init__(*args, **options)
        self.key = key
        self.locked_out: list[usage.Source] = []
        self.shown = ""
        if self.data.get("step") == "preview":
            self.fields["code"].required = False

    @property
    def entries(self) -> list[str]:
        return [entry for entry in re.split(r"[\s,;]+", self.cleaned_data.get("ips", "")) if entry]

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        try:
            networks = keys.read_allowlist(self.entries, everywhere_confirmed=bool(cleaned.get("everywhere")))
        except keys.AllowsEverywhere as refusal:
            self.fields["everywhere"].widget = forms.CheckboxInput()
            self.refuse(refusal)
        except Refusal as refusal:
            self.refuse(refusal)
        else:
            self._look_ahead(networks)
        return cleaned

    def _look_ahead(self, networks: list[Network]) -> None:
        """Who used the key in 30 days and would be refused from now on."""
        self.locked_out = usage.locked_out(self.key, networks, at=datetime.now(UTC))
        self.shown = " ".join(str(network) for network in networks)
        if any(source.lately for source in self.locked_out):
            self._demand_typing()

    def _demand_typing(self) -> None:
        self.fields["typed"].widget = forms.TextInput(attrs={"autocomplete": "off"})
        if self.was_previewed and self.cleaned_data.get("typed") != LOCK_OUT:
            self.add_error("typed", f"Some of these addresses are in use now. Type {LOCK_OUT} to go on.")

    @property
    def was_previewed(self) -> bool:
        """Whether the person has seen what this very list would refuse."""
        return self.data.get("step") != "preview" and self.cleaned_data.get("previewed") == self.shown


class Allowlist(_KeyAct):
    act, title = "keys.set_allowlist", "IP allowlist"
    template_name = "backoffice/keys/allowlist.html"
    form_class = AllowlistForm

    def form(self, data: Any = None) -> BackofficeForm:
        return AllowlistForm(data, initial=self.initial(), key=self.key)

    def initial(self) -> dict[str, Any]:
        entries = keys.allowlist_of(self.key)
        return {"ips": ", ".join(entries), "seen": " ".join(entries)}

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        if self.key.state == KeyState.DEACTIVATED:
            raise Http404
        return super().get(request, *args, **kwargs)

    def holds_back(self, form: Any) -> bool:
        asked = form.data.get("step") == "preview"
        return asked or (bool(form.locked_out) and not form.was_previewed)

    def perform(self, form: Any) -> HttpResponse:
        keys.set_allowlist(
            key_id=self.key.pk,
            entries=form.entries,
            everywhere_confirmed=bool(form.cleaned_data["everywhere"]),
            instead_of=form.cleaned_data["seen"].split(),
            **self.common(),
        )
        return self.done("The allowlist is saved and in force.", "key", public_key=self.key.public_key)
