"""Outgoing callbacks on pages: the list, one with its tries, sending again, and the signature explainer."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from typing import Any, ClassVar

from django import forms
from django.http import Http404, HttpRequest, HttpResponse
from django.utils.functional import cached_property

from callbacks import endpoints, explainer, mailbag, outgoing, tasks
from callbacks.models import DeliveryAttempt, OutgoingCallback, OutgoingState
from merchants import signing
from merchants.backoffice.access import Act, Page
from merchants.backoffice.forms import BackofficeForm
from merchants.models import ApiKey
from payments import doorbell
from payments.models import Invoice, Operation

_NAME = re.compile(r"[0-9]{1,9}\.[0-9]{1,9}", re.ASCII)


class CallbackList(Page):
    """The endpoint's health and queue, and the latest callbacks; `?state=` narrows them down."""

    act, tab, title = "callbacks.view", "callbacks", "Callbacks"
    template_name = "backoffice/callbacks/list.html"

    def get(self, request: HttpRequest, client_id: int) -> HttpResponse:
        state = request.GET.get("state", "")
        state = state if state in OutgoingState.values else ""
        older_than = self._place(request.GET.get("older_than", ""))
        found = mailbag.latest(merchant=self.merchant, state=state, older_than=older_than)
        shown = found[: mailbag.PAGE]
        endpoint = endpoints.of(self.merchant)
        return self.render(
            {
                "letters": shown,
                "older": shown[-1].name if len(found) > mailbag.PAGE else "",
                "state": state,
                "states": OutgoingState.choices,
                "endpoint": endpoint,
                "queue": mailbag.queue(self.merchant, health=endpoint.health),
                "most": mailbag.MOST_COUNTED,
            }
        )

    def _place(self, text: str) -> mailbag.Place | None:
        """Beside which callback the page begins; nonsense begins at the newest."""
        if not _NAME.fullmatch(text):
            return None
        number, _, version = text.partition(".")
        return mailbag.place_of(merchant=self.merchant, number=int(number), version=int(version))


class LetterPage(Page):
    """One callback: what it says, each try with request and answer, when the next one is made."""

    act: ClassVar[str] = "callbacks.view"
    template_name = "backoffice/callbacks/letter.html"

    def callback(self) -> OutgoingCallback | None:
        raise NotImplementedError

    def looks_again(self, row: OutgoingCallback) -> bool:
        """Whether the page should reload by itself in a second."""
        return False

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        row = self.callback()
        if row is None:
            raise Http404
        tries = list(row.tries.order_by("-number"))
        answer = self.render(
            {
                "callback": row,
                "body": bytes(row.body).decode(),
                "tries": tries,
                "curl": _curl(row, tries[0]) if tries else "",
                "texts": [bytes(one.response_body).decode("utf-8", "backslashreplace") for one in tries],
            }
        )
        if self.looks_again(row):
            answer["Refresh"] = "1"
        return answer


class _OfOperation:
    """The callback that the URL names: the number of an operation or invoice, and a version."""

    merchant: Any
    kwargs: dict[str, Any]

    @cached_property
    def operation(self) -> Operation | Invoice:
        found = mailbag.numbered(self.merchant, self.kwargs["number"])
        if found is None:
            raise Http404
        return found

    def callback(self) -> OutgoingCallback | None:
        return mailbag.about(self.operation).filter(version=self.kwargs["version"]).first()


class OperationCallback(_OfOperation, LetterPage):
    tab, title = "callbacks", "Callback"

    def context(self) -> dict[str, Any]:
        is_invoice = isinstance(self.operation, Invoice)
        return super().context() | {"operation": self.operation, "is_invoice": is_invoice}


class Resend(_OfOperation, Act):
    """Sends one callback again, with a whole schedule before it."""

    act, tab, title = "callbacks.resend", "callbacks", "Send again"
    template_name = "backoffice/callbacks/resend.html"
    form_class = BackofficeForm

    def show(self, form: BackofficeForm, *, status: int = 200) -> HttpResponse:
        row = self.callback()
        if row is None:
            raise Http404
        context = {"form": form, "callback": row, "operation": self.operation}
        return self.render({**context, "endpoint": endpoints.of(self.merchant)}, status=status)

    def perform(self, form: BackofficeForm) -> HttpResponse:
        row = self.callback()
        if row is None:
            raise Http404
        outgoing.resend(callback_id=row.pk)
        doorbell.ring(tasks.DELIVER)
        return self.done("The callback is on its way again.", "operation_callback", **self.kwargs_of(row))

    def kwargs_of(self, row: OutgoingCallback) -> dict[str, Any]:
        return {"number": self.kwargs["number"], "version": row.version}


