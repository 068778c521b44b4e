"""What Bursar really holds of a trial's payouts, in the database and at the API, beside what it must hold."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from decimal import Decimal

from tests.soak.held import differences, of_api
from tests.soak.orders import CONFIRMED, HELD, RELEASED, Order
from tests.soak.payout_oracle import Expected, price
from tests.soak.scenario import Verdict
from tests.soak.shops import Shop
from tests.soak.world import World

SHOWN = 5
STATES = {CONFIRMED: "confirmed", RELEASED: "failed", HELD: "unknown"}
ON_THE_WIRE = {CONFIRMED: "confirmed", RELEASED: "cancelled", HELD: "processing"}
_WITHDRAWALS = """
SELECT o.foreign_id, o.merchant_id, w.address, w.amount, w.fee, w.mining_fee, w.held, w.state, o.status,
       (SELECT count(*) FROM payments_entry e
         WHERE e.subject = 'operation:' || o.id AND e.key LIKE '%%:hold'),
       (SELECT count(*) FROM payments_entry e
         WHERE e.subject = 'operation:' || o.id AND e.key LIKE '%%:close'),
       (SELECT array_agg(convert_from(c.body, 'UTF8')::jsonb ->> 'status') FROM callbacks_outgoingcallback c
         WHERE c.subject_kind = 'operation' AND c.subject_id = o.id)
  FROM payments_operation o JOIN payments_withdrawal w ON w.operation_id = o.id WHERE o.merchant_id = ANY(%s)
"""
_HOUSE = """
SELECT a.kind, p.currency, sum(p.amount)
  FROM payments_withdrawal w JOIN payments_entry e ON e.subject = 'operation:' || w.operation_id
  JOIN payments_posting p ON p.entry_id = e.id JOIN payments_account a ON a.id = p.account_id
 WHERE w.merchant_id = ANY(%s) AND NOT a.kept GROUP BY 1, 2 HAVING sum(p.amount) <> 0
"""
_KEPT = "SELECT merchant_id, currency, kind, balance FROM payments_account WHERE merchant_id = ANY(%s)"


def compare(
    verdict: Verdict, world: World, expected: Expected, shops: Sequence[Shop], taken: Sequence[Order]
) -> None:
    """Notes in `verdict` every difference, to the last digit. taken: the orders that were accepted."""
    for found_of_kind in (
        _of_orders(world, expected, shops, taken),
        _of_balances(world, expected, shops),
        _of_house(world, expected, shops),
        of_api(world, expected, shops),
    ):
        found = list(found_of_kind)
        verdict.broken += found[:SHOWN]
        verdict.demand(len(found) <= SHOWN, f"… and {len(found) - SHOWN} more of the kind")


def ends(world: World, shops: Sequence[Shop]) -> dict[str, str]:
    """How each order stands, by its merchant's number, in the oracle's words; an open one by its state."""
    words = {state: end for end, state in STATES.items()}
    rows = world.ask(_WITHDRAWALS, [[shop.id for shop in shops]])
    return {row[0]: words.get(row[7], row[7]) for row in rows}


def _of_orders(
    world: World, expected: Expected, shops: Sequence[Shop], taken: Sequence[Order]
) -> Iterator[str]:
    rows = {row[0]: row[1:] for row in world.ask(_WITHDRAWALS, [[shop.id for shop in shops]])}
    for foreign_id in rows.keys() - {order.foreign_id for order in taken}:
        yield f"{foreign_id} was refused and is there"
    for order in taken:
        what = f"{order.foreign_id} ({order.behaviour.name})"
        if order.foreign_id not in rows:
            yield f"{what} was accepted and is not there"
            continue
        *facts, state, status, holds, closes, told = rows[order.foreign_id]
        one, end = price(order), expected.ends[order.foreign_id]
        whole = order.amount + one.fee + one.mining
        wanted = [shops[order.shop].id, order.address, order.amount, one.fee, one.mining, whole]
        if facts != wanted:
            yield f"{what} is {facts}, not {wanted}"
        if (state, status) != (STATES[end], ON_THE_WIRE[end]):
            yield f"{what} is {state} ({status}), not {STATES[end]} ({ON_THE_WIRE[end]})"
        if (holds, closes) != (1, end != HELD):
            yield f"{what} was held {holds} times and closed {closes} times, ending {end}"
        finals = [text for text in told or () if text != "processing"]
        if finals != ([] if end == HELD else [ON_THE_WIRE[end]]):
            yield f"{what}: its merchant is told {told}, ending {end}"


def _of_balances(world: World, expected: Expected, shops: Sequence[Shop]) -> Iterator[str]:
    rows = world.ask(_KEPT, [[shop.id for shop in shops]])
    held = {(merchant, code, kind): balance for merchant, code, kind, balance in rows if balance}
    wanted = {
        (shops[shop].id, code, kind): amount
        for kind, amounts in (("available", expected.left), ("held", expected.held))
        for (shop, code), amount in amounts.items()
    }
    yield from differences("balance", held, wanted, nothing=Decimal(0))


def _of_house(world: World, expected: Expected, shops: Sequence[Shop]) -> Iterator[str]:
    rows = world.ask(_HOUSE, [[shop.id for shop in shops]])
    held = {(kind, code): total for kind, code, total in rows}
    yield from differences("account", held, expected.house, nothing=Decimal(0))
