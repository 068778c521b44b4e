"""Reading the outbox: what a merchant was told, is being told, and how its endpoint fares.

Counts stop at `MOST_COUNTED`: a page says "10,000 and more" rather than count a long queue.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.db.models import Q, QuerySet

from callbacks.models import Health, OutgoingCallback, OutgoingState, SubjectKind
from merchants.models import Merchant
from payments.models import Invoice, Operation

PAGE = 50
MOST_COUNTED = 10_000


Place = tuple[datetime, int]
"""When a callback was written, and which of those of that moment it is: batches write many at once."""


@dataclass(frozen=True)
class Letter:
    """An outgoing callback and the operation or invoice that it speaks of; a test has none."""

    callback: OutgoingCallback
    operation: Operation | Invoice | None

    @property
    def name(self) -> str:
        """What a URL calls it: the number of its subject (0 for a test) and the version."""
        return f"{self.operation.wire_id if self.operation else 0}.{self.callback.version}"


@dataclass(frozen=True)
class Queue:
    """How a merchant's callbacks stand. due, exhausted: counted up to `MOST_COUNTED`."""

    health: Health
    due: int
    oldest_due: datetime | None
    exhausted: int


def queue(merchant: Merchant, *, health: str) -> Queue:
    due = _of(merchant, OutgoingState.DUE)
    oldest = due.order_by("created_at", "id").values_list("created_at", flat=True).first()
    return Queue(
        health=Health(health),
        due=_count(due),
        oldest_due=oldest,
        exhausted=_count(_of(merchant, OutgoingState.EXHAUSTED)),
    )


def latest(*, merchant: Merchant, state: str = "", older_than: Place | None = None) -> list[Letter]:
    """The newest `PAGE` callbacks, and one more where there are more."""
    rows = OutgoingCallback.objects.for_merchant(merchant)
    if state:
        rows = rows.filter(state=state)
    if older_than:
        at, pk = older_than
        rows = rows.filter(Q(created_at__lt=at) | Q(created_at=at, id__lt=pk), created_at__lte=at)
    return letters(list(rows.order_by("-created_at", "-id")[: PAGE + 1]))


def place_of(*, merchant: Merchant, number: int, version: int) -> Place | None:
    """Where the callback of that operation and version stands in the list; number 0: the test of that one."""
    if not number:
        rows = OutgoingCallback.objects.for_merchant(merchant).filter(version=version)
        return _place(rows.filter(subject_kind=SubjectKind.TEST))
    subject = numbered(merchant, number)
    return None if subject is None else _place(about(subject).filter(version=version))


def _place(rows: QuerySet[OutgoingCallback]) -> Place | None:
    return rows.values_list("created_at", "id").first()


def numbered(merchant: Merchant, number: int) -> Operation | Invoice | None:
    """The merchant's operation or invoice of that number; they share one number space."""
    found = Operation.objects.for_merchant(merchant).filter(wire_id=number).first()
    return found or Invoice.objects.for_merchant(merchant).filter(wire_id=number).first()


def about(subject: Operation | Invoice) -> QuerySet[OutgoingCallback]:
    """All that was told of it."""
    kind = SubjectKind.INVOICE if isinstance(subject, Invoice) else SubjectKind.OPERATION
    rows = OutgoingCallback.objects.for_merchant(subject.merchant_id)
    return rows.filter(subject_kind=kind, subject_id=subject.pk)


def of_operation(operation: Operation) -> list[Letter]:
    """All that was told of an operation, oldest first, each with its tries."""
    rows = OutgoingCallback.objects.for_merchant(operation.merchant_id).filter(
        subject_kind=SubjectKind.OPERATION, subject_id=operation.pk
    )
    return [Letter(row, operation) for row in rows.order_by("version").prefetch_related("tries")]


def letters(rows: list[OutgoingCallback]) -> list[Letter]:
    """`rows` with what they speak of, in a query for each kind however many they are."""
    subjects: dict[str, dict[int, Operation | Invoice]] = {}
    for kind, model in ((SubjectKind.OPERATION, Operation), (SubjectKind.INVOICE, Invoice)):
        keys = [row.subject_id for row in rows if row.subject_kind == kind]
        subjects[kind] = dict(model.objects.in_bulk(keys)) if keys else {}
    return [Letter(row, subjects.get(row.subject_kind, {}).get(row.subject_id)) for row in rows]


def _of(merchant: Merchant, state: OutgoingState) -> QuerySet[OutgoingCallback]:
    return OutgoingCallback.objects.for_merchant(merchant).filter(state=state)


def _count(rows: QuerySet[OutgoingCallback]) -> int:
    return rows.order_by()[:MOST_COUNTED].count()
