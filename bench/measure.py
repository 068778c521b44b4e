"""Samples and their comparison: interleaved rounds, medians, percentiles, CPU seconds of processes.

A machine is never quiet, so no figure stands alone: contestant and baseline take turns within each round,
a ratio is formed inside a round, and the median of the rounds counts.
"""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")
_STATES_BEFORE_TIMES = 11
"""Fields of /proc/PID/stat between the command's closing bracket and utime."""


@dataclass(frozen=True)
class Options:
    """How much is measured. seconds: of each side in each round; quick: sizes that only show that it runs."""

    rounds: int = 5
    seconds: float = 3.0
    quick: bool = False


@dataclass(frozen=True)
class Sample:
    """One turn of one side. latencies in milliseconds; cpu: seconds that its processes spent."""

    count: int
    seconds: float
    latencies: Sequence[float] = field(default=(), repr=False)
    cpu: float = 0.0

    @property
    def rate(self) -> float:
        return self.count / self.seconds if self.seconds else 0.0

    @property
    def cpu_us(self) -> float:
        """Microseconds of CPU for one."""
        return self.cpu / self.count * 1e6 if self.count else 0.0


Turn = Callable[[], Sample]


def interleaved(turns: Mapping[str, Turn], *, rounds: int) -> dict[str, list[Sample]]:
    """Every side once in each round, in an order that is turned around from round to round."""
    taken: dict[str, list[Sample]] = {name: [] for name in turns}
    for number in range(rounds):
        names = list(turns) if number % 2 == 0 else list(reversed(turns))
        for name in names:
            taken[name].append(turns[name]())
    return taken


def ratio(measured: Sequence[Sample], baseline: Sequence[Sample]) -> float:
    """The median over the rounds of how many times the baseline's rate was reached."""
    return statistics.median(ours.rate / theirs.rate for ours, theirs in zip(measured, baseline, strict=True))


def rate(samples: Sequence[Sample]) -> float:
    return statistics.median(sample.rate for sample in samples)


def cpu_us(samples: Sequence[Sample]) -> float:
    return statistics.median(sample.cpu_us for sample in samples)


def latency(samples: Iterable[Sample], percent: float) -> float:
    """Over all that was measured, in milliseconds."""
    return percentile([ms for sample in samples for ms in sample.latencies], percent)


def percentile(values: Iterable[float], percent: float) -> float:
    """The smallest of `values` that so many percent do not exceed; NaN of none."""
    ordered = sorted(values)
    if not ordered:
        return float("nan")
    return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))]


def tree(pid: int) -> Iterator[int]:
    """A process and all below it."""
    yield pid
    for children in Path(f"/proc/{pid}/task").glob("*/children"):
        with suppress(OSError):
            for child in children.read_text().split():
                yield from tree(int(child))


def cpu_seconds(pids: Iterable[int]) -> float:
    """What these processes, and their children that have ended, have spent so far; the gone count nothing."""
    total = 0
    for pid in pids:
        with suppress(OSError):
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            total += sum(map(int, fields[_STATES_BEFORE_TIMES : _STATES_BEFORE_TIMES + 4]))
    return total / _TICKS


def await_true(condition: Callable[[], object], seconds: float, what: str) -> None:
    """Looks every hundredth of a second. Raises `TimeoutError`."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError(f"waited {seconds:g} s for {what}")
        time.sleep(0.01)
