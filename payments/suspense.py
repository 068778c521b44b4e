"""Suspense: deposits that no merchant's address explains.

Their money is ours to keep safe and nobody's to spend: it is booked to `suspense` when the processor
confirms it, taken out when the processor takes it back, and waits for people.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from payments import deposit_rules, ledger
from payments.deposit_rules import Contradiction
from payments.ledger import NewEntry
from payments.models import Processor, UnmatchedDeposit
from payments.money import Money
from payments.processors.base import DepositNotice, DepositStatus


def known(processor: Processor, external_ids: Sequence[str]) -> dict[str, UnmatchedDeposit]:
    """Those of the deposits that were unmatched when they were first seen, locked."""
    rows = UnmatchedDeposit.objects.filter(processor=processor, external_id__in=external_ids)
    return {row.external_id: row for row in rows.select_for_update().order_by("id")}


def record(
    row: UnmatchedDeposit | None, notice: DepositNotice, *, processor: Processor, now: datetime
) -> list[NewEntry]:
    """Records what a processor says of a deposit that is nobody's; returns what is to be booked.

    row: what is recorded of it, None at first sight. Raises `Contradiction` for amounts that do not fit
    each other, and for another amount, address or tag than recorded.
    """
    deposit_rules.demand_sane(
        notice,
        currency=notice.expected_currency or notice.sent.currency,
        convert_to=notice.received.currency if notice.converted and notice.received else "",
    )
    row = row or _first_seen(notice, processor, now)
    if Money(row.amount, row.currency) != notice.sent:
        raise Contradiction(what=f"{row.amount:f} {row.currency} was recorded, {notice.sent} is reported")
    if (row.address, row.tag) != (notice.address, notice.tag):
        raise Contradiction(what="another address or tag is reported")
    if notice.repeated and notice.status == (
        DepositStatus.CANCELLED if row.is_booked else DepositStatus.CONFIRMED
    ):
        raise Contradiction(what=f"the same bytes say {notice.status} again; ask it, then replay")
    if notice.status == DepositStatus.NOT_CONFIRMED and row.status != DepositStatus.NOT_CONFIRMED:
        return []
    entries = _entries(row, notice, processor, now)
    row.follow(status=notice.status)
    return entries


def _first_seen(notice: DepositNotice, processor: Processor, now: datetime) -> UnmatchedDeposit:
    return UnmatchedDeposit.objects.create(
        processor=processor,
        external_id=notice.external_id,
        address=notice.address,
        tag=notice.tag,
        currency=notice.sent.currency,
        amount=notice.sent.amount,
        txid=notice.txid or "",
        status=notice.status,
        seen_at=now,
    )


def _entries(
    row: UnmatchedDeposit, notice: DepositNotice, processor: Processor, now: datetime
) -> list[NewEntry]:
    if notice.status == DepositStatus.CONFIRMED and not row.is_booked:
        received = notice.received or notice.sent
        lines = [
            *deposit_rules.from_processor(received, notice.credited, notice, processor_id=processor.pk),
            ledger.house(ledger.AccountKind.SUSPENSE, received),
        ]
        return [NewEntry(row.book(booked=True), "suspense", row.subject, now, lines)]
    if notice.status == DepositStatus.CANCELLED and row.is_booked:
        lines = ledger.undo(row.subject)
        return [NewEntry(row.book(booked=False), "suspense_reversal", row.subject, now, lines)]
    return []
