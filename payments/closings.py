"""How withdrawals end: settled as paid, or released to where the money came from.

A `Closing` gathers what several endings write. `write` puts down rows and tells the listener; `entries` are
for the caller to post, together and last. The ledger's key `withdrawal:<id>:close` is shared by both ways
of ending, so that the database itself lets only one of them happen.

Settled: the merchant is charged what was quoted. What the processor took beside the amount is the house's:
its mining fee stands against the quoted one, its own fees are a cost, and what a conversion took more or
less than quoted goes to the house's `conversion`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from django.db import connection

from payments import events, ledger
from payments.ledger import AccountKind, NewEntry
from payments.models import (
    Leg,
    LegType,
    Operation,
    OperationFee,
    TransactionType,
    Withdrawal,
    WithdrawalState,
)
from payments.models.withdrawal import WIRE_STATUS
from payments.money import Money
from payments.processors.base import NoticeFee

MINING = "mining"


@dataclass
class Closing:
    """What is to be written, in the order of the house: rows, news, entries.

    columns: of the withdrawals, what is written.
    """

    now: datetime
    columns: Sequence[str] = tuple(Withdrawal.ENDING)
    entries: list[NewEntry] = field(default_factory=list)
    withdrawals: list[Withdrawal] = field(default_factory=list)
    operations: list[Operation] = field(default_factory=list)
    told: list[Operation] = field(default_factory=list)
    changed_legs: list[Leg] = field(default_factory=list)
    gone_legs: list[Leg] = field(default_factory=list)
    new_operations: list[Operation] = field(default_factory=list)
    new_legs: list[Leg] = field(default_factory=list)
    new_fees: list[OperationFee] = field(default_factory=list)

    def settle(
        self,
        withdrawal: Withdrawal,
        *,
        paid: Money,
        received: Money,
        fees: Sequence[NoticeFee] = (),
        txid: str = "",
        confirmations: int = 0,
    ) -> None:
        """It was paid. paid: what the processor debited, fees apart; received: what went to the address."""
        operation = withdrawal.operation
        self._end(withdrawal, WithdrawalState.CONFIRMED, "")
        operation.receive(received=received, net=received, terms=operation.terms, rate=operation.rate)
        leg = self._chain_leg(withdrawal, received)
        leg.follow(txid=txid, confirmations=confirmations, risk=(False, None))
        self._charge(withdrawal)
        self._enter(withdrawal, "withdrawal", settlement(withdrawal, paid=paid, fees=fees))

    def release(self, withdrawal: Withdrawal, state: WithdrawalState, *, error: str) -> None:
        """It was not paid and will not be: what was held is the merchant's again."""
        self._end(withdrawal, state, error)
        if state == WithdrawalState.FAILED:
            self._chain_leg(withdrawal, withdrawal.pays)
        held = withdrawal.holding
        lines = [
            ledger.held(withdrawal.merchant_id, -held),
            ledger.credit(withdrawal.merchant_id, held),
        ]
        self._enter(withdrawal, "withdrawal_release", lines)

    def is_sent(self, withdrawal: Withdrawal) -> None:
        """The processor has the order; nothing is booked and nobody is told."""
        withdrawal.advance(WithdrawalState.SENT)
        self.withdrawals.append(withdrawal)

    def follow(self, withdrawal: Withdrawal, *, txid: str | None, confirmations: int) -> None:
        """What the chain shows of one that is settled."""
        leg = _leg_of(withdrawal, LegType.WITHDRAWAL)
        if leg is not None:
            leg.follow(txid=txid, confirmations=confirmations, risk=(False, None))
            self.changed_legs.append(leg)

    def arrive(self, operation: Operation, leg: Leg, fee: OperationFee | None, entry: NewEntry) -> None:
        """A new deposit that comes of a withdrawal within the installation."""
        self.new_operations.append(operation)
        self.new_legs.append(leg)
        self.new_fees += [fee] if fee else []
        self.entries.append(entry)
        self.told.append(operation)

    def write(self) -> None:
        """Everything but the ledger; inside the caller's transaction."""
        Withdrawal.objects.bulk_update(self.withdrawals, self.columns)
        Operation.objects.bulk_update(self.operations, Operation.CHANGING)
        Operation.objects.bulk_create(self.new_operations)
        Leg.objects.bulk_update(self.changed_legs, Leg.FOLLOWING)
        if self.gone_legs:
            Leg.objects.filter(pk__in=[leg.pk for leg in self.gone_legs]).delete()
        Leg.objects.bulk_create(self.new_legs)
        OperationFee.objects.bulk_create(self.new_fees)
        events.transactions_changed(self.told)

    def post(self) -> None:
        """Writes, then books; the last that a transaction does."""
        self.write()
        ledger.post_many(self.entries)

    # --- the parts of an ending ---

    def _end(self, withdrawal: Withdrawal, state: WithdrawalState, error: str) -> None:
        withdrawal.end(state, self.now)
        withdrawal.operation.advance(status=WIRE_STATUS[state], error=error, now=self.now)
        self.withdrawals.append(withdrawal)
        self.operations.append(withdrawal.operation)
        self.told.append(withdrawal.operation)

    def _chain_leg(self, withdrawal: Withdrawal, received: Money) -> Leg:
        """The movement to the address: there from the beginning, or with a conversion only now."""
        leg = _leg_of(withdrawal, LegType.WITHDRAWAL)
        if leg is not None:
            self.changed_legs.append(leg)
            return leg
        converted = _leg_of(withdrawal, LegType.EXCHANGE)
        if converted is not None and converted.amount_to != received.amount:
            self.gone_legs.append(converted)
            self.new_legs.append(exchange_leg(withdrawal, converted.wire_id, received))
        leg = chain_leg(withdrawal, new_leg_ids(1)[0], received)
        self.new_legs.append(leg)
        return leg

    def _charge(self, withdrawal: Withdrawal) -> None:
        """The fees that the merchant sees, in the order of the published bodies."""
        if withdrawal.converts:
            charged = [("exchange", withdrawal.fee), (MINING, withdrawal.mining_fee)]
        else:
            charged = [(MINING, withdrawal.mining_fee), ("withdrawal", withdrawal.fee)]
        self.new_fees += [
            OperationFee(
                operation=withdrawal.operation, type=kind, currency=withdrawal.currency, amount=amount
            )
            for kind, amount in charged
            if amount
        ]

    def _enter(self, withdrawal: Withdrawal, kind: str, lines: list[ledger.Line]) -> None:
        key = f"withdrawal:{withdrawal.operation_id}:close"
        self.entries.append(NewEntry(key, kind, withdrawal.subject, self.now, lines))


