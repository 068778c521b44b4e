"""A running sandbox for tests, with what a test needs to talk to it."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from merchants import signing
from sandbox.api import Credentials
from sandbox.control import Control
from sandbox.server import Sandbox, Settings

KEY, SECRET, TOKEN = "test-key", "test-secret", "test-token"


def settings(state: Path, **values: Any) -> Settings:
    return Settings(
        state=state,
        credentials=Credentials(KEY, SECRET),
        control_token=TOKEN,
        **{"orders_take_seconds": 0, **values},
    )


def control_of(sandbox: Sandbox) -> Control:
    return Control(url=sandbox.url, token=TOKEN)


class Client:
    """A signed v2 client that shows exactly what came back."""

    def __init__(self, sandbox: Sandbox) -> None:
        self.host = urlsplit(sandbox.url).netloc

    def raw(
        self, path: str, body: bytes, *, method: str = "POST", headers: dict[str, str] | None = None
    ) -> tuple[int, bytes]:
        """One request with just these headers."""
        connection = HTTPConnection(self.host, timeout=10)
        try:
            connection.request(method, path, body=body, headers=headers or {})
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def call(self, path: str, params: object = None, *, method: str = "POST") -> tuple[int, Any]:
        """A signed request; the status and the decoded answer."""
        body = b"" if params is None else json.dumps(params).encode()
        status, raw = self.raw(f"/api/v2/{path}", body, method=method, headers=signed(body))
        return status, json.loads(raw)

    def take(self, currency: str, convert_to: str | None = None, foreign_id: str = "u-1") -> dict[str, Any]:
        params = {"foreign_id": foreign_id, "currency": currency, "convert_to": convert_to}
        status, body = self.call("addresses/take", params)
        assert status == 201
        data: dict[str, Any] = body["data"]
        return data

    def balance(self, currency: str) -> str:
        accounts = self.call("accounts/list")[1]["data"]
        balances: dict[str, str] = {account["currency"]: account["balance"] for account in accounts}
        return balances[currency]


def signed(body: bytes, **replaced: str) -> dict[str, str]:
    headers = {
        "Content-Type": "application/json",
        "X-Processing-Key": KEY,
        "X-Processing-Signature": signing.sign(SECRET, body),
    }
    return headers | replaced


def eventually(check: Callable[[], bool], seconds: float = 10) -> None:
    """Waits until `check` holds; fails if it never does."""
    until = time.monotonic() + seconds
    while not check():
        assert time.monotonic() < until, "it never came true"
        time.sleep(0.02)
