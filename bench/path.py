"""`path`: the whole way of a deposit, from the processor's callback coming in to the merchant's going out."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count, islice

from bench import load, measure
from bench.ingest import CONNECTIONS, MERCHANTS
from bench.load import Job
from bench.measure import Options
from bench.registry import Row, benchmark
from bench.world import Cast, Place, free_port, installed
from launcher.processes import python
from launcher.state import ROOT

ROLES = ("intake", "worker", "deliver", "beat")
GOALS = ((50.0, 100.0), (100.0, 250.0))
"""(callbacks a second, milliseconds that 99 of 100 may take)."""
LATEST_SECONDS = 60.0
WARM_UP = 100


@benchmark("path")
def run(options: Options) -> list[Row]:
    """From a processor's callback in to the merchant's callback out, at 50/s and 100/s."""
    port = free_port()
    merchants = 4 if options.quick else MERCHANTS
    with (
        _ear(port) as ear,
        installed(Cast(merchants, url=f"http://127.0.0.1:{port}/"), roles=ROLES) as place,
    ):
        numbers = count(1)
        _latencies(place, ear, numbers, WARM_UP if not options.quick else 20, GOALS[0][0])
        return [_row(place, ear, numbers, options, *goal) for goal in GOALS]


def _row(
    place: Place,
    ear: subprocess.Popen[str],
    numbers: Iterator[int],
    options: Options,
    per_second: float,
    at_most: float,
) -> Row:
    seconds = 1.0 if options.quick else options.seconds * options.rounds
    before = place.cpu(*ROLES)
    took = _latencies(place, ear, numbers, int(per_second * seconds), per_second)
    spent = (place.cpu(*ROLES) - before) / len(took) * 1e6
    p50 = measure.percentile(took, 50)
    return Row(
        f"processor's callback in to merchant's out at {per_second:g}/s, p99",
        measure.percentile(took, 99),
        "ms",
        at_most=at_most,
        note=f"p50 {p50:.1f} ms, longest {max(took):.1f} ms; {len(took)} callbacks, {spent:,.0f} µs CPU each",
    )


def _latencies(
    place: Place, ear: subprocess.Popen[str], numbers: Iterator[int], how_many: int, per_second: float
) -> list[float]:
    """In milliseconds, from when each callback was due at the intake to when its merchant had heard of it."""
    told, shops = list(islice(numbers, how_many)), place.merchants
    requests = [place.deposit(shops[number % len(shops)], number) for number in told]
    seconds = how_many / per_second + 1
    outcome = load.run(Job(place.intake, requests, CONNECTIONS, seconds, per_second, again=False))
    assert outcome.sample().count == how_many
    heard: dict[str, float] = {}

    def are_heard() -> bool:
        heard.update(_heard(ear))
        time.sleep(0.1)
        return all(str(number) in heard for number in told)

    measure.await_true(are_heard, LATEST_SECONDS, "merchants to hear of everything")
    due = {number: outcome.began + place_in_line / per_second for place_in_line, number in enumerate(told)}
    return [(heard[str(number)] - due[number]) * 1000 for number in told]


@contextmanager
def _ear(port: int) -> Iterator[subprocess.Popen[str]]:
    command = python("-m", "bench.ear", str(port))
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(command, cwd=ROOT, text=True, **pipes) as process:  # type: ignore[call-overload]
        assert process.stdout.readline() == "ready\n"
        try:
            yield process
        finally:
            process.kill()


def _heard(ear: subprocess.Popen[str]) -> dict[str, float]:
    assert ear.stdin
    assert ear.stdout
    ear.stdin.write("\n")
    ear.stdin.flush()
    told: dict[str, float] = json.loads(ear.stdout.readline())
    return told
