"""Sessions as their owner sees them: since when, from where, in which browser, and how they ended."""

from __future__ import annotations

from datetime import timedelta
from typing import Self

from django.conf import settings
from django.db import models
from django.db.models.functions import Now

IDLE = timedelta(minutes=15)
LONGEST = timedelta(hours=12)

# In the order in which one claims to be the other too.
_BROWSERS = (
    ("Edg", "Edge"),
    ("OPR/", "Opera"),
    ("Firefox/", "Firefox"),
    ("Chrom", "Chrome"),
    ("Safari/", "Safari"),
    ("curl/", "curl"),
)
_SYSTEMS = (
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Android", "Android"),
    ("Windows", "Windows"),
    ("Mac OS X", "macOS"),
    ("Linux", "Linux"),
)


class Door(models.TextChoices):
    """Where somebody signed in."""

    BACKOFFICE = "backoffice", "Back-office"
    OPERATOR = "operator", "Operator admin"


class SignedInSessionQuerySet(models.QuerySet["SignedInSession"]):
    def live(self) -> Self:
        """Those that still let their person in, by the database's real clock."""
        return self.filter(ended_at=None, last_seen_at__gt=Now() - IDLE, signed_in_at__gt=Now() - LONGEST)


class SignedInSession(models.Model):
    """A session from sign-in to its end. Real time throughout, whatever the sandbox's clock says.

    Django's own session row names it by its primary key; it holds nothing that could be used to sign in.
    """

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="sessions")
    door = models.CharField(max_length=10, choices=Door.choices)
    signed_in_at = models.DateTimeField(db_default=Now())
    last_seen_at = models.DateTimeField(db_default=Now())
    ended_at = models.DateTimeField(null=True)
    ip = models.GenericIPAddressField(null=True)
    browser = models.CharField(max_length=200, blank=True)

    objects = SignedInSessionQuerySet.as_manager()

    class Meta:
        indexes = [
            models.Index(fields=["user"], condition=models.Q(ended_at=None), name="sessions_of_a_person"),
            models.Index(fields=["last_seen_at"], name="sessions_by_age"),
        ]
        constraints = [
            models.CheckConstraint(
                condition=models.Q(door__in=Door.values), name="signed_in_session_door_is_known"
            ),
            models.CheckConstraint(
                condition=models.Q(last_seen_at__gte=models.F("signed_in_at")),
                name="signed_in_session_is_seen_after_it_began",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.user} at the {self.door} since {self.signed_in_at:%Y-%m-%d %H:%M}"

    @property
    def browser_words(self) -> str:
        """Browser and system in two words, from what the browser says of itself; never more than a hint."""
        browser = next((name for mark, name in _BROWSERS if mark in self.browser), "")
        system = next((name for mark, name in _SYSTEMS if mark in self.browser), "")
        return " on ".join(filter(None, (browser, system))) or self.browser[:40] or "Unknown browser"
