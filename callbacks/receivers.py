"""The listener on payments' port: what changed is enqueued in the transaction that changed it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.dispatch import receiver

from callbacks import outgoing
from callbacks.tasks import DELIVER
from payments import doorbell
from payments.events import invoices_changed_signal, transactions_changed_signal
from payments.models import Invoice, Operation


@receiver(transactions_changed_signal, dispatch_uid="callbacks.receivers.tell_merchants")
def tell_merchants(*, operations: Sequence[Operation], **_ignored: Any) -> None:
    """Writes the outbox, or fails and takes the change with it; rings once that is committed."""
    if outgoing.enqueue(operations=operations):
        doorbell.ring_on_commit(DELIVER)


@receiver(invoices_changed_signal, dispatch_uid="callbacks.receivers.tell_of_invoices")
def tell_of_invoices(*, invoices: Sequence[Invoice], **_ignored: Any) -> None:
    """The same for invoices."""
    if outgoing.enqueue_invoices(invoices=invoices):
        doorbell.ring_on_commit(DELIVER)
