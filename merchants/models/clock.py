"""The sandbox's clock: how far business time runs ahead of real time."""

from __future__ import annotations

from datetime import timedelta

from django.db import models


class ClockOffset(models.Model):
    """The one row that moves the sandbox's clock; production has none."""

    offset = models.DurationField(default=timedelta)

    class Meta:
        constraints = [
            models.CheckConstraint(condition=models.Q(id=1), name="clock_offset_is_one_row"),
            models.CheckConstraint(
                condition=models.Q(offset__gte=timedelta(0)), name="clock_offset_is_not_negative"
            ),
        ]

    def __str__(self) -> str:
        return str(self.offset)
