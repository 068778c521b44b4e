"""What merchants order to be paid out, and how the processor is scripted to behave about each order.

A destination belongs to one order alone, so that whatever was paid there was paid for that order, under
whichever id it was asked for. Everything is a function of what is handed in.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property

from payments import address_formats, currencies
from tests.soak.shops import NewShop

CONFIRMED, RELEASED, HELD = "confirmed", "released", "held"
"""How an order ends: paid and settled; not paid and given back; nobody knows, so the money stays held."""
ACCEPTS, REFUSES, USED = "accepts", "refuses", "already used"
HANGS, LATE, RESETS, DIES, DIES_BEFORE = "hangs", "late", "resets", "kills after", "kills before"
BAD_GATEWAY, TOO_MANY, UNAUTHORISED = "502", "429", "401"
TRUNCATES, RUBBISH, ANOTHERS = "truncates", "rubbish", "another's"
NEVER, AFTER, BEFORE, CANCELS = "never", "after", "before", "cancels"
TELLS, SILENT, FORGETS = "tells", "silent", "forgets"
TERMS = {
    "BTC": {
        "withdrawal_fee_percent": "0.0013",
        "withdrawal_minimum": "0.0001",
        "withdrawal_mining_fee": "0.00012",
    },
    "ETH": {
        "withdrawal_fee_percent": "0",
        "withdrawal_minimum": "0.001",
        "withdrawal_minimum_fee": "0.0005",
        "withdrawal_mining_fee": "0.0007",
    },
}
UPSTREAM_PERCENT, UPSTREAM_MINING = Decimal("0.0007"), Decimal("0.00012345")
"""What the upstream takes for itself and for the network, in the coin that it pays."""


@dataclass(frozen=True)
class Behaviour:
    """What the processor does about an order.

    pays: whether its money leaves, each time that the order comes. answer: what becomes of the answer.
    calls: whether and when it calls back. info: what `transactions/info` says of it.
    """

    name: str
    pays: bool
    answer: str
    calls: str = NEVER
    info: str = FORGETS

    @property
    def end(self) -> str:
        """What must become of the order: plain reasoning from what the processor said in the end."""
        if self.answer == REFUSES or self.calls == CANCELS:
            return RELEASED
        told = self.calls in {AFTER, BEFORE} or self.info == TELLS
        return CONFIRMED if self.pays and told else HELD


EVERY_KIND = (
    Behaviour("accepted and told", True, ACCEPTS, AFTER, TELLS),
    Behaviour("accepted, never told", True, ACCEPTS, NEVER, TELLS),
    Behaviour("told before the answer", True, ACCEPTS, BEFORE, TELLS),
    Behaviour("told before an answer that never came", True, RESETS, BEFORE, SILENT),
    Behaviour("paid and reset", True, RESETS, NEVER, TELLS),
    Behaviour("paid, reset and forgotten", True, RESETS, NEVER, FORGETS),
    Behaviour("reset and not paid", False, RESETS, NEVER, FORGETS),
    Behaviour("paid and 502", True, BAD_GATEWAY, AFTER, SILENT),
    Behaviour("502 and not paid", False, BAD_GATEWAY, NEVER, FORGETS),
    Behaviour("502, not paid, never to be asked", False, BAD_GATEWAY, NEVER, SILENT),
    Behaviour("429 and not paid", False, TOO_MANY, NEVER, FORGETS),
    Behaviour("401 and not paid", False, UNAUTHORISED, NEVER, SILENT),
    Behaviour("paid, the answer cut", True, TRUNCATES, NEVER, TELLS),
    Behaviour("paid, 200 with rubbish", True, RUBBISH, AFTER, TELLS),
    Behaviour("paid, answered for another", True, ANOTHERS, NEVER, TELLS),
    Behaviour("paid, 'already used'", True, USED, NEVER, TELLS),
    Behaviour("'already used' and not paid", False, USED, NEVER, FORGETS),
    Behaviour("paid, the sender killed after the write", True, DIES, AFTER, TELLS),
    Behaviour("the sender killed after the write, not paid", False, DIES, NEVER, FORGETS),
    Behaviour("the sender killed before the write", False, DIES_BEFORE, NEVER, FORGETS),
    Behaviour("refused", False, REFUSES, NEVER, FORGETS),
    Behaviour("accepted and cancelled", False, ACCEPTS, CANCELS, SILENT),
    Behaviour("paid and hung", True, HANGS, AFTER, TELLS),
    Behaviour("paid, the answer late", True, LATE, NEVER, TELLS),
)
HUNG = Behaviour("hung and not paid", False, HANGS, NEVER, FORGETS)
PLAIN = EVERY_KIND[0]


@dataclass(frozen=True)
class Order:
    """One withdrawal as its merchant asks for it. shop: by its place in the list."""

    shop: int
    foreign_id: str
    currency: str
    amount: Decimal
    address: str
    behaviour: Behaviour = PLAIN

    @cached_property
    def body(self) -> dict[str, str]:
        return {
            "foreign_id": self.foreign_id,
            "amount": f"{self.amount:f}",
            "currency": self.currency,
            "address": self.address,
        }


def destination(currency: str, seed: str) -> str:
    """A valid address of nobody's, always the same for the same seed."""
    return address_formats.make(currencies.get(currency).address_format or "", seed.encode(), testnet=True)


def plan(
    name: str, behaviours: Sequence[Behaviour], *, shops: int = 1, codes: Sequence[str] = ("BTC", "ETH")
) -> list[Order]:
    """One order of each behaviour, in turn by every shop and in every currency, of amounts that differ."""
    return [
        Order(
            shop=number % shops,
            foreign_id=f"{name}-{number}",
            currency=(code := codes[number // shops % len(codes)]),
            amount=Decimal("0.02") + Decimal(_draw(name, number)) / 10**8,
            address=destination(code, f"{name} {number}"),
            behaviour=behaviour,
        )
        for number, behaviour in enumerate(behaviours)
    ]


def shops_for(name: str, *, count: int, funds: Mapping[str, str]) -> list[NewShop]:
    """Merchants that may pay out, with so much on their balances."""
    return [NewShop(f"{name} {number}", TERMS, funds=dict(funds)) for number in range(count)]


def by_address(orders: Sequence[Order]) -> dict[str, Order]:
    found = {order.address: order for order in orders}
    if len(found) != len(orders):
        raise ValueError("two orders with one destination")
    return found


def every_kind(count: int, *, more: Sequence[Behaviour] = ()) -> Iterator[Behaviour]:
    """So many behaviours, each kind in turn."""
    kinds = (*EVERY_KIND, *more)
    return (kinds[number % len(kinds)] for number in range(count))


def _draw(name: str, number: int) -> int:
    return int.from_bytes(hashlib.sha256(f"{name} {number}".encode()).digest()[:3])
