"""Where processors call us back: raw bytes in, a receipt out, nothing decided in between."""

from __future__ import annotations

import logging
from types import MappingProxyType
from typing import Any

from django.http import HttpResponse, UnreadablePostError
from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from callbacks import incoming
from callbacks.tasks import PROCESS_INCOMING
from payments import doorbell
from payments.api.errors import BAD_CONTENT, NOT_FOUND
from payments.api.negotiation import JsonWhateverIsAsked
from payments.processors.base import BadSignature, RawRequest
from payments.processors.registry import UnknownProcessor
from payments.wire import MAX_BODY_BYTES

log = logging.getLogger(__name__)

BAD_SIGNATURE = {"error": "Bad signature header", "code": "bad_header_signature"}

_ANSWERS = MappingProxyType(
    {
        incoming.TooLarge: (status.HTTP_413_REQUEST_ENTITY_TOO_LARGE, BAD_CONTENT),
        UnreadablePostError: (status.HTTP_400_BAD_REQUEST, BAD_CONTENT),
        UnknownProcessor: (status.HTTP_404_NOT_FOUND, NOT_FOUND),
        BadSignature: (status.HTTP_403_FORBIDDEN, BAD_SIGNATURE),
    }
)


class ProcessorCallback(APIView):
    """POST /callbacks/<processor>/: 200 `OK` once the callback is committed, also when it was before."""

    content_negotiation_class = JsonWhateverIsAsked
    metadata_class = None
    http_method_names = ("post",)

    def post(self, request: Request, processor: str) -> HttpResponse:
        raw = RawRequest(
            headers={name.lower(): value for name, value in request.headers.items()}, body=_body(request)
        )
        if incoming.receive(processor_code=processor, request=raw):
            doorbell.ring_on_commit(PROCESS_INCOMING)
        return HttpResponse("OK", content_type="text/plain")

    def handle_exception(self, exc: Exception) -> Any:
        if type(exc) not in _ANSWERS:
            return super().handle_exception(exc)
        code, body = _ANSWERS[type(exc)]
        log.warning("%s refused: %s", self.request.path, exc)
        return Response(body, status=code)


def _body(request: Request) -> bytes:
    """The exact bytes; more than fit are not even read. Raises `TooLarge`."""
    if int(request.META.get("CONTENT_LENGTH") or 0) > MAX_BODY_BYTES:
        raise incoming.TooLarge
    body: bytes = request.body
    return body
