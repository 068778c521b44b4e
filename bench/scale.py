"""`scale`: more processes of a role, and a worker on another host.

On the second host nothing of the worker differs but the URLs of PostgreSQL and Valkey, which it reaches over
TCP instead of a socket. How far more processes help here is decided by the machine: on two cores two busy
processes and the database's own share what is there, and the note says how much of it was taken.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from urllib.parse import urlsplit

from bench import measure
from bench.inbox import Inbox
from bench.measure import Options, Sample
from bench.network import NotPermitted, SecondHost, second_host
from bench.outbox import MERCHANTS, Outbox
from bench.registry import Row, benchmark
from bench.world import Cast, Place, installed, say
from launcher.processes import Child

APPLIED_PER_SECOND, DELIVERED_PER_SECOND = 300, 400
"""Rows laid in for each second that is asked for."""
CORES = os.cpu_count() or 1


@benchmark("scale")
def run(options: Options) -> list[Row]:
    """Callbacks applied and delivered by one process and by two, and by a worker on a second host."""
    cast = Cast(merchants=MERCHANTS, url="http://127.0.0.1:9/")
    with installed(cast, roles=("beat",)) as place:
        crew = _Crew(place, Inbox(place), Outbox(place), options)
        return [*_delivered(crew), *_applied(crew), *_elsewhere(crew)]  # what is applied stays undelivered


@dataclass
class _Crew:
    """Processes that come and go for a turn."""

    place: Place
    inbox: Inbox
    outbox: Outbox
    options: Options
    _number: int = 0

    @contextmanager
    def working(self, role: str, processes: int, host: SecondHost | None = None) -> Iterator[None]:
        """`processes` programs of the role, each with one process to work with."""
        children = [self._start(role, host) for _ in range(processes)]
        try:
            yield
        finally:
            for child in children:
                child.signal(signal.SIGTERM)
            for child in children:
                child.process.wait(30)
                child.signal(signal.SIGKILL)

    def _start(self, role: str, host: SecondHost | None) -> Child:
        self._number += 1
        name = f"{role}-{self._number}"
        program = next(one for one in self.place.world.installation.programs() if one.name == role)
        command, environment = list(program.command), dict(program.environment)
        command[command.index("-n") + 1] = f"{name}@%h"
        if role == "worker":
            command[command.index("-c") + 1] = "1"
        if host:
            command = host.command(command)
            environment |= _urls(self.place, host)
        return self.place.run(name, command, environment, program.is_ready)

    def apply(self, processes: int, host: SecondHost | None = None) -> Sample:
        count = 40 if self.options.quick else int(APPLIED_PER_SECOND * self.options.seconds)
        with self.working("worker", processes, host):
            return _with_share(lambda: self.inbox.apply(count))

    def deliver(self, processes: int) -> Sample:
        count = 40 if self.options.quick else int(DELIVERED_PER_SECOND * self.options.seconds)
        with self.working("deliver", processes):

            def turn() -> Sample:
                return Sample(
                    count, self.outbox.await_delivered(self.outbox.fill(count, endpoints=MERCHANTS))
                )

            return _with_share(turn)


def _with_share(turn: Callable[[], Sample]) -> Sample:
    """The sample, with what the whole machine spent on it meanwhile; `cpu` over `seconds` is its share."""
    began, busy = time.monotonic(), _machine_busy()
    sample = turn()
    share = (_machine_busy() - busy) / (time.monotonic() - began)
    return Sample(sample.count, sample.seconds, cpu=share * sample.seconds)


def _applied(crew: _Crew) -> list[Row]:
    taken = measure.interleaved(
        {"one": lambda: crew.apply(1), "two": lambda: crew.apply(2)}, rounds=crew.options.rounds
    )
    return _rows("applied", "worker", taken)


def _delivered(crew: _Crew) -> list[Row]:
    with crew.working("worker", 1):
        taken = measure.interleaved(
            {"one": lambda: crew.deliver(1), "two": lambda: crew.deliver(2)}, rounds=crew.options.rounds
        )
    return _rows("delivered", "deliver", taken)


def _rows(what: str, role: str, taken: dict[str, list[Sample]]) -> list[Row]:
    one, two = taken["one"], taken["two"]
    return [
        Row(f"{what} by 1 {role} process", measure.rate(one), note=_busy(one)),
        Row(
            f"{what} by 2 {role} processes",
            measure.rate(two),
            baseline=measure.rate(one),
            against="1 process",
            ratio=measure.ratio(two, one),
            note=_busy(two),
        ),
    ]


def _busy(samples: Sequence[Sample]) -> str:
    """What the machine had left decides what more processes can bring."""
    share = sum(sample.cpu for sample in samples) / sum(sample.seconds for sample in samples)
    return f"the machine's {CORES} cores were {100 * share / CORES:.0f} % busy, the database's work included"


def _elsewhere(crew: _Crew) -> list[Row]:
    try:
        with second_host() as host, _reachable(crew.place, host):
            turns = {"here": lambda: crew.apply(1), "there": lambda: crew.apply(1, host)}
            taken = measure.interleaved(turns, rounds=crew.options.rounds)
    except NotPermitted as reason:
        say(f"bench: scale: second host NOT MEASURED: {reason}")
        return [Row("applied by 1 worker on a second host: NOT MEASURED", 0.0, note=str(reason))]
    return [
        Row(
            "applied by 1 worker on a second host",
            measure.rate(taken["there"]),
            baseline=measure.rate(taken["here"]),
            against="1 worker here",
            ratio=measure.ratio(taken["there"], taken["here"]),
            note="a network namespace; nothing differs but DATABASE_URL and REDIS_URL",
        )
    ]


@contextmanager
def _reachable(place: Place, host: SecondHost) -> Iterator[None]:
    """PostgreSQL and Valkey listen at the first host's address too, for the second one alone."""
    world = place.world
    rules = world.postgres.data / "pg_hba.conf"
    with rules.open("a") as file:
        file.write(f"host bursar bursar_app {host.first}/30 trust\n")
    world.postgres.address = world.valkey.address = host.first
    _restart(place)
    try:
        yield
    finally:
        world.postgres.address = world.valkey.address = ""
        _restart(place)


def _restart(place: Place) -> None:
    place.world.stop_postgres()
    place.world.start_postgres()
    place.world.kill_valkey()
    place.world.start_valkey()


def _urls(place: Place, host: SecondHost) -> dict[str, str]:
    valkey = urlsplit(place.world.installation.valkey)
    assert valkey.hostname
    return {
        "DATABASE_URL": f"postgresql://bursar_app@{host.first}/bursar",
        "REDIS_URL": place.world.installation.valkey.replace(f"@{valkey.hostname}:", f"@{host.first}:"),
    }


def _machine_busy() -> float:
    """CPU seconds that all cores spent so far on anything."""
    with open("/proc/stat") as file:
        fields = [int(word) for word in file.readline().split()[1:]]
    idle = fields[3] + fields[4]
    return (sum(fields[:8]) - idle) / os.sysconf("SC_CLK_TCK")
