"""Key traffic: how often each key was tried, from where, on what, with which outcome, hour by hour."""

from __future__ import annotations

from django.db import models

from merchants.models.api_key import ApiKey


class Outcome(models.TextChoices):
    """What became of a request; the refusals are the wire's codes."""

    ACCEPTED = "accepted", "Key, signature and address were right"
    NO_KEY = "required_header_key", "No key was named"
    BAD_KEY = "bad_header_key", "The key is unknown or does not work"
    NO_SIGNATURE = "required_header_signature", "There was no signature"
    BAD_SIGNATURE = "bad_header_signature", "The signature is not that of the body"
    FORBIDDEN_IP = "forbidden_ip", "Signed rightly, from an address outside the allowlist"
    BAD_CONTENT = "bad_content_format", "Signed rightly, but larger than a request may be"


class KeyTraffic(models.Model):
    """A counter. No key: the key was missing or unknown. No address: a crowd of strangers, counted as one.

    hour: the beginning of the hour by real time, UTC.
    """

    key = models.ForeignKey(ApiKey, on_delete=models.PROTECT, null=True, related_name="traffic")
    hour = models.DateTimeField()
    ip = models.GenericIPAddressField(null=True)
    endpoint = models.CharField(max_length=64)
    outcome = models.CharField(max_length=32, choices=Outcome.choices)
    count = models.PositiveBigIntegerField()

    class Meta:
        verbose_name_plural = "key traffic"
        constraints = [
            models.UniqueConstraint(
                fields=["key", "hour", "ip", "endpoint", "outcome"],
                nulls_distinct=False,
                name="key_traffic_is_one_row_an_hour",
            ),
            models.CheckConstraint(
                condition=models.Q(outcome__in=Outcome.values), name="key_traffic_outcome_is_known"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.count} × {self.endpoint} {self.outcome}"
