"""Invoices: what a payer is asked for, at a rate that is held.

An invoice takes its number from the operations' number space and has a `version` of its own, which grows
with each change that its merchant is told of. Its deposits are operations at its address (`invoice_part`
says what they are to it). Legal moves stand beside the enum and in a trigger.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, ClassVar

from django.db import models

from merchants.models import Merchant
from merchants.models.scope import TenantQuerySet
from payments.models.address import Address
from payments.models.columns import AmountField, CurrencyField, PriceField, is_number
from payments.models.operation import CreditedTo, IllegalMove
from payments.models.rate import Rate
from payments.models.terms import Terms
from payments.money import Money

if TYPE_CHECKING:
    from datetime import datetime

NOT_PAID = "Timer expired. User not paid."
UNDERPAID = "Timer expired. User paid less than requested."
PROCESSING_TOO_LONG = "Timer expired. Transactions were in status processing too long."
CANCELLED_BY_MERCHANT = "Cancelled by merchant."
"""The wire's texts of a failed invoice (gateway contract, invoice callbacks)."""


class InvoiceMode(models.TextChoices):
    """The wire's `type` of an invoice: what its payer is shown. Parts are summed in both."""

    FILL_OR_KILL = "fill_or_kill", "To be paid at once"
    GOOD_UNTIL_EXPIRED = "good_until_expired", "May be paid in parts"


class InvoiceStatus(models.TextChoices):
    """The wire's `status` of an invoice."""

    CREATED = "created", "Waits for the payer to choose a currency; no rate is held"
    PENDING = "pending", "A rate is held; the whole amount was not seen yet"
    PROCESSING = "processing", "The whole amount was seen"
    CONFIRMED = "confirmed", "Paid, and the merchant credited"
    FAILED = "failed", "Not paid in time, or cancelled"


INVOICE_MOVES: dict[str, frozenset[str]] = {
    InvoiceStatus.CREATED: frozenset({InvoiceStatus.PENDING, InvoiceStatus.FAILED}),
    InvoiceStatus.PENDING: frozenset({InvoiceStatus.PROCESSING, InvoiceStatus.FAILED}),
    InvoiceStatus.PROCESSING: frozenset({InvoiceStatus.CONFIRMED, InvoiceStatus.FAILED}),
    InvoiceStatus.CONFIRMED: frozenset({InvoiceStatus.PROCESSING}),  # a reorganised chain
    InvoiceStatus.FAILED: frozenset(),
}
COUNTING = (InvoiceStatus.PENDING, InvoiceStatus.PROCESSING)
"""While an invoice is in one of these, deposits to its address pay it."""


class InvoiceQuerySet(TenantQuerySet["Invoice"]):
    def for_bodies(self) -> InvoiceQuerySet:
        """With all that a callback's body needs."""
        return self.select_related("address").prefetch_related("parts__operation__legs")

    def due(self, now: datetime) -> InvoiceQuerySet:
        """Those whose time is over and that nobody has failed yet."""
        return self.filter(status__in=COUNTING, release_at__lte=now)


