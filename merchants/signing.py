"""Request and callback signatures: HMAC-SHA512 over the exact body bytes, as lower-case hex.

Nothing but the body is signed, so whoever checks must hold the bytes that travelled, never a copy that was
parsed and written again.
"""

from __future__ import annotations

import hmac
import re

KEY_HEADER = "X-Processing-Key"
SIGNATURE_HEADER = "X-Processing-Signature"
KEY_META, SIGNATURE_META = (
    f"HTTP_{name.upper().replace('-', '_')}" for name in (KEY_HEADER, SIGNATURE_HEADER)
)
"""The same as WSGI names them; reading these two alone spares a request the making of all its headers."""

_SIGNATURE = re.compile(r"[0-9a-fA-F]{128}", re.ASCII)


def sign(secret: str, body: bytes) -> str:
    """The signature of `body`: 128 lower-case hex digits. The key is the secret's UTF-8 bytes."""
    return hmac.digest(secret.encode(), body, "sha512").hex()


def verify(secret: str, body: bytes, signature: str) -> bool:
    """Whether `signature` (hex in either case) is that of `body`; constant time for well-formed ones.

    Anything that is not exactly 128 hex digits is False; no input raises.
    """
    if not isinstance(signature, str) or not _SIGNATURE.fullmatch(signature):
        return False
    return hmac.compare_digest(sign(secret, body), signature.lower())
