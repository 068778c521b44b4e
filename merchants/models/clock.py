"""The sandbox's clock offset: one row, absent in production."""

from __future__ import annotations

from datetime import timedelta

from django.db import models


class ClockOffset(models.Model):
    """How far the installation's business time runs ahead of the database's clock."""

    offset = models.DurationField(default=timedelta(0))

    class Meta:
        constraints = [
            models.CheckConstraint(condition=models.Q(id=1), name="clock_offset_is_one_row"),
            models.CheckConstraint(
                condition=models.Q(offset__gte=timedelta(0)), name="clock_offset_runs_forwards"
            ),
        ]

    def __str__(self) -> str:
        return str(self.offset)
