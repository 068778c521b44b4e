"""What a v2 upstream tells us: signed callbacks into notices.

The bytes are hostile until verified and suspect after: every field is read strictly, and whatever does not
fit is `Unreadable`, never a guess. Reading needs no secret, so the worker reads what the intake verified.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from merchants import signing
from payments.processors.base import (
    BadSignature,
    ConversionNotice,
    DepositNotice,
    DepositStatus,
    Notice,
    PayoutNotice,
    PayoutStatus,
    RawRequest,
    Unreadable,
)
from payments.processors.gateway import fields


class GatewayInbound:
    """One upstream's callbacks. Without key and secret it reads but verifies nothing."""

    def __init__(self, *, key: str = "", secret: str = "") -> None:
        self._key, self._secret = key, secret

    def verify(self, request: RawRequest) -> None:
        """Raises `BadSignature` unless the key is ours and the signature fits the exact bytes."""
        key = request.headers.get(signing.KEY_HEADER.lower(), "")
        signature = request.headers.get(signing.SIGNATURE_HEADER.lower(), "")
        if not self._secret or not hmac.compare_digest(key.encode(errors="replace"), self._key.encode()):
            raise BadSignature("the key header is not ours")
        if not signing.verify(self._secret, request.body, signature):
            raise BadSignature("the signature does not fit the body")

    def parse(self, body: bytes) -> tuple[Notice, ...]:
        """The one notice of a callback body. Raises `Unreadable`."""
        return (read_notice(fields.parsed(body)),)


def read_notice(body: Mapping[str, Any]) -> Notice:
    """The notice in a callback's, or in a `transactions/info` answer's, object. Raises `Unreadable`."""
    kind = fields.text(body, "type")
    reader = _READERS.get(kind)
    if reader is None:
        raise Unreadable(f"{kind!r} is nothing that we order or expect")
    return reader(body)


def _deposit(body: Mapping[str, Any]) -> DepositNotice:
    address = fields.mapping(body, "crypto_address")
    leg = fields.leg(body, "deposit")
    status = fields.member(DepositStatus, body, "status")
    sent = fields.optional_money(body, "currency_sent") or fields.money(leg, "its deposit leg")
    received = fields.optional_money(body, "currency_received")
    return DepositNotice(
        external_id=fields.identity(body),
        address=fields.text(address, "address"),
        tag=fields.optional_text(address, "tag"),
        status=status,
        sent=sent,
        received=received,
        credited=fields.credited(body, received) if status is DepositStatus.CONFIRMED else None,
        fees=fields.fees(body),
        txid=fields.optional_text(leg, "txid"),
        confirmations=fields.confirmations(leg),
        risk=fields.risk(leg),
        expected_currency=fields.expected_currency(body, address, sent),
        converted=body["type"] == "deposit_exchange",
        sender_address=fields.sender_address(leg),
        error=fields.error(body),
    )


def _payout(body: Mapping[str, Any]) -> PayoutNotice:
    leg = fields.leg(body, "withdrawal")
    return PayoutNotice(
        our_id=fields.text(body, "foreign_id"),
        external_id=fields.identity(body),
        status=fields.member(PayoutStatus, body, "status"),
        paid=fields.optional_money(body, "currency_sent"),
        received=fields.optional_money(body, "currency_received"),
        fees=fields.fees(body),
        txid=fields.optional_text(leg, "txid"),
        confirmations=fields.confirmations(leg),
        error=fields.error(body),
    )


def _conversion(body: Mapping[str, Any]) -> ConversionNotice:
    """Some editions leave out the foreign id here; `our_id` is then empty and the external id decides."""
    return ConversionNotice(
        our_id=fields.optional_text(body, "foreign_id") or "",
        external_id=fields.identity(body),
        status=fields.member(PayoutStatus, body, "status"),
        sent=fields.optional_money(body, "currency_sent"),
        received=fields.optional_money(body, "currency_received"),
        fees=fields.fees(body),
        error=fields.error(body),
    )


_READERS: Mapping[str, Callable[[Mapping[str, Any]], Notice]] = MappingProxyType(
    {
        "deposit": _deposit,
        "deposit_exchange": _deposit,
        "withdrawal": _payout,
        "withdrawal_exchange": _payout,
        "exchange": _conversion,
    }
)
