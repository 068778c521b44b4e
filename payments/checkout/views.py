"""An invoice as its payer sees it: where it stands, what to send, where. Works without a script.

Whoever has the link may see the page and choose the currency; a guessed code finds what a missing page finds.
A script asks once a second whether anything has changed, and is told "no" by one query.
"""

from __future__ import annotations

from typing import Any

from django.http import Http404, HttpRequest, HttpResponse, HttpResponseNotModified, HttpResponseRedirect
from django.shortcuts import render
from django.utils import translation
from django.utils.decorators import method_decorator
from django.views import View
from django.views.decorators.cache import never_cache

from merchants import clock
from merchants.errors import Refusal
from payments import doorbell, invoices, tasks
from payments.checkout import languages, simulate, watch
from payments.checkout.card import card
from payments.checkout.forms import ChoiceForm
from payments.checkout.stages import Stage, stage
from payments.models import Invoice

LOOKS_AGAIN_SECONDS = 10
"""Without a script."""
KEPT_PRIVATE = {"X-Robots-Tag": "noindex, nofollow", "Referrer-Policy": "same-origin"}
"""No other site learns the link. `no-referrer` would also hide from us where our own forms come from, and
every one of them would be refused as another site's."""


class _Checkout(View):
    """A page about the invoice that the link names, in the payer's language."""

    http_method_names = ("get", "head", "post")
    now: Any
    language: str

    @method_decorator(never_cache)
    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        self.now, self.language = clock.now(), languages.of(request)
        with translation.override(self.language):
            answer = super().dispatch(request, *args, **kwargs)
        for name, value in KEPT_PRIVATE.items():
            answer[name] = value
        return answer

    def find(self, code: str) -> Invoice:
        try:
            return invoices.of_code(code)
        except Invoice.DoesNotExist:
            raise Http404 from None

    def page(
        self, template: str, invoice: Invoice, form: ChoiceForm | None = None, *, status: int = 200
    ) -> HttpResponse:
        shown = card(invoice, form=form, now=self.now) | {
            "mark": watch.mark(code=invoice.code, language=self.language, now=self.now),
            "language": self.language,
            "languages": languages.LANGUAGES.items(),
            "direction": languages.direction(self.language),
            "looks_again": LOOKS_AGAIN_SECONDS,
            "now": self.now,
        }
        return render(self.request, template, shown, status=status)


class InvoicePage(_Checkout):
    def get(self, request: HttpRequest, code: str) -> HttpResponse:
        if "mark" in request.GET:
            return self._card(code, seen=request.GET["mark"])
        invoice = self.find(code)
        return self.page("checkout/invoice.html", invoice)

    def post(self, request: HttpRequest, code: str) -> HttpResponse:
        """The payer chooses what to pay in."""
        invoice = self.find(code)
        form = ChoiceForm(request.POST, invoice=invoice, now=self.now)
        if not form.is_valid():
            return self.page("checkout/invoice.html", invoice, form, status=422)
        try:
            invoices.choose(
                code=code,
                currency=form.cleaned_data["currency"],
                email=form.cleaned_data["email"],
                now=self.now,
                call_for_more=lambda: doorbell.ring(tasks.FILL_POOLS),
            )
        except Refusal as refusal:
            form.add_error(None, str(refusal))
            return self.page("checkout/invoice.html", self.find(code), form, status=422)
        return HttpResponseRedirect(request.get_full_path())

    def _card(self, code: str, *, seen: str) -> HttpResponse:
        """The part of the page that changes; 304 while it is what `seen` says."""
        if seen and seen == watch.mark(code=code, language=self.language, now=self.now):
            return HttpResponseNotModified()
        return self.page("checkout/_card.html", self.find(code))


class Receipt(_Checkout):
    """What was paid, for the payer's files."""

    def get(self, request: HttpRequest, code: str) -> HttpResponse:
        invoice = self.find(code)
        if stage(invoice, list(invoice.parts.all()), now=self.now) not in {Stage.PAID, Stage.OVERPAID}:
            raise Http404
        return self.page("checkout/receipt.html", invoice)


class Simulation(_Checkout):
    """Only in the sandbox: a button was pressed that plays the payer or the network."""

    def post(self, request: HttpRequest, code: str) -> HttpResponse:
        invoice = self.find(code)
        act = request.POST.get("act", "")
        at = stage(invoice, list(invoice.parts.all()), now=self.now)
        if act not in simulate.offered(at, has_address=invoice.address is not None):
            raise Http404
        try:
            simulate.play(invoice, act)
        except simulate.NoSandbox as refusal:
            return HttpResponse(str(refusal), status=503, content_type="text/plain")
        return HttpResponseRedirect(f"/invoice/{code}?lang={self.language}")
