"""The oracle: what Bursar must hold, computed from the sender's log and the agreed prices alone.

Pure arithmetic of its own; nothing of Bursar's is imported. A story's state is what its last act said with
authority: `confirmed` or `cancelled`; `not_confirmed` only counts while neither was said. A deposit that is
confirmed below the minimum is dust, one to nobody's address lies in suspense, a reversed one leaves nothing.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import ROUND_UP, Context, Decimal

from tests.soak.story import CANCELLED, CONFIRMED, NOT_CONFIRMED, UNIT, Said

EXACT = Context(prec=78)
Terms = Mapping[str, Mapping[str, str]]
ZERO = Decimal(0)


@dataclass(frozen=True)
class Deposit:
    """What must be known of one deposit. versions: how many changes its merchant may have been told of."""

    shop: int
    status: str
    received: Decimal
    net: Decimal
    credited_to: str
    bookings: int
    versions: frozenset[int]


@dataclass(frozen=True)
class Unmatched:
    """What must be known of a deposit to nobody's address."""

    status: str
    booked: bool
    bookings: int


@dataclass
class Expected:
    """The whole: by external id, by (shop, currency), and the house's and processor's by (kind, currency)."""

    deposits: dict[str, Deposit] = field(default_factory=dict)
    unmatched: dict[str, Unmatched] = field(default_factory=dict)
    totals: dict[tuple[int, str], Decimal] = field(default_factory=lambda: defaultdict(Decimal))
    house: dict[tuple[str, str], Decimal] = field(default_factory=lambda: defaultdict(Decimal))
    entries: int = 0

    def available(self, shop: int, currency: str) -> Decimal:
        return max(self.totals.get((shop, currency), ZERO), ZERO)

    def receivable(self, shop: int, currency: str) -> Decimal:
        """Below zero when more was taken back than was left."""
        return min(self.totals.get((shop, currency), ZERO), ZERO)

    def sums(self) -> dict[str, Decimal]:
        """Each currency's sum over all accounts; zero, or the oracle itself is wrong."""
        found: dict[str, Decimal] = defaultdict(Decimal)
        for (_, currency), amount in [*self.totals.items(), *self.house.items()]:
            found[currency] = EXACT.add(found[currency], amount)
        return dict(found)


def expect(
    acknowledged: Iterable[Said],
    terms: Sequence[Terms],
    spent: Mapping[tuple[int, str], Decimal] | None = None,
) -> Expected:
    """What follows from the acknowledged callbacks.

    terms: each shop's prices. spent: what each (shop, currency) was debited besides.
    """
    stories: dict[int, list[Said]] = defaultdict(list)
    for said in acknowledged:
        stories[said.external_id].append(said)
    expected = Expected()
    for external_id, told in stories.items():
        _judge(expected, str(external_id), sorted(told, key=lambda said: (said.act, said.turn)), terms)
    for (shop, currency), amount in (spent or {}).items():
        expected.totals[shop, currency] -= amount
        expected.house["adjustment", currency] += amount
    return expected


def fee(gross: Decimal, *, percent: Decimal, minimum: Decimal) -> Decimal:
    """Rounded up to the 8th place, at least the minimum, at most everything."""
    wanted = EXACT.multiply(gross, percent).quantize(UNIT, ROUND_UP, EXACT)
    return min(max(wanted, minimum), gross)


def _judge(expected: Expected, external_id: str, told: Sequence[Said], terms: Sequence[Terms]) -> None:
    status, bookings = _history(told)
    last = told[-1]
    if last.shop is None:
        expected.unmatched[external_id] = Unmatched(status, status == CONFIRMED, bookings)
        expected.entries += bookings
        if status == CONFIRMED:
            _at_processor(expected, told)
            expected.house["suspense", last.received_currency] += last.received
        return
    prices = terms[last.shop][last.place.currency]
    small = last.sent < Decimal(prices["deposit_minimum"])
    net, credited_to = ZERO, ""
    if status == CONFIRMED:
        _at_processor(expected, told)
        if small:
            credited_to = "dust"
            expected.house["dust", last.received_currency] += last.received
        else:
            credited_to, ours = "available", _fee(last, prices)
            net = last.received - ours
            expected.totals[last.shop, last.received_currency] += net
            expected.house["fee_income", last.received_currency] += ours
    elif status == NOT_CONFIRMED and not small:
        net = last.received
    expected.entries += bookings
    expected.deposits[external_id] = Deposit(
        shop=last.shop,
        status=CANCELLED if small else status,
        received=last.received,
        net=net,
        credited_to=credited_to,
        bookings=bookings,
        versions=frozenset({1}) if small else _versions(told),
    )


def _history(told: Sequence[Said]) -> tuple[str, int]:
    """(the state at the end, how many entries were booked on the way)."""
    status, booked, bookings = NOT_CONFIRMED, False, 0
    for final in _finals(told):
        status = final
        if (final == CONFIRMED) != booked:
            booked = not booked
            bookings += 1
    return status, bookings


def _finals(told: Sequence[Said]) -> list[str]:
    """What each act said with authority, acts that said nothing of the kind left out."""
    by_act: dict[int, str] = {}
    for said in told:
        if said.status != NOT_CONFIRMED:
            by_act[said.act] = said.status
    return [by_act[act] for act in sorted(by_act)]


def _versions(told: Sequence[Said]) -> frozenset[int]:
    """One for each change of state; one more when it was seen before anything was final."""
    changes, before = 0, None
    for final in _finals(told):
        changes += final != before
        before = final
    first = min(said.act for said in told)
    opening = [said for said in told if said.act == first]
    seen = any(said.status == NOT_CONFIRMED for said in opening)
    alone = all(said.status == NOT_CONFIRMED for said in opening)
    if alone:
        return frozenset({changes + 1})
    return frozenset({changes, changes + 1}) if seen else frozenset({changes})


def _at_processor(expected: Expected, told: Sequence[Said]) -> None:
    """What lies at the upstream (an asset, below zero) and what it kept."""
    said = next(one for one in reversed(told) if one.status == CONFIRMED)
    currency = said.received_currency
    expected.house["at_processor", currency] -= said.credited
    expected.house["processor_fee", currency] += said.credited - said.received
    if said.sweep:
        expected.house["at_processor", "ETH"] += said.sweep
        expected.house["processor_fee", "ETH"] -= said.sweep


def _fee(said: Said, prices: Mapping[str, str]) -> Decimal:
    if said.place.convert_to:
        percent = Decimal(prices["deposit_exchange_fee_percent"])
        return fee(said.received, percent=percent, minimum=ZERO)
    percent, minimum = Decimal(prices["deposit_fee_percent"]), Decimal(prices["deposit_minimum_fee"])
    return fee(said.received, percent=percent, minimum=minimum)
