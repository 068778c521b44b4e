"""The port through which payments tells who listens that money changed.

Two signals, fired inside the open transaction with a sequence of changed operations or invoices, after
all that belongs to them is written. The listener (`callbacks.receivers`) writes the outbox; if it cannot, the
money row rolls back with it. There are no other signals in Bursar.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from django.db import transaction
from django.dispatch import Signal

if TYPE_CHECKING:
    from payments.models import Invoice, Operation

transactions_changed_signal = Signal()
"""Sent with `operations`: a sequence of `Operation`, each at the version that it was written with."""
invoices_changed_signal = Signal()
"""Sent with `invoices`: a sequence of `Invoice`, likewise."""


def transactions_changed(operations: Sequence[Operation]) -> None:
    """Tells the listener; must be called inside the transaction that wrote the operations."""
    if not transaction.get_connection().in_atomic_block:
        raise RuntimeError("transactions_changed outside a transaction")
    if operations:
        transactions_changed_signal.send(sender=None, operations=operations)


def invoices_changed(invoices: Sequence[Invoice]) -> None:
    """Tells the listener; must be called inside the transaction that wrote the invoices and their parts."""
    if not transaction.get_connection().in_atomic_block:
        raise RuntimeError("invoices_changed outside a transaction")
    if invoices:
        invoices_changed_signal.send(sender=None, invoices=invoices)
