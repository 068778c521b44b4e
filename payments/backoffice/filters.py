"""A list's filters in its URL: read leniently, shown as chips, passed on to the next page and the export."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from urllib.parse import urlencode

from django import forms
from django.http import QueryDict

from payments import currencies
from payments.listing import Filters
from payments.models import OperationKind, OperationStatus


class FilterForm(forms.Form):
    """The filters as people set them; the last day counts whole. Days are UTC."""

    kind = forms.ChoiceField(label="Type", required=False, choices=[("", "All"), *OperationKind.choices])
    status = forms.ChoiceField(
        label="Status", required=False, choices=[("", "All"), *OperationStatus.choices]
    )
    currency = forms.ChoiceField(label="Currency", required=False)
    since = forms.DateField(
        label="From (UTC)", required=False, widget=forms.DateInput(attrs={"type": "date"})
    )
    until = forms.DateField(label="To (UTC)", required=False, widget=forms.DateInput(attrs={"type": "date"}))

    def __init__(self, query: QueryDict) -> None:
        super().__init__(query)
        choices = [("", "All"), *((code, code) for code in currencies.CURRENCIES)]
        self.fields["currency"].choices = choices  # type: ignore[attr-defined]

    @property
    def filters(self) -> Filters:
        """What was understood; a filter that makes no sense is left out, its field says so."""
        given = self.cleaned_data if self.is_valid() or self.cleaned_data else {}
        since, until = given.get("since"), given.get("until")
        return Filters(
            kind=given.get("kind", ""),
            status=given.get("status", ""),
            currency=given.get("currency", ""),
            since=_midnight(since) if since else None,
            until=_midnight(until + timedelta(days=1)) if until else None,
        )

    def chips(self) -> list[Chip]:
        """The filters in force, each with the query that is left when it is cleared."""
        set_ones = {name: self.data[name] for name in self.fields if self.data.get(name)}
        return [
            Chip(f"{self.fields[name].label}: {self._shown(name)}", _query(set_ones, without=name))
            for name in set_ones
            if name not in self.errors
        ]

    def query(self, **more: object) -> str:
        """The filters in force and `more`, as a query string."""
        given = {name: self.data[name] for name in self.fields if self.data.get(name)}
        return urlencode({**given, **{name: value for name, value in more.items() if value}})

    def _shown(self, name: str) -> str:
        value = str(self.data[name])
        return str(dict(getattr(self.fields[name], "choices", ())).get(value, value))


@dataclass(frozen=True)
class Chip:
    """A filter in words, and the URL's query without it."""

    text: str
    without: str


def presets(now: datetime) -> list[tuple[str, str]]:
    """(words, query) of the usual spans, ending today."""
    today = now.astimezone(UTC).date()
    spans = (("Today", 0), ("7 days", 6), ("30 days", 29))
    return [(words, urlencode({"since": today - timedelta(days=days)})) for words, days in spans]


def _query(given: Mapping[str, object], *, without: str) -> str:
    return urlencode({name: value for name, value in given.items() if name != without})


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time.min, tzinfo=UTC)
