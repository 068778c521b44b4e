"""Operations: what the wire calls a transaction, whichever its kind; one row each.

What a withdrawal or an exchange is beside this face stands in a row of its own (`withdrawal`, `exchange`).
`version` counts the changes that a merchant is told of, one callback each. Legal moves of `status` stand
beside the enum and in a trigger. `wire_id` is what the outside knows an operation by.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, ClassVar

from django.db import connection, models

from merchants.models import Merchant
from merchants.models.scope import TenantQuerySet
from payments.models.address import Address, AddressOrigin
from payments.models.columns import AmountField, CurrencyField, is_number
from payments.models.rate import Rate
from payments.models.route import Processor
from payments.models.terms import Terms
from payments.money import Money

if TYPE_CHECKING:
    from datetime import datetime


BELOW_MINIMUM = "Transaction amount less than minimum deposit"
"""The wire's published text (gateway contract, deposit callbacks)."""


class OperationKind(models.TextChoices):
    """The wire's `type` of an operation."""

    DEPOSIT = "deposit", "Deposit"
    DEPOSIT_EXCHANGE = "deposit_exchange", "Deposit with conversion"
    WITHDRAWAL = "withdrawal", "Withdrawal"
    WITHDRAWAL_EXCHANGE = "withdrawal_exchange", "Withdrawal with conversion"
    EXCHANGE = "exchange", "Exchange"


DEPOSITS = (OperationKind.DEPOSIT, OperationKind.DEPOSIT_EXCHANGE)
WITHDRAWALS = (OperationKind.WITHDRAWAL, OperationKind.WITHDRAWAL_EXCHANGE)
ORDERS = (*WITHDRAWALS, OperationKind.EXCHANGE)


class OperationStatus(models.TextChoices):
    """The wire's `status` of an operation."""

    NOT_CONFIRMED = "not_confirmed", "Seen, not yet credited"
    PENDING = "pending", "Waits for approval"
    PROCESSING = "processing", "Accepted, outcome open"
    CONFIRMED = "confirmed", "Final"
    CANCELLED = "cancelled", "Not done, or no longer; the money is where it was"
    DECLINED = "declined", "Refused by the merchant, or never approved"


DEPOSIT_MOVES: dict[str, frozenset[str]] = {
    OperationStatus.NOT_CONFIRMED: frozenset({OperationStatus.CONFIRMED, OperationStatus.CANCELLED}),
    OperationStatus.CONFIRMED: frozenset({OperationStatus.CANCELLED}),  # a reorganised chain
    OperationStatus.CANCELLED: frozenset({OperationStatus.CONFIRMED}),  # mined again
}
ORDER_MOVES: dict[str, frozenset[str]] = {
    OperationStatus.PENDING: frozenset({OperationStatus.PROCESSING, OperationStatus.DECLINED}),
    OperationStatus.PROCESSING: frozenset({OperationStatus.CONFIRMED, OperationStatus.CANCELLED}),
}
"""Of withdrawals and exchanges."""
_ORDERS_END = (OperationStatus.CONFIRMED, OperationStatus.CANCELLED, OperationStatus.DECLINED)


class Origin(models.TextChoices):
    """Who ordered a withdrawal or an exchange."""

    NOBODY = "", "Nobody: it came in"
    API = "api", "A merchant's program"
    STAFF = "staff", "A merchant's staff"
    REFUND = "refund", "A payer who gets money back"


class IllegalMove(Exception):
    """A status may not follow another; a fault of ours, never the caller's."""


class CreditedTo(models.TextChoices):
    """Where a deposit's money lies."""

    NOWHERE = "", "Nothing is booked"
    AVAILABLE = "available", "The merchant's available balance"
    HELD = "held", "The merchant's held balance, because the merchant is blocked"
    DUST = "dust", "Dust: below the minimum"


class OperationQuerySet(TenantQuerySet["Operation"]):
    def for_bodies(self) -> OperationQuerySet:
        """With all that a callback's body needs."""
        rows = self.select_related("address", "withdrawal", "future_deposit__future")
        return rows.prefetch_related("legs", "fees")


