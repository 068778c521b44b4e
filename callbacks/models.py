"""What callbacks stores: where merchants listen, what came in, what goes out, and every try.

The inbox and the outbox are queues of record: a row's state, its `next_attempt_at` and its lease say all
that a worker needs, and a broker only says when to look. Raised `attempts` are committed before the work,
so a row that kills its worker cannot loop for ever; the number also fences, since a worker that was stopped
and wakes up late finds that it has moved on. All times here are the database's real clock, also where the
sandbox has shifted business time.

No table has a foreign key into `IncomingCallback` or `DeliveryAttempt`, so both can be partitioned and
pruned. What Django cannot say (immutable bytes, legal moves, one merchant per row) is in `rules.sql`.
"""

from __future__ import annotations

from collections.abc import Mapping

from django.db import models
from django.db.models.functions import Now

from merchants.models import Merchant
from merchants.models.scope import TenantQuerySet


class Preset(models.TextChoices):
    """A published list of retries; the minutes are in `callbacks.schedule`."""

    Y2026 = "2026", "Twelve retries within about 24 hours"
    Y2023 = "2023", "Thirteen retries within about 19 hours"


class Health(models.TextChoices):
    """How the last try went; failing endpoints are served apart, so that they hold nobody up."""

    HEALTHY = "healthy", "The last try was answered with 200, or there was none"
    FAILING = "failing", "The last try failed"


class EndpointQuerySet(TenantQuerySet["Endpoint"]):
    pass


class Endpoint(models.Model):
    """Where and how one merchant is called back.

    url: empty for nowhere. paused_until: nothing is sent before, because the merchant has no active key.
    below_minimum, cross_currency, staff_operations: which changes are told. sender_address: whether the
    payer's own address is told along.
    """

    merchant = models.OneToOneField(Merchant, on_delete=models.PROTECT, related_name="endpoint")
    url = models.CharField("URL", max_length=2000, blank=True, default="")
    preset = models.CharField(max_length=10, choices=Preset.choices, default=Preset.Y2026)
    health = models.CharField(max_length=10, choices=Health.choices, default=Health.HEALTHY)
    paused_until = models.DateTimeField(null=True, blank=True)
    below_minimum = models.BooleanField(default=True, help_text="Tell of deposits below the minimum.")
    cross_currency = models.BooleanField(
        default=True, help_text="Tell of deposits in another currency than the address was taken for."
    )
    staff_operations = models.BooleanField(
        default=False, help_text="Tell of deposits to addresses that staff made."
    )
    sender_address = models.BooleanField(default=False, help_text="Tell the payer's own address.")

    objects = EndpointQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["merchant", "id"], name="endpoint_belongs_to_one_merchant"),
            models.CheckConstraint(
                condition=models.Q(url="") | models.Q(url__regex=r"^https?://"), name="endpoint_speaks_http"
            ),
            models.CheckConstraint(
                condition=models.Q(preset__in=Preset.values), name="endpoint_preset_is_published"
            ),
            models.CheckConstraint(
                condition=models.Q(health__in=Health.values), name="endpoint_health_is_known"
            ),
        ]

    def __str__(self) -> str:
        return self.url or "no URL"

    @property
    def subject(self) -> str:
        return f"endpoint:{self.pk}"

    @property
    def is_addressed(self) -> bool:
        """Whether there is anywhere to send to."""
        return bool(self.url)

    def point_to(self, url: str) -> None:
        """Another URL starts with a clean bill of health."""
        self.url, self.health = url, Health.HEALTHY
        self.save(update_fields=["url", "health"])

    def switch(self, switches: Mapping[str, bool]) -> None:
        """Sets the named switches."""
        for name, wanted in switches.items():
            setattr(self, name, wanted)
        self.save(update_fields=list(switches))

    def follow(self, preset: Preset) -> None:
        """Retries by another list, from each callback's next failure on."""
        self.preset = preset
        self.save(update_fields=["preset"])


class IncomingState(models.TextChoices):
    """Where a processor's callback stands."""

    RECEIVED = "received", "Stored and acknowledged; not applied yet"
    APPLIED = "applied", "What it says is in the books"
    QUARANTINED = "quarantined", "Set aside for people; it can be replayed"


