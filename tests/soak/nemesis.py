"""The nemesis: does harm on a schedule that is a function of the seed, and writes down what it did.

A deed is a function of the world and of one drawn number that chooses its victim. `Plan` draws moments,
deeds and numbers from the chance alone, so that a seed makes the same plan on every machine; how far a run
gets in it, and what a victim was doing at that moment, is the machine's.
"""

from __future__ import annotations

import itertools
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg

from tests.soak.world import World

Deed = Callable[[World, int], object]


def kill_a_pool_process(world: World, number: int) -> str:
    """-9 for one process of a worker's pool."""
    name = ("worker", "worker2")[number % 2]
    world.kill_child(name, number // 2)
    return name


def kill_a_worker(world: World, number: int) -> str:
    """-9 for a whole worker."""
    name = ("worker", "worker2")[number % 2]
    world.kill(name)
    return name


def kill_the_intake(world: World, number: int) -> str:
    """-9 for the process that takes callbacks; its parent makes another."""
    world.kill_child("intake", number)
    return "intake"


def kill_a_web_process(world: World, number: int) -> str:
    """-9 for one of the processes that serve the API; their parent makes another."""
    world.kill_child("web", number)
    return "web"


def kill_a_courier(world: World, number: int) -> str:
    """-9 for one of the programs that deliver to merchants."""
    name = ("deliver", "deliver_slow")[number % 2]
    world.kill(name)
    return name


def kill_the_tick(world: World, number: int) -> str:
    """-9 for beat, without which only fresh bells ring."""
    world.kill("beat")
    return "beat"


def freeze_a_worker(world: World, number: int) -> str:
    """Stops a worker for longer than its lease and lets it go on: what it held is others' by then."""
    name = ("worker", "worker2")[number % 2]
    world.freeze(name)
    threading.Timer(_FROZEN_SECONDS, world.thaw, [name]).start()
    return name


def end_a_connection(world: World, number: int) -> str:
    """Terminates one of the server's processes."""
    pids = world.backends()
    if pids:
        world.terminate_backend(pids[number % len(pids)])
    return f"{len(pids)} there"


def flush_valkey(world: World, number: int) -> str:
    """Everything in Valkey is gone: bells, queues, bindings."""
    world.flush_valkey()
    return ""


def kill_valkey(world: World, number: int) -> str:
    """-9 for Valkey; it comes back empty."""
    world.kill_valkey()
    time.sleep(0.2 + number % 8 / 10)
    world.start_valkey()
    return ""


def lose_answers(world: World, number: int) -> str:
    """For two seconds one commit in eight is carried out and never answered."""
    world.proxy.lose_answers(8)
    threading.Timer(2.0, world.proxy.heal).start()
    return ""


def slow_the_line(world: World, number: int) -> str:
    """For two seconds every answer of the database comes 20 ms late."""
    world.proxy.slow(0.02)
    threading.Timer(2.0, world.proxy.heal).start()
    return ""


def cut_the_line(world: World, number: int) -> str:
    """Resets every connection to the database."""
    world.proxy.cut_all()
    return ""


def silence_the_line(world: World, number: int) -> str:
    """The database hears and is not heard, for a second; then the line is cut."""
    world.proxy.go_silent()

    def end() -> None:
        world.proxy.cut_all()
        world.proxy.heal()

    threading.Timer(1.0, end).start()
    return ""


_FROZEN_SECONDS = 17.0
_LARGEST = 2**31


@dataclass(frozen=True)
class Plan:
    """What is done every so many seconds; deeds with their weights."""

    every: float
    deeds: Sequence[tuple[Deed, float]]

    def steps(self, chance: random.Random) -> Iterator[tuple[float, Deed, int]]:
        """Moments since the start, deeds and numbers, without end."""
        deeds, weights = zip(*self.deeds, strict=True)
        for turn in itertools.count(1):
            (deed,) = chance.choices(deeds, weights=weights)
            yield turn * self.every, deed, chance.randrange(_LARGEST)


class Nemesis:
    """Carries out a plan while `at_work`. done: how often each deed was done."""

    def __init__(self, world: World, plan: Plan, chance: random.Random, diary: Path) -> None:
        self._world, self._steps, self._diary = world, plan.steps(chance), diary
        self.done: Counter[str] = Counter()

    @contextmanager
    def at_work(self) -> Iterator[None]:
        over = threading.Event()
        worker = threading.Thread(target=self._work, args=(over,), name="nemesis", daemon=True)
        worker.start()
        try:
            yield
        finally:
            over.set()
            worker.join()

    def _work(self, over: threading.Event) -> None:
        began = time.monotonic()
        with self._diary.open("a") as diary:
            for moment, deed, number in self._steps:
                if over.wait(max(0.0, began + moment - time.monotonic())):
                    return
                try:
                    outcome = deed(self._world, number)
                except (psycopg.Error, OSError, KeyError) as error:
                    outcome = f"could not: {error!r}"
                self.done[deed.__name__] += 1
                diary.write(f"{moment:8.2f} {deed.__name__} {number} {outcome}\n")
                diary.flush()

    @property
    def told(self) -> str:
        """What it did, for the report."""
        return ", ".join(f"{count} x {name.replace('_', ' ')}" for name, count in sorted(self.done.items()))
