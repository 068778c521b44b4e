"""What deposits make of the invoices that they were sent to.

`follow` is called by `deposits` with the deposits at invoices' addresses that are new or have changed, in
the transaction that recorded them. Every such deposit lies in the merchant's held balance from its
confirmation on. When the confirmed parts reach what was asked, the merchant is credited out of it in one
entry; what was not needed, came late, or belongs to an invoice that failed stays held as the payer's. A
reversed part takes the credit back before it goes itself.

Lock order: operations, invoices by id, the outbox, accounts.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from merchants.models import Merchant
from payments import events, invoice_rules, ledger
from payments.ledger import NewEntry
from payments.models import CreditedTo, Invoice, InvoicePart, InvoiceStatus, Operation
from payments.money import Money
from payments.rounds import rounds

_NOTHING = Decimal(0)


def follow(
    *, operations: Sequence[Operation], booked: Sequence[NewEntry], entries: list[NewEntry], now: datetime
) -> None:
    """Counts the deposits, moves their invoices, and adds to `entries` what is to be booked.

    operations: new, or in another status than before, and written; those to other addresses are left alone.
    booked: what they book themselves, each at most once; it is added too, where no balance falls short of it.
    """
    operations = [operation for operation in operations if operation.pays_invoice]
    if not operations:
        return
    cases = _cases({operation.address_id for operation in operations if operation.address_id})
    _end_overdue(cases.values(), now)
    by_subject = {entry.subject: entry for entry in booked}
    for wave in rounds(operations, of=lambda operation: operation.address_id):
        _count(wave, cases, by_subject, entries, now)
    _close(list(cases.values()), entries, now)


def end(*, invoices: Sequence[Invoice], now: datetime, error: str = "") -> None:
    """Fails locked invoices, for `error` or because their time is up, and tells their merchants."""
    parts = _parts_of(invoices)
    cases = [_Case(invoice, parts.get(invoice.pk, [])) for invoice in invoices]
    for case in cases:
        case.end(now, error)
    _write(cases)
    events.invoices_changed(invoices)


def release_held(*, merchant: Merchant, now: datetime) -> list[NewEntry]:
    """What gives an unblocked merchant the invoices that were paid while it was blocked; to be booked."""
    rows = Invoice.objects.for_merchant(merchant).filter(credited_to=CreditedTo.HELD)
    entries = []
    for invoice in rows.select_for_update().order_by("id"):
        net = invoice.asked - Money(invoice.fee_amount, invoice.currency)
        key = invoice.release()
        if net:  # the fee may have taken it all
            lines = [ledger.held(merchant.pk, -net), ledger.credit(merchant.pk, net)]
            entries.append(NewEntry(key, "invoice_release", invoice.subject, now, lines))
        invoice.keep()
        parts = Operation.objects.for_merchant(merchant).filter(invoice_part__invoice=invoice)
        parts.filter(invoice_part__taken__gt=0).update(credited_to=CreditedTo.AVAILABLE)
    return entries


@dataclass
class _Case:
    """A locked invoice with its parts while deposits are counted.

    told: the present version goes out. unbooked: a credit that the merchant had was taken back.
    """

    invoice: Invoice
    parts: list[InvoicePart]
    told: bool = False
    unbooked: bool = False

    @property
    def is_seen(self) -> bool:
        """The whole amount is on its way."""
        return bool(self.invoice.is_chosen and self._paid.seen >= self.invoice.sender_amount)

    @property
    def is_paid(self) -> bool:
        """The whole amount is confirmed."""
        return bool(self.invoice.is_chosen and self._paid.confirmed >= self.invoice.sender_amount)

    @property
    def _paid(self) -> invoice_rules.Paid:
        return invoice_rules.paid(self.parts)

    def count(self, operation: Operation, now: datetime) -> InvoicePart:
        """The operation's part, made at first sight; notes whether the sum that was paid has changed."""
        part = next((one for one in self.parts if one.operation_id == operation.pk), None)
        if part is None:
            part = InvoicePart(
                merchant_id=self.invoice.merchant_id,
                invoice=self.invoice,
                standing=invoice_rules.standing_of(operation.currency_sent, self.invoice),
                seen_at=now,
            )
            self.parts.append(part)
        part.operation = operation
        if part.look() and self.invoice.is_counting:
            self.told = True
        return part

    def move(self, now: datetime) -> None:
        """To processing once the whole amount is seen, or when a credit no longer stands."""
        invoice = self.invoice
        seen = invoice.status == InvoiceStatus.PENDING and self.is_seen
        lost = invoice.status == InvoiceStatus.CONFIRMED and self.unbooked and not self.is_paid
        if seen or lost:
            until = now + invoice_rules.CONFIRMED_WITHIN
            invoice.advance(status=InvoiceStatus.PROCESSING, now=now, release_at=until)
            self.told = True
        elif self.told and invoice.status == InvoiceStatus.PROCESSING and self.is_paid:
            self.told = False  # it is confirmed in a moment, and told then
        elif self.told:
            invoice.touch(now)

    def close(self, now: datetime, entries: list[NewEntry]) -> None:
        """Confirms what is paid, or credits a confirmed invoice out of other parts than before."""
        invoice = self.invoice
        self.told = invoice.status == InvoiceStatus.PROCESSING and self.is_paid
        if self.told:
            invoice.advance(status=InvoiceStatus.CONFIRMED, now=now)
        if self.told or (self.unbooked and invoice.status == InvoiceStatus.CONFIRMED):
            self._settle(now, entries)
        invoice_rules.leave(invoice, self.parts)

    def end(self, now: datetime, error: str) -> None:
        reason = error or invoice_rules.reason_of_the_end(self.invoice, self.parts)
        self.invoice.advance(status=InvoiceStatus.FAILED, error=reason, now=now)
        invoice_rules.leave(self.invoice, self.parts)

    def unsettle(self, now: datetime, entries: list[NewEntry]) -> None:
        """Takes the merchant's credit back into the held balance."""
        subject = self.invoice.subject
        if any(entry.subject == subject for entry in entries):  # what is undone is read from the books
            ledger.post_many(entries)
            entries.clear()
        lines = ledger.undo(subject)
        entries.append(NewEntry(self.invoice.unsettle(), "invoice_reversal", subject, now, lines))
        for part in self.parts:
            part.take(taken=_NOTHING, settled=_NOTHING)
        self.unbooked = True

    def _settle(self, now: datetime, entries: list[NewEntry]) -> None:
        invoice, fee = self.invoice, invoice_rules.fee_of(self.invoice)
        needed = invoice_rules.take(invoice, self.parts)
        to = CreditedTo.HELD if invoice.merchant.is_blocked else CreditedTo.AVAILABLE
        key = invoice.settle(credited_to=to, fee=fee)
        lines = invoice_rules.settlement(invoice, needed, fee)
        entries.append(NewEntry(key, "invoice", invoice.subject, now, lines))


