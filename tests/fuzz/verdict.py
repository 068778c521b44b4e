"""What the promise says of one answer, and of an installation after all of them."""

from __future__ import annotations

import json
from typing import Any

from tests.fuzz.wire import Answer, Door, Due, Exchange, Request

_PROGRAMS = ("/api/", "/callbacks/")
_REFUSALS = {
    400: {"bad_content_format"},
    403: {
        "required_header_key",
        "bad_header_key",
        "required_header_signature",
        "bad_header_signature",
        "forbidden_ip",
    },
    404: {"not_found"},
    405: {"method_not_allowed"},
    413: {"bad_content_format"},
    414: {"bad_content_format"},
    417: {"bad_content_format"},
    431: {"bad_content_format"},
}
"""Statuses and codes of the `{error, code}` form; 413 and above are the intake's and the server's."""


def breaches(request: Request, exchange: Exchange, *, seconds: float) -> list[str]:
    """Everything about the answers that breaks the promise; empty when it holds."""
    found = [text for answer in exchange.answers for text in _of_answer(request, answer)]
    if exchange.seconds > seconds:
        found.append(f"answered after {exchange.seconds:.2f} s")
    if exchange.ended in {"silent", "unreadable"}:
        found.append(f"{exchange.ended}: no HTTP answer")
    elif exchange.ended and request.due is not Due.MAYBE and not exchange.answers:
        found.append(f"{exchange.ended} instead of an answer")
    return found


def _of_answer(request: Request, answer: Answer) -> list[str]:
    if answer.status >= 500:
        return [f"status {answer.status}"]
    if request.due is Due.REFUSED and answer.status < 400:
        return [f"accepted with {answer.status} what proves nothing"]
    wrong = _wrong_shape(request, answer)
    return [f"status {answer.status}: {wrong}"] if wrong else []


def _wrong_shape(request: Request, answer: Answer) -> str:
    """What the wire's contract has against the answer, in a few words."""
    is_json = answer.headers.get("content-type", "") == "application/json"
    if not request.path.startswith(_PROGRAMS):
        return ""  # a page, for people
    if request.due is Due.MAYBE and not is_json:
        return _wrong_elsewhere(answer)
    if not answer.body and request.method == "HEAD":
        return ""
    if answer.status == 200 and answer.body == b"OK":
        return ""
    if not is_json:
        return f"content type {answer.headers.get('content-type')!r}"
    body = _json(answer.body)
    if answer.status in {200, 201}:
        fits = request.door is Door.API and isinstance(body, dict)
        bare = "transactions/info" in request.path and fits and body.keys() >= {"id", "type", "status"}
        return "" if bare or (fits and list(body) == ["data"]) else "no data"
    return _wrong_refusal(answer.status, body)


def _wrong_refusal(status: int, body: Any) -> str:
    if not isinstance(body, dict) or status not in {*_REFUSALS, 429}:
        return "no refusal of the contract"
    if status != 429 and body.keys() == {"error", "code"}:
        return "" if body["code"] in _REFUSALS[status] and isinstance(body["error"], str) else "its code"
    errors = body.get("errors") if status in {400, 404, 429} and len(body) == 1 else None
    if isinstance(errors, dict) and errors:
        return "" if all(isinstance(text, str) and text for text in errors.values()) else "errors nested"
    return "no refusal of the contract"


def _wrong_elsewhere(answer: Answer) -> str:
    """Broken requests may land anywhere: on a page that is not there, at ping."""
    if answer.status in {200, 404} or 300 <= answer.status < 400:
        return ""
    plain = answer.headers.get("content-type", "").startswith("text/plain")
    return "" if plain and answer.status == 400 else f"{answer.headers.get('content-type')!r}"


def _json(raw: bytes) -> Any:
    try:
        return json.loads(raw)
    except ValueError:
        return None
