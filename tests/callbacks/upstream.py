"""What the upstream sends: a v2 gateway's signed deposit callbacks."""

from __future__ import annotations

import json
from typing import Any

from merchants import signing
from payments.models import Address
from payments.processors.base import RawRequest

KEY, SECRET = "upstream-key", "upstream-secret"
PROCESSORS = {"sandbox": {"connector": "gateway", "url": "http://127.0.0.1:1", "key": KEY, "secret": SECRET}}


def deposit(
    to: Address, *, number: int = 1, amount: str = "0.01500000", status: str = "confirmed", **more: Any
) -> bytes:
    """A deposit callback's body; credited whole when confirmed."""
    money = {"currency": to.currency, "amount": amount}
    body = {
        "id": number,
        "type": "deposit",
        "crypto_address": {"id": 1, "currency": to.currency, "address": to.address, "tag": to.tag},
        "currency_sent": money,
        "currency_received": money | {"amount_minus_fee": amount},
        "transactions": [
            {
                "id": number,
                "currency": to.currency,
                "transaction_type": "blockchain",
                "type": "deposit",
                "address": to.address,
                "tag": to.tag,
                "amount": amount,
                "txid": "c0ffee" + "0" * 58,
                "confirmations": "1" if status == "confirmed" else "0",
            }
        ],
        "fees": [],
        "error": "",
        "status": status,
    }
    return json.dumps(body | more).encode()


def payout(
    our_id: str, money: dict[str, str], *, number: int = 9, status: str = "confirmed", **more: Any
) -> bytes:
    """A withdrawal callback's body."""
    leg = {"id": number, "type": "withdrawal", "txid": "c0ffee" + "1" * 58, "confirmations": "0", **money}
    body = {
        "id": number,
        "foreign_id": our_id,
        "type": "withdrawal",
        "currency_sent": money,
        "currency_received": money,
        "transactions": [leg],
        "fees": [],
        "error": "",
        "status": status,
    }
    return json.dumps(body | more).encode()


def headers(body: bytes, *, key: str = KEY, secret: str = SECRET) -> dict[str, str]:
    return {signing.KEY_HEADER: key, signing.SIGNATURE_HEADER: signing.sign(secret, body)}


def request(body: bytes, **signer: str) -> RawRequest:
    """As the door hands it on: header names lower-cased."""
    return RawRequest({name.lower(): value for name, value in headers(body, **signer).items()}, body)
