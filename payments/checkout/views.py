"""An invoice as its payer sees it: where it stands, what to send, where. Works without a script.

Whoever has the link may see the page and choose the currency; a guessed code finds what a missing page finds.
"""

from __future__ import annotations

from typing import Any

from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.utils.decorators import method_decorator
from django.views import View
from django.views.decorators.cache import never_cache

from merchants import clock
from merchants.errors import Refusal
from payments import doorbell, invoice_bodies, invoices, tasks
from payments.currencies import CURRENCIES
from payments.models import Invoice, InvoiceStatus

LOOKS_AGAIN_SECONDS = 10
_KEPT_PRIVATE = {"X-Robots-Tag": "noindex, nofollow", "Referrer-Policy": "no-referrer"}


@method_decorator(never_cache, name="dispatch")
class InvoicePage(View):
    http_method_names = ("get", "head", "post")

    def get(self, request: HttpRequest, code: str) -> HttpResponse:
        return self._show(request, code)

    def post(self, request: HttpRequest, code: str) -> HttpResponse:
        """The payer chooses what to pay in."""
        try:
            invoices.choose(
                code=code,
                currency=request.POST.get("currency", "")[:16],
                email="",
                now=clock.now(),
                call_for_more=lambda: doorbell.ring(tasks.FILL_POOLS),
            )
        except Invoice.DoesNotExist:
            raise Http404 from None
        except Refusal as refusal:
            return self._show(request, code, refused=str(refusal))
        return HttpResponseRedirect(request.path)

    def _show(self, request: HttpRequest, code: str, refused: str = "") -> HttpResponse:
        try:
            invoice = invoices.of_code(code)
        except Invoice.DoesNotExist:
            raise Http404 from None
        answer = render(
            request,
            "checkout/invoice.html",
            _context(invoice) | {"refused": refused},
            status=400 if refused else 200,
        )
        for name, value in _KEPT_PRIVATE.items():
            answer[name] = value
        if invoice.is_counting and not refused:
            answer["Refresh"] = str(LOOKS_AGAIN_SECONDS)
        return answer


def _context(invoice: Invoice) -> dict[str, Any]:
    now = clock.now()
    parts = [part for part in invoice.parts.all() if part.stands]
    open_to_choice = not invoice.is_chosen and not invoice.is_over(now)
    can_be_chosen = open_to_choice and invoice.status in {InvoiceStatus.CREATED, InvoiceStatus.PENDING}
    address = invoice.address
    sent_in = CURRENCIES.get(invoice.sender_currency)
    return {
        "invoice": invoice,
        "address": address,
        "is_over": invoice.is_over(now),
        "network": sent_in.network.name if sent_in and sent_in.network else "",
        "remaining": invoice_bodies.remaining(invoice, parts),
        "legs": [leg for part in parts for leg in part.operation.legs.all() if leg.type == "deposit"],
        "left": [part for part in invoice.parts.all() if part.left],
        "choices": invoices.offered(invoice=invoice, now=now) if can_be_chosen else [],
        "shop": invoice.merchant.public_name,
    }
