"""Sessions by door: two cookies, two sessions, neither good at the other's door."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.conf import settings as django_settings
from django.contrib.sessions.models import Session
from django.db.models.functions import Now
from django.http import HttpRequest, HttpResponse
from django.test import Client, RequestFactory
from django.utils import timezone

from merchants import clock, sessions, tasks
from merchants.models import AuditRecord, Door, SignedInSession
from merchants.sessions import OPERATOR_COOKIE, DoorSessionMiddleware
from tests import constraints, desk
from tests.factories import NOW

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


class TestSignedInSessions:
    @pytest.fixture
    def client(self, owner):
        return desk.sign_in(Client(), owner)

    def signed_in(self, client):
        return client.get("/account/").status_code == 200

    def age(self, **columns):
        SignedInSession.objects.update(**columns)

    def test_end_after_a_quarter_of_an_hour_without_a_request(self, client):
        self.age(signed_in_at=Now() - timedelta(hours=1), last_seen_at=Now() - timedelta(minutes=14))
        assert self.signed_in(client)
        self.age(last_seen_at=Now() - timedelta(minutes=15))
        assert not self.signed_in(client)
        self.age(last_seen_at=Now())
        assert not self.signed_in(client)  # what has ended does not begin again

    def test_end_after_twelve_hours_however_busy(self, client):
        self.age(signed_in_at=Now() - timedelta(hours=12))
        assert not self.signed_in(client)

    def test_are_seen_anew_by_a_request_from_wherever_it_comes(self, client):
        self.age(signed_in_at=Now() - timedelta(hours=1), last_seen_at=Now() - timedelta(minutes=1))
        client.get("/account/", REMOTE_ADDR="203.0.113.9")
        session = SignedInSession.objects.get()
        assert timezone.now() - session.last_seen_at < timedelta(minutes=1)
        assert session.ip == "203.0.113.9"

    def test_follow_real_time_whatever_the_sandboxs_clock_says(self, client):
        clock.shift(by=timedelta(days=3))
        assert self.signed_in(client)

    def test_end_at_once_when_they_are_ended_elsewhere(self, client, owner):
        other = SignedInSession.objects.create(user=owner, door=Door.BACKOFFICE)
        sessions.end_others(user=owner, keep=other.pk, now=NOW)
        assert not self.signed_in(client)
        assert sessions.of(owner) == [other]
        assert AuditRecord.objects.latest("number").after == '{"sessions":1}'

    def test_are_worth_nothing_at_the_other_door(self, client):
        self.age(door=Door.OPERATOR)
        assert not self.signed_in(client)

    def test_are_ended_by_their_owner_alone(self, client, owner, merchant):
        session = SignedInSession.objects.get()
        with pytest.raises(sessions.NoSuchSession):
            sessions.end(user=desk.person(merchant), session_id=session.pk, now=NOW)
        sessions.end(user=owner, session_id=session.pk, now=NOW)
        with pytest.raises(sessions.NoSuchSession):
            sessions.end(user=owner, session_id=session.pk, now=NOW)

    def test_hold_nothing_that_opens_them(self, client, owner):
        key = client.session.session_key
        row = SignedInSession.objects.values().get()
        assert key not in " ".join(map(str, row.values()))

    def test_are_forgotten_after_a_month(self, client):
        tasks.forget()
        assert SignedInSession.objects.count() == 1
        self.age(signed_in_at=Now() - timedelta(days=40), last_seen_at=Now() - timedelta(days=31))
        Session.objects.update(expire_date=timezone.now() - timedelta(seconds=1))
        tasks.forget()
        assert (SignedInSession.objects.count(), Session.objects.count()) == (0, 0)

    @pytest.mark.parametrize(
        ("agent", "words"),
        [
            (
                "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko)"
                " Chrome/126.0 Safari/537.36",
                "Chrome on Linux",
            ),
            ("Mozilla/5.0 (Windows NT 10.0) Gecko/20100101 Firefox/128.0", "Firefox on Windows"),
            ("curl/8.0", "curl"),
            ("something else", "something else"),
            ("", "Unknown browser"),
        ],
    )
    def test_name_the_browser_in_two_words(self, agent, words):
        assert SignedInSession(browser=agent).browser_words == words

    @pytest.mark.parametrize(
        ("change", "constraint"),
        [
            ("door = 'x'", "signed_in_session_door_is_known"),
            ("last_seen_at = signed_in_at - interval '1 s'", "signed_in_session_is_seen_after_it_began"),
        ],
    )
    def test_are_refused_past_python(self, client, change, constraint):
        constraints.refused(constraint, f"UPDATE merchants_signedinsession SET {change}")


class TestThrottleRows:
    @pytest.mark.parametrize(
        ("values", "constraint"),
        [
            ("('x', 'a', 1, now())", "throttle_kind_is_known"),
            ("('account', 'a', 1, now())", "throttle_is_one_count"),
        ],
    )
    def test_are_refused_past_python(self, values, constraint):
        insert = f"INSERT INTO merchants_throttle (kind, subject, failures, last_at) VALUES {values}"
        constraints.refused(constraint, insert, insert)
