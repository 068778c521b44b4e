"""What Bursar really holds of one trial, in the database and at the API, beside what it must hold."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any, Protocol

from tests.soak.oracle import Expected
from tests.soak.scenario import Verdict
from tests.soak.shops import Shop
from tests.soak.world import World


class Available(Protocol):
    """An oracle that knows what a merchant may spend."""

    def available(self, shop: int, currency: str) -> Decimal: ...


SHOWN = 5
"""How many differences of one kind are shown."""
_OPERATIONS = """
SELECT o.external_id, o.merchant_id, o.status, o.amount_received, o.amount_minus_fee, o.credited_to,
       o.bookings, o.version,
       (SELECT count(*) FROM payments_entry e WHERE e.subject = 'operation:' || o.id),
       (SELECT count(*) FROM callbacks_outgoingcallback c
         WHERE c.subject_kind = 'operation' AND c.subject_id = o.id),
       (SELECT convert_from(c.body, 'UTF8')::jsonb ->> 'status' FROM callbacks_outgoingcallback c
         WHERE c.subject_kind = 'operation' AND c.subject_id = o.id AND c.version = o.version),
       (SELECT convert_from(c.body, 'UTF8')::jsonb #>> '{currency_received,amount_minus_fee}'
          FROM callbacks_outgoingcallback c
         WHERE c.subject_kind = 'operation' AND c.subject_id = o.id AND c.version = o.version)
  FROM payments_operation o WHERE o.external_id::bigint BETWEEN %s AND %s
"""
_UNMATCHED = """
SELECT u.external_id, u.status, u.is_booked, u.bookings,
       (SELECT count(*) FROM payments_entry e WHERE e.subject = 'unmatched:' || u.id)
  FROM payments_unmatcheddeposit u WHERE u.external_id::bigint BETWEEN %s AND %s
"""
_HOUSE = """
WITH subjects AS (
    SELECT 'operation:' || id AS subject FROM payments_operation WHERE external_id::bigint BETWEEN %s AND %s
    UNION ALL
    SELECT 'unmatched:' || id FROM payments_unmatcheddeposit WHERE external_id::bigint BETWEEN %s AND %s
    UNION ALL
    SELECT 'adjustment:' || id FROM payments_adjustment WHERE merchant_id = ANY(%s))
SELECT a.kind, p.currency, sum(p.amount)
  FROM subjects s JOIN payments_entry e ON e.subject = s.subject
  JOIN payments_posting p ON p.entry_id = e.id JOIN payments_account a ON a.id = p.account_id
 WHERE NOT a.kept GROUP BY 1, 2 HAVING sum(p.amount) <> 0
"""
_KEPT = "SELECT merchant_id, currency, kind, balance FROM payments_account WHERE merchant_id = ANY(%s)"
_INBOX = """
SELECT sha256, count(*), min(state), max(error) FROM callbacks_incomingcallback
 WHERE sha256 = ANY(%s) GROUP BY sha256
"""


def inbox(world: World, digests: Sequence[bytes]) -> dict[bytes, tuple[int, str, str]]:
    """How often each callback is stored, in which state, and its error."""
    rows = world.ask(_INBOX, [list(digests)])
    return {bytes(row[0]): (row[1], row[2], row[3]) for row in rows}


def compare(
    verdict: Verdict,
    world: World,
    expected: Expected,
    shops: Sequence[Shop],
    ids: tuple[int, int],
    *,
    api: bool = True,
) -> None:
    """Notes in `verdict` every difference, to the last digit. ids: the trial's first and last external id."""
    for found_of_kind in (
        _of_deposits(world, expected, shops, ids),
        _of_unmatched(world, expected, ids),
        _of_balances(world, expected, shops),
        _of_house(world, expected, shops, ids),
        of_api(world, expected, shops) if api else iter(()),
        (f"the oracle does not balance in {code}" for code, total in expected.sums().items() if total),
    ):
        found = list(found_of_kind)
        verdict.broken += found[:SHOWN]
        verdict.demand(len(found) <= SHOWN, f"… and {len(found) - SHOWN} more of the kind")


