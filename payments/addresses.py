"""Deposit addresses: taken by merchants from pools that the sender keeps filled.

The process that serves the API holds no processor's credentials, so it cannot ask for an address; it takes
one that was asked for ahead of need. A pool is kept for each currency and conversion in use. A merchant who
finds one empty makes it larger and waits for a moment while the sender fills it.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import IntegrityError, connection, transaction
from django.db.models import F
from django.db.models.functions import Least

from merchants.errors import Refusal
from merchants.models import Merchant
from payments import address_formats
from payments.currencies import CURRENCIES
from payments.models import Address, AddressOrigin, AddressPool, Processor, Route
from payments.models.route import RouteOperation
from payments.processors.base import Issued, Outbound, ProcessorError, Unreachable

log = logging.getLogger(__name__)

PATIENCE_SECONDS = 4.0
LOOK_EVERY_SECONDS = 0.05
BATCH = 20
MOST_FAILURES = 50
"""How many calls in vain end a round; the next round asks again."""
MOST_LOOKED_AT = 1000


class NoRoute(Refusal):
    """The selected currency is invalid."""

    field = "currency"


class PoolEmpty(Refusal):
    """No address is free at the moment. Try again in a minute."""

    field = "currency"


class WrongAddress(ProcessorError):
    """The processor gave another's address, or one that it had given before."""


@dataclass(frozen=True, slots=True)
class Order:
    """What a merchant asks an address for. convert_to: empty for none; sender: compliance data, if given.

    foreign_id: the customer; None for one that staff ask for, which gets a number of its own (`bo-…`).
    label: what staff call theirs. for_invoice: an invoice's own, whose number `foreign_id` is then.
    """

    foreign_id: str | None
    currency: str
    convert_to: str = ""
    end_user_reference: str | None = None
    sender: Mapping[str, Any] | None = None
    label: str = ""
    for_invoice: bool = False


def take(*, merchant: Merchant, order: Order, now: datetime, call_for_more: Callable[[], object]) -> Address:
    """The address of this customer, currency and conversion; the same one every time it is asked for.

    call_for_more: rings the sender, called when the pool is empty. Raises `NoRoute`, or `PoolEmpty` when
    none came in time.
    """
    known = find(merchant=merchant, order=order)
    if known is not None:
        return known
    processor = _processor(merchant, order.currency, now)
    taken = _claim(merchant, processor, order, now)
    if taken is None:
        _grow(_pool(processor, order.currency, order.convert_to))
        call_for_more()
        taken = _claim_patiently(merchant, processor, order, now)
    return taken


def find(*, merchant: Merchant, order: Order) -> Address | None:
    """The address that this customer has, if any."""
    wanted = [merchant.pk, order.foreign_id, order.currency, order.convert_to]
    return next(iter(Address.objects.raw(_FIND, wanted)), None)


_FIND = """
SELECT * FROM payments_address
 WHERE merchant_id = %s AND origin = 'api' AND foreign_id = %s AND currency = %s AND convert_to = %s
"""


def claim(*, merchant: Merchant, order: Order, now: datetime) -> Address:
    """A free address, each time another; inside the caller's transaction, which gives it back if it fails.

    Raises `NoRoute`, or `PoolEmpty` at once: `wait_for_one`, outside of any transaction, and try again.
    """
    taken = _claim(merchant, _processor(merchant, order.currency, now), order, now)
    if taken is None:
        raise PoolEmpty
    return taken


def wait_for_one(
    *, merchant: Merchant, order: Order, now: datetime, call_for_more: Callable[[], object]
) -> None:
    """Has the pool grow and waits until it has a free address. Raises `PoolEmpty` when none came in time."""
    pool = _pool(_processor(merchant, order.currency, now), order.currency, order.convert_to)
    _grow(pool)
    call_for_more()
    free = Address.objects.free().filter(
        processor=pool.processor, currency=order.currency, convert_to=order.convert_to
    )
    until = time.monotonic() + PATIENCE_SECONDS
    while not free.exists():
        if time.monotonic() >= until:
            raise PoolEmpty
        time.sleep(LOOK_EVERY_SECONDS)


def want(*, merchant: Merchant, currency: str, convert_to: str, now: datetime) -> None:
    """Has the pool for this merchant's currency and conversion filled from now on."""
    _pool(_processor(merchant, currency, now), currency, convert_to)


def fill(*, processor: Processor, outbound: Outbound) -> int:
    """Asks the processor for the addresses that its pools lack; returns how many came.

    Each is reserved first and asked for under its own reference, so that a call whose answer was lost is
    asked again and gets the same address. No transaction is open during a call. A pool that is refused is
    left for this time, a wrong address alone; both are logged. Raises `Unreachable`.
    """
    _reserve(processor)
    came, failed = 0, 0
    refused: set[tuple[str, str]] = set()
    for row in list(Address.objects.wanted(processor)[:MOST_LOOKED_AT]):
        if came == BATCH or failed == MOST_FAILURES:
            break
        if (row.currency, row.convert_to) in refused:
            continue
        try:
            came += _ask(row, outbound)
        except Unreachable:
            raise
        except ProcessorError as error:
            failed += 1
            log.warning("no address for %s in %s: %s", row.reference, row.currency, error)
            if not isinstance(error, WrongAddress):
                refused.add((row.currency, row.convert_to))
    return came


