"""The oracle of payouts: what Bursar must hold, from what merchants asked for and what the processor paid.

Pure arithmetic of its own; nothing of Bursar's is imported. Every order that was taken holds its amount, the
merchant's fee and the network's as it was quoted. One that ended paid is gone, with the processor's own fees
told apart; one that ended otherwise is back; one of which nobody knows is held.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import ROUND_UP, Decimal

from tests.soak.oracle import EXACT, ZERO, fee
from tests.soak.orders import CONFIRMED, HELD, TERMS, UPSTREAM_MINING, UPSTREAM_PERCENT, Order
from tests.soak.story import UNIT


@dataclass(frozen=True)
class Price:
    """What an order holds beside its amount."""

    fee: Decimal
    mining: Decimal


@dataclass
class Expected:
    """The whole: ends by foreign id, balances by (shop, currency), the house's by (kind, currency)."""

    ends: dict[str, str] = field(default_factory=dict)
    left: dict[tuple[int, str], Decimal] = field(default_factory=lambda: defaultdict(Decimal))
    held: dict[tuple[int, str], Decimal] = field(default_factory=lambda: defaultdict(Decimal))
    house: dict[tuple[str, str], Decimal] = field(default_factory=lambda: defaultdict(Decimal))

    def available(self, shop: int, currency: str) -> Decimal:
        return self.left.get((shop, currency), ZERO)

    def sums(self) -> dict[str, Decimal]:
        """Each currency's sum over all accounts: what merchants began with, or the oracle itself is wrong."""
        found: dict[str, Decimal] = defaultdict(Decimal)
        for (_, code), amount in [*self.left.items(), *self.held.items(), *self.house.items()]:
            found[code] = EXACT.add(found[code], amount)
        return dict(found)


def price(order: Order) -> Price:
    terms = TERMS[order.currency]
    percent, least = (
        Decimal(terms["withdrawal_fee_percent"]),
        Decimal(terms.get("withdrawal_minimum_fee", "0")),
    )
    return Price(fee(order.amount, percent=percent, minimum=least), Decimal(terms["withdrawal_mining_fee"]))


def cost(order: Order) -> Decimal:
    """All that leaves the available balance."""
    one = price(order)
    return order.amount + one.fee + one.mining


def expect(
    taken: Iterable[Order],
    ends: Mapping[str, str],
    funds: Mapping[tuple[int, str], Decimal],
    *,
    paid_by_people: frozenset[str] = frozenset(),
) -> Expected:
    """What follows. ends: how each foreign id ends; paid_by_people: which of them only people called paid."""
    expected = Expected(ends=dict(ends))
    for key, amount in funds.items():
        expected.left[key] += amount
    for order in taken:
        key, one, end = (order.shop, order.currency), price(order), ends[order.foreign_id]
        whole = order.amount + one.fee + one.mining
        if end in {CONFIRMED, HELD}:
            expected.left[key] -= whole
        if end == HELD:
            expected.held[key] += whole
        if end == CONFIRMED:
            _settle(expected.house, order, one, told=order.foreign_id not in paid_by_people)
    return expected


def _settle(house: dict[tuple[str, str], Decimal], order: Order, one: Price, *, told: bool) -> None:
    """told: the processor said what it took; else nobody knows of any fee of its."""
    code = order.currency
    own = (order.amount * UPSTREAM_PERCENT).quantize(UNIT, ROUND_UP, EXACT) if told else ZERO
    real = UPSTREAM_MINING if told else ZERO
    house["fee_income", code] += one.fee
    house["processor_fee", code] -= own
    house["network_fee", code] += one.mining - real
    house["at_processor", code] += order.amount + own + real


def twice(paid: Sequence[str]) -> list[str]:
    """Destinations at which more than one payment arrived; each belongs to one order."""
    return sorted(address for address, count in Counter(paid).items() if count > 1)


def contradictions(orders: Iterable[Order], paid: Sequence[str], ends: Mapping[str, str]) -> list[str]:
    """Where what was done with the money and what became of the order do not fit, whatever the plan was."""
    arrived, found = set(paid), []
    for order in orders:
        end = ends.get(order.foreign_id, "")
        if end == CONFIRMED and order.address not in arrived:
            found.append(f"{order.foreign_id} ({order.behaviour.name}) is settled and was never paid")
        if end == "released" and order.address in arrived:
            found.append(f"{order.foreign_id} ({order.behaviour.name}) was paid and its money given back")
    return found