class SinceForm(BackofficeForm):
    since = forms.DateTimeField(
        label="Since (UTC)",
        widget=forms.DateTimeInput(attrs={"type": "datetime-local"}),
        error_messages={"invalid": "Write a date and time such as 2026-05-04 12:00."},
    )
    counted = forms.IntegerField(required=False, widget=forms.HiddenInput)


class ResendSince(Act):
    """Everything that was not delivered since a moment: first how many that are, then again."""

    act, tab, title = "callbacks.resend", "callbacks", "Send failed callbacks again"
    template_name = "backoffice/callbacks/resend_since.html"
    form_class = SinceForm

    count: int | None = None

    def holds_back(self, form: BackofficeForm) -> bool:
        self.count = outgoing.count_unsent(
            merchant=self.merchant, since=form.cleaned_data["since"], most=mailbag.MOST_COUNTED
        )
        return form.cleaned_data.get("counted") != self.count

    def show(self, form: BackofficeForm, *, status: int = 200) -> HttpResponse:
        context = {"form": form, "count": self.count, "most": mailbag.MOST_COUNTED}
        return self.render(context, status=status)

    def perform(self, form: BackofficeForm) -> HttpResponse:
        count = outgoing.resend_since(merchant=self.merchant, since=form.cleaned_data["since"])
        doorbell.ring(tasks.DELIVER)
        return self.done(f"{count} callbacks are on their way again.", "callbacks")


class ExplainForm(BackofficeForm):
    signature = forms.CharField(
        label="The signature that your program computed",
        required=False,
        max_length=400,
        widget=forms.TextInput(attrs={"spellcheck": "false", "autocomplete": "off"}),
    )
    text = forms.CharField(
        label="The text that your program hashed",
        required=False,
        max_length=70_000,
        strip=False,
        widget=forms.Textarea(attrs={"rows": 6, "spellcheck": "false"}),
    )

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        if not self.errors and not cleaned["signature"] and not cleaned["text"]:
            self.add_error("signature", "Paste one of the two.")
        return cleaned


class Explain(_OfOperation, Act):
    """Why does my signature differ? Compares what is pasted with the stored callback; changes nothing."""

    act, tab, title = "callbacks.view", "callbacks", "Why does my signature differ?"
    template_name = "backoffice/callbacks/explain.html"
    form_class = ExplainForm

    findings: Sequence[explainer.Finding] = ()

    def show(self, form: BackofficeForm, *, status: int = 200) -> HttpResponse:
        row = self._row()
        context = {"form": form, "callback": row, "operation": self.operation, "findings": self.findings}
        return self.render(context | {"body": bytes(row.body).decode()}, status=status)

    def perform(self, form: BackofficeForm) -> HttpResponse:
        row, given = self._row(), form.cleaned_data
        body, found = bytes(row.body), []
        if given["signature"]:
            keys = _candidates(self.merchant, row)
            found.append(explainer.explain_signature(body=body, pasted=given["signature"], candidates=keys))
        if given["text"]:
            found.append(explainer.explain_body(body=body, pasted=given["text"]))
        self.findings = found
        return self.show(form)

    def _row(self) -> OutgoingCallback:
        row = self.callback()
        if row is None:
            raise Http404
        return row


def _candidates(merchant: Any, row: OutgoingCallback) -> list[explainer.Candidate]:
    """The merchant's keys that ever had a secret, the one that signed the last try first."""
    last = row.tries.order_by("-number").first()
    signed_by = last.request_headers.get(signing.KEY_HEADER) if last else None
    found = ApiKey.objects.for_merchant(merchant).exclude(secret_ciphertext="").order_by("-id")
    candidates = [
        explainer.Candidate(
            key.public_key,
            key.secret(),
            is_signing=key.public_key == signed_by if signed_by else key.is_active,
        )
        for key in found
    ]
    return sorted(candidates, key=lambda candidate: not candidate.is_signing)


def _curl(row: OutgoingCallback, one: DeliveryAttempt) -> str:
    """The try as a command line that sends the same bytes with the same headers."""
    headers = " ".join(f"-H {shlex.quote(f'{name}: {value}')}" for name, value in one.request_headers.items())
    body = shlex.quote(bytes(row.body).decode())
    return f"curl -i -X POST {shlex.quote(one.url)} {headers} --data-binary {body}"