def _ask(row: Address, outbound: Outbound) -> int:
    issued = outbound.issue(
        currency=row.currency, convert_to=row.convert_to or None, references=[row.reference]
    )
    for one in issued:
        _store(row, one)
    return len(issued)


def _processor(merchant: Merchant, currency: str, now: datetime) -> Processor:
    processor = Route.objects.choose(
        merchant=merchant, currency=currency, operation=RouteOperation.DEPOSIT, now=now
    )
    if processor is None:
        raise NoRoute
    return processor


def _pool(processor: Processor, currency: str, convert_to: str) -> AddressPool:
    """Made when it is first asked for; until then nothing of its kind is free."""
    pool, _ = AddressPool.objects.get_or_create(processor=processor, currency=currency, convert_to=convert_to)
    return pool


def _grow(pool: AddressPool) -> None:
    AddressPool.objects.filter(pk=pool.pk).update(wanted=Least(F("wanted") * 2, AddressPool.MOST))


_CLAIM = """
UPDATE payments_address
   SET origin = %s, merchant_id = %s, wire_id = given.number,
       foreign_id = COALESCE(%s, 'bo-' || given.number),
       end_user_reference = %s, sender = %s, taken_at = %s, label = %s
 FROM (SELECT nextval('address_wire_id') AS number) AS given
 WHERE id = (SELECT id FROM payments_address
              WHERE origin = 'pool' AND address IS NOT NULL
                AND processor_id = %s AND currency = %s AND convert_to = %s
              ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED)
RETURNING payments_address.*
"""


def _claim(
    merchant: Merchant, processor: Processor, order: Order, now: datetime, tries: int = 5
) -> Address | None:
    """Takes a free address in one statement; None when the pool has none. Two callers get one address.

    Outside a transaction the statement is one by itself; within, a savepoint keeps a refusal from ending it.
    """
    encoder = Address._meta.get_field("sender")
    sender = encoder.get_db_prep_value(order.sender, connection) if order.sender is not None else None
    values = [str(_origin(order)), merchant.pk, order.foreign_id, order.end_user_reference, sender, now]
    values += [order.label]
    values += [processor.pk, order.currency, order.convert_to]
    try:
        with transaction.atomic() if connection.in_atomic_block else nullcontext():
            return next(iter(Address.objects.raw(_CLAIM, values)), None)
    except IntegrityError:
        known = None if order.for_invoice else find(merchant=merchant, order=order)
        if known is None and tries > 1:  # the numbers have come round to one that is in use
            return _claim(merchant, processor, order, now, tries=tries - 1)
        if known is None:
            raise
        return known


def _origin(order: Order) -> AddressOrigin:
    if order.for_invoice:
        return AddressOrigin.INVOICE
    return AddressOrigin.PORTAL if order.foreign_id is None else AddressOrigin.API


def _claim_patiently(merchant: Merchant, processor: Processor, order: Order, now: datetime) -> Address:
    until = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < until:
        time.sleep(LOOK_EVERY_SECONDS)
        taken = _claim(merchant, processor, order, now)
        if taken is not None:
            return taken
    raise PoolEmpty


_RESERVE = """
INSERT INTO payments_address (processor_id, currency, convert_to, origin, external_id)
SELECT p.processor_id, p.currency, p.convert_to, 'pool', ''
  FROM payments_addresspool p
 CROSS JOIN LATERAL generate_series(1, p.wanted - (
         SELECT count(*) FROM payments_address a
          WHERE a.origin = 'pool' AND a.processor_id = p.processor_id
            AND a.currency = p.currency AND a.convert_to = p.convert_to))
 WHERE p.processor_id = %s
"""


def _reserve(processor: Processor) -> None:
    """Makes the rows that the pools lack; one filler at a time, so that none reserves twice."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT 1 FROM payments_processor WHERE id = %s FOR UPDATE", [processor.pk])
        cursor.execute(_RESERVE, [processor.pk])


def _store(row: Address, issued: Issued) -> None:
    if issued.reference != row.reference or issued.currency != row.currency:
        raise WrongAddress(f"asked for {row.reference} in {row.currency}, got {issued.reference}")
    spelling = lookup(issued.currency, issued.address)
    try:
        with transaction.atomic():
            row.issued(
                address=issued.address, lookup=spelling, tag=issued.tag, external_id=issued.external_id
            )
    except IntegrityError as error:
        raise WrongAddress(f"{issued.address} was issued before") from error


def taken_at(
    processor: Processor, coordinates: Iterable[tuple[str, str | None]]
) -> dict[tuple[str, str | None], Address]:
    """The taken addresses among `coordinates`, each a (lookup, tag), with their merchants."""
    lookups = {spelling for spelling, _ in coordinates}
    rows = Address.objects.filter(processor=processor, lookup__in=lookups).select_related("merchant")
    return {(row.lookup or "", row.tag): row for row in rows if row.origin != AddressOrigin.POOL}


def lookup(currency: str, address: str) -> str:
    """The one spelling under which an address is matched, whatever case or form a notice uses."""
    known = CURRENCIES.get(currency)
    if known is None or known.address_format is None:
        return address
    return address_formats.normalise(known.address_format, address)
