"""`api`: signed requests of merchants, against a bare Django view on the same server and workers."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace

from bench import load, measure
from bench.load import Job
from bench.measure import Options, Sample
from bench.registry import Row, benchmark
from bench.world import Cast, Merchant, Place, installed
from payments import address_formats

CONNECTIONS = 8
"""As many as the web role has threads: two workers of four."""
CURRENCIES = 10
AMOUNT, FUNDS = "0.01", "100000"
"""Of Bitcoin: what each withdrawal pays out, and what there is for all of them."""
BARE = "bare Django view"


@benchmark("api")
def run(options: Options) -> list[Row]:
    """The signed API: ping, accounts/list, addresses/take, withdrawal/crypto; rate, p50 and p99."""
    spare = 200 if options.quick else int(1500 * options.seconds * options.rounds) + 2000
    with installed(Cast(currencies=CURRENCIES, spare=spare, funds=FUNDS), roles=("web",)) as place:
        (shop,) = place.merchants
        ping = [place.call(shop, "ping", b"", "GET")]
        accounts = [place.call(shop, "accounts/list")]
        takes = [
            place.call(
                shop, "addresses/take", json.dumps({"foreign_id": f"u-{n}", "currency": "BTC"}).encode()
            )
            for n in range(spare)
        ]
        orders = [place.call(shop, "withdrawal/crypto", _order(n)) for n in range(spare)]
        place.bare()
        return [
            _against_bare(place, "signed ping, both headers", _turn(place, ping, options), 0.7, options),
            _against_bare(place, "accounts/list, 10 accounts", _turn(place, accounts, options), 0.4, options),
            _against_bare(
                place, "addresses/take, new from the pool", _once_each(place, takes, options), 0.2, options
            ),
            _with_statements(
                _against_bare(
                    place, "withdrawal/crypto, held", _once_each(place, orders, options), 0.2, options
                ),
                place,
                shop,
            ),
        ]


def _once_each(place: Place, requests: list[bytes], options: Options) -> Callable[[], Sample]:
    """Turns that go through the requests, each of which is answered with 201 once."""
    done = 0

    def turn() -> Sample:
        nonlocal done
        outcome = load.run(_job(place, requests[done:], options, again=False))
        done += outcome.used
        return outcome.sample(demand=201)

    return turn


def _order(number: int) -> bytes:
    """A withdrawal to a new destination; from one balance, so that its row is what they wait for."""
    address = address_formats.make("bitcoin", f"payout {number}".encode(), testnet=True)
    order = {"foreign_id": f"w-{number}", "amount": AMOUNT, "currency": "BTC", "address": address}
    return json.dumps(order).encode()


def _with_statements(row: Row, place: Place, shop: Merchant) -> Row:
    """The row, and how many SQL statements such a request says."""
    bodies = [_order(number).decode() for number in (10_000_001, 10_000_002)]
    wanted = {"path": "withdrawal/crypto", "key": shop.key, "secret": shop.secret, "bodies": bodies}
    said = place.python(
        "-m", "bench.statements", environment=place.world.environment("web"), given=json.dumps(wanted)
    )
    return replace(row, note=f"{row.note}; {len(json.loads(said))} SQL statements each")


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
