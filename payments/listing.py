"""Listing a merchant's transactions: filters, pages by key, and the same rows as CSV.

A page costs the same however long the history is and however deep one looks: it walks an index from where
the last page ended, at most `WINDOW` rows of it, and never counts or skips. Filters that no index serves
are applied to what is walked; a page may then be short, and says how far back it looked.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import connection, transaction
from django.db.models import BooleanField, ExpressionWrapper, Q, QuerySet, Value
from psycopg import ClientCursor

from merchants.errors import Refusal
from merchants.models import Merchant
from payments import currencies
from payments.ledger import LAST_BALANCE_AFTER
from payments.models import Operation, OperationStatus

PAGE = 50
WINDOW = 2_000
_RARE = (OperationStatus.NOT_CONFIRMED, OperationStatus.CANCELLED)
"""Statuses with an index of their own."""


class NoSuchPlace(Refusal):
    """The page that you came from is not known; this is the first one."""


@dataclass(frozen=True)
class Filters:
    """What a list is narrowed to; None and empty mean all. since, until: `[since, until)` by creation."""

    kind: str = ""
    status: str = ""
    currency: str = ""
    since: datetime | None = None
    until: datetime | None = None

    def indexed(self) -> Q:
        """What the walked index itself narrows down."""
        condition = Q()
        if self.since:
            condition &= Q(created_at__gte=self.since)
        if self.until:
            condition &= Q(created_at__lt=self.until)
        if self.status in _RARE:
            condition &= Q(status=self.status)
        elif self.currency:
            condition &= Q(currency_sent=self.currency)
        return condition

    def others(self) -> Q:
        """What is judged row by row."""
        condition = Q()
        if self.kind:
            condition &= Q(kind=self.kind)
        if self.status and self.status not in _RARE:
            condition &= Q(status=self.status)
        if self.currency and self.status in _RARE:
            condition &= Q(currency_sent=self.currency)
        return condition

    def whole(self) -> Q:
        return self.indexed() & self.others()


@dataclass(frozen=True)
class Page:
    """Newest first. older, newer: the number of the operation beside which the next page begins, or None.

    looked_back_to: set when the walk ended before the page was full.
    """

    rows: list[Operation]
    older: int | None
    newer: int | None
    looked_back_to: datetime | None = None


def page(
    *,
    merchant: Merchant,
    filters: Filters,
    older_than: int | None = None,
    newer_than: int | None = None,
) -> Page:
    """A page of `PAGE` operations, beginning beside the operation of that number.

    Raises `NoSuchPlace` for a number that is none of this merchant's.
    """
    backwards = newer_than is not None
    start = _place(merchant, newer_than if backwards else older_than)
    walked = list(_walk(merchant, filters, start, backwards))
    fitting = [row for row in walked if row[3]]
    is_full = len(fitting) > PAGE
    ended_early = not is_full and len(walked) == WINDOW
    rows = _rows([row[0] for row in fitting[:PAGE]], backwards)
    further = fitting[PAGE - 1][1] if is_full else walked[-1][1] if ended_early else None
    if backwards:
        return Page(rows, older=_number(rows, -1), newer=further)
    return Page(
        rows,
        older=further,
        newer=_number(rows, 0) if start else None,
        looked_back_to=walked[-1][2] if ended_early else None,
    )


def _number(rows: list[Operation], index: int) -> int | None:
    return rows[index].wire_id if rows else None


def _place(merchant: Merchant, wire_id: int | None) -> tuple[datetime, int] | None:
    if wire_id is None:
        return None
    found = Operation.objects.for_merchant(merchant).filter(wire_id=wire_id)
    place = found.values_list("created_at", "id").first()
    if place is None:
        raise NoSuchPlace
    return place


def _walk(
    merchant: Merchant, filters: Filters, start: tuple[datetime, int] | None, backwards: bool
) -> QuerySet[Operation, tuple[int, int, datetime, bool]]:
    """(id, number, created, whether it fits) of the rows walked, in the order of walking."""
    others = filters.others()
    fits: Any = ExpressionWrapper(others, output_field=BooleanField()) if others else Value(True)
    rows = Operation.objects.for_merchant(merchant).filter(filters.indexed())
    if start:
        rows = rows.filter(_beyond(start, backwards))
    order = ("created_at", "id") if backwards else ("-created_at", "-id")
    most = WINDOW if others else PAGE + 1
    walked = rows.annotate(fits=fits).order_by(*order).values_list("id", "wire_id", "created_at", "fits")
    return walked[:most]


def _beyond(start: tuple[datetime, int], backwards: bool) -> Q:
    """Rows after `start` in the order of walking, written so that the index can begin there."""
    at, pk = start
    if backwards:
        return Q(created_at__gte=at) & (Q(created_at__gt=at) | Q(id__gt=pk))
    return Q(created_at__lte=at) & (Q(created_at__lt=at) | Q(id__lt=pk))


def _rows(ids: list[int], backwards: bool) -> list[Operation]:
    rows = (
        Operation.objects.filter(pk__in=ids).select_related("address", "withdrawal").prefetch_related("legs")
    )
    found = {row.pk: row for row in rows}
    return [found[pk] for pk in (reversed(ids) if backwards else ids)]


# --- CSV -----------------------------------------------------------------------------------------

_SPREADSHEETS = r"^[=+@\t\r-]"
"""How a cell begins that a spreadsheet would take for a formula."""


def csv(*, merchant: Merchant, filters: Filters) -> Iterator[bytes]:
    """Every operation that `page` would list, newest first, as RFC 4180 writes it; streamed by COPY.

    Text cells that a spreadsheet would calculate are prefixed with an apostrophe; numbers are untouched.
    """
    rows = Operation.objects.for_merchant(merchant).filter(filters.whole()).order_by("-created_at", "-id")
    chosen, parameters = rows.values_list("id").query.sql_with_params()
    statement = (
        f"COPY ({_CSV.format(chosen=chosen)}) TO STDOUT WITH (FORMAT csv, HEADER)"  # the ORM's own text
    )
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL statement_timeout = 0")
        literal = ClientCursor(connection.connection).mogrify(statement, parameters)
        with connection.connection.cursor().copy(literal) as copy:
            for chunk in _in_blocks(copy):
                yield chunk.replace(b"\n", b"\r\n")


def _in_blocks(copy: Any, size: int = 64 * 1024) -> Iterator[bytes]:
    """Rows arrive one by one; sent on in blocks, since each is a write to a socket."""
    block = bytearray()
    for row in copy:
        block += row
        if len(block) >= size:
            yield bytes(block)
            block.clear()
    if block:
        yield bytes(block)


def _cell(column: str) -> str:
    return f"CASE WHEN {column} ~ E'{_SPREADSHEETS}' THEN '''' || {column} ELSE {column} END"


_FIAT = ", ".join(f"'{code}'" for code, currency in currencies.CURRENCIES.items() if not currency.is_crypto)
_FIAT_CODE = f"""
       CASE WHEN o.currency_received IN ({_FIAT}) THEN o.currency_received
            WHEN o.currency_sent IN ({_FIAT}) THEN o.currency_sent END"""
_FIAT_THEN = f"""
       CASE WHEN o.currency_received IN ({_FIAT}) THEN o.amount_received
            WHEN o.currency_sent IN ({_FIAT}) THEN o.amount_sent END"""
"""What it was worth in fiat by the rate that was frozen for it; empty where none was."""

_CSV = f"""
SELECT o.wire_id AS id, o.kind AS type, o.status,
       to_char(o.created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') AS created_utc,
       to_char(o.changed_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') AS changed_utc,
       o.currency_sent, o.amount_sent, o.currency_received, o.amount_received,
       o.amount_received - o.amount_minus_fee AS fee, o.amount_minus_fee AS net,
       {_FIAT_THEN} AS fiat_then, {_FIAT_CODE} AS fiat_currency, rate.price AS rate, balance.balance_after,
       {_cell("COALESCE(address.address, paid.address)")} AS address,
       {_cell("COALESCE(address.tag, paid.tag)")} AS tag,
       {_cell("COALESCE(o.foreign_id, address.foreign_id)")} AS foreign_id,
       {_cell("leg.txid")} AS txid, {_cell("o.error")} AS error
  FROM ({{chosen}}) AS chosen
  JOIN payments_operation AS o ON o.id = chosen.id
  LEFT JOIN payments_address AS address ON address.id = o.address_id
  LEFT JOIN payments_withdrawal AS paid ON paid.operation_id = o.id
  LEFT JOIN payments_rate AS rate ON rate.id = o.rate_id
  LEFT JOIN LATERAL (
    SELECT txid FROM payments_leg WHERE operation_id = o.id ORDER BY id LIMIT 1
  ) AS leg ON true
  LEFT JOIN LATERAL ({LAST_BALANCE_AFTER.format(subject="'operation:' || o.id")}) AS balance ON true
 ORDER BY o.created_at DESC, o.id DESC
"""  # noqa: S608  # column names of our own
