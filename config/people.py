"""The middleware of pages, which programs' requests pass by: they have no session, no form, no static file.

Together it cost a signed request as much as all the rest. What a program's answer tells a browser that opens
it all the same stays: the policy, which is one text for every answer, and no frames.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from csp.middleware import CSPMiddleware
from csp.utils import build_policy
from django.contrib.auth.middleware import AuthenticationMiddleware
from django.contrib.messages.middleware import MessageMiddleware
from django.http import HttpRequest, HttpResponse
from django_otp.middleware import OTPMiddleware
from whitenoise.middleware import WhiteNoiseMiddleware

from merchants.sessions import PROGRAMS, DoorSessionMiddleware


class _PassedByPrograms:
    """Goes before a middleware class."""

    get_response: Any

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if request.path.startswith(PROGRAMS):
            return self.pass_by(request)
        answer: HttpResponse = super().__call__(request)  # type: ignore[misc]  # the middleware's
        return answer

    def pass_by(self, request: HttpRequest) -> HttpResponse:
        answer: HttpResponse = self.get_response(request)
        return answer


class Policies(_PassedByPrograms, CSPMiddleware):
    def pass_by(self, request: HttpRequest) -> HttpResponse:
        answer = super().pass_by(request)
        answer.headers["Content-Security-Policy"] = _policy()
        return answer


@cache
def _policy() -> str:
    """As it stands in the settings; no view changes it."""
    return str(build_policy())


class StaticFiles(_PassedByPrograms, WhiteNoiseMiddleware):  # type: ignore[misc]  # carries no types
    pass


class Sessions(_PassedByPrograms, DoorSessionMiddleware):
    def pass_by(self, request: HttpRequest) -> HttpResponse:
        request.COOKIES = {}  # no door of a program reads a cookie, or may touch a browser's
        return super().pass_by(request)


class Users(_PassedByPrograms, AuthenticationMiddleware):
    pass


class SecondFactors(_PassedByPrograms, OTPMiddleware):  # type: ignore[misc]  # django-otp carries no types
    pass


class Messages(_PassedByPrograms, MessageMiddleware):
    pass
