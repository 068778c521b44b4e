"""Sessions by door: the operator admin has a cookie of its own, sent to nowhere but the admin.

Somebody signed in at the back-office is a stranger to the operator admin in the same browser, and the
other way round.
"""

from __future__ import annotations

from django.conf import settings
from django.contrib.sessions.middleware import SessionMiddleware
from django.http import HttpRequest, HttpResponse

OPERATOR_PATH = "/operator/"
OPERATOR_COOKIE = "bursar_operator"


PROGRAMS = ("/api/", "/callbacks/")


class DoorSessionMiddleware(SessionMiddleware):
    """Django's sessions; below the operator's path they live under another cookie's name."""

    def process_request(self, request: HttpRequest) -> None:
        if request.path.startswith(OPERATOR_PATH):
            others = {name: value for name, value in request.COOKIES.items() if name != _usual()}
            if OPERATOR_COOKIE in others:
                others[_usual()] = others.pop(OPERATOR_COOKIE)
            request.COOKIES = others
        elif request.path.startswith(PROGRAMS):
            request.COOKIES = {}  # no door of a program reads a cookie, or may touch a browser's
        super().process_request(request)

    def process_response(self, request: HttpRequest, response: HttpResponse) -> HttpResponse:
        response = super().process_response(request, response)
        if request.path.startswith(OPERATOR_PATH) and _usual() in response.cookies:
            _rename(response)
        return response


def _usual() -> str:
    return settings.SESSION_COOKIE_NAME


def _rename(response: HttpResponse) -> None:
    usual = response.cookies.pop(_usual())
    response.cookies[OPERATOR_COOKIE] = usual.value
    own = response.cookies[OPERATOR_COOKIE]
    own.update(usual)
    own["path"], own["samesite"] = OPERATOR_PATH, "Strict"
