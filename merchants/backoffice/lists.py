"""What lists share: filters in the URL, the place where a page goes on, and the file of an export."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from urllib.parse import urlencode

from django import forms
from django.http import StreamingHttpResponse


class SpanForm(forms.Form):
    """Filters as people set them, whole days of UTC among them.

    What makes no sense is left out of `given`, and its field says so.
    """

    since = forms.DateField(
        label="From (UTC)", required=False, widget=forms.DateInput(attrs={"type": "date"})
    )
    until = forms.DateField(label="To (UTC)", required=False, widget=forms.DateInput(attrs={"type": "date"}))

    def given(self) -> dict[str, Any]:
        """What was understood, by field; the span as moments `[since, until)`, the last day whole."""
        self.full_clean()
        found = dict(self.cleaned_data)
        since, until = found.pop("since", None), found.pop("until", None)
        return found | {
            "since": _midnight(since) if since else None,
            "until": _midnight(until + timedelta(days=1)) if until else None,
        }

    def in_force(self) -> dict[str, str]:
        """The filters that are set, as they stand in the URL."""
        return {name: self.data[name] for name in self.fields if self.data.get(name)}

    def query(self, **more: object) -> str:
        """The filters that are set and `more`, as a query string."""
        return urlencode(self.in_force() | {name: value for name, value in more.items() if value})


def number(text: str, *, digits: int = 9) -> int | None:
    """A number from the URL that the database can hold; None for anything else."""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= digits else None


def csv_file(rows: Iterator[bytes], *, of: str, client_id: int, now: datetime) -> StreamingHttpResponse:
    """An export as a download, sent on as it is read."""
    name = f"bursar-{client_id}-{of}-{now:%Y%m%dT%H%M%SZ}.csv"
    return StreamingHttpResponse(
        rows,
        content_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="{name}"', "X-Accel-Buffering": "no"},
    )


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time.min, tzinfo=UTC)
