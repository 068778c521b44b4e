"""What every process answers whatever its role: health and the last-resort errors."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import unquote_to_bytes

from django.conf import settings
from django.db import DatabaseError, connection
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from payments import wire


def healthz(request: HttpRequest) -> HttpResponse:
    """200 once this process reaches its database; Valkey is not asked, it is expendable."""
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except DatabaseError:
        return _json({"role": settings.ROLE, "database": "unreachable"}, status=503)
    return _json({"role": settings.ROLE, "database": "ok"})


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    if _is_program(request):
        return _json({"error": "Not found", "code": "not_found"}, status=404)
    return render(request, "404.html", status=404)


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    """What Django refuses before any view: a host that is not ours, a form beyond its limits."""
    if _is_program(request):
        return _json({"error": "Bad content format", "code": "bad_content_format"}, status=400)
    return HttpResponse("This request cannot be read.", status=400, content_type="text/plain")


def failed(request: HttpRequest) -> HttpResponse:
    """Never through the template engine: it may be what failed."""
    if _is_program(request):
        return _json({"error": "Internal server error", "code": "internal_error"}, status=500)
    return HttpResponse(
        "Something failed on our side. Nothing was changed.", status=500, content_type="text/plain"
    )


def stale_form(request: HttpRequest, reason: str = "") -> HttpResponse:
    """A form whose token is missing or not this browser's: nothing was done, and going back loses nothing."""
    if _is_program(request):
        return _json({"error": "Forbidden", "code": "forbidden"}, status=403)
    return render(request, "stale_form.html", status=403)


def _json(body: dict[str, str], *, status: int = 200) -> HttpResponse:
    """In the wire's own bytes."""
    return HttpResponse(wire.php_json(body), status=status, content_type="application/json")


def _is_program(request: HttpRequest) -> bool:
    return request.path.startswith(("/api/", "/callbacks/"))


_DOORS = (("/api/", "api"), ("/operator/", "operator"), ("/invoice/", "checkout"), ("/terminal/", "checkout"))


class OnlyStorableQueries:
    """Refuses a query that is no UTF-8 or holds what PostgreSQL cannot: NUL, half a surrogate pair."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if request.META.get("QUERY_STRING") and not _is_storable(request.META["QUERY_STRING"]):
            return bad_request(request, Exception())
        return self._get_response(request)


def _is_storable(query: str) -> bool:
    try:
        return wire.is_storable(unquote_to_bytes(query.encode("latin-1")).decode())
    except UnicodeError:
        return False


class TerminalLinks:
    """A shop's link to `/` with a wish and its signature is one to the terminal."""

    PARAMETERS = frozenset({"data", "signature"})

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if request.path == "/" and request.GET.keys() >= self.PARAMETERS:
            request.path = request.path_info = "/terminal/"
        return self._get_response(request)


class OneHostForEachDoor:
    """Answers 404 to a door on a host that is not its own, where the settings give it one.

    Health is asked by address, and static files serve every door.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        host = settings.DOOR_HOSTS.get(_door_of(request.path), "")
        if host and request.get_host().partition(":")[0] != host:
            return not_found(request, Exception())
        return self._get_response(request)


def _door_of(path: str) -> str:
    if path == "/healthz" or path.startswith(("/callbacks/", settings.STATIC_URL)):
        return ""
    return next((door for prefix, door in _DOORS if path.startswith(prefix)), "backoffice")
