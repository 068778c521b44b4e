"""What a key's traffic tells its owners: where it is used from and on what, and whom a list would lock out.

Read from the hourly counters, which follow real time; `at` is real time too.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from django.db.models import Max, Q, QuerySet, Sum

from merchants.models import ApiKey, KeyTraffic, Outcome
from merchants.networks import Network, parse_address

WINDOW = timedelta(days=30)
LATELY = timedelta(hours=1)
HEAT = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class LastUse:
    """A key's latest hour with an accepted request, and one of the requests in it."""

    hour: datetime
    ip: str | None
    endpoint: str


@dataclass(frozen=True, slots=True)
class Source:
    """An address and its accepted requests of 30 days; lately: of those, in this hour and the one before."""

    ip: str
    count: int
    lately: int
    last_hour: datetime


@dataclass(frozen=True, slots=True)
class RefusedTry:
    """Requests of one address that were refused for one reason, within 30 days."""

    ip: str | None
    outcome: Outcome
    count: int
    last_hour: datetime

    @property
    def reason(self) -> str:
        return str(self.outcome.label)


@dataclass(frozen=True, slots=True)
class Usage:
    """A key's 30 days. heat: for each endpoint its requests in each hour of the day, UTC, over 7 days."""

    sources: list[Source]
    refused: list[RefusedTry]
    heat: dict[str, list[int]]

    @property
    def hottest(self) -> int:
        return max((count for row in self.heat.values() for count in row), default=0)


def last_uses(keys: Iterable[ApiKey]) -> dict[int, LastUse]:
    """The latest accepted use of each key that was ever used, by primary key."""
    used = KeyTraffic.objects.filter(key__in=list(keys), outcome=Outcome.ACCEPTED)
    latest = used.order_by("key_id", "-hour", "-id").distinct("key_id")
    return {row.key_id: LastUse(row.hour, row.ip, row.endpoint) for row in latest if row.key_id}


def of_key(key: ApiKey, *, at: datetime) -> Usage:
    return Usage(sources=sources(key, at=at), refused=_refused(key, at), heat=_heat(key, at))


def sources(key: ApiKey, *, at: datetime) -> list[Source]:
    """Where the key was used from in 30 days, busiest first."""
    rows = (
        _window(key, at)
        .filter(outcome=Outcome.ACCEPTED, ip__isnull=False)
        .values("ip")
        .annotate(
            total=Sum("count"),
            lately=Sum("count", filter=Q(hour__gte=_hour(at - LATELY)), default=0),
            last=Max("hour"),
        )
        .order_by("-total", "ip")
    )
    return [Source(row["ip"] or "", row["total"], row["lately"], row["last"]) for row in rows]


def locked_out(key: ApiKey, networks: Sequence[Network], *, at: datetime) -> list[Source]:
    """Which of the key's sources an allowlist of `networks` would refuse; an empty list refuses nobody."""
    if not networks:
        return []
    return [source for source in sources(key, at=at) if not _inside(source.ip, networks)]


def _inside(ip: str, networks: Sequence[Network]) -> bool:
    address = parse_address(ip)
    return any(address in network for network in networks)


def _window(key: ApiKey, at: datetime) -> QuerySet[KeyTraffic]:
    return KeyTraffic.objects.filter(key=key, hour__gte=_hour(at - WINDOW))


def _refused(key: ApiKey, at: datetime) -> list[RefusedTry]:
    rows = (
        _window(key, at)
        .exclude(outcome=Outcome.ACCEPTED)
        .values("ip", "outcome")
        .annotate(total=Sum("count"), last=Max("hour"))
        .order_by("-last", "-total")[:50]
    )
    return [RefusedTry(row["ip"], Outcome(row["outcome"]), row["total"], row["last"]) for row in rows]


def _heat(key: ApiKey, at: datetime) -> dict[str, list[int]]:
    rows = KeyTraffic.objects.filter(key=key, hour__gte=_hour(at - HEAT), outcome=Outcome.ACCEPTED)
    counts: dict[str, Counter[int]] = {}
    for endpoint, hour, count in rows.values_list("endpoint", "hour", "count"):
        counts.setdefault(endpoint, Counter())[hour.astimezone(UTC).hour] += count
    return {
        endpoint: [counts[endpoint][hour] for hour in range(24)]
        for endpoint in sorted(counts, key=lambda name: -counts[name].total())
    }


def _hour(at: datetime) -> datetime:
    return at.replace(minute=0, second=0, microsecond=0)
