"""`lists`: what pages and exports cost one merchant with ten thousand deposits, and with a million.

Pages are asked of the very views, in a process of their own; the median of several. A filter that no index
serves may look at more of the history than the others, never at all of it.
"""

from __future__ import annotations

import json
import time
from typing import Any

import psycopg

from bench import history
from bench.inbox import Inbox
from bench.measure import Options
from bench.registry import Row, benchmark
from bench.world import Cast, Place, installed

FEW, MANY = 10_000, 1_000_000
PLAIN = [
    "transactions/",
    "transactions/?currency=BTC",
    "transactions/?status=confirmed",
    "callbacks/",
    "audit/",
]
FILTERED = [
    "transactions/?status=cancelled",
    "transactions/?status=not_confirmed&currency=BTC",
    "transactions/?kind=deposit_exchange",
    "transactions/?since=2020-01-01&until=2099-01-01",
    "callbacks/?state=exhausted",
]
SLOWER_AT_MOST, BUFFERS, BUFFERS_FILTERED = 1.5, 60, 500
CSV_AT_LEAST, FIRST_BYTE, GROWTH_MB = 50_000, 0.1, 32
_COPY = "COPY (SELECT * FROM payments_operation WHERE merchant_id = {} ORDER BY created_at DESC) TO STDOUT"


@benchmark("lists", alone=True)
def run(options: Options) -> list[Row]:
    """Pages, filters and CSV of a merchant with ten thousand and with a million deposits."""
    few, many = (200, 2_000) if options.quick else (FEW, MANY)
    with installed(Cast(merchants=1, url="http://127.0.0.1:9/"), roles=("worker", "beat")) as place:
        Inbox(place).apply(1)  # the first deposit opens the accounts
        history.lay_in(place, 1, few)
        history.tidy(place)
        before = _asked(place, options, csv=False)
        history.lay_in(place, few + 1, many)
        history.tidy(place)
        after, copied = _asked(place, options, csv=True), _copied(place, many)
    rows = [row for path in PLAIN + FILTERED for row in _of_page(path, before[path], after[path], few)]
    return rows + _of_csv(after["csv"], copied, many)


def _asked(place: Place, options: Options, *, csv: bool) -> dict[str, Any]:
    wanted = {
        "merchant": place.merchants[0].id,
        "paths": PLAIN + FILTERED,
        "times": 3 if options.quick else 21,
        "csv": csv,
    }
    environment = place.world.as_owner
    found = place.python("-m", "bench.pages", environment=environment, given=json.dumps(wanted))
    return dict(json.loads(found))


def _copied(place: Place, rows: int) -> float:
    """Rows a second of the plainest COPY of the same operations."""
    statement = _COPY.format(place.merchants[0].id)
    with psycopg.connect(place.world.postgres.url("bursar_super")) as connection:
        began = time.perf_counter()
        with connection.cursor().copy(statement) as copy:
            for _ in copy:
                pass
        return rows / (time.perf_counter() - began)


def _of_page(path: str, before: dict[str, float], after: dict[str, float], few: int) -> list[Row]:
    most = BUFFERS_FILTERED if path in FILTERED else BUFFERS
    return [
        Row(
            path,
            after["ms"],
            "ms",
            baseline=before["ms"],
            against=f"on {few:,}",
            ratio=after["ms"] / before["ms"],
            at_most=SLOWER_AT_MOST,
            note=f"{after['queries']:.0f} queries, before {before['queries']:.0f}",
        ),
        Row(f"buffers of {path}", after["buffers"], "", at_most=most),
    ]


def _of_csv(csv: dict[str, float], copied: float, many: int) -> list[Row]:
    rate = csv["rows"] / csv["seconds"]
    return [
        Row(
            f"CSV of {many:,} rows",
            rate,
            baseline=copied,
            against="plain COPY",
            at_least=CSV_AT_LEAST,
            note=f"{rate / copied:.2f} x plain COPY",
        ),
        Row("CSV: to the first byte", csv["first"], "s", at_most=FIRST_BYTE),
        Row("CSV: growth of the process", csv["grown"], "MB", at_most=GROWTH_MB),
    ]
