"""The table at the end: promise, size, measured, held or broken; for people, for docs, for machines."""

from __future__ import annotations

import json
import os
import platform
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, field

from launcher.state import ROOT
from tests.soak.scenario import Verdict

_SHOWN = 5
"""How many of the books' faults are shown."""


@dataclass
class Report:
    """One run. titles: what each promise says."""

    command: str
    seed: int
    defect: str
    titles: dict[str, str]
    verdicts: list[Verdict] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def held(self) -> bool:
        return bool(self.verdicts) and all(verdict.held for verdict in self.verdicts)

    @property
    def where(self) -> dict[str, str]:
        """What a figure is worth nothing without."""
        return {
            "seed": str(self.seed),
            "commit": _commit(),
            "command": self.command,
            "machine": _machine(),
            "load": " ".join(f"{load:.0f}" for load in os.getloadavg()),
            "seconds": f"{self.seconds:.0f}",
        }

    def as_table(self) -> str:
        lines = [""]
        for verdict in self.verdicts:
            state = "held" if verdict.held else "BROKEN"
            lines.append(f"{verdict.promise:<4} {state:<7} {self.titles.get(verdict.promise, '')}")
            lines.append(f"     size      {verdict.size}")
            lines += [f"     measured  {verdict.measured}"] if verdict.measured else []
            lines += [f"     BROKEN    {text}" for text in verdict.broken]
        lines += [f"{name}: {text}" for name, text in self.where.items()]
        return "\n".join(lines)

    def as_markdown(self) -> str:
        lines = ["| Promise | Size | Measured | |", "|---|---|---|---|"]
        for verdict in self.verdicts:
            state = "held" if verdict.held else "**BROKEN**: " + "; ".join(verdict.broken)
            title = f"{verdict.promise}: {self.titles.get(verdict.promise, '')}"
            lines.append(f"| {title} | {verdict.size} | {verdict.measured} | {state} |")
        facts = self.where
        what = f"`{facts['command']}`, commit {facts['commit']}, seed {facts['seed']}"
        where = f"{facts['machine']}, load {facts['load']} at the end; {facts['seconds']} s in all."
        lines += ["", f"{what}; {where}"]
        return "\n".join(lines)

    def as_json(self) -> str:
        rows = [
            {
                "promise": verdict.promise,
                "size": verdict.size,
                "measured": verdict.measured,
                "held": verdict.held,
                "broken": verdict.broken,
            }
            for verdict in self.verdicts
        ]
        return json.dumps(self.where | {"held": self.held, "defect": self.defect, "rows": rows}, indent=1)


def _commit() -> str:
    told = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    changed = subprocess.run(
        ["git", "status", "--porcelain", "--untracked-files=no"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    return (told.stdout.strip() or "unknown") + ("+" if changed.stdout.strip() else "")


def _machine() -> str:
    python = platform.python_version()
    return f"{os.cpu_count()} cores, {platform.system()} {platform.machine()}, Python {python}"


def of_books(looks: int, missed: int, broken: Sequence[str]) -> Verdict:
    """R8, of all runs together."""
    size = "every 5 s during every run, and after each"
    measured = f"{looks} looks; {missed} more while PostgreSQL was down"
    more = [f"… and {len(broken) - _SHOWN} more"] if len(broken) > _SHOWN else []
    return Verdict("R8", size, measured, [*broken[:_SHOWN], *more])
