"""Secrets: made here, and kept encrypted so that a row copied elsewhere does not open.

AES-256-GCM under a key ring; the context (`table:row:column:version`) is authenticated with the text, so a
ciphertext moved to another row, column or installation is refused. A sealed text reads
`v1.<key id>.<base64url of nonce, ciphertext and tag>`.
"""

from __future__ import annotations

import base64
import binascii
import os
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from secrets import token_bytes

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

PUBLIC_KEY_PREFIX = "bpk_"
API_SECRET_PREFIX = "bsk_"  # noqa: S105 - the prefix by which scanners recognise a leaked secret
RANDOM_BYTES = 33  # 264 bits: 44 characters of base64 without padding
_NONCE_BYTES = 12
_FORMAT = "v1"


class CannotOpen(Exception):
    """A sealed text that is damaged, belongs elsewhere, or was sealed under a key that is not here."""


@dataclass(frozen=True)
class KeyRing:
    """Encryption keys by id. The first one seals; every one opens. Keys are 32 bytes."""

    keys: Mapping[str, bytes] = field(repr=False)

    @property
    def current(self) -> str:
        """The id of the key that seals."""
        return next(iter(self.keys))

    def encrypt(self, plain: str, *, context: str) -> str:
        """Seals `plain` for `context`."""
        kid, nonce = self.current, os.urandom(_NONCE_BYTES)
        sealed = AESGCM(self.keys[kid]).encrypt(nonce, plain.encode(), _bound(kid, context))
        return f"{_FORMAT}.{kid}.{base64.urlsafe_b64encode(nonce + sealed).decode()}"

    def decrypt(self, text: str, *, context: str) -> str:
        """What `encrypt` sealed for the same context. Raises `CannotOpen`."""
        kid, blob = _parts(text)
        if kid not in self.keys:
            raise CannotOpen("sealed under a key that is not in the ring")
        nonce, sealed = blob[:_NONCE_BYTES], blob[_NONCE_BYTES:]
        try:
            return AESGCM(self.keys[kid]).decrypt(nonce, sealed, _bound(kid, context)).decode()
        except (InvalidTag, ValueError):
            raise CannotOpen("damaged, or sealed for another place") from None


def key_id(text: str) -> str:
    """The id of the key that sealed `text`. Raises `CannotOpen`."""
    return _parts(text)[0]


def context(*, table: str, row: int, column: str, version: int = 1) -> str:
    """Where a sealed text belongs."""
    return f"{table}:{row}:{column}:{version}"


def new_public_key() -> str:
    """A public API key: prefix, 264 random bits, checksum."""
    return _token(PUBLIC_KEY_PREFIX)


def new_api_secret() -> str:
    """An API secret: prefix, 264 random bits, checksum."""
    return _token(API_SECRET_PREFIX)


def is_well_formed(token: str) -> bool:
    """Whether the checksum of a key or secret is right: a mistyped one is told apart from an unknown one."""
    head, checksum = token[:-6], token[-6:]
    return head.startswith((PUBLIC_KEY_PREFIX, API_SECRET_PREFIX)) and _checksum(head) == checksum


def _token(prefix: str) -> str:
    head = prefix + base64.urlsafe_b64encode(token_bytes(RANDOM_BYTES)).decode()
    return head + _checksum(head)


def _checksum(head: str) -> str:
    return base64.urlsafe_b64encode(zlib.crc32(head.encode()).to_bytes(4, "big")).decode().rstrip("=")


def _bound(kid: str, context: str) -> bytes:
    return f"{_FORMAT}:{kid}:{context}".encode()


def _parts(text: str) -> tuple[str, bytes]:
    form, _, rest = text.partition(".")
    kid, _, encoded = rest.rpartition(".")
    if form != _FORMAT or not kid:
        raise CannotOpen("not a sealed text")
    try:
        blob = base64.b64decode(encoded, altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raise CannotOpen("not a sealed text") from None
    return kid, blob