def hold(withdrawal: Withdrawal, now: datetime) -> NewEntry:
    """Sets the amount and the fees aside; refused by the ledger when the merchant has not so much."""
    held, merchant_id = withdrawal.holding, withdrawal.merchant_id
    lines = [ledger.available(merchant_id, -held), ledger.held(merchant_id, held)]
    return NewEntry(
        f"withdrawal:{withdrawal.operation_id}:hold", "withdrawal_hold", withdrawal.subject, now, lines
    )


def settlement(withdrawal: Withdrawal, *, paid: Money, fees: Sequence[NoticeFee]) -> list[ledger.Line]:
    """The lines of a paid withdrawal: what was held goes to the processor and the house."""
    currency, processor_id = withdrawal.currency, withdrawal.processor_id
    lines = [
        ledger.held(withdrawal.merchant_id, -withdrawal.holding),
        ledger.at_processor(processor_id, paid),
        ledger.house(AccountKind.CONVERSION, withdrawal.money - paid),
        ledger.house(AccountKind.FEE_INCOME, Money(withdrawal.fee, currency)),
        ledger.house(AccountKind.NETWORK_FEE, Money(withdrawal.mining_fee, currency)),
    ]
    for fee in fees:
        lines.append(ledger.at_processor(processor_id, fee.money))
        if MINING in fee.type.lower():
            lines.append(ledger.house(AccountKind.NETWORK_FEE, -fee.money))
        else:
            lines.append(ledger.at_processor(processor_id, -fee.money, AccountKind.PROCESSOR_FEE))
    return lines


def chain_leg(withdrawal: Withdrawal, wire_id: int, received: Money) -> Leg:
    """The movement to the address; unsaved."""
    return Leg(
        merchant_id=withdrawal.merchant_id,
        operation=withdrawal.operation,
        wire_id=wire_id,
        transaction_type=(TransactionType.INTERNAL if withdrawal.is_internal else TransactionType.BLOCKCHAIN),
        type=LegType.WITHDRAWAL,
        currency=received.currency,
        address=withdrawal.address,
        tag=withdrawal.tag,
        amount=received.amount,
    )


def exchange_leg(withdrawal: Withdrawal, wire_id: int, received: Money) -> Leg:
    """The conversion of what is debited; unsaved."""
    return Leg(
        merchant_id=withdrawal.merchant_id,
        operation=withdrawal.operation,
        wire_id=wire_id,
        transaction_type=TransactionType.EXCHANGE,
        type=LegType.EXCHANGE,
        currency=withdrawal.currency,
        currency_to=received.currency,
        amount=withdrawal.amount,
        amount_to=received.amount,
    )


def new_leg_ids(count: int) -> list[int]:
    """Fresh numbers for legs."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT nextval('leg_wire_id') FROM generate_series(1, %s)", [count])
        return [row[0] for row in cursor.fetchall()]


def _leg_of(withdrawal: Withdrawal, kind: LegType) -> Leg | None:
    return next((leg for leg in withdrawal.operation.legs.all() if leg.type == kind), None)


def locked(**which: object) -> list[Withdrawal]:
    """The withdrawals, and after them their operations, locked in one order with all that an ending reads."""
    withdrawals = list(
        Withdrawal.objects.filter(**which).select_for_update(no_key=True).order_by("operation_id")
    )
    operations = (
        Operation.objects.filter(pk__in=[one.pk for one in withdrawals])
        .select_related("merchant", "terms", "rate")
        .prefetch_related("legs")
        .select_for_update(of=("self",), no_key=True)
        .order_by("pk")
    )
    by_id = {operation.pk: operation for operation in operations}
    for withdrawal in withdrawals:
        withdrawal.operation = by_id[withdrawal.pk]
    return withdrawals
