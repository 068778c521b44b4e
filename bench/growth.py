"""`growth`: what a callback costs on an almost empty installation and on top of years of history.

`history` lays the years in; between the two measurements nothing else changes. The database itself counts
which tables were read from end to end meanwhile, and says how it would look up what operators look for: no
table that grows may be read whole.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from bench import history, measure
from bench.inbox import Inbox
from bench.measure import Options, Sample
from bench.outbox import Outbox
from bench.registry import Row, benchmark
from bench.world import Cast, Place, installed, say

MERCHANTS = 100
FEW, MANY = 10_000, 1_000_000
AT_LEAST = 0.9
ROLES = ("worker", "deliver", "beat")
APPLIED_PER_SECOND, DELIVERED_PER_SECOND = 250, 350
"""Rows laid in for each second that is asked for."""
_READ_WHOLE = """
SELECT relname, seq_scan, seq_tup_read FROM pg_stat_user_tables
 WHERE relname = ANY(%s) AND n_live_tup >= %s ORDER BY relname
"""
LOOK_UPS = {
    "operations by either number": (
        "SELECT * FROM payments_operation WHERE wire_id = 500017 OR external_id = '500017'"
    ),
    "addresses by text or customer": (
        "SELECT * FROM payments_address WHERE address = 'x' OR foreign_id = 'x'"
    ),
    "entries by key or subject": (
        "SELECT * FROM payments_entry WHERE key = 'operation:17' OR subject = 'operation:17'"
    ),
    "legs by txid": "SELECT * FROM payments_leg WHERE merchant_id = 1 AND txid = 'c0ffee'",
    "callbacks by subject": "SELECT * FROM callbacks_outgoingcallback WHERE subject_id = 17",
    "tries by callback": "SELECT * FROM callbacks_deliveryattempt WHERE callback_id = 17",
    "a merchant's newest callbacks": (
        "SELECT * FROM callbacks_outgoingcallback WHERE merchant_id = 1"
        " ORDER BY created_at DESC, id DESC LIMIT 51"
    ),
}
_SEQUENTIAL = re.compile(r"Seq Scan on (\w+)")


@benchmark("growth", alone=True)
def run(options: Options) -> list[Row]:
    """Callbacks applied and delivered with ten thousand deposits of history, and with a million."""
    few, many = (200, 2_000) if options.quick else (FEW, MANY)
    cast = Cast(merchants=MERCHANTS, url="http://127.0.0.1:9/")
    with installed(cast, roles=ROLES) as place:
        inbox, outbox = Inbox(place), Outbox(place)
        _settle(inbox, outbox, MERCHANTS)  # each merchant's first deposit opens its accounts
        history.lay_in(place, 1, few)
        history.tidy(place)
        before = _measured(inbox, outbox, options)
        history.lay_in(place, few + 1, many)
        history.tidy(place)
        counted = _counted(place, many)
        after = _measured(inbox, outbox, options)
        read_whole = _read_whole(counted, _counted(place, many))
        unserved = _unserved(place)
    return [
        *(
            _row(f"{what} on {many:,} deposits of history", after[what], before[what], few)
            for what in ("applied", "delivered")
        ),
        Row("tables that callbacks read whole", len(read_whole), "", at_most=0, note=", ".join(read_whole)),
        Row("look-ups that read a table whole", len(unserved), "", at_most=0, note=", ".join(unserved)),
    ]


def _settle(inbox: Inbox, outbox: Outbox, count: int) -> None:
    inbox.apply(count)
    outbox.await_empty()


def _measured(inbox: Inbox, outbox: Outbox, options: Options) -> dict[str, list[Sample]]:
    applied = 40 if options.quick else int(APPLIED_PER_SECOND * options.seconds)
    delivered = 40 if options.quick else int(DELIVERED_PER_SECOND * options.seconds)

    def deliver() -> Sample:
        return Sample(delivered, outbox.await_delivered(outbox.fill(delivered, endpoints=MERCHANTS)))

    def apply() -> Sample:
        sample = inbox.apply(applied)
        outbox.await_empty()
        return sample

    return measure.interleaved({"applied": apply, "delivered": deliver}, rounds=options.rounds)


def _counted(place: Place, rows: int) -> dict[str, tuple[int, int]]:
    """How often, and over how many rows, each large table was read from end to end so far."""
    found = place.world.ask(_READ_WHOLE, [list(history.TABLES), rows // 2])
    return {name: (scans, read) for name, scans, read in found}


def _read_whole(before: dict[str, tuple[int, int]], after: dict[str, tuple[int, int]]) -> list[str]:
    return [
        f"{name} ({scans - before[name][0]} times, {read - before[name][1]:,} rows)"
        for name, (scans, read) in after.items()
        if name in before and read > before[name][1]
    ]


def _unserved(place: Place) -> list[str]:
    found = []
    for what, statement in LOOK_UPS.items():
        plan = "\n".join(row[0] for row in place.world.ask(f"EXPLAIN {statement}"))
        if _SEQUENTIAL.search(plan):
            found.append(what)
            say(f"  {what}:\n{plan}")
    return found


def _row(what: str, many: Sequence[Sample], few: Sequence[Sample], count: int) -> Row:
    """Rounds are of different minutes here, so their medians are compared."""
    return Row(
        what,
        measure.rate(many),
        baseline=measure.rate(few),
        against=f"on {count:,}",
        ratio=measure.rate(many) / measure.rate(few),
        at_least=AT_LEAST,
    )
