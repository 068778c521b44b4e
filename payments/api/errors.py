"""The API's one way of saying no: every exception becomes the wire's JSON, never HTML, never 401 or 422."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from django.db import DatabaseError
from rest_framework import exceptions, status
from rest_framework.response import Response

from merchants.authentication import AuthenticationRefused
from merchants.errors import Refusal
from payments.addresses import PoolEmpty
from payments.invoices import CannotBeFailed, UnknownInvoice
from payments.wire import BadContent
from payments.withdrawal_rules import Wrong

log = logging.getLogger(__name__)

BAD_CONTENT = {"error": "Bad content format", "code": "bad_content_format"}
NOT_FOUND = {"error": "Not found", "code": "not_found"}
NOT_ALLOWED = {"error": "Method not allowed", "code": "method_not_allowed"}
INTERNAL = {"error": "Internal server error", "code": "internal_error"}


def answer(error: Exception, context: Mapping[str, Any]) -> Response | None:
    """What REST framework calls for each exception of a view; None lets Django log it and answer 500."""
    match error:
        case AuthenticationRefused():
            return Response({"error": error.error, "code": error.code}, status=error.status)
        case BadContent():
            return Response(BAD_CONTENT, status=status.HTTP_400_BAD_REQUEST)
        case exceptions.ValidationError():
            return Response({"errors": flat(error.detail)}, status=status.HTTP_400_BAD_REQUEST)
        case PoolEmpty():
            log.error("no address in time: %s", context["request"].path)
            return unavailable()
        case Refusal():
            return _refused(error)
        case exceptions.MethodNotAllowed():
            return Response(NOT_ALLOWED, status=status.HTTP_405_METHOD_NOT_ALLOWED)
        case exceptions.NotFound():
            return Response(NOT_FOUND, status=status.HTTP_404_NOT_FOUND)
        case exceptions.APIException():
            return Response(BAD_CONTENT, status=status.HTTP_400_BAD_REQUEST)
        case DatabaseError():
            log.error("database unavailable: %s", context["request"].path, exc_info=error)
            return unavailable()
    return None


def _refused(error: Refusal) -> Response:
    """A sentence under each field's name, and for programs a code where the contract has one."""
    sentences = error.sentences if isinstance(error, Wrong) else {error.field: str(error)}
    code = {"code": error.code} if isinstance(error, CannotBeFailed) else {}
    missing = isinstance(error, UnknownInvoice)
    return Response(
        {"errors": {**sentences, **code}},
        status=status.HTTP_404_NOT_FOUND if missing else status.HTTP_400_BAD_REQUEST,
    )


def unavailable() -> Response:
    """Nothing was done; asking again in a moment is safe."""
    return Response(INTERNAL, status=status.HTTP_503_SERVICE_UNAVAILABLE, headers={"Retry-After": "5"})


def flat(detail: Any) -> dict[str, str]:
    """The first sentence for each field, as one flat object of strings."""
    return {str(name): _first(sentences) for name, sentences in detail.items()}


def _first(sentences: Any) -> str:
    if isinstance(sentences, Mapping):
        return _first(next(iter(sentences.values())))
    if isinstance(sentences, list):
        return _first(sentences[0])
    return str(sentences)
