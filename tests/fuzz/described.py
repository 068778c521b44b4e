"""Cases that schemathesis draws from the API's own description, valid ones and others, signed when sent.

The description is docs/openapi.yaml. Each request is signed over the bytes that travel, after everything
that schemathesis does to it, and each answer is held against the description as well as the promise.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import Case, GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.core.failures import FailureGroup
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from merchants import signing
from tests.fuzz import stage
from tests.fuzz.wire import Answer, Door, Exchange, Part, Request

DOCUMENT = Path(__file__).parents[2] / "docs" / "openapi.yaml"
MOUNT = "/api/v2/"
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]


class Signer(requests.auth.AuthBase):
    """Signs a request as it is about to be written."""

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers[signing.KEY_HEADER] = stage.KEY
        request.headers[signing.SIGNATURE_HEADER] = signing.sign(stage.SECRET, _body(request))
        return request


def exchanges(url: str, *, count: int, of_seed: int) -> Iterator[tuple[Request, Exchange, list[str]]]:
    """About `count` cases, spread over the calls: what was sent, what came, how it differs."""
    document = schemathesis.openapi.from_path(DOCUMENT)
    operations = [result.ok() for result in document.get_all_operations()]
    each = max(1, count // (2 * len(operations)))
    with requests.Session() as session:
        session.auth, session.trust_env = Signer(), False
        for operation in operations:
            for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE):
                cases = _drawn(operation, mode, each, of_seed)
                for number, case in enumerate(cases):
                    yield _tried(case, session, url, f"described: {operation.path[len(MOUNT) :]}", number)


def _drawn(operation: Any, mode: GenerationMode, count: int, of_seed: int) -> list[Case]:
    """Cases of one kind for one call; fewer where there are not so many."""
    drawn: list[Case] = []

    @seed(of_seed)
    @settings(
        max_examples=count,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(generation_mode=mode))
    def draw(case: Case) -> None:
        drawn.append(case)

    with suppress(Unsatisfiable):  # a call without parameters has no wrong ones
        draw()
    return drawn


def _tried(
    case: Case, session: requests.Session, url: str, kind: str, number: int
) -> tuple[Request, Exchange, list[str]]:
    response = case.call(base_url=url, session=session)
    try:
        case.validate_response(response, checks=CHECKS)
        differs: list[str] = []
    except FailureGroup as group:
        differs = [str(failure).splitlines()[0] for failure in group.exceptions]
    headers = {name.lower(): values[-1] for name, values in response.headers.items()}
    answer = Answer(response.status_code, headers, response.content or b"")
    sent = response.request
    request = Request(
        number=number,
        door=Door.API,
        kind=kind,
        parts=(Part(_raw(sent)),),
        method=str(sent.method),
        path=sent.path_url,
        bodies=(_body(sent),),
    )
    return request, Exchange([answer], response.elapsed), differs


def _body(request: requests.PreparedRequest) -> bytes:
    body = request.body or b""
    return body.encode() if isinstance(body, str) else body


def _raw(request: requests.PreparedRequest) -> bytes:
    """The request again, as bytes for a replay."""
    lines = [f"{request.method} {request.path_url} HTTP/1.1", "Host: 127.0.0.1"]
    lines += [f"{name}: {_text(value)}" for name, value in request.headers.items()]
    return "\r\n".join([*lines, "", ""]).encode("latin-1", "replace") + _body(request)


def _text(value: str | bytes) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else value
