"""The terminal: what a payer sees who follows a shop's signed link. Works without a script.

`/` with both parameters leads here, as shops' links say, and so does `/terminal/`. What is wrong with a link
is not told: it is the shop's to mend.
"""

from __future__ import annotations

from typing import Any

from csp.decorators import csp_replace
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.utils.decorators import method_decorator
from django.views import View
from django.views.decorators.cache import never_cache
from django.views.decorators.clickjacking import xframe_options_exempt

from merchants import clock
from payments import doorbell, tasks, terminal
from payments.addresses import PoolEmpty
from payments.terminal import BadLink, Terminal

_KEPT_PRIVATE = {"X-Robots-Tag": "noindex, nofollow", "Referrer-Policy": "no-referrer"}


@method_decorator(never_cache, name="dispatch")
class TerminalPage(View):
    http_method_names = ("get", "head")

    def get(self, request: HttpRequest) -> HttpResponseBase:
        try:
            opened = terminal.open_link(
                data=request.GET.get("data", ""),
                signature=request.GET.get("signature", ""),
                now=clock.now(),
                call_for_more=lambda: doorbell.ring(tasks.FILL_POOLS),
            )
        except BadLink as refusal:
            return _refused(request, str(refusal), status=400)
        except PoolEmpty as refusal:
            return _refused(request, str(refusal), status=503)
        return _framed(request, opened) if opened.is_iframe else _shown(request, opened)


def _shown(request: HttpRequest, opened: Terminal) -> HttpResponse:
    context = {
        "opened": opened,
        "address": opened.address,
        "coin": opened.offer.currency,
        "terms": opened.offer.terms,
    }
    return _answer(request, context, status=200)


def _framed(request: HttpRequest, opened: Terminal) -> HttpResponseBase:
    """The shop shows it within a page of its own."""

    @xframe_options_exempt
    @csp_replace({"frame-ancestors": ["*"]})
    def show(asked: HttpRequest) -> HttpResponseBase:
        return _shown(asked, opened)

    return show(request)


def _refused(request: HttpRequest, sentence: str, *, status: int) -> HttpResponse:
    return _answer(request, {"refused": sentence}, status=status)


def _answer(request: HttpRequest, context: dict[str, Any], *, status: int) -> HttpResponse:
    answer = render(request, "checkout/terminal.html", context, status=status)
    for name, value in _KEPT_PRIVATE.items():
        answer[name] = value
    return answer
