"""What the scripted upstream tells: deposits as stories, each a few callbacks in the shape of protocol v2.

A story is written in acts. Within an act its callbacks may arrive in any order and any number of times; a
reversal stands in a later act than what it takes back, as a chain reorganises minutes after it confirmed.
Everything is a function of the chance that is handed in.
"""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from decimal import ROUND_DOWN, Decimal
from functools import cached_property
from typing import Any

from tests.soak.shops import NewShop, Place, Shop

UNIT = Decimal("0.00000001")
NOT_CONFIRMED, CONFIRMED, CANCELLED = "not_confirmed", "confirmed", "cancelled"
FEES = {
    "BTC": {"deposit_fee_percent": "0.008", "deposit_minimum": "0.0001", "deposit_minimum_fee": "0"},
    "ETH": {"deposit_fee_percent": "0.0123", "deposit_minimum": "0.001", "deposit_minimum_fee": "0.0005"},
    "USDTE": {"deposit_fee_percent": "0.000001", "deposit_minimum": "1", "deposit_minimum_fee": "2.5"},
    "XRP": {"deposit_fee_percent": "0", "deposit_minimum": "0.5", "deposit_minimum_fee": "0"},
    "EUR": {"deposit_fee_percent": "0"},
}
EXCHANGE_FEE = "0.015"
PRICES = {"BTC": Decimal("48715.31"), "ETH": Decimal("2513.07")}
"""What the upstream pays in EUR for one, when it converts."""
PLACES = (
    *(Place("BTC"), Place("BTC"), Place("ETH"), Place("USDTE"), Place("XRP"), Place("XRP")),
    *(Place("BTC", "EUR"), Place("ETH", "EUR")),
)
SWEEP = Decimal("0.00021")
"""What the upstream takes in ETH for moving a token."""

_ENDINGS: dict[str, tuple[tuple[tuple[int, str], ...], int]] = {
    "seen and confirmed": (((0, NOT_CONFIRMED), (0, CONFIRMED)), 46),
    "confirmed at once": (((0, CONFIRMED),), 10),
    "seen for ever": (((0, NOT_CONFIRMED),), 3),
    "taken back": (((0, NOT_CONFIRMED), (0, CONFIRMED), (1, CANCELLED)), 9),
    "taken back and given again": (((0, NOT_CONFIRMED), (0, CONFIRMED), (1, CANCELLED), (2, CONFIRMED)), 7),
    "never confirmed": (((0, NOT_CONFIRMED), (1, CANCELLED)), 5),
    "seen late": (((0, CONFIRMED), (1, NOT_CONFIRMED)), 4),
}
_GROWING = (
    "confirmed again and again",
    ((0, NOT_CONFIRMED), (0, CONFIRMED), (0, CONFIRMED), (1, CONFIRMED)),
    8,
)
_SHARE_OF_NOBODY, _SHARE_BELOW_MINIMUM = 0.04, 0.05


@dataclass(frozen=True)
class Said:
    """One callback. shop: whose address it names, by its place in the list; None for nobody's.

    sent: on chain, in the place's currency. received: gross, in the currency it was converted to, if any.
    credited: what the upstream gives us of it. act: when in its story it is told; turn: its number in it.
    """

    external_id: int
    status: str
    act: int
    turn: int
    shop: int | None
    place: Place
    sent: Decimal
    received: Decimal
    credited: Decimal

    @property
    def received_currency(self) -> str:
        return self.place.convert_to or self.place.currency

    @property
    def sweep(self) -> Decimal:
        """What the upstream took in another coin."""
        return SWEEP if self.place.currency == "USDTE" and self.status == CONFIRMED else Decimal(0)

    @cached_property
    def raw(self) -> bytes:
        """The exact bytes."""
        return json.dumps(self._body(), separators=(",", ":")).encode()

    @cached_property
    def sha256(self) -> bytes:
        return hashlib.sha256(self.raw).digest()

    def _body(self) -> dict[str, Any]:
        place, address = self.place, {"address": self.place.address, "tag": self.place.tag}
        confirmed = self.status == CONFIRMED
        received = {"currency": self.received_currency, "amount": f"{self.received:f}"}
        if confirmed:
            received["amount_minus_fee"] = f"{self.credited:f}"
        sent = {"currency": place.currency, "amount": f"{self.sent:f}"}
        leg = {"id": 2 * self.external_id, "transaction_type": "blockchain", "type": "deposit", **sent}
        leg |= {**address, "txid": f"{self.external_id:064x}", "confirmations": str(self.turn)}
        fees = [{"type": "processing", "currency": "ETH", "amount": f"{self.sweep:f}"}] if self.sweep else []
        converts = {"convert_to": place.convert_to} if place.convert_to else {}
        return {
            "id": self.external_id,
            "type": "deposit_exchange" if converts else "deposit",
            "crypto_address": {"id": 1, "currency": place.currency, **converts, **address},
            "currency_sent": sent,
            "currency_received": received,
            "transactions": [leg],
            "fees": fees,
            "error": "replaced" if self.status == CANCELLED else "",
            "status": self.status,
        }


