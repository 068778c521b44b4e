"""The retry lists are the published ones."""

from __future__ import annotations

from datetime import timedelta

import pytest

from callbacks import schedule
from callbacks.models import Preset


def minutes(preset: str) -> list[int]:
    """The whole schedule, asked the way that deliveries ask."""
    delays = []
    while (delay := schedule.next_delay(preset, len(delays) + 1)) is not None:
        delays.append(int(delay.total_seconds() // 60))
    return delays


class TestNextDelay:
    def test_of_2026_makes_twelve_retries(self) -> None:
        assert minutes("2026") == [1, 5, 15, 30, 60, 90, 120, 180, 240, 240, 240, 240]

    def test_of_2026_ends_after_a_day_and_21_minutes(self) -> None:
        assert timedelta(minutes=sum(minutes("2026"))) == timedelta(hours=24, minutes=21)

    def test_of_2023_makes_thirteen_retries(self) -> None:
        assert minutes("2023") == [1, 5, 10, 15, 20, 30, 60, 90, 120, 150, 180, 210, 240]

    @pytest.mark.parametrize(("preset", "last"), [("2026", 13), ("2023", 14)])
    def test_of_the_last_attempt_is_none(self, preset: str, last: int) -> None:
        assert schedule.next_delay(preset, last - 1) == timedelta(minutes=240)
        assert schedule.next_delay(preset, last) is None

    def test_is_known_for_every_preset_that_a_merchant_may_choose(self) -> None:
        assert set(Preset.values) == set(schedule.RETRY_MINUTES)
        assert schedule.DEFAULT == Preset.Y2026
