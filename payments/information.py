"""One operation or invoice as the wire shows it, found by what a merchant knows of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from merchants.errors import Refusal
from merchants.models import Merchant
from payments import bodies, invoice_bodies
from payments.bodies import Body
from payments.models import WITHDRAWALS, Invoice, Operation, OperationKind
from payments.models.operation import OperationQuerySet

INVOICE = "invoice"
LARGEST_ID = 2**31 - 1
KINDS = (*OperationKind.values, INVOICE)


class NotFound(Refusal):
    """Transaction not found."""


@dataclass(frozen=True, slots=True)
class Key:
    """Exactly one of the three. kind: only that type; empty for any."""

    id: int | None = None
    foreign_id: str | None = None
    txid: str | None = None
    kind: str = ""

    @property
    def field(self) -> str:
        return "id" if self.id is not None else "foreign_id" if self.foreign_id is not None else "txid"


def find(*, merchant: Merchant, key: Key) -> Body:
    """The object that callbacks carry, in its present state; the newest where several are meant.

    A deposit that pays an invoice is shown as the invoice, which is what the merchant hears of. Raises
    `NotFound`, at the field that was asked by.
    """
    found = max(_found(merchant, key), key=lambda one: (one.created_at, one.wire_id), default=None)
    if found is None:
        raise NotFound(field=key.field)
    return _body(merchant, found)


def _found(merchant: Merchant, key: Key) -> Iterator[Operation | Invoice]:
    operations = Operation.objects.for_merchant(merchant)
    invoices = Invoice.objects.for_merchant(merchant)
    if key.kind != INVOICE:
        yield from _operations(merchant, operations, key)
    if key.kind not in {"", INVOICE}:
        return
    if key.id is not None:
        yield from invoices.filter(wire_id=key.id)
    elif key.foreign_id is not None:
        yield from invoices.filter(foreign_id=key.foreign_id)
    else:
        paid = operations.filter(legs__txid=key.txid, legs__merchant=merchant)
        yield from invoices.filter(parts__operation__in=paid).distinct()


def _operations(merchant: Merchant, rows: OperationQuerySet, key: Key) -> Iterator[Operation]:
    """Never those that pay an invoice."""
    rows = rows.filter(invoice_part=None)
    if key.kind:
        rows = rows.filter(kind=key.kind)
    if key.id is not None:
        yield from rows.filter(wire_id=key.id)
    elif key.foreign_id is not None:  # asked apart, as each is unique by an index of its own
        yield from rows.filter(kind__in=WITHDRAWALS, foreign_id=key.foreign_id)
        yield from rows.filter(kind=OperationKind.EXCHANGE, foreign_id=key.foreign_id)
    else:
        moved = rows.filter(legs__txid=key.txid, legs__merchant=merchant)
        yield from moved.order_by("-created_at", "-wire_id")[:1]


def _body(merchant: Merchant, found: Operation | Invoice) -> Body:
    if isinstance(found, Invoice):
        mine = Invoice.objects.for_merchant(merchant).for_bodies()
        return invoice_bodies.invoice_body(mine.get(pk=found.pk))
    return bodies.operation_body(Operation.objects.for_merchant(merchant).for_bodies().get(pk=found.pk))
