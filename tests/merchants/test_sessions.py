"""Sessions by door: two cookies, two sessions, neither good at the other's door."""

from __future__ import annotations

import pytest
from django.conf import settings as django_settings
from django.http import HttpRequest, HttpResponse
from django.test import RequestFactory

from merchants.sessions import OPERATOR_COOKIE, DoorSessionMiddleware

pytestmark = pytest.mark.django_db
USUAL = django_settings.SESSION_COOKIE_NAME


def visit(path, cookies=(), write=None, flush=False):
    """What the middleware answers; `write` is put into the session."""
    seen = {}

    def view(request: HttpRequest) -> HttpResponse:
        seen.update(request.session.items())
        if write:
            request.session["note"] = write
        if flush:
            request.session.flush()
        return HttpResponse()

    request = RequestFactory().get(path)
    request.COOKIES.update(cookies)
    return DoorSessionMiddleware(view)(request), seen


class TestDoorSessionMiddleware:
    def test_gives_the_operators_door_its_own_cookie(self):
        answer, _ = visit("/operator/", write="operator")
        assert set(answer.cookies) == {OPERATOR_COOKIE}
        cookie = answer.cookies[OPERATOR_COOKIE]
        assert (cookie["path"], cookie["samesite"], cookie["httponly"]) == ("/operator/", "Strict", True)
        assert cookie["max-age"] == django_settings.SESSION_COOKIE_AGE

    def test_leaves_the_other_doors_as_they_are(self):
        answer, _ = visit("/", write="staff")
        assert set(answer.cookies) == {USUAL}
        assert answer.cookies[USUAL]["path"] == "/"

    def test_finds_each_session_at_its_own_door(self):
        operator, _ = visit("/operator/", write="operator")
        staff, _ = visit("/", write="staff")
        both = {
            OPERATOR_COOKIE: operator.cookies[OPERATOR_COOKIE].value,
            USUAL: staff.cookies[USUAL].value,
        }
        assert visit("/operator/x", both)[1] == {"note": "operator"}
        assert visit("/x", both)[1] == {"note": "staff"}

    def test_opens_neither_door_with_the_others_cookie(self):
        operator, _ = visit("/operator/", write="operator")
        staff, _ = visit("/", write="staff")
        assert visit("/operator/", {USUAL: staff.cookies[USUAL].value})[1] == {}
        assert visit("/", {OPERATOR_COOKIE: operator.cookies[OPERATOR_COOKIE].value})[1] == {}

    def test_sets_no_cookie_for_a_session_that_was_not_touched(self):
        assert not visit("/operator/")[0].cookies
        assert not visit("/")[0].cookies

    def test_takes_the_cookie_back_when_the_session_ends(self):
        opened, _ = visit("/operator/", write="operator")
        ended, _ = visit("/operator/", {OPERATOR_COOKIE: opened.cookies[OPERATOR_COOKIE].value}, flush=True)
        assert ended.cookies[OPERATOR_COOKIE].value == ""
        assert ended.cookies[OPERATOR_COOKIE]["max-age"] == 0
        assert ended.cookies[OPERATOR_COOKIE]["path"] == "/operator/"
