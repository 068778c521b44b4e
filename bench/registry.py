"""The benchmarks by name, and the rows that they return."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable
from dataclasses import dataclass

from bench.measure import Options

MODULES = (
    "bench.api",
    "bench.ingest",
    "bench.path",
    "bench.deliver",
    "bench.scale",
    "bench.memory",
    "bench.growth",
    "bench.lists",
)
"""Where benchmarks are registered, in the order in which they run."""


@dataclass(frozen=True)
class Row:
    """One line of the table.

    ratio: to the baseline, where there is one. at_least, at_most: the goal, for the ratio if there is one and
    for what was measured otherwise; neither: no goal, a figure for information. note: further figures.
    """

    what: str
    measured: float
    unit: str = "/s"
    baseline: float | None = None
    against: str = ""
    ratio: float | None = None
    at_least: float | None = None
    at_most: float | None = None
    note: str = ""

    @property
    def judged(self) -> float:
        return self.measured if self.ratio is None else self.ratio

    @property
    def margin(self) -> float | None:
        """How many times the goal was reached: 1 and more holds; None without a goal."""
        if self.at_least is not None:
            return self.judged / self.at_least
        if self.at_most is not None:
            return self.at_most / self.judged if self.judged else float("inf")
        return None

    @property
    def held(self) -> bool | None:
        return None if self.margin is None else self.margin >= 1

    @property
    def goal(self) -> str:
        unit = "x" if self.ratio is not None else self.unit
        if self.at_least is not None:
            return f"≥ {self.at_least:g} {unit}"
        return "" if self.at_most is None else f"≤ {self.at_most:g} {unit}"


@dataclass(frozen=True)
class Benchmark:
    """run: takes how much is to be measured, returns its rows. alone: left out unless it is named."""

    name: str
    run: Callable[[Options], list[Row]]
    alone: bool = False

    @property
    def says(self) -> str:
        return (self.run.__doc__ or "").strip().splitlines()[0]


BENCHMARKS: dict[str, Benchmark] = {}


def benchmark(
    name: str, *, alone: bool = False
) -> Callable[[Callable[[Options], list[Row]]], Callable[[Options], list[Row]]]:
    """Registers the decorated function; the first line of its docstring is shown by --help."""

    def register(run: Callable[[Options], list[Row]]) -> Callable[[Options], list[Row]]:
        BENCHMARKS[name] = Benchmark(name, run, alone)
        return run

    return register


def load() -> dict[str, Benchmark]:
    """All benchmarks. Only once `BURSAR_VAR` is set: the launcher's modules read it when imported."""
    for module in MODULES:
        if importlib.util.find_spec(module):
            importlib.import_module(module)
    return BENCHMARKS
