"""Links in mails: a token that works once, for an hour, for one purpose; kept as a hash alone.

Addresses are built from the settings, never from the request: a forged Host header leads nobody astray.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from datetime import datetime, timedelta
from urllib.parse import urlsplit

from django.conf import settings

from merchants.errors import Refusal
from merchants.models import LinkPurpose, OneTimeLink, User

TOKEN_BYTES = 32
LASTS = timedelta(hours=1)
_TOKEN = re.compile(r"[A-Za-z0-9_-]{43}", re.ASCII)


class NoSuchLink(Refusal):
    """This link does not work: it was used already, is too old, or a newer one was sent. Ask for another."""


def make(*, user: User, purpose: LinkPurpose, email: str = "", now: datetime) -> str:
    """A token for `user`, to be mailed; an older link for the same purpose stops working."""
    token, digest = new_token()
    user.links.filter(purpose=purpose, used_at=None).delete()
    OneTimeLink.objects.create(
        user=user, purpose=purpose, email=email, token_digest=digest, created_at=now, expires_at=now + LASTS
    )
    return token


def find(*, token: str, purpose: LinkPurpose, now: datetime, lock: bool = False) -> OneTimeLink:
    """The link that still works. Raises `NoSuchLink`.

    lock: keeps its row until the transaction ends, so that the link is used once.
    """
    links = OneTimeLink.objects.select_for_update(of=["self"]) if lock else OneTimeLink.objects
    waiting = links.select_related("user").filter(purpose=purpose, used_at=None, expires_at__gt=now)
    link = waiting.filter(token_digest=digest_of(token), user__is_active=True).first()
    if link is None:
        raise NoSuchLink
    return link


def new_token() -> tuple[str, bytes]:
    """(token, what is kept of it)."""
    token = secrets.token_urlsafe(TOKEN_BYTES)
    return token, digest_of(token)


def digest_of(token: str) -> bytes:
    """What is kept of a token; of what is none, the hash of nothing."""
    return hashlib.sha256(token.encode() if _TOKEN.fullmatch(token) else b"").digest()


def address(path: str, *, door: str = "backoffice") -> str:
    """The address of `path`, which begins with a slash, at one of our doors."""
    base: str = settings.PUBLIC_URL
    public, host = urlsplit(base), settings.DOOR_HOSTS[door]
    if not host:
        return base.rstrip("/") + path
    port = f":{public.port}" if public.port else ""
    return f"{public.scheme}://{host}{port}{path}"