class Operation(models.Model):
    """One operation of one merchant.

    address, external_id: a deposit's; an order's are in its own row. foreign_id: the merchant's, of an order.
    amount_sent: what arrived, or what is debited, fees apart. amount_received: gross, in `currency_received`,
    an estimate until confirmed. amount_minus_fee: what the merchant got. credited: what the processor gave.
    bookings: how many ledger entries it made, each keyed by its number. heard_at: when the latest final word
    about it came in, by the real clock.
    """

    merchant = models.ForeignKey(Merchant, on_delete=models.PROTECT)
    wire_id = models.IntegerField()
    kind = models.CharField(max_length=30, choices=OperationKind.choices)
    status = models.CharField(max_length=20, choices=OperationStatus.choices)
    version = models.PositiveIntegerField(default=1)
    processor = models.ForeignKey(Processor, on_delete=models.PROTECT)
    external_id = models.CharField(max_length=150, null=True)
    address = models.ForeignKey(Address, on_delete=models.PROTECT, null=True)
    foreign_id = models.CharField(max_length=255, null=True)
    origin = models.CharField(
        max_length=10, choices=Origin.choices, blank=True, default=Origin.NOBODY, db_default=Origin.NOBODY
    )
    end_user_reference = models.CharField(max_length=255, null=True)
    replaces = models.CharField(max_length=150, blank=True, default="")

    currency_sent = CurrencyField()
    amount_sent = AmountField()
    currency_received = CurrencyField()
    amount_received = AmountField()
    amount_minus_fee = AmountField()
    credited = AmountField(null=True)
    credited_to = models.CharField(max_length=10, choices=CreditedTo.choices, blank=True, default="")
    bookings = models.PositiveIntegerField(default=0)
    error = models.CharField(max_length=255, blank=True, default="")

    terms = models.ForeignKey(Terms, on_delete=models.PROTECT, null=True)
    rate = models.ForeignKey(Rate, on_delete=models.PROTECT, null=True)
    created_at = models.DateTimeField()
    changed_at = models.DateTimeField()
    heard_at = models.DateTimeField(null=True)

    CHANGING: ClassVar = [
        "status",
        "version",
        "error",
        "currency_received",
        "amount_received",
        "amount_minus_fee",
        "credited",
        "credited_to",
        "bookings",
        "terms",
        "rate",
        "changed_at",
        "heard_at",
    ]
    """What later notices may change; the database holds the rest fast."""

    objects = OperationQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["merchant", "wire_id"], name="operation_wire_id_is_unique"),
            models.UniqueConstraint(fields=["merchant", "id"], name="operation_belongs_to_one_merchant"),
            models.UniqueConstraint(
                fields=["processor", "external_id"], name="operation_of_a_processor_is_unique"
            ),
            models.CheckConstraint(
                condition=models.Q(wire_id__gte=1, version__gte=1), name="operation_is_numbered_from_one"
            ),
            models.CheckConstraint(
                condition=is_number("amount_sent", "amount_received", "amount_minus_fee")
                & models.Q(amount_sent__gte=0, amount_received__gte=0, amount_minus_fee__gte=0),
                name="operation_amounts_are_not_negative",
            ),
            models.CheckConstraint(
                condition=models.Q(amount_minus_fee__lte=models.F("amount_received")),
                name="operation_fee_is_not_negative",
            ),
            models.CheckConstraint(
                condition=models.Q(kind__in=DEPOSITS, status__in=list(DEPOSIT_MOVES))
                | models.Q(
                    kind__in=ORDERS,
                    status__in=[*ORDER_MOVES, *_ORDERS_END],
                ),
                name="operation_kind_and_status_are_known",
            ),
            models.CheckConstraint(
                condition=models.Q(
                    kind__in=DEPOSITS,
                    address__isnull=False,
                    external_id__isnull=False,
                    foreign_id=None,
                    origin="",
                )
                | (
                    ~models.Q(kind__in=DEPOSITS)
                    & ~models.Q(origin="")
                    & models.Q(address__isnull=True, external_id__isnull=True, foreign_id__isnull=False)
                ),
                name="operation_comes_in_or_is_ordered",
            ),
            models.CheckConstraint(
                condition=models.Q(status=OperationStatus.NOT_CONFIRMED, credited_to=CreditedTo.NOWHERE)
                | models.Q(
                    status=OperationStatus.CONFIRMED,
                    kind__in=DEPOSITS,
                    credited_to__in=[CreditedTo.AVAILABLE, CreditedTo.HELD],
                )
                | models.Q(
                    status=OperationStatus.CANCELLED, credited_to__in=[CreditedTo.NOWHERE, CreditedTo.DUST]
                )
                | (~models.Q(kind__in=DEPOSITS) & models.Q(credited_to=CreditedTo.NOWHERE)),
                name="operation_money_lies_where_its_status_says",
            ),
            models.UniqueConstraint(
                fields=["merchant", "foreign_id"],
                condition=models.Q(kind__in=WITHDRAWALS),
                name="withdrawal_foreign_id_is_unique",
            ),
            models.UniqueConstraint(
                fields=["merchant", "foreign_id"],
                condition=models.Q(kind=OperationKind.EXCHANGE),
                name="exchange_foreign_id_is_unique",
            ),
            models.CheckConstraint(
                condition=models.Q(credited_to=CreditedTo.NOWHERE, credited__isnull=True)
                | (
                    ~models.Q(credited_to=CreditedTo.NOWHERE)
                    & models.Q(
                        credited__isnull=False,
                        credited__gte=0,
                        credited__lte=models.F("amount_received"),
                        bookings__gte=1,
                    )
                ),
                name="operation_is_credited_no_more_than_received",
            ),
        ]
        indexes = [
            models.Index(fields=["merchant", "created_at", "id"], name="operation_by_time"),
            models.Index(
                fields=["merchant", "currency_sent", "created_at", "id"], name="operation_by_currency"
            ),
            models.Index(
                fields=["merchant", "created_at", "id"],
                name="operation_open",
                condition=models.Q(status="not_confirmed"),
            ),
            models.Index(
                fields=["merchant", "id"], name="operation_held", condition=models.Q(credited_to="held")
            ),
            models.Index(fields=["wire_id"], name="operation_by_number"),
            models.Index(fields=["external_id"], name="operation_by_external_id"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.wire_id}"

    @property
    def subject(self) -> str:
        return f"operation:{self.pk}"

    @property
    def came_to(self) -> Address:
        """A deposit's address."""
        if self.address is None:
            raise TypeError(f"{self} came to no address")
        return self.address

    @property
    def pays_invoice(self) -> bool:
        """It came to an invoice's address."""
        return self.address is not None and self.address.origin == AddressOrigin.INVOICE

    @property
    def is_cross_currency(self) -> bool:
        """Another currency arrived than the address was taken for."""
        return self.address is not None and bool(self.currency_sent != self.address.currency)

    @property
    def is_below_minimum(self) -> bool:
        return self.status == OperationStatus.CANCELLED and self.error == BELOW_MINIMUM

    @property
    def sent(self) -> Money:
        return Money(self.amount_sent, self.currency_sent)

    @property
    def received(self) -> Money:
        return Money(self.amount_received, self.currency_received)

    def advance(self, *, status: str, error: str, now: datetime) -> None:
        """A new version in another status; unsaved, since deposits are written by the batch."""
        moves = DEPOSIT_MOVES if self.kind in DEPOSITS else ORDER_MOVES
        if status not in moves.get(self.status, frozenset()):
            raise IllegalMove(f"{self}: {self.status} → {status}")
        self.status, self.error, self.changed_at = status, error, now
        self.version += 1

    def receive(self, *, received: Money, net: Money, terms: Terms | None, rate: Rate | None) -> None:
        """What it comes to, by what the processor says now; unsaved.

        rate: for a conversion, what the processor quoted at that moment, beside what it made of it.
        """
        self.currency_received, self.amount_received = received.currency, received.amount
        self.amount_minus_fee = net.amount
        self.terms, self.rate = terms, rate

    def hear(self, at: datetime | None) -> None:
        """The processor's final word of that moment was taken in; unsaved."""
        self.heard_at = max(filter(None, (self.heard_at, at)), default=None)

    @property
    def is_booked(self) -> bool:
        return self.credited_to != CreditedTo.NOWHERE

    def book(self, *, credited_to: CreditedTo, credited: Decimal | None) -> str:
        """Money is about to be booked, moved or (to nowhere) reversed; returns the entry's key. Unsaved."""
        self.bookings += 1
        self.credited_to, self.credited = credited_to, credited
        return f"deposit:{self.pk}:{self.bookings}"


def new_ids(count: int) -> list[tuple[int, int, int, int]]:
    """Fresh (operation id, its wire id, a leg's wire id, an exchange leg's wire id)."""
    if not count:
        return []
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT nextval(pg_get_serial_sequence('payments_operation', 'id')),"
            " nextval('operation_wire_id'), nextval('leg_wire_id'), nextval('leg_wire_id')"
            " FROM generate_series(1, %s)",
            [count],
        )
        rows: list[tuple[int, int, int, int]] = cursor.fetchall()
    return rows
