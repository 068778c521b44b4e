"""Who calls the API: key, signature over the raw body, then the key's addresses; in that order, always.

Refusals carry the wire's bodies. An unknown key costs the same signature work and gets the same answer as
one that does not work, and only somebody who proved the secret learns that the address was wrong. Every
outcome is counted. A key row is believed for at most a second from the start of its read, in this process.
"""

from __future__ import annotations

import re
import time
from dataclasses import dataclass, field

from django.core.exceptions import RequestDataTooBig
from django.db.models import Q
from django.db.models.expressions import RawSQL
from django.http import HttpRequest, UnreadablePostError
from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import APIException
from rest_framework.request import Request

from merchants import client_address, clock, signing, traffic
from merchants.models import ApiKey, MerchantStatus, Outcome
from merchants.models.api_key import CACHE_SECONDS
from merchants.networks import Address, Network

MOUNT = "api/v2/"
LARGEST_BODY = 64 * 1024
_PUBLIC_KEY = re.compile(r"[A-Za-z0-9_-]{1,128}", re.ASCII)
_NO_SECRET = "nobody's secret: an unknown key is checked against it, and fails"  # noqa: S105

REFUSALS: dict[Outcome, tuple[int, str]] = {
    Outcome.NO_KEY: (403, "No key header"),
    Outcome.BAD_KEY: (403, "Bad key header"),
    Outcome.NO_SIGNATURE: (403, "No signature header"),
    Outcome.BAD_SIGNATURE: (403, "Bad signature header"),
    Outcome.FORBIDDEN_IP: (403, "IP address is not allowed"),
    Outcome.BAD_CONTENT: (400, "Bad content format"),
}


class AuthenticationRefused(APIException):
    """The request proves nothing. `status`, `error` and `code` are what the wire answers."""

    def __init__(self, status: int, error: str, code: str) -> None:
        super().__init__(detail=error, code=code)
        self.status_code = self.status = status
        self.error, self.code = error, code


@dataclass(frozen=True)
class Caller:
    """Who proved the secret of a merchant's key."""

    merchant_id: int
    key_id: int
    public_key: str
    is_authenticated: bool = True


@dataclass(frozen=True)
class KnownKey:
    """A working key as it was read: what a request is checked against."""

    caller: Caller
    secret: str = field(repr=False)
    allowlist: tuple[Network, ...]
    was_used: bool

    def allows(self, address: Address | None) -> bool:
        if address is None:
            return False
        return not self.allowlist or any(address in network for network in self.allowlist)


class _Keys:
    """This process's memory of working keys; unknown and ended ones are never remembered."""

    def __init__(self) -> None:
        self.read_at: dict[str, tuple[float, KnownKey]] = {}

    def find(self, public_key: str) -> KnownKey | None:
        """The key if it works. A key works while it is active and unexpired and its merchant not blocked."""
        started = time.monotonic()
        remembered = self.read_at.get(public_key)
        if remembered and started - remembered[0] < CACHE_SECONDS:
            return remembered[1]
        known = _read(public_key)
        if known is None:
            self.read_at.pop(public_key, None)
        else:
            self.read_at[public_key] = (started, known)
        return known

    def forget(self) -> None:
        self.read_at.clear()


keys = _Keys()


class SignedKeyAuthentication(BaseAuthentication):
    """For REST framework: `request.user` is the `Caller`, `request.auth` the `KnownKey`."""

    def authenticate(self, request: Request) -> tuple[Caller, KnownKey]:
        known = prove(request._request)
        return known.caller, known


def authenticate(request: HttpRequest) -> Caller:
    """Who calls, for a plain view. Raises `AuthenticationRefused`. Call it before any parser reads."""
    return prove(request).caller


def prove(request: HttpRequest) -> KnownKey:
    """The key whose secret signed this request's body, counted with its outcome.

    Raises `AuthenticationRefused`.
    """
    address = client_address.of(request)
    public_key = request.META.get(signing.KEY_META)
    known = keys.find(public_key) if public_key and _PUBLIC_KEY.fullmatch(public_key) else None
    outcome = _judge(request, public_key, known, address)
    traffic.count(
        key_id=_counted_under(public_key, known, outcome),
        ip=None if address is None else str(address),
        endpoint=_endpoint(request),
        outcome=outcome,
    )
    if outcome != Outcome.ACCEPTED or known is None:
        raise AuthenticationRefused(*REFUSALS[outcome], outcome.value)
    if not known.was_used:
        _note_first_use(known)
    return known


def _judge(
    request: HttpRequest, public_key: str | None, known: KnownKey | None, address: Address | None
) -> Outcome:
    """The contract's steps 2 to 7, in order."""
    if not public_key:
        return Outcome.NO_KEY
    signature = request.META.get(signing.SIGNATURE_META)
    body = _body(request)
    is_right = signing.verify(known.secret if known else _NO_SECRET, body or b"", signature or "0" * 128)
    if known is None:
        return Outcome.BAD_KEY
    if not signature:
        return Outcome.NO_SIGNATURE
    if body is None:
        return Outcome.BAD_CONTENT
    if not is_right:
        return Outcome.BAD_SIGNATURE
    if not known.allows(address):
        return Outcome.FORBIDDEN_IP
    return Outcome.ACCEPTED if len(body) <= LARGEST_BODY else Outcome.BAD_CONTENT


def _body(request: HttpRequest) -> bytes | None:
    """The bytes that came; None when they are too many to be worth a signature, or broke off."""
    try:
        return request.body
    except (RequestDataTooBig, UnreadablePostError):
        return None


def _read(public_key: str) -> KnownKey | None:
    business_now = RawSQL(clock.now_sql(), [])  # noqa: S611 - a constant of ours, no input in it
    key = (
        ApiKey.objects.active()
        .filter(Q(retires_at__isnull=True) | Q(retires_at__gt=business_now), public_key=public_key)
        .exclude(merchant__status=MerchantStatus.BLOCKED)
        .prefetch_related("allowlist")
        .first()
    )
    if key is None:
        return None
    return KnownKey(
        caller=Caller(merchant_id=key.merchant_id, key_id=key.pk, public_key=key.public_key),
        secret=key.secret(),
        allowlist=tuple(entry.network for entry in key.allowlist.all()),
        was_used=key.first_used_at is not None,
    )


def _note_first_use(known: KnownKey) -> None:
    """Once in a key's life: from now on its merchant's callbacks may be signed with it."""
    ApiKey.objects.filter(pk=known.caller.key_id, first_used_at__isnull=True).update(
        first_used_at=clock.now()
    )
    keys.forget()


def _counted_under(public_key: str | None, known: KnownKey | None, outcome: Outcome) -> int | None:
    """The key's id; also that of a key that exists and does not work, so that its owner sees the tries."""
    if known is not None:
        return known.caller.key_id
    if outcome == Outcome.NO_KEY or not public_key or not _PUBLIC_KEY.fullmatch(public_key):
        return None
    return ApiKey.objects.filter(public_key=public_key).values_list("pk", flat=True).first()


def _endpoint(request: HttpRequest) -> str:
    """The path below the API, if it is one of ours: strangers must not choose what is stored."""
    match = request.resolver_match
    if match is None or match.route in {"", MOUNT}:
        return "unknown"
    if match.kwargs or match.args:
        return match.route.removeprefix(MOUNT)
    return request.path.strip("/").removeprefix(MOUNT)