def _of_deposits(
    world: World, expected: Expected, shops: Sequence[Shop], ids: tuple[int, int]
) -> Iterator[str]:
    rows = {row[0]: row[1:] for row in world.ask(_OPERATIONS, ids)}
    for external_id in rows.keys() - expected.deposits.keys():
        yield f"deposit {external_id} was never sent"
    for external_id, wanted in expected.deposits.items():
        if external_id not in rows:
            yield f"deposit {external_id} is lost"
            continue
        merchant, status, received, net, credited_to, bookings, version, entries, told, last, last_net = rows[
            external_id
        ]
        facts = (shops[wanted.shop].id, wanted.status, wanted.received, wanted.net, wanted.credited_to)
        if (merchant, status, received, net, credited_to) != facts:
            yield f"deposit {external_id} is {(merchant, status, received, net, credited_to)}, not {facts}"
        if not wanted.bookings == bookings == entries:
            yield f"deposit {external_id} was booked {entries} times, not {wanted.bookings}"
        if version not in wanted.versions:
            yield f"deposit {external_id} has version {version}, not {sorted(wanted.versions)}"
        if told != version:
            yield f"deposit {external_id} owes {version} callbacks, {told} were written"
        if last != wanted.status or (last_net and Decimal(last_net) != wanted.net):
            yield f"deposit {external_id}: its merchant is told {last} {last_net}, not {wanted.status}"


def _of_unmatched(world: World, expected: Expected, ids: tuple[int, int]) -> Iterator[str]:
    rows = {row[0]: row[1:] for row in world.ask(_UNMATCHED, ids)}
    wanted = {
        external_id: (one.status, one.booked, one.bookings, one.bookings)
        for external_id, one in expected.unmatched.items()
    }
    yield from differences("unmatched deposit", rows, wanted, nothing=None)


def _of_balances(world: World, expected: Expected, shops: Sequence[Shop]) -> Iterator[str]:
    rows = world.ask(_KEPT, [[shop.id for shop in shops]])
    held = {(merchant, currency, kind): balance for merchant, currency, kind, balance in rows if balance}
    wanted = {}
    for number, shop in enumerate(shops):
        for currency in {currency for which, currency in expected.totals if which == number}:
            wanted[shop.id, currency, "available"] = expected.available(number, currency)
            wanted[shop.id, currency, "receivable"] = expected.receivable(number, currency)
    yield from differences("balance", held, wanted, nothing=Decimal(0))


def _of_house(world: World, expected: Expected, shops: Sequence[Shop], ids: tuple[int, int]) -> Iterator[str]:
    rows = world.ask(_HOUSE, [*ids, *ids, [shop.id for shop in shops]])
    held = {(kind, currency): total for kind, currency, total in rows}
    yield from differences("account", held, expected.house, nothing=Decimal(0))


def of_api(world: World, expected: Available, shops: Sequence[Shop]) -> Iterator[str]:
    """What merchants read."""
    for number, shop in enumerate(shops):
        answer = world.call(shop, "accounts/list")
        if answer.status_code != 200:
            yield f"accounts/list of {shop.name} answers {answer.status_code}"
            continue
        shown = {row["currency"]: row["balance"] for row in answer.json()["data"]}
        wanted = {code: f"{expected.available(number, code):.8f}" for code in shown}
        yield from differences(f"accounts/list of {shop.name}", shown, wanted, nothing="")


def differences(
    what: str, held: Mapping[Any, Any], wanted: Mapping[Any, Any], *, nothing: Any
) -> Iterator[str]:
    for key in sorted(held.keys() | wanted.keys(), key=str):
        if held.get(key, nothing) != wanted.get(key, nothing):
            yield f"{what} {key} is {held.get(key, nothing)}, not {wanted.get(key, nothing)}"