class IncomingQuerySet(models.QuerySet["IncomingCallback"]):
    def again(self) -> int:
        """Quarantined rows become due with all their tries; returns how many."""
        return self.update(
            state=IncomingState.RECEIVED,
            failures=0,
            unfinished=0,
            next_attempt_at=Now(),
            is_repeat=False,
            error="",
        )


class IncomingCallback(models.Model):
    """One processor callback: the exact bytes, once, acknowledged only after commit.

    attempts: how often it was claimed. failures: how many tries ended in an error since it came or was
    replayed. unfinished: claims in a row of which nothing more was heard, because the worker died.
    next_attempt_at: when it is due; while claimed, when the claim ends. repeated_at: when the same bytes came
    again after they had been applied; is_repeat: that has not been judged yet.
    """

    processor = models.CharField(max_length=50)
    sha256 = models.BinaryField()
    raw = models.BinaryField()
    headers = models.JSONField()
    received_at = models.DateTimeField(db_default=Now())
    state = models.CharField(max_length=12, choices=IncomingState.choices, default=IncomingState.RECEIVED)
    attempts = models.PositiveIntegerField(default=0)
    failures = models.PositiveIntegerField(default=0)
    unfinished = models.PositiveIntegerField(default=0)
    next_attempt_at = models.DateTimeField(db_default=Now())
    applied_at = models.DateTimeField(null=True)
    repeated_at = models.DateTimeField(null=True)
    is_repeat = models.BooleanField(default=False, db_default=False)
    error = models.TextField(blank=True, default="")

    objects = IncomingQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["processor", "sha256"], name="incoming_callback_is_stored_once"),
            models.CheckConstraint(
                condition=models.Q(state__in=IncomingState.values), name="incoming_callback_state_is_known"
            ),
            models.CheckConstraint(
                condition=models.Q(state=IncomingState.APPLIED, applied_at__isnull=False)
                | (~models.Q(state=IncomingState.APPLIED) & models.Q(applied_at__isnull=True)),
                name="incoming_callback_is_applied_at_a_time",
            ),
            models.CheckConstraint(
                condition=~models.Q(state=IncomingState.QUARANTINED) | ~models.Q(error=""),
                name="incoming_callback_is_quarantined_for_a_reason",
            ),
            models.CheckConstraint(
                condition=models.Q(is_repeat=False) | models.Q(repeated_at__isnull=False),
                name="incoming_callback_repeat_has_its_time",
            ),
        ]
        indexes = [
            models.Index(
                fields=["next_attempt_at", "id"],
                name="incoming_callback_due",
                condition=models.Q(state=IncomingState.RECEIVED),
            ),
            models.Index(
                fields=["next_attempt_at", "id"],
                name="incoming_callback_suspect",
                condition=models.Q(state=IncomingState.RECEIVED, unfinished__gte=2),
            ),
            models.Index(
                fields=["id"],
                name="incoming_callback_quarantined",
                condition=models.Q(state=IncomingState.QUARANTINED),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.processor} {self.pk}"


class SubjectKind(models.TextChoices):
    """What an outgoing callback speaks of."""

    OPERATION = "operation", "A deposit, withdrawal or exchange"
    INVOICE = "invoice", "An invoice"
    TEST = "test", "Nothing: a try that staff asked for; the subject is the merchant"


class OutgoingState(models.TextChoices):
    """Where a merchant callback stands."""

    DUE = "due", "Will be tried at `next_attempt_at`"
    DELIVERED = "delivered", "Answered with 200"
    SUPERSEDED = "superseded", "Failed, and a newer one speaks of the same operation"
    EXHAUSTED = "exhausted", "The last retry failed"
    UNADDRESSED = "unaddressed", "The merchant had no URL; it can be sent once there is one"


class OutgoingQuerySet(TenantQuerySet["OutgoingCallback"]):
    pass


class OutgoingCallback(models.Model):
    """One version of one subject, told to its merchant: exact bytes, built once, signed when sent.

    attempts: tries ever made, counted before each. schedule_from: how many of them belong to schedules that
    ended before a resend. leased_until: set while somebody sends it. next_attempt_at: when it is due.
    """

    subject_kind = models.CharField(max_length=12, choices=SubjectKind.choices)
    subject_id = models.BigIntegerField()
    version = models.PositiveIntegerField()
    merchant = models.ForeignKey(Merchant, on_delete=models.PROTECT, db_index=False)
    endpoint = models.ForeignKey(Endpoint, on_delete=models.PROTECT, null=True, db_index=False)
    body = models.BinaryField()
    state = models.CharField(max_length=12, choices=OutgoingState.choices)
    attempts = models.PositiveIntegerField(default=0)
    schedule_from = models.PositiveIntegerField(default=0)
    next_attempt_at = models.DateTimeField(db_default=Now())
    leased_until = models.DateTimeField(null=True)
    created_at = models.DateTimeField(db_default=Now())
    last_attempt_at = models.DateTimeField(null=True)

    objects = OutgoingQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["subject_kind", "subject_id", "version"], name="outgoing_callback_is_written_once"
            ),
            models.UniqueConstraint(
                fields=["subject_kind", "subject_id"],
                condition=models.Q(leased_until__isnull=False),
                name="outgoing_callback_one_leased_per_subject",
            ),
            models.CheckConstraint(
                condition=models.Q(state__in=OutgoingState.values), name="outgoing_callback_state_is_known"
            ),
            models.CheckConstraint(
                condition=models.Q(leased_until__isnull=True)
                | models.Q(state=OutgoingState.DUE, attempts__gt=0),
                name="outgoing_callback_is_leased_only_while_due",
            ),
            models.CheckConstraint(
                condition=models.Q(endpoint__isnull=False) | models.Q(state=OutgoingState.UNADDRESSED),
                name="outgoing_callback_is_sent_somewhere",
            ),
            models.CheckConstraint(
                condition=models.Q(attempts__gte=models.F("schedule_from")),
                name="outgoing_callback_schedule_began_in_the_past",
            ),
            models.CheckConstraint(
                condition=models.Q(version__gte=1), name="outgoing_callback_version_from_one"
            ),
        ]
        indexes = [
            models.Index(
                fields=["endpoint", "next_attempt_at", "id"],
                name="outgoing_callback_due",
                condition=models.Q(state=OutgoingState.DUE, leased_until__isnull=True),
            ),
            models.Index(
                fields=["endpoint", "leased_until"],
                name="outgoing_callback_leased",
                condition=models.Q(leased_until__isnull=False),
            ),
            models.Index(fields=["merchant", "created_at", "id"], name="outgoing_callback_by_time"),
        ]

    def __str__(self) -> str:
        return f"{self.subject_kind} {self.subject_id} v{self.version}"

    def newer(self) -> OutgoingQuerySet:
        """Later callbacks about the same subject."""
        return OutgoingCallback.objects.filter(
            subject_kind=self.subject_kind, subject_id=self.subject_id, version__gt=self.version
        )

    def again(self, endpoint: Endpoint) -> None:
        """Due at once, to `endpoint`, with a whole schedule before it."""
        self.state, self.endpoint = OutgoingState.DUE, endpoint
        self.schedule_from, self.next_attempt_at = self.attempts, Now()
        self.save(update_fields=["state", "endpoint", "schedule_from", "next_attempt_at"])


