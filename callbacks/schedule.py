"""When a merchant callback is tried again; pure.

Two lists were published for this protocol. `2026`: twelve retries, 24 h 21 min in all (the
CryptoProcessing documentation, April 2026). `2023`: thirteen (the CoinsPaid documentation, December 2023;
it does not say what the minutes are relative to, so both are read the same way). Each delay is relative to
the attempt before it.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from types import MappingProxyType

DEFAULT = "2026"

RETRY_MINUTES: Mapping[str, tuple[int, ...]] = MappingProxyType(
    {
        "2026": (1, 5, 15, 30, 60, 90, 120, 180, 240, 240, 240, 240),
        "2023": (1, 5, 10, 15, 20, 30, 60, 90, 120, 150, 180, 210, 240),
    }
)
"""Minutes before the first, second, ... retry, by the preset's name."""


def next_delay(preset: str, attempts: int) -> timedelta | None:
    """How long after attempt number `attempts` (from 1) the next is made; None when that was the last."""
    minutes = RETRY_MINUTES[preset]
    return timedelta(minutes=minutes[attempts - 1]) if attempts <= len(minutes) else None
