"""A list's filters in its URL: read leniently, shown as chips, passed on to the next page and the export."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from urllib.parse import urlencode

from django import forms
from django.http import QueryDict

from merchants.backoffice.lists import SpanForm
from payments import currencies
from payments.listing import Filters
from payments.models import OperationKind, OperationStatus


class FilterForm(SpanForm):
    """The filters of transactions."""

    kind = forms.ChoiceField(label="Type", required=False, choices=[("", "All"), *OperationKind.choices])
    status = forms.ChoiceField(
        label="Status", required=False, choices=[("", "All"), *OperationStatus.choices]
    )
    currency = forms.ChoiceField(label="Currency", required=False)
    field_order = ("kind", "status", "currency", "since", "until")

    def __init__(self, query: QueryDict) -> None:
        super().__init__(query)
        choices = [("", "All"), *((code, code) for code in currencies.CURRENCIES)]
        self.fields["currency"].choices = choices  # type: ignore[attr-defined]

    @property
    def filters(self) -> Filters:
        return Filters(**self.given())

    def chips(self) -> list[Chip]:
        """The filters in force, each with the query that is left when it is cleared."""
        set_ones = self.in_force()
        return [
            Chip(f"{self.fields[name].label}: {self._shown(name)}", _query(set_ones, without=name))
            for name in set_ones
            if name not in self.errors
        ]

    def understood(self) -> str:
        """The filters in force, without what made no sense, as a query string."""
        set_ones = self.in_force()
        return urlencode({name: value for name, value in set_ones.items() if name not in self.errors})

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
