"""What came in on each key: counts by hour, address, endpoint and outcome."""

from __future__ import annotations

from django.db import models

from merchants.models.api_key import ApiKey


class TrafficOutcome(models.TextChoices):
    """How a request on a key ended at the door."""

    ACCEPTED = "accepted", "Accepted"
    BAD_SIGNATURE = "bad_signature", "The signature was missing or wrong"
    FORBIDDEN_IP = "forbidden_ip", "The address is not on the allowlist"
    DEAD_KEY = "dead_key", "The key is not active, or its merchant is blocked"


class KeyTraffic(models.Model):
    """`count` requests on a key within the hour that begins at `hour`."""

    api_key = models.ForeignKey(ApiKey, on_delete=models.CASCADE, related_name="traffic")
    hour = models.DateTimeField()
    ip = models.GenericIPAddressField()
    endpoint = models.CharField(max_length=60)
    outcome = models.CharField(max_length=20, choices=TrafficOutcome.choices)
    count = models.PositiveBigIntegerField()
    last_at = models.DateTimeField()

    class Meta:
        verbose_name_plural = "key traffic"
        constraints = [
            models.UniqueConstraint(
                fields=["api_key", "hour", "ip", "endpoint", "outcome"], name="key_traffic_is_unique"
            )
        ]

    def __str__(self) -> str:
        return f"{self.count} × {self.endpoint} from {self.ip}"
