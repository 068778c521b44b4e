"""The outbox: what merchants are told, written with the change itself and delivered at least once.

`enqueue` promises that a change and its callback commit together, the bytes built once and never again.
Delivery (`courier`, on the claims of `queue`) promises that every callback is tried on its merchant's
schedule until it is answered with 200, never an older version after a newer one was delivered, no
endpoint held up by another, and every try kept. `resend` restarts a schedule; it changes no bytes.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from django.db import connection, transaction

from callbacks.models import Endpoint, OutgoingCallback, OutgoingState, SubjectKind
from merchants.errors import Refusal
from merchants.models import Merchant
from payments import bodies, invoice_bodies
from payments.models import AddressOrigin, Invoice, Operation, OperationStatus, Origin


class NotTheLatest(Refusal):
    """A newer callback speaks of the same transaction; send that one again."""


class BeingSent(Refusal):
    """The callback is being sent at this moment."""


class NowhereToSend(Refusal):
    """The merchant has no callback URL."""


def enqueue(*, operations: Sequence[Operation]) -> int:
    """Writes one callback for each changed operation that its merchant wants to hear of.

    Inside the caller's transaction. Returns how many are due; those of merchants without a URL are kept
    unsent.
    """
    endpoints = _endpoints_of(operations)
    told = [one for one in operations if _wants(endpoints.get(one.merchant_id), one)]
    written = Operation.objects.for_bodies().in_bulk([one.pk for one in told]).values()
    return _put([_row(endpoints.get(one.merchant_id), one) for one in written])


def enqueue_invoices(*, invoices: Sequence[Invoice]) -> int:
    """Writes one callback for each changed invoice; otherwise as `enqueue`."""
    endpoints = _endpoints_of(invoices)
    written = Invoice.objects.for_bodies().in_bulk([one.pk for one in invoices]).values()
    return _put([_invoice_row(endpoints.get(one.merchant_id), one) for one in written])


def _endpoints_of(subjects: Sequence[Operation] | Sequence[Invoice]) -> dict[int, Endpoint]:
    found = Endpoint.objects.filter(merchant__in={one.merchant_id for one in subjects})
    return {endpoint.merchant_id: endpoint for endpoint in found}


def _put(rows: Sequence[OutgoingCallback]) -> int:
    OutgoingCallback.objects.bulk_create(rows)
    return sum(row.state == OutgoingState.DUE for row in rows)


@transaction.atomic
def resend(*, callback_id: int) -> None:
    """The callback becomes due at once, with a whole schedule before it.

    Raises `OutgoingCallback.DoesNotExist`, `NotTheLatest`, `BeingSent`, `NowhereToSend`.
    """
    row = OutgoingCallback.objects.select_for_update().get(pk=callback_id)
    if row.newer().exists():
        raise NotTheLatest
    if row.leased_until is not None:
        raise BeingSent
    endpoint = Endpoint.objects.for_merchant(row.merchant_id).exclude(url="").first()
    if endpoint is None:
        raise NowhereToSend
    row.again(endpoint)


def resend_since(
    *, merchant: Merchant, since: datetime, until: datetime | None = None, delivered: bool = False
) -> int:
    """Makes due, as `resend` does, the merchant's latest callbacks of `[since, until)`; returns how many.

    delivered: also those that were answered with 200. What is being sent at the moment is left alone.
    """
    states = (*UNSENT, OutgoingState.DELIVERED) if delivered else UNSENT
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            UPDATE callbacks_outgoingcallback c
               SET state = 'due', schedule_from = c.attempts, endpoint_id = e.id,
                   next_attempt_at = statement_timestamp()
              FROM callbacks_endpoint e
             WHERE {_LATEST_SINCE}
            """,  # noqa: S608 - a constant of this module
            [merchant.pk, since, until, [str(state) for state in states]],
        )
        return int(cursor.rowcount)


def count_unsent(*, merchant: Merchant, since: datetime, most: int) -> int:
    """How many callbacks `resend_since` would send again; counting stops at `most`."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            SELECT count(*) FROM (
                SELECT 1 FROM callbacks_outgoingcallback c, callbacks_endpoint e
                 WHERE {_LATEST_SINCE} LIMIT %s) AS found
            """,  # noqa: S608 - a constant of this module
            [merchant.pk, since, None, [str(state) for state in UNSENT], most],
        )
        return int(cursor.fetchone()[0])


UNSENT = (OutgoingState.DUE, OutgoingState.EXHAUSTED, OutgoingState.UNADDRESSED)
_LATEST_SINCE = """
    e.merchant_id = %s AND e.url <> '' AND c.merchant_id = e.merchant_id
    AND c.created_at >= %s AND c.created_at < COALESCE(%s::timestamptz, 'infinity')
    AND c.leased_until IS NULL AND c.state = ANY(%s) AND c.subject_kind <> 'test'
    AND NOT EXISTS (
        SELECT 1 FROM callbacks_outgoingcallback n
         WHERE n.subject_kind = c.subject_kind AND n.subject_id = c.subject_id AND n.version > c.version)
"""


def _wants(endpoint: Endpoint | None, operation: Operation) -> bool:
    """Whether the merchant's switches let this change be told; without an endpoint, by the defaults."""
    if operation.pays_invoice:
        return False  # its invoice is what the merchant hears of
    if operation.status == OperationStatus.PROCESSING or operation.origin == Origin.REFUND:
        return False  # the first is the request's own answer; the second nobody's program asked for
    switches = endpoint or Endpoint()
    if _is_staffs(operation) and not switches.staff_operations:
        return False
    if operation.is_below_minimum and not switches.below_minimum:
        return False
    return switches.cross_currency or not operation.is_cross_currency


def _is_staffs(operation: Operation) -> bool:
    """Asked for by staff, or come to an address that they took."""
    if operation.address is None:
        return operation.origin == Origin.STAFF
    return operation.address.origin != AddressOrigin.API


def _row(endpoint: Endpoint | None, operation: Operation) -> OutgoingCallback:
    body = bodies.operation_body(operation, with_sender=_shows_senders(endpoint))
    return _callback(SubjectKind.OPERATION, operation, endpoint, body)


def _invoice_row(endpoint: Endpoint | None, invoice: Invoice) -> OutgoingCallback:
    body = invoice_bodies.invoice_body(invoice, with_sender=_shows_senders(endpoint))
    return _callback(SubjectKind.INVOICE, invoice, endpoint, body)


def _shows_senders(endpoint: Endpoint | None) -> bool:
    return endpoint is not None and endpoint.sender_address


def _callback(
    kind: SubjectKind, subject: Operation | Invoice, endpoint: Endpoint | None, body: bodies.Body
) -> OutgoingCallback:
    addressed = endpoint is not None and endpoint.is_addressed
    return OutgoingCallback(
        subject_kind=kind,
        subject_id=subject.pk,
        version=subject.version,
        merchant_id=subject.merchant_id,
        endpoint=endpoint,
        body=bodies.render(body),
        state=OutgoingState.DUE if addressed else OutgoingState.UNADDRESSED,
    )
