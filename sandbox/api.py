"""The v2 API's door: who may call, what is a request, and the shapes of every refusal.

`answer` authenticates, reads the parameters and runs the endpoint in one transaction. Nothing here knows
of sockets; faults strike around it, in the server.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import parse_qsl

from merchants import signing
from merchants.errors import Refusal
from payments.wire import BadContent, parse_body, php_json
from sandbox.endpoints import ENDPOINTS
from sandbox.forms import Form, Refused
from sandbox.store import Store

PREFIX = "/api/v2/"
_INFO = "transactions/info"


@dataclass(frozen=True)
class Request:
    """An HTTP request as it came; header names in lower case."""

    method: str
    path: str
    query: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


@dataclass(frozen=True)
class Answer:
    """An HTTP answer."""

    status: int
    body: bytes
    content_type: str = "application/json"


@dataclass(frozen=True)
class Credentials:
    """The one client of this processor: Bursar."""

    key: str
    secret: str = field(repr=False)


class Denied(Exception):
    """The request is not signed by our client."""

    def __init__(self, error: str, code: str) -> None:
        super().__init__(code)
        self.answer = json_answer(403, {"error": error, "code": code})


def json_answer(status: int, value: object) -> Answer:
    return Answer(status, php_json(value))


def answer(store: Store, client: Credentials, request: Request) -> Answer:
    """What a request to a path below `/api/v2/` is answered with."""
    path = request.path.removeprefix(PREFIX).rstrip("/")
    try:
        if path == "ping" and request.method in {"GET", "HEAD"}:
            return _ping(client, request)
        authenticate(client, request)
        return _call(store, request, path)
    except Denied as denied:
        return denied.answer
    except BadContent as refusal:
        return json_answer(400, {"error": str(refusal), "code": refusal.code})
    except Refused as refused:
        return json_answer(refused.status, {"errors": refused.errors})
    except Refusal as refusal:
        return json_answer(400, {"errors": {refusal.field: str(refusal)}})


def authenticate(client: Credentials, request: Request) -> None:
    """Raises `Denied` unless both headers are there and right for these bytes."""
    key = request.headers.get(signing.KEY_HEADER.lower())
    signature = request.headers.get(signing.SIGNATURE_HEADER.lower())
    if key is None:
        raise Denied("No key header", "required_header_key")
    if not hmac.compare_digest(key.encode(), client.key.encode()):
        raise Denied("Bad key header", "bad_header_key")
    if signature is None:
        raise Denied("No signature header", "required_header_signature")
    if not signing.verify(client.secret, request.body, signature):
        raise Denied("Bad signature header", "bad_header_signature")


def _ping(client: Credentials, request: Request) -> Answer:
    """Open to everybody; with both headers it is the test of one's keys."""
    if {signing.KEY_HEADER.lower(), signing.SIGNATURE_HEADER.lower()} <= request.headers.keys():
        authenticate(client, request)
    return Answer(200, b"OK", "text/plain")


def _call(store: Store, request: Request, path: str) -> Answer:
    endpoint = ENDPOINTS.get(path)
    if endpoint is None:
        return json_answer(404, {"error": "Not found", "code": "not_found"})
    if request.method != "POST" and (request.method, path) != ("GET", _INFO):
        return json_answer(405, {"error": "Method not allowed", "code": "method_not_allowed"})
    params = parse_body(request.body, request.headers.get("content-type", ""))
    form = Form({**dict(parse_qsl(request.query)), **params})
    with store.transaction() as db:
        status, body = endpoint(db, form)
        return json_answer(status, body)
