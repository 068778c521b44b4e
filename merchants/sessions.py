"""Sessions: who is signed in, from which browser, for how long; by door, each with a cookie of its own.

Somebody signed in at the back-office is a stranger to the operator admin in the same browser, and the
other way round. A session ends after 15 minutes without a request and after 12 hours in any case, by real
time; when it is ended elsewhere it lets nobody in from the next request on.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, Unpack

from django.conf import settings
from django.contrib.auth import login, logout
from django.contrib.sessions.backends.base import SessionBase
from django.contrib.sessions.middleware import SessionMiddleware
from django.contrib.sessions.models import Session
from django.db import transaction
from django.db.models.functions import Now
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django_otp import DEVICE_ID_SESSION_KEY
from django_otp import login as otp_login

from merchants import audit, client_address
from merchants.errors import Refusal
from merchants.models import Door, SignedInSession, TotpDevice, User

OPERATOR_PATH = "/operator/"
OPERATOR_COOKIE = "bursar_operator"
PROGRAMS = ("/api/", "/callbacks/")
KEPT = timedelta(days=30)
OLD_ID_LIVES = timedelta(seconds=10)
NOTED_AFTER = timedelta(seconds=30)
"""How old "last seen" may get before a request writes it anew."""

_ID = "signed_in_session"


class NoSuchSession(Refusal):
    """This session has ended already."""


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


class SessionLimits:
    """Makes a stranger of whoever's session has ended. Stands behind the sessions and before the users."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if settings.SESSION_COOKIE_NAME in request.COOKIES:
            _keep_limits(request)
        return self._get_response(request)


def enter(request: HttpRequest, *, user: User, device: TotpDevice) -> SignedInSession:
    """Signs `user` in under a new session id, as one who has shown both factors."""
    session = SignedInSession.objects.create(
        user=user,
        door=_door(request),
        ip=client_address.text_of(request),
        browser=request.headers.get("User-Agent", "")[:200],
    )
    login(request, user, backend=settings.AUTHENTICATION_BACKENDS[0])
    begin(request.session, session)
    otp_login(request, device)
    return session


def begin(browser: SessionBase, session: SignedInSession) -> None:
    """Ties a browser's session to the row that limits it."""
    browser[_ID] = session.pk


def leave(request: HttpRequest) -> None:
    """Signs out."""
    _live(request).update(ended_at=Now())
    logout(request)


def renew(request: HttpRequest) -> None:
    """A new id for the same session, after each fresh code: one overheard before is soon worth nothing.

    The old one lives for a few seconds more, so that a form that was sent twice signs nobody out.
    """
    browser, old = request.session, request.session.session_key
    held = dict(browser.items())
    browser.create()
    browser.update(held)
    Session.objects.filter(session_key=old).update(expire_date=timezone.now() + OLD_ID_LIVES)


def current_id(request: HttpRequest) -> int | None:
    """Which of its owner's sessions this request belongs to."""
    found: int | None = request.session.get(_ID)
    return found


def of(user: User) -> list[SignedInSession]:
    """The person's live sessions, newest first."""
    return list(user.sessions.live().order_by("-signed_in_at", "-id"))


@transaction.atomic
def end(*, user: User, session_id: int, now: datetime, **how: Unpack[audit.How]) -> None:
    """Ends one of the person's own sessions. Raises `NoSuchSession`."""
    if not user.sessions.live().filter(pk=session_id).update(ended_at=Now()):
        raise NoSuchSession
    _audit(user, {"sessions": 1}, now, how)


@transaction.atomic
def end_others(*, user: User, keep: int | None, now: datetime, **how: Unpack[audit.How]) -> int:
    """Ends all of the person's sessions but `keep`; how many."""
    ended = end_all(user=user, but=keep)
    _audit(user, {"sessions": ended}, now, how)
    return ended


def end_all(*, user: User, but: int | None = None) -> int:
    """Ends the person's sessions but one; part of the caller's transaction, audited with its act."""
    return user.sessions.filter(ended_at=None).exclude(pk=but or 0).update(ended_at=Now())


def prune() -> int:
    """Forgets sessions that are over: Django's rows at once, ours after a month; how many of ours."""
    Session.objects.filter(expire_date__lt=timezone.now()).delete()
    return SignedInSession.objects.filter(last_seen_at__lt=Now() - KEPT).delete()[0]


def _keep_limits(request: HttpRequest) -> None:
    """Looks whether the session is still good, and notes that it was seen."""
    if DEVICE_ID_SESSION_KEY not in request.session:
        return  # nobody has shown both factors in it: no page takes it for anybody
    seen = _live(request).values_list("last_seen_at", flat=True).first()
    if seen is None:
        request.session.flush()
    elif timezone.now() - seen > NOTED_AFTER:
        _live(request).update(last_seen_at=Now(), ip=client_address.text_of(request))


def _live(request: HttpRequest) -> Any:
    return SignedInSession.objects.live().filter(pk=current_id(request) or 0, door=_door(request))


def _door(request: HttpRequest) -> Door:
    return Door.OPERATOR if request.path.startswith(OPERATOR_PATH) else Door.BACKOFFICE


def _audit(user: User, after: audit.Facts, now: datetime, how: audit.How) -> None:
    audit.record(actor=user, act="accounts.end_sessions", subject=user.subject, after=after, now=now, **how)


def _usual() -> str:
    return settings.SESSION_COOKIE_NAME


def _rename(response: HttpResponse) -> None:
    usual = response.cookies.pop(_usual())
    response.cookies[OPERATOR_COOKIE] = usual.value
    own = response.cookies[OPERATOR_COOKIE]
    own.update(usual)
    own["path"], own["samesite"] = OPERATOR_PATH, "Strict"
