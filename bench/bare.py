"""The baseline of everything that is HTTP: one plain Django view without middleware, database or framework.

Served by the same gunicorn with the same workers, threads and options as the role it is compared with
(`gunicorn bench.bare`). It reads the request's body, as every view of ours does, and answers `OK`.
"""

from __future__ import annotations

import gc
import os

from django.core.wsgi import get_wsgi_application
from django.http import HttpRequest, HttpResponse
from django.urls import re_path

ALLOWED_HOSTS = ["127.0.0.1"]
MIDDLEWARE: list[str] = []
ROOT_URLCONF = __name__
ROLE = "beat"  # the server's worker class lives beside the queues, whose set-up asks; a beat loads nothing
SECRET_KEY = "bare"  # noqa: S105 - it signs nothing


def answer(request: HttpRequest) -> HttpResponse:
    _ = request.body
    return HttpResponse(b"OK", content_type="text/plain", headers={"Content-Length": "2"})


urlpatterns = [re_path("", answer)]

if os.environ.get("DJANGO_SETTINGS_MODULE") == __name__:  # this module is its own settings
    application = get_wsgi_application()
    gc.collect()
    gc.freeze()  # as our own application does
