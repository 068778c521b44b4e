"""What every process answers whatever its role: health, the front page, and the last-resort errors."""

from __future__ import annotations

from collections.abc import Callable

from django.conf import settings
from django.db import DatabaseError, connection
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render


def healthz(request: HttpRequest) -> JsonResponse:
    """200 once this process reaches its database; Valkey is not asked, it is expendable."""
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except DatabaseError:
        return JsonResponse({"role": settings.ROLE, "database": "unreachable"}, status=503)
    return JsonResponse({"role": settings.ROLE, "database": "ok"})


def front(request: HttpRequest) -> HttpResponse:
    """The front page: which doors this installation has."""
    return render(request, "front.html", {"sandbox": settings.SANDBOX, "public_url": settings.PUBLIC_URL})


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    if _is_program(request):
        return JsonResponse({"error": "Not found", "code": "not_found"}, status=404)
    return render(request, "404.html", status=404)


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    """What Django refuses before any view: a host that is not ours, a form beyond its limits."""
    if _is_program(request):
        return JsonResponse({"error": "Bad content format", "code": "bad_content_format"}, status=400)
    return HttpResponse("This request cannot be read.", status=400, content_type="text/plain")


def failed(request: HttpRequest) -> HttpResponse:
    """Never through the template engine: it may be what failed."""
    if _is_program(request):
        return JsonResponse({"error": "Internal server error", "code": "internal_error"}, status=500)
    return HttpResponse(
        "Something failed on our side. Nothing was changed.", status=500, content_type="text/plain"
    )


def _is_program(request: HttpRequest) -> bool:
    return request.path.startswith(("/api/", "/callbacks/"))


_DOORS = (("/api/", "api"), ("/operator/", "operator"), ("/invoice/", "checkout"), ("/terminal/", "checkout"))


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
