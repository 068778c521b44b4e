"""What bounds money that goes out: limits and contacts of merchants, caps and stops of the installation.

Limits decide who must approve; a merchant's Owners keep them. Caps and lifted stops decide what the sender
will do at all: the application's database role may make a stop, and can neither lift one nor write a cap.
"""

from __future__ import annotations

from datetime import datetime

from django.conf import settings
from django.db import models

from merchants.models import Merchant
from merchants.models.scope import TenantQuerySet
from payments.models.columns import AmountField, CurrencyField, is_number
from payments.models.operation import Origin

_AMOUNTS = ("one_operation", "per_hour", "per_day")


def _unlimited_or_positive() -> models.Q:
    condition = models.Q()
    for column in _AMOUNTS:
        condition &= models.Q(**{f"{column}__isnull": True}) | (
            is_number(column) & models.Q(**{f"{column}__gt": 0})
        )
    return condition


class WithdrawalLimit(models.Model):
    """Beyond these a merchant's withdrawals of one origin wait for approval; null is unlimited.

    currency: empty for the defaults, which count all currencies in EUR; a currency's own row counts in it
    and takes precedence wholly. everything: all of them wait.
    """

    merchant = models.ForeignKey(Merchant, on_delete=models.PROTECT)
    origin = models.CharField(max_length=10, choices=[(Origin.API, "API"), (Origin.STAFF, "Staff")])
    currency = CurrencyField(blank=True, default="")
    one_operation = AmountField(null=True)
    per_hour = AmountField(null=True)
    per_day = AmountField(null=True)
    everything = models.BooleanField(default=False)
    changed_at = models.DateTimeField()

    objects = TenantQuerySet["WithdrawalLimit"].as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["merchant", "origin", "currency"], name="withdrawal_limit_is_unique"
            ),
            models.CheckConstraint(condition=_unlimited_or_positive(), name="withdrawal_limit_is_positive"),
            models.CheckConstraint(
                condition=models.Q(origin__in=[Origin.API, Origin.STAFF]),
                name="withdrawal_limit_has_an_origin",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.origin} {self.currency or 'EUR equivalent'}"


class LimitRecipient(models.Model):
    """Who gets a mail when a merchant's withdrawal waits for approval."""

    merchant = models.ForeignKey(Merchant, on_delete=models.PROTECT)
    email = models.EmailField()

    objects = TenantQuerySet["LimitRecipient"].as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["merchant", "email"], name="limit_recipient_is_unique")
        ]

    def __str__(self) -> str:
        return self.email


class Contact(models.Model):
    """A destination that a merchant's staff have named; until `usable_from` sending to it is approved."""

    merchant = models.ForeignKey(Merchant, on_delete=models.PROTECT)
    name = models.CharField(max_length=100)
    currency = CurrencyField()
    address = models.CharField(max_length=150)
    lookup = models.CharField(max_length=150)
    tag = models.CharField(max_length=40, null=True)
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField()
    usable_from = models.DateTimeField()
    removed_at = models.DateTimeField(null=True)

    objects = TenantQuerySet["Contact"].as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["merchant", "currency", "lookup", "tag"],
                condition=models.Q(removed_at=None),
                nulls_distinct=False,
                name="contact_is_unique",
            ),
            models.UniqueConstraint(
                fields=["merchant", "name"],
                condition=models.Q(removed_at=None),
                name="contact_name_is_unique",
            ),
        ]

    def __str__(self) -> str:
        return self.name

    def remove(self, now: datetime) -> None:
        """It is no contact any more."""
        self.removed_at = now
        self.save(update_fields=["removed_at"])


class Cap(models.Model):
    """What the sender pays out at the most, for a merchant or (without one) for each; null is no cap.

    currency: empty counts all in EUR. Written on the server by the operator, never through a page.
    """

    merchant = models.ForeignKey(Merchant, on_delete=models.PROTECT, null=True)
    currency = CurrencyField(blank=True, default="")
    one_operation = AmountField(null=True)
    per_hour = AmountField(null=True)
    per_day = AmountField(null=True)
    changed_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["merchant", "currency"], name="cap_is_unique", nulls_distinct=False
            ),
            models.CheckConstraint(condition=_unlimited_or_positive(), name="cap_is_positive"),
        ]

    def __str__(self) -> str:
        return f"{self.merchant or 'each merchant'}: {self.currency or 'EUR equivalent'}"


class Stop(models.Model):
    """Nothing is sent for a merchant, or (without one) at all, from `stopped_at` until `lifted_at`.

    stopped_by: nobody when the breaker stopped it.
    """

    merchant = models.ForeignKey(Merchant, on_delete=models.PROTECT, null=True)
    reason = models.CharField(max_length=255)
    stopped_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, related_name="+"
    )
    stopped_at = models.DateTimeField()
    lifted_at = models.DateTimeField(null=True)
    lifted_by = models.CharField(max_length=100, blank=True, default="")
    lift_reason = models.CharField(max_length=255, blank=True, default="")

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["merchant"],
                condition=models.Q(lifted_at=None),
                name="stop_is_one_at_a_time",
                nulls_distinct=False,
            ),
            models.CheckConstraint(
                condition=models.Q(lifted_at=None) | (~models.Q(lifted_by="") & ~models.Q(lift_reason="")),
                name="stop_is_lifted_by_somebody_for_a_reason",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.merchant or 'installation'} since {self.stopped_at:%Y-%m-%d %H:%M}"


class Alert(models.Model):
    """Something that people must look at: a row, a mail and a banner. merchant: none for operators alone.

    key: what it is about, so that one matter raises one alert until it is cleared. mailed_at: when letters
    about it were written.
    """

    merchant = models.ForeignKey(Merchant, on_delete=models.PROTECT, null=True)
    kind = models.CharField(max_length=40)
    key = models.CharField(max_length=150)
    text = models.CharField(max_length=500)
    raised_at = models.DateTimeField()
    mailed_at = models.DateTimeField(null=True)
    cleared_at = models.DateTimeField(null=True)
    cleared_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, related_name="+"
    )

    objects = TenantQuerySet["Alert"].as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["key"], condition=models.Q(cleared_at=None), name="alert_is_raised_once"
            )
        ]
        indexes = [
            models.Index(
                fields=["merchant", "-raised_at"], name="alert_open", condition=models.Q(cleared_at=None)
            )
        ]

    def __str__(self) -> str:
        return self.text


class Reconciliation(models.Model):
    """What the books and a processor said about one currency at one moment.

    booked: what lies there by the books. in_flight: what orders under way may have taken of it already.
    reported: what the processor says. difference: reported less booked, 0 when orders under way explain it.
    """

    processor = models.ForeignKey("payments.Processor", on_delete=models.PROTECT)
    currency = CurrencyField()
    at = models.DateTimeField()
    booked = AmountField()
    in_flight = AmountField()
    reported = AmountField()
    difference = AmountField()

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=is_number("booked", "in_flight", "reported", "difference"),
                name="reconciliation_is_in_numbers",
            )
        ]
        indexes = [models.Index(fields=["processor", "currency", "-at"], name="reconciliation_latest")]

    def __str__(self) -> str:
        return f"{self.currency} at {self.at:%Y-%m-%d %H:%M}"
