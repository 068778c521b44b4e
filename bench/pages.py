"""`python -m bench.pages`: asks the back-office for pages, as a signed-in Owner, and says what each cost.

Reads {"merchant": id, "paths": [...], "times": n} from stdin; writes {path: {"ms", "queries", "buffers"}} to
stdout. buffers: what PostgreSQL touched for the page's own statements, by its explanation. With "csv" in the
input, {"csv": {"rows", "seconds", "first", "grown"}} too: seconds to the first byte, growth in MB.
"""

from __future__ import annotations

import json
import re
import resource
import statistics
import sys
import time
from typing import Any

WARM = 3
_BUFFERS = re.compile(r"shared hit=(\d+)(?: read=(\d+))?|shared read=(\d+)")


def main() -> None:
    import django

    django.setup()
    from django.test import Client

    from merchants.models import Merchant
    from tests import desk

    wanted = json.load(sys.stdin)
    merchant = Merchant.objects.get(pk=wanted["merchant"])
    owner = desk.person(merchant, email=f"owner{time.time_ns()}@bench.test")
    client = desk.sign_in(Client(HTTP_HOST="127.0.0.1"), owner)
    at = desk.Desk(client, owner, merchant)
    found: dict[str, Any] = {path: _page(at, path, wanted["times"]) for path in wanted["paths"]}
    if wanted.get("csv"):
        found["csv"] = _csv(at.merchant)
    json.dump(found, sys.stdout)


def _page(at: Any, path: str, times: int) -> dict[str, float]:
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    for _ in range(WARM):
        assert at.get(path).status_code == 200, path
    taken = []
    for _ in range(times):
        began = time.perf_counter()
        at.get(path)
        taken.append((time.perf_counter() - began) * 1000)
    with CaptureQueriesContext(connection) as captured:
        at.get(path)
    reading = [query["sql"] for query in captured.captured_queries if query["sql"].startswith("SELECT")]
    return {
        "ms": statistics.median(taken),
        "queries": len(captured.captured_queries),
        "buffers": sum(_buffers(sql) for sql in reading if "payments_operation" in sql),
    }


def _buffers(sql: str) -> int:
    """Of the outermost node, which counts those below it."""
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN (ANALYZE, BUFFERS) {sql}")
        plan = "\n".join(row[0] for row in cursor.fetchall())
    first = _BUFFERS.search(plan)
    return sum(int(part) for part in first.groups() if part) if first else 0


def _csv(merchant: Any) -> dict[str, float]:
    from payments import listing

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    began, first, rows = time.perf_counter(), 0.0, 0
    for block in listing.csv(merchant=merchant, filters=listing.Filters()):
        first = first or time.perf_counter() - began
        rows += block.count(b"\n")
    seconds = time.perf_counter() - began
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    return {"rows": rows - 1, "seconds": seconds, "first": first, "grown": grown}


if __name__ == "__main__":
    main()
