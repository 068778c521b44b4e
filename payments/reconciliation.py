"""Reconciliation: what lies at each processor by the books, beside what the processor itself says.

The sender looks once an hour, and again soon where the two differ. Orders under way explain a difference up
to what they may have taken. One that two looks in a row do not explain is told to people; where money is
missing, the breaker stops payouts. Nothing is booked by a look.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from django.db import transaction
from django.db.models import Max

from merchants import clock
from payments import alerts, breaker, currencies
from payments.ledger import proof
from payments.models import Exchange, Processor, Reconciliation, Stop, Withdrawal
from payments.models.exchange import IN_FLIGHT as EXCHANGES_IN_FLIGHT
from payments.models.withdrawal import IN_FLIGHT
from payments.money import Money
from payments.processors.base import Outbound

log = logging.getLogger(__name__)

TOO_SOON = timedelta(seconds=10)
MOST_SHOWN = 200
"""Looks back to where a difference began."""
PROCESSORS_SHARE = Decimal("0.05")
"""Of an order's amount, what a processor may take for itself at the most."""


@dataclass(frozen=True, slots=True)
class Look:
    """The latest look at one currency of one processor. since: from when on two looks or more disagreed."""

    row: Reconciliation
    since: datetime | None

    @property
    def is_mismatch(self) -> bool:
        return self.since is not None


def due_sql() -> str:
    """For whoever rings by what is due: hourly, and after five minutes where the last look differed."""
    now = clock.now_sql()
    return f"""
        SELECT 1 FROM payments_processor p
         WHERE p.is_active
           AND EXISTS (SELECT 1 FROM payments_account a
                        WHERE a.processor_id = p.id AND a.kind = 'at_processor')
           AND COALESCE((SELECT r.at + CASE WHEN EXISTS (
                                 SELECT 1 FROM payments_reconciliation s
                                  WHERE s.processor_id = p.id AND s.at = r.at AND s.difference <> 0)
                               THEN interval '5 minutes' ELSE interval '1 hour' END
                          FROM payments_reconciliation r WHERE r.processor_id = p.id
                         ORDER BY r.at DESC LIMIT 1), '-infinity') < {now}
    """  # noqa: S608 - an expression of `clock`


def look(*, processor: Processor, outbound: Outbound, now: datetime) -> list[Reconciliation]:
    """Asks the processor for its balances and sets them beside the books; the rows that were written.

    None are, when the last look is only seconds old. The call is made outside any transaction. Raises
    `Unreachable`, `Unreadable` as the processor does.
    """
    last = Reconciliation.objects.filter(processor=processor).aggregate(at=Max("at"))["at"]
    if last is not None and now - last < TOO_SOON:
        return []
    reported = {money.currency: money.amount for money in outbound.balances()}
    with transaction.atomic():
        rows = _compare(processor, reported, now)
        Reconciliation.objects.bulk_create(rows)
        for row in rows:
            _judge(processor, row, last)
    return rows


def latest() -> list[Look]:
    """The last look at every currency of every processor, what differs first."""
    newest = Reconciliation.objects.order_by("processor", "currency", "-at")
    rows = newest.distinct("processor", "currency").select_related("processor")
    looks = [Look(row, _since(row)) for row in rows]
    return sorted(looks, key=lambda one: (not one.is_mismatch, one.row.processor.name, one.row.currency))


def _compare(processor: Processor, reported: dict[str, Decimal], now: datetime) -> list[Reconciliation]:
    booked = proof.at_processor(processor.pk)
    under_way = _under_way(processor)
    told = booked.keys() | {code for code, amount in reported.items() if amount}
    known = sorted(told & currencies.CURRENCIES.keys())
    return [
        _row(
            processor,
            code,
            booked=booked.get(code, Decimal(0)),
            in_flight=under_way.get(code, Decimal(0)),
            reported=reported.get(code, Decimal(0)),
            now=now,
        )
        for code in known
    ]


def _row(
    processor: Processor,
    currency: str,
    *,
    booked: Decimal,
    in_flight: Decimal,
    reported: Decimal,
    now: datetime,
) -> Reconciliation:
    difference = reported - booked
    if -in_flight <= difference <= 0:
        difference = Decimal(0)
    return Reconciliation(
        processor=processor,
        currency=currency,
        at=now,
        booked=booked,
        in_flight=in_flight,
        reported=reported,
        difference=difference,
    )


def _under_way(processor: Processor) -> dict[str, Decimal]:
    """What orders whose outcome is open may have taken, by currency, at the most.

    A network's fee is taken in its own coin, which the registry does not name: each currency of the network
    is allowed the least amount that can be withdrawn in it, which is more than a fee.
    """
    totals: dict[str, Decimal] = defaultdict(Decimal)
    for order in Withdrawal.objects.filter(processor=processor, state__in=IN_FLIGHT).iterator():
        _add_taken(totals, order.money)
        network = currencies.get(order.pays.currency).network
        for each in currencies.CURRENCIES.values():
            if each.network == network or each.code == order.currency:
                totals[each.code] += each.minimum_withdrawal
    for exchange in Exchange.objects.filter(processor=processor, state__in=EXCHANGES_IN_FLIGHT).iterator():
        _add_taken(totals, Money(exchange.amount, exchange.source))
    return totals


def _add_taken(totals: dict[str, Decimal], ordered: Money) -> None:
    """An order's amount and what the processor may take on top."""
    totals[ordered.currency] += (ordered + ordered.times(PROCESSORS_SHARE).rounded_up()).amount


# --- what differs ---


def _judge(processor: Processor, row: Reconciliation, last: datetime | None) -> None:
    """Two looks in a row that differ to the same side are told; where money is missing payouts stop."""
    key = f"reconciliation:{processor.code}:{row.currency}"
    if not row.difference:
        alerts.settle(keys=[key], now=row.at)
        return
    looks = Reconciliation.objects.filter(processor=processor, currency=row.currency)
    before = looks.filter(at=last).first() if last else None
    if before is None or not _same_side(before.difference, row.difference):
        log.warning("%s: %s differs by %s", processor.code, row.currency, row.difference)
        return
    what = "less" if row.difference < 0 else "more"
    missing = Money(abs(row.difference), row.currency)
    alerts.raise_once(
        kind="reconciliation",
        key=key,
        text=f"{missing} {what} lies at {processor.name} than the books say.",
        merchant=None,
        now=row.at,
    )
    if row.difference < _accepted(row):
        breaker.trips_on_shortage(processor, missing, now=row.at)


def _accepted(row: Reconciliation) -> Decimal:
    """The shortage (negative, or 0) that somebody knew of who lifted the installation's last stop."""
    lifted = Stop.objects.filter(merchant=None).aggregate(at=Max("lifted_at"))["at"]
    if lifted is None:
        return Decimal(0)
    earlier = Reconciliation.objects.filter(
        processor_id=row.processor_id, currency=row.currency, at__lte=lifted
    )
    known = earlier.order_by("-at").first()
    return min(known.difference, Decimal(0)) if known else Decimal(0)


def _since(row: Reconciliation) -> datetime | None:
    """When the difference began, if two looks or more show it; None for none, or for a single look."""
    if not row.difference:
        return None
    looks = Reconciliation.objects.filter(processor_id=row.processor_id, currency=row.currency)
    first = None
    for count, one in enumerate(looks.order_by("-at")[:MOST_SHOWN]):
        if not _same_side(one.difference, row.difference):
            return first if count > 1 else None
        first = one.at
    return first if looks.count() > 1 else None


def _same_side(one: Decimal, other: Decimal) -> bool:
    return one * other > 0