def _count(
    wave: Sequence[Operation],
    cases: Mapping[int, _Case],
    booked: Mapping[str, NewEntry],
    entries: list[NewEntry],
    now: datetime,
) -> None:
    """Counts a deposit for each invoice and tells of the new sum."""
    concerned = []
    for operation in wave:
        case = cases[operation.address_id or 0]
        case.told = False
        part, entry = case.count(operation, now), booked.get(operation.subject)
        if entry is not None:
            if part.taken and not operation.is_booked:
                case.unsettle(now, entries)
            entries.append(entry)
        case.move(now)
        concerned.append(case)
    _tell([case for case in concerned if case.told])


def _close(cases: Sequence[_Case], entries: list[NewEntry], now: datetime) -> None:
    """Once everything is counted and what holds the money is booked: tells of the end that it brings."""
    for case in cases:
        case.close(now, entries)
    _write(cases)
    events.invoices_changed([case.invoice for case in cases if case.told])


def _end_overdue(cases: Iterable[_Case], now: datetime) -> None:
    """Whether a deposit was in time does not depend on when the sweep came by."""
    over = [case for case in cases if case.invoice.is_over(now)]
    for case in over:
        case.end(now, "")
    _tell(over)  # what is left of their parts is written with what they are touched for


def _tell(cases: Sequence[_Case]) -> None:
    """The merchants hear of the present version; what their bodies are read from is written first."""
    InvoicePart.objects.bulk_create(part for case in cases for part in case.parts if part.pk is None)
    Invoice.objects.bulk_update([case.invoice for case in cases], Invoice.CHANGING)
    events.invoices_changed([case.invoice for case in cases])


def _write(cases: Sequence[_Case]) -> None:
    """All that has changed but the invoices' news."""
    parts = [part for case in cases for part in case.parts]
    InvoicePart.objects.bulk_create(part for part in parts if part.pk is None)
    InvoicePart.objects.bulk_update(parts, InvoicePart.CHANGING)
    Invoice.objects.bulk_update([case.invoice for case in cases], Invoice.CHANGING)
    for lies_in in (CreditedTo.HELD, CreditedTo.AVAILABLE):
        there = [part for case in cases for part in case.parts if _lies_in(case.invoice, part) == lies_in]
        rows = Operation.objects.filter(pk__in=[part.operation_id for part in there])
        rows.exclude(credited_to=lies_in).update(credited_to=lies_in)


def _lies_in(invoice: Invoice, part: InvoicePart) -> CreditedTo:
    """A deposit of which the merchant was credited with something lies where that does, others are held."""
    if not part.operation.is_booked:
        return CreditedTo.NOWHERE
    return CreditedTo(invoice.credited_to) if part.taken else CreditedTo.HELD


def _cases(address_ids: Iterable[int]) -> dict[int, _Case]:
    """The invoices of these addresses, locked, by address."""
    rows = Invoice.objects.filter(address_id__in=address_ids).select_related("merchant", "terms")
    invoices = list(rows.select_for_update(of=("self",)).order_by("id"))
    parts = _parts_of(invoices)
    return {row.address_id: _Case(row, parts.get(row.pk, [])) for row in invoices if row.address_id}


def _parts_of(invoices: Sequence[Invoice]) -> dict[int, list[InvoicePart]]:
    found: dict[int, list[InvoicePart]] = {}
    rows = InvoicePart.objects.filter(invoice__in=[row.pk for row in invoices]).select_related("operation")
    for part in rows:
        found.setdefault(part.invoice_id, []).append(part)
    return found