class DeliveryAttempt(models.Model):
    """One try of one outgoing callback; the request's body is the callback's.

    number: the callback's `attempts` at that time. status: the HTTP answer, or None where none came, and
    then `error` says why. response_body: up to 64 kB of a refusal, up to 4 kB of a 200. ms: from the start
    of the look-up to the end of the answer. address: where it went, once known.
    """

    callback = models.ForeignKey(
        OutgoingCallback, on_delete=models.PROTECT, related_name="tries", db_index=False
    )
    number = models.PositiveIntegerField()
    at = models.DateTimeField(db_default=Now())
    url = models.CharField(max_length=2000)
    request_headers = models.JSONField()
    status = models.PositiveIntegerField(null=True)
    response_headers = models.JSONField()
    response_body = models.BinaryField()
    ms = models.PositiveIntegerField()
    address = models.GenericIPAddressField(null=True)
    error = models.TextField(blank=True, default="")

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["callback", "number"], name="delivery_attempt_is_kept_once"),
            models.CheckConstraint(
                condition=models.Q(status__isnull=False) | ~models.Q(error=""),
                name="delivery_attempt_was_answered_or_says_why_not",
            ),
        ]
        indexes = [models.Index(fields=["at"], name="delivery_attempt_by_time")]

    def __str__(self) -> str:
        return f"{self.callback_id} #{self.number}"
