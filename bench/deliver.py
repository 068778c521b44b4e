"""`deliver`: merchant callbacks, per second of CPU that the delivering process spends on them.

A delivery is all that belongs to it: claim, signature, POST, the try kept, the callback settled. What it is
compared with only posts, over one kept connection to the same receiver.
"""

from __future__ import annotations

import json
import statistics
from collections.abc import Callable, Sequence

from bench import measure
from bench.measure import Options, Sample
from bench.outbox import MERCHANTS, Outbox, spent
from bench.registry import Row, benchmark
from bench.world import Cast, Place, installed

ROLES = ("deliver", "worker", "beat")
SESSION, CONNECTION = "requests.Session", "http.client"
AT_LEAST = 0.6
_PER_SECOND = 400
"""Deliveries laid in for each second that is asked for."""


@benchmark("deliver")
def run(options: Options) -> list[Row]:
    """Merchant callbacks delivered per core, bookkeeping included, against plain posts."""
    count = 40 if options.quick else int(_PER_SECOND * options.seconds)
    with installed(Cast(merchants=MERCHANTS, url="http://127.0.0.1:9/"), roles=ROLES) as place:
        outbox = Outbox(place)
        turns = {
            "one": lambda: _deliver(place, outbox, count, 1),
            "many": lambda: _deliver(place, outbox, count, MERCHANTS),
            SESSION: _plain(place, "requests", count, outbox.url),
            CONNECTION: _plain(place, "http", count, outbox.url),
        }
        turns["many"]()
        taken = measure.interleaved(turns, rounds=options.rounds)
    return [
        _row("delivered per core, 1 endpoint", taken["one"], taken[SESSION], SESSION, AT_LEAST),
        _row(f"delivered per core, {MERCHANTS} endpoints", taken["many"], taken[SESSION], SESSION, AT_LEAST),
        _row(f"the same against {CONNECTION}", taken["many"], taken[CONNECTION], CONNECTION, None),
    ]


def _deliver(place: Place, outbox: Outbox, count: int, endpoints: int) -> Sample:
    before = spent(place, ["deliver"])
    seconds = outbox.await_delivered(outbox.fill(count, endpoints=endpoints))
    return Sample(count, seconds, cpu=spent(place, ["deliver"]) - before)


def _plain(place: Place, kind: str, count: int, url: str) -> Callable[[], Sample]:
    def taken() -> Sample:
        out = place.python("-m", "bench.posting", kind, str(count), url, environment=place.world.as_owner)
        return Sample(**json.loads(out))

    return taken


def _row(
    what: str, ours: Sequence[Sample], theirs: Sequence[Sample], against: str, at_least: float | None
) -> Row:
    """Compared by CPU: a process of ours works in eight threads, the other waits for each answer."""
    return Row(
        what,
        per_core(ours),
        "/core s",
        baseline=per_core(theirs),
        against=against,
        ratio=statistics.median(
            other.cpu_us / one.cpu_us for one, other in zip(ours, theirs, strict=True) if one.cpu
        ),
        at_least=at_least,
        note=f"{measure.cpu_us(ours):,.0f} µs CPU each, {measure.rate(ours):,.0f} a second by the clock;"
        f" {against} {measure.cpu_us(theirs):,.0f} µs, {measure.rate(theirs):,.0f} a second",
    )


def per_core(samples: Sequence[Sample]) -> float:
    """How many for each second of CPU."""
    return 1e6 / measure.cpu_us(samples)
