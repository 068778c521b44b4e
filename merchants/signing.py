"""The wire's signature: HMAC-SHA512 over the exact body bytes, in hex. Pure.

Source: gateway contract, section 1. Method, path and headers are not signed.
"""

from __future__ import annotations

import hashlib
import hmac
import re

KEY_HEADER = "X-Processing-Key"
SIGNATURE_HEADER = "X-Processing-Signature"

_SIGNATURE = re.compile(r"[0-9a-fA-F]{128}", re.ASCII)


def sign(secret: str, body: bytes) -> str:
    """The signature of `body` under the UTF-8 bytes of `secret`: 128 lower-case hex digits."""
    return hmac.new(secret.encode(), body, hashlib.sha512).hexdigest()


def verify(secret: str, body: bytes, signature: str) -> bool:
    """True for the signature of `body`, in either case; False for anything else, whatever it is made of."""
    if not _SIGNATURE.fullmatch(signature):
        return False
    return hmac.compare_digest(sign(secret, body).encode(), signature.lower().encode())
