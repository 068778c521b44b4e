"""Deposits of a blocked merchant: booked to its held balance, and given to it once it is unblocked.

What invoices hold for a payer is held for another reason and stays; invoices that were paid are given too.
"""

from __future__ import annotations

from datetime import datetime

from django.db import transaction

from merchants.models import Merchant
from payments import invoice_parts, ledger
from payments.ledger import NewEntry
from payments.models import AddressOrigin, CreditedTo, Operation
from payments.money import Money


@transaction.atomic
def release(*, merchant: Merchant, now: datetime) -> int:
    """Gives an unblocked merchant the deposits that were held while it was blocked; returns how many."""
    held = Operation.objects.for_merchant(merchant).filter(credited_to=CreditedTo.HELD)
    rows = held.exclude(address__origin=AddressOrigin.INVOICE)
    operations = list(rows.select_for_update(of=("self",)).order_by("id"))
    entries = invoice_parts.release_held(merchant=merchant, now=now)
    for operation in operations:
        net = Money(operation.amount_minus_fee, operation.currency_received)
        if not net:  # the fee took it all: nothing is held, so nothing moves
            operation.credited_to = CreditedTo.AVAILABLE
            continue
        key = operation.book(credited_to=CreditedTo.AVAILABLE, credited=operation.credited)
        lines = [ledger.held(merchant.pk, -net), ledger.credit(merchant.pk, net)]
        entries.append(NewEntry(key, "deposit_release", operation.subject, now, lines))
    Operation.objects.bulk_update(operations, ["credited_to", "bookings"])
    ledger.post_many(entries)
    return len(operations)
