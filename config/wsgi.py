"""The WSGI application that gunicorn serves for the roles `web` and `intake`."""

from __future__ import annotations

import gc
import io
import os
from collections.abc import Callable, Iterable
from typing import Any

from django.core.wsgi import get_wsgi_application
from django.template import engines
from django.urls import get_resolver

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
LARGEST_CHUNKED = 1_048_576
_django = get_wsgi_application()


def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """Django, which reads no more of a body than its announced length: a chunked one is measured first.

    One byte beyond the largest is read, so that what is too large is refused as such.
    """
    if environ.get("HTTP_TRANSFER_ENCODING"):
        body = environ["wsgi.input"].read(LARGEST_CHUNKED + 1)
        environ["wsgi.input"], environ["CONTENT_LENGTH"] = io.BytesIO(body), str(len(body))
    return _django(environ, start_response)


get_resolver().url_patterns  # noqa: B018 - Django loads the doors and their templates at the first request
engines.all()
gc.collect()
gc.freeze()  # with gunicorn's --preload: workers go on sharing what was loaded before they were forked
