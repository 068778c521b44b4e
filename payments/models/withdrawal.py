"""Withdrawals: the intent behind an operation that pays out, and how far it has come.

What was asked for never changes once it is stored; the state moves along `MOVES`, which a trigger repeats.
Only the sender's database role takes one from approved to sending, stores the exact bytes of the order, and
writes what became of handing them over. `unknown` means that nobody can say whether the upstream paid; the
wire shows it as processing, like `approved`, `sending` and `sent`.
"""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar

from django.conf import settings
from django.db import models

from merchants.models import ApiKey, Merchant, User
from merchants.models.scope import TenantQuerySet
from payments.models.columns import AmountField, CurrencyField, is_number
from payments.models.operation import IllegalMove, Operation, OperationStatus, Origin
from payments.models.route import Processor
from payments.money import Money


class WithdrawalState(models.TextChoices):
    """How far a withdrawal has come."""

    PENDING = "pending", "Held: waits for approval"
    APPROVED = "approved", "Held: may be sent"
    SENDING = "sending", "The order is written down; it may have been handed over"
    SENT = "sent", "The processor took the order"
    UNKNOWN = "unknown", "Nobody knows whether the processor took the order"
    CONFIRMED = "confirmed", "Paid"
    FAILED = "failed", "Definitely not paid; the money is back"
    DECLINED = "declined", "An Owner refused it; the money is back"
    EXPIRED = "expired", "Nobody approved it in time; the money is back"


_S = WithdrawalState
MOVES: dict[str, frozenset[str]] = {
    _S.PENDING: frozenset({_S.APPROVED, _S.DECLINED, _S.EXPIRED}),
    _S.APPROVED: frozenset({_S.SENDING, _S.CONFIRMED, _S.FAILED}),  # internal ones are never sent
    _S.SENDING: frozenset({_S.SENT, _S.UNKNOWN, _S.CONFIRMED, _S.FAILED}),
    _S.SENT: frozenset({_S.UNKNOWN, _S.CONFIRMED, _S.FAILED}),
    _S.UNKNOWN: frozenset({_S.SENT, _S.CONFIRMED, _S.FAILED}),
}
WIRE_STATUS: dict[str, OperationStatus] = {
    _S.PENDING: OperationStatus.PENDING,
    _S.APPROVED: OperationStatus.PROCESSING,
    _S.SENDING: OperationStatus.PROCESSING,
    _S.SENT: OperationStatus.PROCESSING,
    _S.UNKNOWN: OperationStatus.PROCESSING,
    _S.CONFIRMED: OperationStatus.CONFIRMED,
    _S.FAILED: OperationStatus.CANCELLED,
    _S.DECLINED: OperationStatus.DECLINED,
    _S.EXPIRED: OperationStatus.DECLINED,
}
IN_FLIGHT = (_S.SENDING, _S.SENT, _S.UNKNOWN)
OPEN = (_S.PENDING, _S.APPROVED, *IN_FLIGHT)


class Limit(models.TextChoices):
    """Why a withdrawal waits for approval."""

    NONE = "", "It need not be approved"
    ONE = "one_operation", "Above the limit of one operation"
    HOUR = "hour", "Above the limit of an hour"
    DAY = "day", "Above the limit of a day"
    ALL = "everything", "Everything is approved by hand"
    NO_PRICE = "no_price", "Its worth in EUR is not known at the moment"
    REFUND = "refund", "A refund to a payer"
    NEW_DESTINATION = "new_destination", "A new contact that still cools down"


class FixedSide(models.TextChoices):
    """Which amount the merchant fixed; with a conversion the other one is an estimate."""

    SENT = "sent", "What is debited"
    RECEIVED = "received", "What arrives"


class Outcome(models.TextChoices):
    """What two people say about an unknown outcome."""

    PAID = "paid", "It was paid"
    NOT_PAID = "not_paid", "It was not paid and will not be"


class WithdrawalQuerySet(TenantQuerySet["Withdrawal"]):
    pass


