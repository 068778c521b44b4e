"""Secrets at rest: AES-256-GCM under a ring of keys, each ciphertext bound to its row. Pure.

An API secret must be usable to sign, so it is encrypted, not hashed. The associated data is the place where
the secret is kept, `table:row:column:version`, so that a ciphertext moved to another row does not open.
The text is `kid.nonce.ciphertext`, the latter two in URL-safe base64.
"""

from __future__ import annotations

import base64
import os
import secrets
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

_NONCE_BYTES = 12
_SECRET_BYTES = 32


class CannotDecrypt(Exception):
    """The text was not made by a key of this ring for this place."""


@dataclass(frozen=True)
class KeyRing:
    """The installation's encryption keys by id; the first encrypts, all decrypt."""

    keys: Mapping[str, bytes] = field(repr=False)

    @property
    def current(self) -> str:
        return next(iter(self.keys))

    def encrypt(self, plain: str, *, context: str) -> str:
        nonce = os.urandom(_NONCE_BYTES)
        sealed = AESGCM(self.keys[self.current]).encrypt(nonce, plain.encode(), context.encode())
        return ".".join((self.current, _encode(nonce), _encode(sealed)))

    def decrypt(self, text: str, *, context: str) -> str:
        """Raises `CannotDecrypt` for another place's text, an unknown key or a changed byte."""
        try:
            kid, nonce, sealed = text.split(".")
            opened = AESGCM(self.keys[kid]).decrypt(_decode(nonce), _decode(sealed), context.encode())
        except (ValueError, KeyError, InvalidTag):
            raise CannotDecrypt(context) from None
        return opened.decode()

    def is_current(self, text: str) -> bool:
        return text.partition(".")[0] == self.current


def _encode(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def _decode(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def new_public_key() -> str:
    """A public key: prefix, 256 random bits, and a checksum that catches a mistyped one."""
    return _with_checksum("bpk_")


def new_api_secret() -> str:
    """An API secret of 256 random bits, recognisable to secret scanners by its prefix."""
    return _with_checksum("bsk_")


def _with_checksum(prefix: str) -> str:
    body = prefix + secrets.token_hex(_SECRET_BYTES)
    return f"{body}{zlib.crc32(body.encode()):08x}"
