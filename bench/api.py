"""`api`: signed requests of merchants, against a bare Django view on the same server and workers."""

from __future__ import annotations

import json
from collections.abc import Callable

from bench import load, measure
from bench.load import Job
from bench.measure import Options, Sample
from bench.registry import Row, benchmark
from bench.world import Cast, Place, installed

CONNECTIONS = 8
"""As many as the web role has threads: two workers of four."""
CURRENCIES = 10
BARE = "bare Django view"


@benchmark("api")
def run(options: Options) -> list[Row]:
    """The signed API: ping, accounts/list, addresses/take; rate, p50 and p99."""
    spare = 200 if options.quick else int(1500 * options.seconds * options.rounds) + 2000
    with installed(Cast(currencies=CURRENCIES, spare=spare), roles=("web",)) as place:
        (shop,) = place.merchants
        ping = [place.call(shop, "ping", b"", "GET")]
        accounts = [place.call(shop, "accounts/list")]
        takes = [
            place.call(
                shop, "addresses/take", json.dumps({"foreign_id": f"u-{n}", "currency": "BTC"}).encode()
            )
            for n in range(spare)
        ]
        done = 0

        def take() -> Sample:
            nonlocal done
            outcome = load.run(_job(place, takes[done:], options, again=False))
            done += outcome.used
            return outcome.sample(demand=201)

        place.bare()
        return [
            _against_bare(place, "signed ping, both headers", _turn(place, ping, options), 0.7, options),
            _against_bare(place, "accounts/list, 10 accounts", _turn(place, accounts, options), 0.4, options),
            _against_bare(place, "addresses/take, new from the pool", take, 0.2, options),
        ]


def _job(place: Place, requests: list[bytes], options: Options, *, again: bool = True) -> Job:
    return Job(place.web, requests, CONNECTIONS, options.seconds, again=again)


def _turn(place: Place, requests: list[bytes], options: Options) -> Callable[[], Sample]:
    return lambda: load.run(_job(place, requests, options)).sample()


def _against_bare(
    place: Place, what: str, turn: Callable[[], Sample], at_least: float, options: Options
) -> Row:
    plain = Job(place.bare(), [load.request("/", b"{}")], CONNECTIONS, options.seconds)

    def spending(role: str, turn: Callable[[], Sample]) -> Callable[[], Sample]:
        def taken() -> Sample:
            before = place.cpu(role)
            sample = turn()
            return Sample(sample.count, sample.seconds, sample.latencies, place.cpu(role) - before)

        return taken

    turns = {
        "ours": spending("web", turn),
        "bare": spending("bare-web", lambda: load.run(plain).sample()),
    }
    for warm in turns.values():
        warm()
    taken = measure.interleaved(turns, rounds=options.rounds)
    ours, bare = taken["ours"], taken["bare"]
    return Row(
        what,
        measure.rate(ours),
        baseline=measure.rate(bare),
        against=BARE,
        ratio=measure.ratio(ours, bare),
        at_least=at_least,
        note=f"{figures(ours)}; bare {figures(bare)}",
    )


def figures(samples: list[Sample]) -> str:
    """p50, p99 and CPU in words."""
    p50, p99 = measure.latency(samples, 50), measure.latency(samples, 99)
    return f"p50 {p50:.1f} ms, p99 {p99:.1f} ms, {measure.cpu_us(samples):,.0f} µs CPU"