class Withdrawal(models.Model):
    """The intent of one operation; amounts are in `currency` unless said.

    amount: debited, fees apart. amount_to: what is to arrive, in `convert_to` (null without conversion).
    fee, mining_fee: as quoted and held. held: all of them. limit: why it waits. approved_hash: of the content
    that the approver saw. our_id: what the processor knows it by. prepared: the exact bytes of the order.
    next_ask_at: when the sender asks what became of it. stuck_at: when people were told that it hangs.
    parties: compliance data about who sends and who receives, if given.
    """

    operation = models.OneToOneField(Operation, on_delete=models.PROTECT, primary_key=True)
    merchant = models.ForeignKey(Merchant, on_delete=models.PROTECT)
    processor = models.ForeignKey(Processor, on_delete=models.PROTECT)
    state = models.CharField(max_length=20, choices=WithdrawalState.choices)
    origin = models.CharField(max_length=10, choices=Origin.choices)
    api_key = models.ForeignKey(ApiKey, on_delete=models.PROTECT, null=True)
    requested_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, related_name="+"
    )
    requested_at = models.DateTimeField()
    note = models.CharField(max_length=255, blank=True, default="")
    parties = models.JSONField(null=True)

    currency = CurrencyField()
    amount = AmountField()
    fixed_side = models.CharField(max_length=10, choices=FixedSide.choices)
    convert_to = CurrencyField(blank=True, default="")
    amount_to = AmountField(null=True)
    address = models.CharField(max_length=150)
    lookup = models.CharField(max_length=150)
    tag = models.CharField(max_length=40, null=True)
    address_wire_id = models.IntegerField()
    fee = AmountField()
    mining_fee = AmountField()
    held = AmountField()
    is_internal = models.BooleanField(default=False)

    limit = models.CharField(max_length=20, choices=Limit.choices, blank=True, default="")
    expires_at = models.DateTimeField(null=True)
    decided_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, related_name="+"
    )
    decided_at = models.DateTimeField(null=True)
    decision_reason = models.CharField(max_length=255, blank=True, default="")
    approved_hash = models.BinaryField(null=True)

    our_id = models.CharField(max_length=60, unique=True)
    external_id = models.CharField(max_length=60, null=True)
    prepared = models.BinaryField(null=True)
    prepared_at = models.DateTimeField(null=True)
    submitted_at = models.DateTimeField(null=True)
    unknown_at = models.DateTimeField(null=True)
    unknown_reason = models.CharField(max_length=255, blank=True, default="")
    asks = models.PositiveIntegerField(default=0)
    next_ask_at = models.DateTimeField(null=True)
    stuck_at = models.DateTimeField(null=True)
    closed_at = models.DateTimeField(null=True)

    outcome = models.CharField(max_length=10, choices=Outcome.choices, blank=True, default="")
    outcome_reason = models.CharField(max_length=255, blank=True, default="")
    outcome_txid = models.CharField(max_length=150, blank=True, default="")
    outcome_said_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, related_name="+"
    )
    outcome_said_at = models.DateTimeField(null=True)
    outcome_agreed_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, related_name="+"
    )

    SENDERS: ClassVar = ["state", "prepared", "prepared_at", "submitted_at", "external_id"]
    """What handing an order over writes; together with `unknown_…` and the asking, the sender's alone."""

    objects = WithdrawalQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["processor", "external_id"], name="withdrawal_is_one_order_of_the_processor"
            ),
            models.UniqueConstraint(
                fields=["merchant", "address_wire_id"], name="withdrawal_address_wire_id_is_unique"
            ),
            models.CheckConstraint(
                condition=is_number("amount", "fee", "mining_fee", "held")
                & models.Q(amount__gt=0, fee__gte=0, mining_fee__gte=0)
                & models.Q(held=models.F("amount") + models.F("fee") + models.F("mining_fee")),
                name="withdrawal_holds_amount_and_fees",
            ),
            models.CheckConstraint(
                condition=models.Q(convert_to="", amount_to__isnull=True)
                | (
                    ~models.Q(convert_to="")
                    & is_number("amount_to")
                    & models.Q(amount_to__isnull=False, amount_to__gt=0)
                ),
                name="withdrawal_converts_to_an_amount",
            ),
            models.CheckConstraint(
                condition=models.Q(state__in=WithdrawalState.values)
                & models.Q(limit__in=Limit.values, origin__in=[Origin.API, Origin.STAFF, Origin.REFUND]),
                name="withdrawal_state_is_known",
            ),
            models.CheckConstraint(
                condition=models.Q(origin=Origin.API, api_key__isnull=False, requested_by=None)
                | models.Q(origin=Origin.STAFF, api_key=None, requested_by__isnull=False)
                | models.Q(origin=Origin.REFUND, api_key=None),
                name="withdrawal_says_who_asked",
            ),
            models.CheckConstraint(
                condition=models.Q(requested_by__isnull=True)
                | models.Q(decided_by__isnull=True)
                | models.Q(state=WithdrawalState.DECLINED)
                | ~models.Q(decided_by=models.F("requested_by")),
                name="withdrawal_approver_is_not_requester",
            ),
            models.CheckConstraint(
                condition=models.Q(limit="")
                | models.Q(state__in=[_S.PENDING, _S.EXPIRED])
                | models.Q(decided_by__isnull=False, decided_at__isnull=False),
                name="withdrawal_beyond_a_limit_is_decided_by_somebody",
            ),
            models.CheckConstraint(
                condition=~models.Q(state__in=[_S.PENDING, _S.DECLINED, _S.EXPIRED]) | ~models.Q(limit=""),
                name="withdrawal_waits_for_a_reason",
            ),
            models.CheckConstraint(
                condition=models.Q(limit="")
                | models.Q(state__in=[_S.PENDING, _S.EXPIRED, _S.DECLINED])
                | models.Q(approved_hash__isnull=False),
                name="withdrawal_approval_keeps_what_was_seen",
            ),
            models.CheckConstraint(
                condition=models.Q(outcome_agreed_by__isnull=True)
                | (
                    models.Q(outcome_said_by__isnull=False)
                    & ~models.Q(outcome_agreed_by=models.F("outcome_said_by"))
                ),
                name="withdrawal_outcome_takes_two_people",
            ),
            models.CheckConstraint(
                condition=~models.Q(state__in=[_S.SENT, _S.UNKNOWN]) | models.Q(prepared__isnull=False),
                name="withdrawal_is_written_down_before_it_is_sent",
            ),
        ]
        indexes = [
            models.Index(
                fields=["prepared_at", "operation"],
                name="withdrawal_to_send",
                condition=models.Q(state=WithdrawalState.APPROVED),
            ),
            models.Index(
                fields=["next_ask_at", "operation"],
                name="withdrawal_in_flight",
                condition=models.Q(state__in=IN_FLIGHT),
            ),
            models.Index(
                fields=["merchant", "expires_at", "operation"],
                name="withdrawal_to_approve",
                condition=models.Q(state=WithdrawalState.PENDING),
            ),
            models.Index(
                fields=["merchant", "origin", "currency", "requested_at"], name="withdrawal_by_velocity"
            ),
            models.Index(fields=["merchant", "lookup"], name="withdrawal_by_destination"),
            models.Index(fields=["processor", "submitted_at"], name="withdrawal_by_outflow"),
            models.Index(fields=["merchant", "submitted_at"], name="withdrawal_of_merchant_by_time"),
        ]

    def __str__(self) -> str:
        return f"withdrawal {self.our_id}"

    @property
    def subject(self) -> str:
        return f"operation:{self.operation_id}"

    @property
    def money(self) -> Money:
        return Money(self.amount, self.currency)

    @property
    def holding(self) -> Money:
        return Money(self.held, self.currency)

    @property
    def pays(self) -> Money:
        """What is to arrive at the destination."""
        return Money(self.amount_to, self.convert_to) if self.amount_to is not None else self.money

    @property
    def converts(self) -> bool:
        return bool(self.convert_to)

    @property
    def is_closed(self) -> bool:
        return self.state not in OPEN

    SAYING: ClassVar = ["outcome", "outcome_txid", "outcome_reason", "outcome_said_by", "outcome_said_at"]
    DECIDING: ClassVar = ["state", "decided_by", "decided_at", "decision_reason", "approved_hash"]
    """What people's decision writes."""
    ENDING: ClassVar = ["state", "external_id", "closed_at", "next_ask_at"]
    """What the processor's word, or an ending without it, writes; either database role may."""

    def advance(self, state: str) -> None:
        """Another state; unsaved. Raises `IllegalMove`, a fault of ours."""
        if state not in MOVES.get(self.state, frozenset()):
            raise IllegalMove(f"{self}: {self.state} → {state}")
        self.state = state

    def decide(self, *, by: User, reason: str, seen: bytes | None = None, now: datetime) -> None:
        """Who decided on it, and why; seen: the hash of what an approver was shown. Unsaved."""
        self.decided_by, self.decided_at, self.decision_reason = by, now, reason
        self.approved_hash = seen

    def took(self, external_id: str) -> None:
        """The processor has the order under this id of its own; unsaved."""
        self.external_id = self.external_id or external_id

    def end(self, state: str, now: datetime) -> None:
        """Its outcome is known, once and for all; unsaved."""
        self.advance(state)
        self.closed_at, self.next_ask_at = now, None

    def say(self, *, outcome: str, txid: str, reason: str, by: User, now: datetime) -> None:
        """The first person's word on an unknown outcome."""
        self.outcome, self.outcome_txid, self.outcome_reason = outcome, txid, reason
        self.outcome_said_by, self.outcome_said_at = by, now
        self.save(update_fields=self.SAYING)

    def agree(self, *, by: User) -> None:
        """The second person's consent; the database refuses the first one's."""
        self.outcome_agreed_by = by
        self.save(update_fields=["outcome_agreed_by"])
