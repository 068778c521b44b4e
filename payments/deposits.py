"""Deposits: what processors report becomes operations, ledger entries and news for the merchant.

`record_many` takes a batch of notices in one transaction: each deposit is created or advanced, money is
booked, reversed or left alone, and every change is one new version that the merchant is told of. A deposit
is known by its processor's id for it, so a notice that comes twice, late or out of order changes nothing.
What no merchant's address explains goes to suspense. What contradicts the record stops the batch.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from django.db import transaction

from merchants.models import Merchant
from payments import (
    addresses,
    deposit_rules,
    events,
    futures,
    invoice_parts,
    ledger,
    rates,
    suspense,
    terms,
    turns,
)
from payments.deposit_rules import Contradiction
from payments.ledger import NewEntry
from payments.models import (
    Address,
    CreditedTo,
    Future,
    Leg,
    LegType,
    Operation,
    OperationFee,
    OperationKind,
    Processor,
    Terms,
    UnmatchedDeposit,
)
from payments.models.operation import new_ids
from payments.money import Money
from payments.processors.base import DepositNotice, DepositStatus
from payments.rounds import rounds

__all__ = ["Contradiction", "record_many"]


def record_many(*, processor: Processor, notices: Sequence[DepositNotice], now: datetime) -> None:
    """Records what a processor says about deposits; inside the caller's transaction.

    Raises `Contradiction` when a notice cannot be true beside what is recorded.
    """
    if not transaction.get_connection().in_atomic_block:
        raise RuntimeError("record_many outside a transaction")
    entries: list[NewEntry] = []
    stale = _said_before(processor, notices)
    news = [notice for notice in notices if notice.external_id not in stale]
    for notices_of_round in rounds(news, of=lambda notice: notice.external_id):
        _Round.load(processor, notices_of_round, now, entries).record()
    ledger.post_many(entries)


def _said_before(processor: Processor, notices: Sequence[DepositNotice]) -> set[str]:
    """Deposits of which nothing is said here but what was applied before, word for word, and still stands.

    Nearly every repetition is one of these, and one look spares it being judged and locked again.
    """
    told = Counter(notice.external_id for notice in notices)
    repeated = {
        notice.external_id: notice for notice in notices if notice.repeated and told[notice.external_id] == 1
    }
    if not repeated:
        return set()
    recorded = Operation.objects.filter(processor=processor, external_id__in=repeated)
    return {
        operation.external_id or ""
        for operation in recorded.only("external_id", "status", "credited_to")
        if deposit_rules.stands(operation, repeated[operation.external_id or ""])
    }


@dataclass
class _Round:
    """One pass over distinct deposits: what was loaded, and what is to be written.

    entries: what all rounds book, together and last, so that accounts are locked after everything else.
    """

    processor: Processor
    notices: Sequence[DepositNotice]
    now: datetime
    entries: list[NewEntry]
    operations: dict[str, Operation]
    unmatched: dict[str, UnmatchedDeposit]
    addresses: dict[tuple[str, str | None], Address]
    terms: dict[tuple[int, str], Terms]
    held: futures.Held
    ids: Iterator[tuple[int, int, int, int]]

    new: list[Operation] = field(default_factory=list)
    changed: list[Operation] = field(default_factory=list)
    told: list[Operation] = field(default_factory=list)
    new_legs: list[Leg] = field(default_factory=list)
    changed_legs: list[Leg] = field(default_factory=list)
    new_fees: list[OperationFee] = field(default_factory=list)
    of_invoices: list[NewEntry] = field(default_factory=list)  # what deposits to invoices book

    @classmethod
    def load(
        cls,
        processor: Processor,
        notices: Sequence[DepositNotice],
        now: datetime,
        entries: list[NewEntry],
    ) -> _Round:
        external_ids = [notice.external_id for notice in notices]
        turns.take(f"{processor.pk}:{external_id}" for external_id in external_ids)
        operations = {
            operation.external_id or "": operation
            for operation in Operation.objects.filter(processor=processor, external_id__in=external_ids)
            .select_related("address__merchant", "terms")
            .prefetch_related("legs")
            .select_for_update(of=("self",))
            .order_by("id")
        }
        fresh = [notice for notice in notices if notice.external_id not in operations]
        unmatched = suspense.known(processor, external_ids)
        found = addresses.taken_at(processor, map(_coordinates, fresh))
        everybody = [*found.values(), *(operation.came_to for operation in operations.values())]
        currencies = {notice.sent.currency for notice in notices}
        return cls(
            processor=processor,
            notices=notices,
            now=now,
            entries=entries,
            operations=operations,
            unmatched=unmatched,
            addresses=found,
            terms=terms.in_force_for(
                {(row.merchant_id, code) for row in everybody if row.merchant_id for code in currencies},
                now=now,
            ),
            held=futures.held_for(fresh=found.values(), known=operations.values(), now=now),
            ids=iter(new_ids(len(fresh))),
        )

    def record(self) -> None:
        """Decides on every notice, writes all but the ledger, tells the listener."""
        for notice in self.notices:
            self._record(notice)
        self._write()
        invoice_parts.follow(
            operations=self.told, booked=self.of_invoices, entries=self.entries, now=self.now
        )
        events.transactions_changed(self.told)

    def _record(self, notice: DepositNotice) -> None:
        operation = self.operations.get(notice.external_id)
        if operation is not None:
            self._advance(operation, notice)
            return
        address = self.addresses.get(_coordinates(notice))
        if address is None or notice.external_id in self.unmatched:
            row = self.unmatched.get(notice.external_id)
            if row is not None:
                self._book_what_waits(row.subject)
            self.entries += suspense.record(row, notice, processor=self.processor, now=self.now)
        else:
            self._create(address, notice)

    # --- a deposit seen for the first time ---

    def _create(self, address: Address, notice: DepositNotice) -> None:
        deposit_rules.demand_sane(notice, currency=address.currency, convert_to=address.convert_to)
        future = self.held.choose(address, notice)
        verdict = self._judge(address, notice, future=future)
        operation_id, wire_id, leg_id, exchange_leg_id = next(self.ids)
        merchant = _owner(address)
        operation = Operation(
            id=operation_id,
            merchant=merchant,
            wire_id=wire_id,
            kind=OperationKind.DEPOSIT_EXCHANGE if address.convert_to else OperationKind.DEPOSIT,
            status=verdict.status,
            processor=self.processor,
            external_id=notice.external_id,
            address=address,
            end_user_reference=address.end_user_reference,
            replaces=notice.replaces or "",
            currency_sent=notice.sent.currency,
            amount_sent=notice.sent.amount,
            error=verdict.error,
            created_at=self.now,
            changed_at=self.now,
        )
        self.held.bind(operation, future)
        self._receive(operation, notice, verdict.received, verdict.net)
        self.new_legs.append(deposit_rules.deposit_leg(operation, leg_id, notice))
        self.new.append(operation)
        self.told.append(operation)
        self._settle(operation, notice, verdict, exchange_leg_id)

    # --- a deposit that is known ---

    def _advance(self, operation: Operation, notice: DepositNotice) -> None:
        address = operation.came_to
        deposit_rules.demand_sane(notice, currency=address.currency, convert_to=address.convert_to)
        deposit_rules.demand_same(
            operation, notice, lookup=addresses.lookup(notice.sent.currency, notice.address)
        )
        deposit_rules.demand_news(operation, notice)
        if deposit_rules.is_late(operation, notice):
            return
        verdict = self._judge(address, notice, agreed=operation.terms, future=self.held.of(operation))
        leg = next(leg for leg in operation.legs.all() if leg.type == LegType.DEPOSIT)
        leg.follow(txid=notice.txid, confirmations=notice.confirmations, risk=deposit_rules.risk(notice))
        self.changed_legs.append(leg)
        if verdict.status != operation.status:
            operation.advance(status=verdict.status, error=verdict.error, now=self.now)
            received = verdict.received if notice.received is not None else operation.received
            self._receive(operation, notice, received, verdict.net)
            self.told.append(operation)
        self.changed.append(operation)
        self._settle(operation, notice, verdict, None)

    def _settle(
        self,
        operation: Operation,
        notice: DepositNotice,
        verdict: deposit_rules.Verdict,
        exchange_leg_id: int | None,
    ) -> None:
        """Books what was credited, or reverses what no longer is."""
        if notice.status != DepositStatus.NOT_CONFIRMED and not notice.repeated:
            operation.hear(notice.heard_at)
        if notice.status == DepositStatus.CANCELLED and operation.is_booked:
            self._book_what_waits(operation.subject)
            key = operation.book(credited_to=CreditedTo.NOWHERE, credited=None)
            self._enter(key, "deposit_reversal", operation, ledger.undo(operation.subject))
        elif verdict.credited is not None and not operation.is_booked:
            key = operation.book(
                credited_to=verdict.credited_to, credited=min(verdict.credited, verdict.received).amount
            )
            lines = deposit_rules.booking(
                verdict, notice, merchant_id=operation.merchant_id, processor_id=self.processor.pk
            )
            self._enter(key, "deposit", operation, lines)
            self._itemise(operation, notice, verdict, exchange_leg_id)

    def _itemise(
        self,
        operation: Operation,
        notice: DepositNotice,
        verdict: deposit_rules.Verdict,
        exchange_leg_id: int | None,
    ) -> None:
        """The fee that the merchant sees, and the leg of a conversion."""
        if verdict.fee:
            self.new_fees.append(
                OperationFee(
                    operation=operation,
                    type=deposit_rules.fee_type(operation.kind),
                    currency=verdict.fee.currency,
                    amount=verdict.fee.amount,
                )
            )
        if operation.kind == OperationKind.DEPOSIT_EXCHANGE and verdict.credited_to != CreditedTo.DUST:
            leg_id = exchange_leg_id or new_ids(1)[0][3]
            self.new_legs.append(deposit_rules.exchange_leg(operation, leg_id, notice.sent, verdict.received))

    def _book_what_waits(self, subject: str) -> None:
        """What undoes a subject's entries reads them, so those of this very batch are booked before."""
        if any(entry.subject == subject for entry in self.entries):
            ledger.post_many(self.entries)
            self.entries.clear()

    def _enter(self, key: str, kind: str, operation: Operation, lines: Sequence[ledger.Line]) -> None:
        entries = self.of_invoices if operation.pays_invoice else self.entries
        entries.append(NewEntry(key, kind, operation.subject, self.now, lines))

    # --- shared ---

    def _receive(self, operation: Operation, notice: DepositNotice, received: Money, net: Money) -> None:
        pair = {"source": notice.sent.currency, "target": received.currency}
        future = self.held.of(operation)
        rate = future.rate if future else rates.of_pair(processor=self.processor, **pair)
        operation.receive(
            received=received,
            net=net,
            terms=operation.terms or self._terms(operation.came_to, notice),
            rate=rate,
        )

    def _judge(
        self,
        address: Address,
        notice: DepositNotice,
        agreed: Terms | None = None,
        future: Future | None = None,
    ) -> deposit_rules.Verdict:
        """By the terms that held when the deposit was first seen, whatever has been agreed since."""
        return deposit_rules.judge(
            notice,
            address=address,
            terms=agreed or self._terms(address, notice),
            blocked=_owner(address).is_blocked,
            future=future,
        )

    def _terms(self, address: Address, notice: DepositNotice) -> Terms | None:
        return self.terms.get((_owner(address).pk, notice.sent.currency))

    def _write(self) -> None:
        Operation.objects.bulk_create(self.new)
        Operation.objects.bulk_update(self.changed, Operation.CHANGING)
        Leg.objects.bulk_update(self.changed_legs, Leg.FOLLOWING)
        self._forget_what_no_longer_stands()
        Leg.objects.bulk_create(self.new_legs)
        OperationFee.objects.bulk_create(self.new_fees)
        self.held.write()

    def _forget_what_no_longer_stands(self) -> None:
        """A deposit that changed shows the fee and the conversion of its present state only."""
        changed = [operation for operation in self.told if operation not in self.new]
        if changed:
            OperationFee.objects.filter(operation__in=changed).delete()
        converted = [row for row in changed if row.kind == OperationKind.DEPOSIT_EXCHANGE]
        if converted:
            Leg.objects.filter(operation__in=converted, type=LegType.EXCHANGE).delete()


def _coordinates(notice: DepositNotice) -> tuple[str, str | None]:
    return addresses.lookup(notice.sent.currency, notice.address), notice.tag


def _owner(address: Address) -> Merchant:
    if address.merchant is None:
        raise RuntimeError(f"{address} was not taken")
    return address.merchant
