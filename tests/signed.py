"""A merchant's program: signs each request with its key, as every client of the wire does."""

from __future__ import annotations

import json
from typing import Any

from django.http import HttpResponse
from django.test import Client

from merchants import signing
from merchants.models import Merchant
from tests import factories


class SignedClient:
    """Calls the API for `merchant` with an active key of its own."""

    def __init__(self, merchant: Merchant) -> None:
        self.merchant = merchant
        self.key, self.secret = factories.active_key(merchant)
        self._client = Client(raise_request_exception=False)

    def get(self, path: str, body: bytes, **options: Any) -> HttpResponse:
        return self._send("GET", path, body, **options)

    def post(self, path: str, body: bytes | dict[str, Any], **options: Any) -> HttpResponse:
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        return self._send("POST", path, raw, **options)

    def _send(
        self,
        method: str,
        path: str,
        raw: bytes,
        *,
        content_type: str = "application/json",
        headers: dict[str, str] | None = None,
    ) -> HttpResponse:
        signed = {
            signing.KEY_HEADER: self.key,
            signing.SIGNATURE_HEADER: signing.sign(self.secret, raw),
        }
        return self._client.generic(
            method, f"/api/v2/{path}", raw, content_type=content_type, headers=signed | (headers or {})
        )
