"""Terminal links: a shop's signed wish for an address, carried by the payer's browser.

`data` is the wish as JSON in base64, of either alphabet and with or without padding; `signature` the
HMAC-SHA512 of the JSON's bytes with a secret of the merchant's. Who cannot sign learns nothing, not even
whether there is such a merchant. The address is the customer's own, the same one for the same link.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from django.db.models import Q

from merchants import signing
from merchants.errors import Refusal
from merchants.models import ApiKey, Merchant, MerchantStatus
from payments import addresses, rates, terms, texts, wire
from payments.currencies import PRECISION
from payments.errors import FieldRefusal
from payments.models import Address
from payments.terms import Offer

LONGEST = 8192
_BASE64 = re.compile(r"[A-Za-z0-9+/]*", re.ASCII)
_DIGITS = re.compile(r"[1-9][0-9]{0,9}", re.ASCII)


class BadLink(Refusal):
    """This link does not lead to a payment. Ask the shop for a new one."""


@dataclass(frozen=True, slots=True)
class Terminal:
    """What the payer is shown. amount: what the shop would like, in the address's currency."""

    merchant: Merchant
    address: Address
    offer: Offer
    amount: Decimal | None
    is_iframe: bool
    url_back: str | None


def open_link(*, data: str, signature: str, now: datetime, call_for_more: Callable[[], object]) -> Terminal:
    """The address that the link asks for. Raises `BadLink`, and `PoolEmpty` as `addresses.take` does."""
    raw = _decoded(data)
    wish = _parsed(raw)
    merchant = _merchant(wish.get("client_id"))
    if merchant is None or not _is_signed(merchant, raw, signature, now):
        raise BadLink
    try:
        return _open(merchant, wish, now, call_for_more)
    except (addresses.NoRoute, FieldRefusal):
        raise BadLink from None


def _decoded(data: str) -> bytes:
    text = data.strip().replace("-", "+").replace("_", "/").replace(" ", "+").rstrip("=")
    if len(text) > LONGEST or not _BASE64.fullmatch(text):
        raise BadLink
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except ValueError:
        raise BadLink from None


def _parsed(raw: bytes) -> Mapping[str, Any]:
    try:
        return wire.parse_body(raw, "application/json")
    except wire.BadContent:
        raise BadLink from None


def _merchant(client_id: object) -> Merchant | None:
    text = str(client_id) if isinstance(client_id, int | str) and not isinstance(client_id, bool) else ""
    if not _DIGITS.fullmatch(text) or int(text) >= 2**31:
        return None
    return Merchant.objects.filter(wire_id=int(text)).exclude(status=MerchantStatus.BLOCKED).first()


def _is_signed(merchant: Merchant, raw: bytes, signature: str, now: datetime) -> bool:
    """By a key that works; any of two in a rotation."""
    keys = ApiKey.objects.for_merchant(merchant).active()
    working = keys.filter(Q(retires_at=None) | Q(retires_at__gt=now))
    return any(signing.verify(key.secret(), raw, signature) for key in working)


def _open(
    merchant: Merchant, wish: Mapping[str, Any], now: datetime, call_for_more: Callable[[], object]
) -> Terminal:
    currency = wish.get("currency")
    convert_to = "" if wish.get("convert_to") is None else wish["convert_to"]
    if not isinstance(currency, str) or not isinstance(convert_to, str):
        raise BadLink
    named = [currency, convert_to] if convert_to else [currency]
    offers = terms.enabled(merchant_id=merchant.pk, now=now, among=named)
    if offers.keys() != set(named) or not offers[currency].currency.is_crypto:
        raise BadLink
    if convert_to and not rates.converts(merchant=merchant, source=currency, target=convert_to, now=now):
        raise BadLink
    foreign_id = wire.parse_text(wish.get("foreign_id"), field="foreign_id")
    amount, framed = wish.get("amount"), wish.get("is_iframe")
    wanted = None if amount is None or amount == "" else wire.parse_amount(amount, places=PRECISION)
    in_frame = wire.parse_boolean(False if framed is None else framed, field="is_iframe")
    back = wish.get("url_back")
    address = addresses.take(
        merchant=merchant,
        order=addresses.Order(foreign_id=foreign_id, currency=currency, convert_to=convert_to),
        now=now,
        call_for_more=call_for_more,
    )
    return Terminal(
        merchant=merchant,
        address=address,
        offer=offers[currency],
        amount=wanted or None,
        is_iframe=in_frame,
        url_back=texts.web_link(back) if isinstance(back, str) else None,
    )
