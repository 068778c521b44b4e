"""`ingest`: what processors tell us, accepted by the intake and applied by the workers."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import count, islice

from bench import load, measure
from bench.api import figures
from bench.load import Job
from bench.measure import Options, Sample
from bench.registry import Row, benchmark
from bench.world import Cast, Place, deposit_body, installed
from launcher.processes import python
from launcher.state import ROOT

CONNECTIONS = 4
"""As many as the intake has threads."""
MERCHANTS = 100
WORKERS = 2
PER_SECOND = 50.0
DRAINED_WITHIN_SECONDS = 120.0
_COUNTS = """
SELECT (SELECT count(*) FROM callbacks_incomingcallback), (SELECT count(*) FROM payments_entry),
       (SELECT count(*) FROM callbacks_incomingcallback WHERE state <> 'applied')
"""
_AGES = """
SELECT EXTRACT(epoch FROM pg_xact_commit_timestamp(xmin) - received_at)::float8 * 1000
  FROM callbacks_incomingcallback WHERE state = 'applied' AND received_at >= to_timestamp(%s)
"""


@benchmark("ingest")
def run(options: Options) -> list[Row]:
    """Processor callbacks: accepted, applied (1 and 100 merchants), repeated; their age when applied."""
    numbers = count(1)
    with installed(Cast(merchants=4 if options.quick else MERCHANTS), roles=()) as place:
        rows = _applied(place, numbers, options)
        _keep_commit_times(place)
        place.world.start("intake")
        rows = [*_accepted(place, numbers, options), *rows]
        place.world.start("worker", "beat")
        return [*rows, _repeated(place, numbers, options), _age(place, numbers, options)]


# --- accepted ---


def _accepted(place: Place, numbers: Iterator[int], options: Options) -> list[Row]:
    """Verified, stored, committed, answered; no worker runs."""
    plain = Job(place.bare("intake"), [load.request("/", b"{}" * 300)], CONNECTIONS, options.seconds)
    turns = {
        "ours": _spending(place, "intake", lambda: _told(place, numbers, options.seconds)),
        "bare": _spending(place, "bare-intake", lambda: load.run(plain).sample()),
    }
    for warm in turns.values():
        warm()
    taken = measure.interleaved(turns, rounds=options.rounds)
    place.world.ask("UPDATE callbacks_incomingcallback SET state = 'applied', applied_at = received_at")
    return [
        Row(
            "callback accepted: verified, stored, committed, 200",
            measure.rate(taken["ours"]),
            baseline=measure.rate(taken["bare"]),
            against="bare Django view",
            ratio=measure.ratio(taken["ours"], taken["bare"]),
            at_least=0.35,
            note=f"{figures(taken['ours'])}; bare {figures(taken['bare'])}",
        )
    ]


def _told(place: Place, numbers: Iterator[int], seconds: float) -> Sample:
    """So many seconds of new callbacks, as fast as they are answered."""
    requests = _requests(place, numbers, int(1500 * seconds) + 50)
    return load.run(Job(place.intake, requests, CONNECTIONS, seconds, again=False)).sample()


def _requests(place: Place, numbers: Iterator[int], how_many: int) -> list[bytes]:
    shops = place.merchants
    return [place.deposit(shops[number % len(shops)], number) for number in islice(numbers, how_many)]


def _spending(place: Place, role: str, turn: Callable[[], Sample]) -> Callable[[], Sample]:
    def taken() -> Sample:
        before = place.cpu(role)
        sample = turn()
        return Sample(sample.count, sample.seconds, sample.latencies, place.cpu(role) - before)

    return taken


# --- applied ---


class _Workers:
    """Processes of `bench.apply`, and the inbox that they empty."""

    def __init__(self, place: Place, kind: str, size: int, numbers: Iterator[int]) -> None:
        self._place, self._numbers = place, numbers
        environment = place.world.environment("worker") | {"DJANGO_SETTINGS_MODULE": "config.settings"}
        self._processes = [
            subprocess.Popen(
                python("-m", "bench.apply", kind),
                cwd=ROOT,
                env=environment,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
            for _ in range(size)
        ]

    def apply(self, each: int, merchants: int) -> Sample:
        """Every process applies about `each` deposits of so many merchants."""
        whole = each * len(self._processes)
        shops = self._place.merchants[:merchants]
        numbers = [next(self._numbers) for _ in range(whole)]
        bodies = [json.dumps(deposit_body(shops[n % len(shops)].address, n)) for n in numbers]
        self._order(self._processes[:1], {"fill": bodies})
        answers = self._order(self._processes, {"apply": each})
        done = sum(answer["count"] for answer in answers)
        assert done >= whole, f"{done} of {whole} were applied"
        return Sample(done, max(a["seconds"] for a in answers), cpu=sum(a["cpu"] for a in answers))

    def close(self) -> None:
        for process in self._processes:
            process.kill()
            process.communicate()

    def _order(
        self, processes: Sequence[subprocess.Popen[str]], order: dict[str, object]
    ) -> list[dict[str, float]]:
        for process in processes:
            assert process.stdin
            process.stdin.write(json.dumps(order) + "\n")
            process.stdin.flush()
        return [json.loads(process.stdout.readline()) for process in processes if process.stdout]


@contextmanager
def _workers(place: Place, kind: str, size: int, numbers: Iterator[int]) -> Iterator[_Workers]:
    workers = _Workers(place, kind, size, numbers)
    try:
        yield workers
    finally:
        workers.close()


def _applied(place: Place, numbers: Iterator[int], options: Options) -> list[Row]:
    """One process against one that works by hand; then one merchant against many, by two processes."""
    each = 40 if options.quick else int(300 * options.seconds) // 20 * 20
    many = len(place.merchants)
    with _workers(place, "ours", 1, numbers) as one, _workers(place, "ours", WORKERS, numbers) as two:
        one.apply(60, many)
        two.apply(60, many)
        with _workers(place, "ideal", 1, numbers) as by_hand:
            by_hand.apply(60, many)
            turns = {
                "many": lambda: one.apply(each, many),
                "one": lambda: one.apply(each, 1),
                "ideal many": lambda: by_hand.apply(each, many),
                "ideal one": lambda: by_hand.apply(each, 1),
                "two, many": lambda: two.apply(each, many),
                "two, one": lambda: two.apply(each, 1),
            }
            taken = measure.interleaved(turns, rounds=options.rounds)
    return [
        _against(taken["many"], taken["ideal many"], f"deposit applied, one process, {many} merchants", 0.5),
        _against(taken["one"], taken["ideal one"], "deposit applied, one process, 1 merchant", 0.5),
        _against(
            taken["two, one"], taken["two, many"], "one hot merchant, two processes", 0.8, f"{many} merchants"
        ),
    ]


def _against(
    ours: list[Sample],
    theirs: list[Sample],
    what: str,
    at_least: float,
    against: str = "psycopg by hand, one transaction each",
) -> Row:
    spent = f"{measure.cpu_us(ours):,.0f} µs CPU in the process; baseline {measure.cpu_us(theirs):,.0f} µs"
    return Row(
        what,
        measure.rate(ours),
        baseline=measure.rate(theirs),
        against=against,
        ratio=measure.ratio(ours, theirs),
        at_least=at_least,
        note=spent,
    )


# --- repeated, and age ---


def _repeated(place: Place, numbers: Iterator[int], options: Options) -> Row:
    """A callback's whole way, from its arrival until it is applied, against that of its repetition.

    A repetition is looked at again, since the processor may have said otherwise in between; it must change
    nothing.
    """
    sent: list[bytes] = []

    def until_applied(requests: list[bytes]) -> Sample:
        began = time.monotonic()
        outcome = load.run(Job(place.intake, requests, CONNECTIONS, DRAINED_WITHIN_SECONDS, again=False))
        measure.await_true(lambda: not _counts(place)[2], DRAINED_WITHIN_SECONDS, "callbacks to be applied")
        return Sample(outcome.sample().count, time.monotonic() - began, outcome.latencies)

    def first() -> Sample:
        sent[:] = _requests(place, numbers, int(150 * options.seconds))
        return until_applied(sent)

    def again() -> Sample:
        before = _counts(place)
        sample = until_applied(sent)
        assert _counts(place) == before, "a repetition changed the books"
        return sample

    until_applied(_requests(place, numbers, 50))
    taken: dict[str, list[Sample]] = {"first": [], "again": []}
    for _ in range(options.rounds):  # in this order: what is repeated must have been there
        taken["first"].append(first())
        taken["again"].append(again())
    return Row(
        "callback repeated, until it is applied",
        measure.rate(taken["again"]),
        baseline=measure.rate(taken["first"]),
        against="the first time",
        ratio=measure.ratio(taken["again"], taken["first"]),
        at_least=2.0,
        note="no row and no entry more after any of them",
    )


def _age(place: Place, numbers: Iterator[int], options: Options) -> Row:
    """From the row's reception to the commit that applies it, by PostgreSQL's own clock."""
    seconds = 2.0 if options.quick else options.seconds * options.rounds
    requests = _requests(place, numbers, int(PER_SECOND * seconds))
    load.run(Job(place.intake, _requests(place, numbers, 50), CONNECTIONS, 1.0, PER_SECOND, again=False))
    began, before = time.time(), place.cpu("intake", "worker", "beat")
    load.run(Job(place.intake, requests, CONNECTIONS, seconds, PER_SECOND, again=False)).sample()
    measure.await_true(lambda: not _counts(place)[2], DRAINED_WITHIN_SECONDS, "callbacks to be applied")
    spent = (place.cpu("intake", "worker", "beat") - before) / len(requests) * 1e6
    ages = [row[0] for row in place.world.ask(_AGES, [began])]
    p50, p99 = measure.percentile(ages, 50), measure.percentile(ages, 99)
    return Row(
        f"received to applied at {PER_SECOND:g}/s, p99",
        p99,
        "ms",
        at_most=50.0,
        note=f"p50 {p50:.1f} ms, longest {max(ages):.1f} ms; {len(ages)} callbacks, {spent:,.0f} µs CPU each",
    )


def _counts(place: Place) -> tuple[int, int, int]:
    """(callbacks stored, entries booked, callbacks not applied)."""
    stored, booked, waiting = place.world.ask(_COUNTS)[0]
    return stored, booked, waiting


def _keep_commit_times(place: Place) -> None:
    """Must be done while no role runs."""
    place.world.ask("ALTER SYSTEM SET track_commit_timestamp = on")
    place.world.stop_postgres()
    place.world.start_postgres()
