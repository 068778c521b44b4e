"""The few HTTP calls that the launcher makes: the signed API, the sandbox's controls, the shop's page."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from typing import Any

from launcher.state import LauncherRefusal
from merchants import signing

_direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def post(url: str, body: dict[str, Any], headers: dict[str, str]) -> tuple[int, Any]:
    """(status, JSON answer), whatever the status."""
    return _send(url, json.dumps(body).encode(), headers)


def signed(api_url: str, key: str, secret: str, path: str, body: dict[str, Any]) -> tuple[int, Any]:
    """One call of the API as a merchant's program makes it."""
    raw = json.dumps(body).encode()
    headers = {signing.KEY_HEADER: key, signing.SIGNATURE_HEADER: signing.sign(secret, raw)}
    return _send(f"{api_url}/{path}", raw, headers)


def get(url: str) -> Any:
    return _send(url, None, {})[1]


def _send(url: str, raw: bytes | None, headers: dict[str, str]) -> tuple[int, Any]:
    if not url.startswith(("http://", "https://")):
        raise LauncherRefusal(f"{url} is no web address")
    request = urllib.request.Request(  # noqa: S310 - the scheme was looked at
        url, data=raw, headers={"Content-Type": "application/json"} | headers
    )
    try:
        with _direct.open(request, timeout=30) as answer:
            return answer.status, json.loads(answer.read())
    except urllib.error.HTTPError as refused:
        return refused.code, json.loads(refused.read() or b"{}")
    except (OSError, ValueError) as error:
        raise LauncherRefusal(f"{url} does not answer: {error}") from None
