"""What a scenario is: sizes, what happens, and what was found. See the package's docstring for the recipe."""

from __future__ import annotations

import random
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.soak.world import ROLES, World


@dataclass
class Verdict:
    """What one run showed of one promise. size: how much was tried; broken: why it did not hold, if so."""

    promise: str
    size: str = ""
    measured: str = ""
    broken: list[str] = field(default_factory=list)

    @property
    def held(self) -> bool:
        return not self.broken

    def demand(self, holds: object, what: str) -> None:
        """Notes `what` as broken unless `holds`."""
        if not holds:
            self.broken.append(what)


@dataclass
class Trial:
    """One run of a scenario: where it happens, how large it is, and the chance that it may use."""

    world: World
    seed: int
    size: Mapping[str, Any]
    number: int
    """Which of the scenarios it is: names and ids made from it never meet another scenario's."""
    began: float = field(default_factory=time.monotonic)

    def chance(self, what: str) -> random.Random:
        """A source of chance that depends on the seed and on what it is for, and on nothing else."""
        return random.Random(f"{self.seed} {self.number} {what}")

    def say(self, text: str) -> None:
        """For who watches; the table at the end is another matter."""
        print(f"  {time.monotonic() - self.began:7.2f} s  {text}", file=sys.stderr, flush=True)


@dataclass(frozen=True)
class Scenario:
    """How a promise is tried. small: the size for CI; full: the size that the promise names."""

    promise: str
    title: str
    small: Mapping[str, Any]
    full: Mapping[str, Any]
    run: Callable[[Trial], Verdict]
    roles: Sequence[str] = ROLES