def shops_for(name: str, *, count: int = 3, spare: int = 0) -> list[NewShop]:
    """Merchants with an address of every kind; the later ones pay twice the fee."""
    return [
        NewShop(f"{name} {number}", _terms(number), PLACES, spare=spare if number == 0 else 0)
        for number in range(count)
    ]


def tell(
    chance: random.Random, shops: Sequence[Shop], *, callbacks: int, first_id: int, growing: bool = False
) -> list[Said]:
    """Stories of so many callbacks in all. growing: some are confirmed again with more confirmations."""
    told: list[Said] = []
    while len(told) < callbacks:
        told += _story(chance, shops, first_id + len(told), growing)
    return told


def acts(told: Sequence[Said]) -> Iterator[list[Said]]:
    """The callbacks of each act, in the order in which stories began."""
    for act in sorted({said.act for said in told}):
        yield [said for said in told if said.act == act]


def disorder(
    chance: random.Random, told: Sequence[Said], *, window: int = 200, repeated: float = 0.05
) -> list[Said]:
    """The same callbacks, a share of them once more, shuffled within windows."""
    again = chance.sample(list(told), round(len(told) * repeated))
    line = list(told)
    for said in again:
        line.insert(chance.randrange(len(line) + 1), said)
    shuffled: list[Said] = []
    for start in range(0, len(line), window):
        part = line[start : start + window]
        chance.shuffle(part)
        shuffled += part
    return shuffled


def _terms(number: int) -> dict[str, dict[str, str]]:
    """What each currency costs merchant number so and so."""
    factor = 1 + number % 2
    terms = {}
    for code, prices in FEES.items():
        percent = Decimal(prices["deposit_fee_percent"]) * factor
        terms[code] = prices | {
            "deposit_fee_percent": f"{percent:f}",
            "deposit_exchange_fee_percent": EXCHANGE_FEE,
        }
    return terms


def _story(chance: random.Random, shops: Sequence[Shop], external_id: int, growing: bool) -> list[Said]:
    steps = _steps(chance, growing)
    shop = chance.randrange(len(shops))
    place = chance.choice(shops[shop].places)
    minimum = int(Decimal(shops[shop].terms[place.currency]["deposit_minimum"]) / UNIT)
    kind = chance.random()
    nobodys = kind < _SHARE_OF_NOBODY
    small = not nobodys and kind < _SHARE_OF_NOBODY + _SHARE_BELOW_MINIMUM
    if small:
        steps = ((0, NOT_CONFIRMED), (0, CONFIRMED))
    sent = UNIT * (chance.randrange(1, minimum) if small else chance.randrange(minimum, 5_000 * minimum))
    if nobodys:
        place = replace(place, convert_to="", address=f"nobody{external_id}", tag=None)
    received = sent
    if place.convert_to:
        received = max((sent * PRICES[place.currency]).quantize(UNIT, ROUND_DOWN), UNIT)
    credited = received - (received * Decimal("0.004")).quantize(UNIT, ROUND_DOWN)
    return [
        Said(external_id, status, act, turn, None if nobodys else shop, place, sent, received, credited)
        for turn, (act, status) in enumerate(steps)
    ]


def _steps(chance: random.Random, growing: bool) -> tuple[tuple[int, str], ...]:
    endings = dict(_ENDINGS)
    if growing:
        endings[_GROWING[0]] = _GROWING[1:]
    (chosen,) = chance.choices(list(endings.values()), weights=[weight for _, weight in endings.values()])
    return chosen[0]
