"""Recorded valid bodies, and a JSON writer that can write what no writer should.

A body under mutation is plain Python, with two additions: `Literal` stands for text that is written as it
is (1e999, NaN), and an object is a list of pairs, so that a key may come twice.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from random import Random
from typing import Any

from tests.vectors import VECTORS


@dataclass(frozen=True)
class Literal:
    text: str


@dataclass
class Pairs:
    """An object, its keys in order and perhaps twice."""

    members: list[tuple[str, Any]]


@dataclass(frozen=True)
class Recorded:
    """A call as its clients make it. path: below the door's mount."""

    path: str
    raw: bytes
    method: str = "POST"


_NATURAL = {"first_name": "Ann", "last_name": "Bee", "date_of_birth": "1990-02-03", "email": "a@b.test"}
_LEGAL = {"legal_name": "Bee & Sons", "country_of_registration": "EST"}
_TAKEN: list[dict[str, Any]] = [
    {"foreign_id": "u-77", "currency": "BTC"},
    {"foreign_id": 1234567, "currency": "ETH", "convert_to": None, "tag": None},
    {"foreign_id": "u-78", "currency": "BTC", "convert_to": "EUR", "end_user_reference": "player-78"},
    {"foreign_id": "u-79", "currency": "XRP", "convert_to": "USD"},
    {"foreign_id": "u-80", "currency": "USDTE", "sender_type": "natural", "sender_data": _NATURAL},
    {"foreign_id": "u-81", "currency": "BTC", "sender_type": "legal", "sender_data": _LEGAL},
]
_PAIRS: list[dict[str, Any]] = [
    {},
    {"currency_from": "BTC", "currency_to": "EUR"},
    {"currency_from": None, "currency_to": "ETH"},
]


_INVOICE: dict[str, Any] = {
    "timer": True,
    "title": "Caf\u00e9 \u21165",
    "currency": "EUR",
    "sender_currency": "BTC",
    "amount": "106.75",
    "foreign_id": "inv-1",
    "url_success": "https://shop.example/ok",
    "url_failed": "https://shop.example/no",
}
_INVOICES: list[dict[str, Any]] = [
    _INVOICE,
    _INVOICE | {"timer": "0", "sender_currency": None, "amount": 35, "email_user": "ann@example.org"},
    _INVOICE
    | {"timer": "1", "sender_currency": None, "type": "good_until_expired", "description": "Two\nlines"},
    _INVOICE | {"foreign_id": 1234567, "currency": "BTC", "amount": 0.01, "end_user_reference": "player-78"},
]


_PAID: dict[str, Any] = {
    "foreign_id": "wd-1",
    "currency": "BTC",
    "amount": "0.001",
    "address": "2N4U9zxw7YcPxe3LnAjxSfkWNyre2bS2oyG",
}
_WITHDRAWALS: list[dict[str, Any]] = [
    _PAID,
    _PAID | {"foreign_id": 42, "amount": 0.0005, "tag": None, "convert_to": None, "receiver_type": "self"},
    _PAID | {"currency": "EUR", "convert_to": "BTC", "amount": None, "amount_to": "0.0021"},
    _PAID | {"currency": "XRP", "address": "rUDArgWePE2NMaro4WCydBwBcz99EzLJLV", "tag": 7, "amount": "10"},
    _PAID | {"sender_type": "legal", "sender_data": _LEGAL, "end_user_reference": "player-78"},
]

_SOLD: dict[str, Any] = {"sender_currency": "BTC", "receiver_currency": "EUR", "sender_amount": "0.01"}
_BOUGHT: dict[str, Any] = {"sender_currency": "EUR", "receiver_currency": "BTC", "receiver_amount": 0.01}
_EXCHANGED: list[tuple[str, dict[str, Any]]] = [
    ("exchange/calculate", _SOLD),
    ("exchange/calculate", _BOUGHT | {"sender_amount": None}),
    ("exchange/fixed", _SOLD | {"foreign_id": "ex-1", "price": "60000.00000000"}),
    ("exchange/fixed", _BOUGHT | {"foreign_id": 12, "price": 0.000016666666666667}),
    ("exchange/now", _SOLD | {"foreign_id": "ex-2"}),
    ("exchange/now", _BOUGHT | {"foreign_id": "ex-3"}),
    ("futures/rates", {"address": "2N4Q5FhU2497BryFfUgbqkAJE87aKHUhXMp"}),
    ("futures/confirm", _SOLD | {"receiver_amount": "100", "address": "2N4Q5FhU2497BryFfUgbqkAJE87aKHUhXMp"}),
    ("transactions/info", {"id": 500001}),
    ("transactions/info", {"foreign_id": "ex-1", "type": "exchange"}),
    ("transactions/info", {"txid": "c0ffee" + "0" * 58}),
]


def _encoded(body: object) -> bytes:
    return json.dumps(body, separators=(",", ":")).encode()


API = (
    Recorded("ping", b"", "GET"),
    Recorded("ping", b"{}", "GET"),
    Recorded("ping", b"", "HEAD"),
    *(Recorded("currencies/list", raw) for raw in (b"{}", b"[]", b"null", b"")),
    Recorded("currencies/list", b'{"visible":"1"}'),
    Recorded("currencies/list", b'{"visible":false}'),
    *(Recorded(f"currencies/{name}", _encoded(body)) for name in ("pairs", "rates") for body in _PAIRS),
    *(Recorded("accounts/list", raw) for raw in (b"{}", b"[]", b"null", b"")),
    *(Recorded("addresses/take", _encoded(body)) for body in _TAKEN for _ in range(3)),
    *(Recorded("invoices/create", _encoded(body)) for body in _INVOICES for _ in range(2)),
    *(Recorded(f"invoices/{name}/cancel/", b"{}") for name in ("inv-1", "1234567", "a%2Fb", "%E2%80%AE")),
    *(Recorded("withdrawal/crypto", _encoded(body)) for body in _WITHDRAWALS for _ in range(2)),
    Recorded("addresses/take", VECTORS["callbacks"][0]["raw"].encode()),
    *(Recorded(path, _encoded(body)) for path, body in _EXCHANGED),
    Recorded("exchange/now", VECTORS["callbacks"][0]["raw"].encode()),
    Recorded("transactions/info?id=500001", b"", "GET"),
    Recorded("transactions/info", b'{"foreign_id":"ex-1"}', "GET"),
)
"""The API's calls; addresses/take more often, because it is the one that writes."""

INTAKE = tuple(Recorded("sandbox/", vector["raw"].encode()) for vector in VECTORS["callbacks"])


def loaded(raw: bytes) -> Any:
    """A recorded body as something to mutate."""
    return json.loads(raw or b"{}", object_pairs_hook=Pairs)


def dumped(value: Any, rng: Random) -> bytes:
    """Mostly the compact ASCII that clients write; sometimes UTF-8, sometimes with spaces."""
    ascii_only, space = rng.random() < 0.7, " " if rng.random() < 0.1 else ""
    return _dump(value, ascii_only, space).encode("utf-8", "surrogatepass")


def _dump(value: Any, ascii_only: bool, space: str) -> str:
    if isinstance(value, Literal):
        return value.text
    if isinstance(value, Pairs):
        members = (
            f"{json.dumps(name, ensure_ascii=ascii_only)}:{space}{_dump(member, ascii_only, space)}"
            for name, member in value.members
        )
        return f"{{{','.join(members)}}}"
    if isinstance(value, list):
        return f"[{space}{','.join(_dump(item, ascii_only, space) for item in value)}]"
    return json.dumps(value, ensure_ascii=ascii_only)