class Invoice(models.Model):
    """One invoice of one merchant.

    amount: what the merchant asks, in `currency`. asked_currency: the payer's currency that the merchant
    named, if any. sender_currency, sender_amount, price: what the payer is asked, at `price` units of
    `currency` for one. quotes: the rates held for a payer who has not chosen yet, their ids by currency.
    fixed_at, release_at: from when the rate is held, and until when the present status may last.
    credited_to, fee_amount: where the merchant's money lies, and our fee of it, once confirmed.
    """

    merchant = models.ForeignKey(Merchant, on_delete=models.PROTECT)
    wire_id = models.IntegerField()
    foreign_id = models.CharField(max_length=255)
    code = models.CharField(max_length=22)
    timer = models.BooleanField()
    mode = models.CharField(max_length=20, choices=InvoiceMode.choices)
    title = models.CharField(max_length=255)
    description = models.TextField(blank=True, default="")
    currency = CurrencyField()
    amount = AmountField()
    asked_currency = CurrencyField(blank=True, default="")
    quotes = models.JSONField(default=dict)
    url_success = models.CharField(max_length=2000)
    url_failed = models.CharField(max_length=2000)
    email_user = models.CharField(max_length=254, blank=True, default="")
    end_user_reference = models.CharField(max_length=255, null=True)
    sender = models.JSONField(null=True)

    sender_currency = CurrencyField(blank=True, default="")
    sender_amount = AmountField(null=True)
    price = PriceField(null=True)
    rate = models.ForeignKey(Rate, on_delete=models.PROTECT, null=True)
    terms = models.ForeignKey(Terms, on_delete=models.PROTECT, null=True)
    address = models.OneToOneField(Address, on_delete=models.PROTECT, null=True)

    status = models.CharField(max_length=20, choices=InvoiceStatus.choices)
    version = models.PositiveIntegerField(default=1)
    error = models.CharField(max_length=255, blank=True, default="")
    fixed_at = models.DateTimeField(null=True)
    release_at = models.DateTimeField(null=True)
    credited_to = models.CharField(max_length=10, choices=CreditedTo.choices, blank=True, default="")
    fee_amount = AmountField(default=0)
    bookings = models.PositiveIntegerField(default=0)
    created_at = models.DateTimeField()
    changed_at = models.DateTimeField()

    CHANGING: ClassVar = [
        *("status", "version", "error", "release_at", "credited_to", "fee_amount", "bookings", "changed_at"),
    ]
    """What payments and time change; a choice of currency sets the rest once."""

    objects = InvoiceQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["merchant", "foreign_id"], name="invoice_foreign_id_is_unique"),
            models.UniqueConstraint(fields=["merchant", "wire_id"], name="invoice_wire_id_is_unique"),
            models.UniqueConstraint(fields=["merchant", "id"], name="invoice_belongs_to_one_merchant"),
            models.UniqueConstraint(fields=["code"], name="invoice_code_is_unique"),
            models.CheckConstraint(
                condition=models.Q(code__regex=r"^[0-9A-Za-z_-]{22}$"), name="invoice_code_is_long"
            ),
            models.CheckConstraint(
                condition=models.Q(wire_id__gte=1, version__gte=1), name="invoice_is_numbered_from_one"
            ),
            models.CheckConstraint(
                condition=models.Q(mode__in=InvoiceMode.values, status__in=InvoiceStatus.values),
                name="invoice_mode_and_status_are_known",
            ),
            models.CheckConstraint(
                condition=is_number("amount", "fee_amount")
                & models.Q(amount__gt=0, fee_amount__gte=0, fee_amount__lte=models.F("amount")),
                name="invoice_amount_is_positive",
            ),
            models.CheckConstraint(
                condition=models.Q(
                    sender_currency="",
                    sender_amount=None,
                    price=None,
                    rate=None,
                    terms=None,
                    address=None,
                )
                | (
                    ~models.Q(sender_currency="")
                    & is_number("sender_amount", "price")
                    & models.Q(
                        sender_amount__isnull=False,
                        price__isnull=False,
                        terms__isnull=False,
                        address__isnull=False,
                        fixed_at__isnull=False,
                        sender_amount__gt=0,
                        price__gt=0,
                    )
                ),
                name="invoice_is_quoted_whole_or_not_at_all",
            ),
            models.CheckConstraint(
                condition=models.Q(sender_currency="")
                | models.Q(sender_currency=models.F("currency"), rate=None)
                | (~models.Q(sender_currency=models.F("currency")) & models.Q(rate__isnull=False)),
                name="invoice_keeps_the_rate_of_a_conversion",
            ),
            models.CheckConstraint(
                condition=models.Q(fixed_at=None, release_at=None)
                | models.Q(
                    fixed_at__isnull=False,
                    release_at__isnull=False,
                    release_at__gt=models.F("fixed_at"),
                ),
                name="invoice_time_has_an_end",
            ),
            models.CheckConstraint(
                condition=models.Q(status=InvoiceStatus.CREATED, timer=False, fixed_at=None)
                | models.Q(status=InvoiceStatus.PENDING, timer=True, fixed_at__isnull=False)
                | (
                    models.Q(status=InvoiceStatus.PENDING, fixed_at__isnull=False)
                    & ~models.Q(sender_currency="")
                )
                | (
                    models.Q(status__in=[InvoiceStatus.PROCESSING, InvoiceStatus.CONFIRMED])
                    & ~models.Q(sender_currency="")
                )
                | models.Q(status=InvoiceStatus.FAILED),
                name="invoice_holds_what_its_status_needs",
            ),
            models.CheckConstraint(
                condition=(models.Q(status=InvoiceStatus.FAILED) & ~models.Q(error=""))
                | (~models.Q(status=InvoiceStatus.FAILED) & models.Q(error="")),
                name="invoice_failed_for_a_reason",
            ),
            models.CheckConstraint(
                condition=models.Q(
                    status=InvoiceStatus.CONFIRMED,
                    credited_to__in=[CreditedTo.AVAILABLE, CreditedTo.HELD],
                    bookings__gte=1,
                )
                | (
                    ~models.Q(status=InvoiceStatus.CONFIRMED)
                    & models.Q(credited_to=CreditedTo.NOWHERE, fee_amount=0)
                ),
                name="invoice_is_credited_once_confirmed",
            ),
            models.CheckConstraint(
                condition=models.Q(url_success__regex=r"^https?://", url_failed__regex=r"^https?://"),
                name="invoice_links_lead_to_the_web",
            ),
        ]
        indexes = [
            models.Index(
                fields=["release_at", "id"],
                name="invoice_running_out",
                condition=models.Q(status__in=["pending", "processing"]),
            ),
            models.Index(fields=["merchant", "created_at", "id"], name="invoice_by_time"),
            models.Index(
                fields=["merchant", "id"], name="invoice_held", condition=models.Q(credited_to="held")
            ),
        ]

    def __str__(self) -> str:
        return f"invoice {self.wire_id}"

    @property
    def subject(self) -> str:
        return f"invoice:{self.pk}"

    @property
    def asked(self) -> Money:
        """What the merchant asks for."""
        return Money(self.amount, self.currency)

    @property
    def is_counting(self) -> bool:
        return self.status in COUNTING

    @property
    def is_chosen(self) -> bool:
        """The payer's currency, amount and address are set."""
        return bool(self.sender_currency)

    def is_over(self, now: datetime) -> bool:
        """Its time is up, whether or not anybody has failed it yet."""
        return self.is_counting and self.release_at is not None and self.release_at <= now

    def hold(
        self, *, sent: Money, price: Decimal, rate_id: int | None, terms: Terms, address: Address
    ) -> None:
        """The payer's side, for good: what to send, at which price, where. Unsaved."""
        self.sender_currency, self.sender_amount, self.price = sent.currency, sent.amount, price
        self.rate_id, self.terms, self.address = rate_id, terms, address

    def begin(self, now: datetime, *, until: datetime) -> None:
        """The payer has chosen: the rate is held from now on. Unsaved."""
        self.fixed_at = now
        self.advance(status=InvoiceStatus.PENDING, now=now, release_at=until)

    def reach(self, email: str) -> None:
        """Where the payer is reached, unless that is known. Unsaved."""
        self.email_user = self.email_user or email

    def advance(
        self, *, status: str, now: datetime, error: str = "", release_at: datetime | None = None
    ) -> None:
        """A new version in another status; unsaved."""
        if status not in INVOICE_MOVES[self.status]:
            raise IllegalMove(f"{self}: {self.status} → {status}")
        self.status, self.error = status, error
        self.release_at = release_at or self.release_at
        self.touch(now)

    def touch(self, now: datetime) -> None:
        """A new version in the same status; unsaved."""
        self.version += 1
        self.changed_at = now

    def settle(self, *, credited_to: CreditedTo, fee: Money) -> str:
        """The merchant is about to be credited; returns the entry's key. Unsaved."""
        self.credited_to, self.fee_amount = credited_to, fee.amount
        return self._key()

    def unsettle(self) -> str:
        """The credit is about to be taken back; returns the entry's key. Unsaved."""
        self.credited_to, self.fee_amount = CreditedTo.NOWHERE, Decimal(0)
        return self._key()

    def release(self) -> str:
        """What was held for a blocked merchant is about to become available; returns the entry's key."""
        self.credited_to = CreditedTo.AVAILABLE
        return self._key()

    def _key(self) -> str:
        self.bookings += 1
        return f"invoice:{self.pk}:{self.bookings}"

    def keep(self) -> None:
        """Writes what payments and time have changed."""
        self.save(update_fields=self.CHANGING)

    def keep_choice(self) -> None:
        """Writes the payer's side, with the status that it brings."""
        chosen = ["sender_currency", "sender_amount", "price", "rate", "terms", "address"]
        self.save(update_fields=[*self.CHANGING, *chosen, "email_user", "fixed_at"])
