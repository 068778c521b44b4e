"""A merchant's program in one file: signed calls to Bursar, and the check of a callback. Needs `requests`.

BURSAR_URL=https://pay.example BURSAR_KEY=... BURSAR_SECRET=... python client.py [number of an exchange]
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import sys
from typing import Any

import requests


class Refused(Exception):
    """What the API says no to: {field: sentence}, or {"error": ..., "code": ...}."""


class Bursar:
    """One merchant's key. Amounts go and come as strings, never as floats."""

    def __init__(self, url: str, key: str, secret: str) -> None:
        self.url, self.key, self.secret = url.rstrip("/"), key, secret.encode()

    def sign(self, body: bytes) -> str:
        """HMAC-SHA512 of the exact bytes that travel, in lower-case hex."""
        return hmac.new(self.secret, body, hashlib.sha512).hexdigest()

    def call(self, path: str, **params: Any) -> Any:
        """The answer's `data`. What is signed are the very bytes that are sent: never `json=params`."""
        body = json.dumps(params, separators=(",", ":")).encode()
        headers = {
            "Content-Type": "application/json",
            "X-Processing-Key": self.key,
            "X-Processing-Signature": self.sign(body),
        }
        answer = requests.post(f"{self.url}/api/v2/{path}", data=body, headers=headers, timeout=10)
        found = answer.json()
        if not answer.ok:
            raise Refused(found.get("errors", found))
        return found.get("data", found)  # transactions/info has no envelope

    def callback(self, headers: Any, body: bytes) -> dict[str, Any]:
        """A callback's content, once it is proven to be Bursar's. Answer 200 when it is stored."""
        mine = headers.get("X-Processing-Key") == self.key
        if not mine or not hmac.compare_digest(self.sign(body), headers.get("X-Processing-Signature", "")):
            raise Refused({"error": "This callback is not Bursar's."})
        content: dict[str, Any] = json.loads(body)
        return content


def main() -> None:
    bursar = Bursar(*(os.environ[name] for name in ("BURSAR_URL", "BURSAR_KEY", "BURSAR_SECRET")))
    for account in bursar.call("accounts/list"):
        print(account["balance"], account["currency"])
    address = bursar.call("addresses/take", foreign_id="customer-1", currency="BTC")
    print("customer-1 pays to", address["address"])
    pair = {"sender_currency": "BTC", "receiver_currency": "EUR", "sender_amount": "0.01"}
    price = bursar.call("exchange/calculate", **pair)["price"]
    print("0.01 BTC can be sold at", price)
    if len(sys.argv) > 1:  # a number of your own, which is taken once
        sold = bursar.call("exchange/fixed", **pair, price=price, foreign_id=sys.argv[1])
        print("exchange", sold["id"], "is", bursar.call("transactions/info", id=sold["id"])["status"])


if __name__ == "__main__":
    main()
