"""Exchanges: prices promised to merchants, and the intent behind an operation that converts a balance.

A quote never changes; an exchange at a quoted price refers to it. What was asked for never changes either;
the state moves along `MOVES`, which a trigger repeats. Only the sender's database role stores the exact
bytes of the order and takes an exchange to sending. `unknown` means that nobody can say whether the
processor took the order; the wire shows it as processing until it is known.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from django.conf import settings
from django.db import models
from django.db.models.functions import Now

from merchants.models import ApiKey, Merchant
from merchants.models.scope import TenantQuerySet
from payments.models.columns import AmountField, CurrencyField, PriceField, is_number
from payments.models.operation import IllegalMove, Operation, Origin
from payments.models.rate import Rate
from payments.models.route import Processor
from payments.money import Money

if TYPE_CHECKING:
    from datetime import datetime, timedelta


class ExchangeState(models.TextChoices):
    """How far an exchange has come."""

    PROCESSING = "processing", "Held: may be sent"
    SENDING = "sending", "The order is written down; it may have been handed over"
    SENT = "sent", "The processor took the order"
    UNKNOWN = "unknown", "Nobody knows whether the processor took the order"
    CONFIRMED = "confirmed", "Converted"
    FAILED = "failed", "Definitely not converted; the money is back"


_S = ExchangeState
MOVES: dict[str, frozenset[str]] = {
    _S.PROCESSING: frozenset({_S.SENDING, _S.FAILED}),
    _S.SENDING: frozenset({_S.SENT, _S.UNKNOWN, _S.CONFIRMED, _S.FAILED}),
    _S.SENT: frozenset({_S.UNKNOWN, _S.CONFIRMED, _S.FAILED}),
    _S.UNKNOWN: frozenset({_S.SENT, _S.CONFIRMED, _S.FAILED}),
}
IN_FLIGHT = (_S.SENDING, _S.SENT, _S.UNKNOWN)
OPEN = (_S.PROCESSING, *IN_FLIGHT)


class QuoteQuerySet(TenantQuerySet["Quote"]):
    def unexpired(self, *, merchant: Merchant, source: str, target: str, now: datetime) -> QuoteQuerySet:
        """What this merchant may still exchange at."""
        return self.for_merchant(merchant).filter(source=source, target=target, release_at__gt=now)

    def forgettable(self, before: datetime) -> QuoteQuerySet:
        """Those over since `before` that nobody exchanged at."""
        return self.filter(release_at__lt=before, exchange=None)


class Quote(models.Model):
    """One unit of `source` for `price` units of `target`, promised to a merchant in `[fixed_at, release_at)`.

    rate: what the processor quoted at that moment.
    """

    merchant = models.ForeignKey(Merchant, on_delete=models.PROTECT)
    source = CurrencyField()
    target = CurrencyField()
    price = PriceField()
    rate = models.ForeignKey(Rate, on_delete=models.PROTECT)
    fixed_at = models.DateTimeField()
    release_at = models.DateTimeField()

    objects = QuoteQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["merchant", "id"], name="quote_belongs_to_one_merchant"),
            models.CheckConstraint(
                condition=is_number("price") & models.Q(price__gt=0), name="quote_price_is_positive"
            ),
            models.CheckConstraint(
                condition=models.Q(release_at__gt=models.F("fixed_at")), name="quote_holds_for_a_while"
            ),
            models.CheckConstraint(
                condition=~models.Q(source=models.F("target")), name="quote_is_of_two_currencies"
            ),
        ]
        indexes = [
            models.Index(fields=["merchant", "source", "target", "release_at"], name="quote_unexpired"),
            models.Index(fields=["release_at"], name="quote_past"),
        ]

    def __str__(self) -> str:
        return f"{self.source}/{self.target} {self.price:f}"


class ExchangeQuerySet(TenantQuerySet["Exchange"]):
    def write_down(self, *, our_id: str, blob: bytes, lease: timedelta) -> bool:
        """The exact bytes of the order, before anybody is told it; False when another sender was first."""
        waiting = self.filter(our_id=our_id, state=_S.PROCESSING)
        return bool(
            waiting.update(state=_S.SENDING, prepared=blob, prepared_at=Now(), next_ask_at=Now() + lease)
        )

    def taken(self, *, our_id: str, external_id: str, ask_in: timedelta) -> bool:
        """The processor took the order; False when more is known already."""
        open_ones = self.filter(our_id=our_id, state__in=[_S.SENDING, _S.UNKNOWN])
        return bool(
            open_ones.update(
                state=_S.SENT, external_id=external_id, submitted_at=Now(), next_ask_at=Now() + ask_in
            )
        )

    def lost(self, *, our_id: str, reason: str, ask_in: timedelta) -> bool:
        """Nobody knows whether the processor took the order; False when more is known already."""
        open_ones = self.filter(our_id=our_id, state__in=[_S.SENDING, _S.SENT])
        return bool(
            open_ones.update(
                state=_S.UNKNOWN,
                unknown_reason=reason[:255],
                unknown_at=Now(),
                next_ask_at=Now() + ask_in,
            )
        )


class Exchange(models.Model):
    """The intent of one operation: `amount` of `source` for `amount_to` of `target`.

    quote: the promise it was made under; without one the merchant gets what the processor makes of it, and
    `amount_to` is an estimate. fee: on top, as quoted, in `fee_currency`. held: of `source`. our_id: what the
    processor knows it by. prepared: the exact bytes of the order. next_ask_at: when the sender asks what
    became of it. failure: the processor's own words, for operators.
    """

    operation = models.OneToOneField(Operation, on_delete=models.PROTECT, primary_key=True)
    merchant = models.ForeignKey(Merchant, on_delete=models.PROTECT)
    processor = models.ForeignKey(Processor, on_delete=models.PROTECT)
    state = models.CharField(max_length=20, choices=ExchangeState.choices)
    origin = models.CharField(max_length=10, choices=Origin.choices)
    api_key = models.ForeignKey(ApiKey, on_delete=models.PROTECT, null=True)
    requested_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, related_name="+"
    )
    requested_at = models.DateTimeField()

    quote = models.ForeignKey(Quote, on_delete=models.PROTECT, null=True)
    source = CurrencyField()
    amount = AmountField()
    target = CurrencyField()
    amount_to = AmountField()
    price = PriceField()
    fee = AmountField()
    fee_currency = CurrencyField()
    held = AmountField()

    our_id = models.CharField(max_length=60, unique=True)
    external_id = models.CharField(max_length=60, null=True)
    prepared = models.BinaryField(null=True)
    prepared_at = models.DateTimeField(null=True)
    submitted_at = models.DateTimeField(null=True)
    unknown_at = models.DateTimeField(null=True)
    unknown_reason = models.CharField(max_length=255, blank=True, default="")
    asks = models.PositiveIntegerField(default=0)
    next_ask_at = models.DateTimeField(null=True)
    failure = models.CharField(max_length=255, blank=True, default="")
    closed_at = models.DateTimeField(null=True)

    CHANGING: ClassVar = ["state", "external_id", "failure", "next_ask_at", "closed_at"]
    """What notices may change."""

    objects = ExchangeQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["processor", "external_id"], name="exchange_is_one_order_of_the_processor"
            ),
            models.CheckConstraint(
                condition=models.Q(state__in=ExchangeState.values)
                & models.Q(origin__in=[Origin.API, Origin.STAFF]),
                name="exchange_state_is_known",
            ),
            models.CheckConstraint(
                condition=models.Q(origin=Origin.API, api_key__isnull=False, requested_by=None)
                | models.Q(origin=Origin.STAFF, api_key=None, requested_by__isnull=False),
                name="exchange_says_who_asked",
            ),
            models.CheckConstraint(
                condition=is_number("amount", "amount_to", "price", "fee", "held")
                & models.Q(amount__gt=0, amount_to__gt=0, price__gt=0, fee__gte=0),
                name="exchange_amounts_are_positive",
            ),
            models.CheckConstraint(
                condition=models.Q(fee_currency=models.F("source"), held=models.F("amount") + models.F("fee"))
                | models.Q(
                    fee_currency=models.F("target"),
                    held=models.F("amount"),
                    fee__lte=models.F("amount_to"),
                ),
                name="exchange_holds_what_it_debits",
            ),
            models.CheckConstraint(
                condition=~models.Q(source=models.F("target")), name="exchange_is_of_two_currencies"
            ),
            models.CheckConstraint(
                condition=~models.Q(state__in=IN_FLIGHT) | models.Q(prepared__isnull=False),
                name="exchange_is_written_down_before_it_is_sent",
            ),
            models.CheckConstraint(
                condition=models.Q(state__in=OPEN, closed_at=None)
                | models.Q(state__in=[_S.CONFIRMED, _S.FAILED], closed_at__isnull=False),
                name="exchange_closes_when_it_ends",
            ),
        ]
        indexes = [
            models.Index(
                fields=["processor", "operation"],
                name="exchange_to_send",
                condition=models.Q(state=ExchangeState.PROCESSING),
            ),
            models.Index(
                fields=["next_ask_at", "operation"],
                name="exchange_in_flight",
                condition=models.Q(state__in=IN_FLIGHT),
            ),
        ]

    def __str__(self) -> str:
        return f"exchange {self.our_id}"

    @property
    def subject(self) -> str:
        return f"operation:{self.operation_id}"

    @property
    def matter(self) -> str:
        """What an alert about it is about."""
        return f"exchange:{self.operation_id}"

    @property
    def gives(self) -> Money:
        return Money(self.amount, self.source)

    @property
    def gets(self) -> Money:
        """At a quoted price what the merchant gets, else an estimate."""
        return Money(self.amount_to, self.target)

    @property
    def charged(self) -> Money:
        """The fee as quoted."""
        return Money(self.fee, self.fee_currency)

    @property
    def holding(self) -> Money:
        return Money(self.held, self.source)

    @property
    def is_final(self) -> bool:
        return self.state in {_S.CONFIRMED, _S.FAILED}

    def advance(self, *, state: ExchangeState, now: datetime, failure: str = "") -> None:
        """Moves along a legal edge; unsaved."""
        if state not in MOVES.get(self.state, frozenset()):
            raise IllegalMove(f"{self}: {self.state} → {state}")
        self.state, self.failure = state, failure[:255]
        if self.is_final:
            self.closed_at, self.next_ask_at = now, None

    def known_as(self, external_id: str) -> None:
        """The processor's name for it; unsaved."""
        self.external_id = self.external_id or external_id
