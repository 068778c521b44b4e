"""What was measured, as a table for the terminal, as JSON, and as the page and plot in `docs/`.

`docs/performance.json` keeps the latest run of each benchmark, so that a run of one renews its rows alone;
`docs/performance.md` holds the table between two markers and is otherwise written by people.
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from bench.plot import draw
from bench.registry import MODULES, Row
from launcher.state import ROOT

DOCS = ROOT / "docs"
BEGIN, END = "<!-- table -->", "<!-- end of the table -->"


@dataclass(frozen=True)
class Run:
    """One benchmark's latest run. load: the machine's mean load of the last minute; seconds: it took."""

    name: str
    rows: Sequence[Row]
    when: str
    commit: str
    command: str
    machine: str
    load: float
    seconds: float


def as_json(runs: Sequence[Run]) -> str:
    return json.dumps([_plain(run) for run in runs], indent=2)


def as_table(run: Run) -> str:
    """For the terminal."""
    widest = max([len(row.what) for row in run.rows], default=0)
    lines = [f"{run.name}  ({run.seconds:.0f} s, load {run.load:.1f})"]
    for row in run.rows:
        baseline = "" if row.baseline is None else f"{number(row.baseline)} {row.against}"
        ratio = "" if row.ratio is None else f"{row.ratio:.2f} x"
        measured = f"{number(row.measured)} {row.unit}"
        held = f"{mark(row)}  {row.what:<{widest}}  {measured:>12}  {ratio:>8}  {row.goal:<12} {baseline}"
        lines += [f"  {held.rstrip()}", *([f"         {row.note}"] if row.note else [])]
    return "\n".join(lines)


def write(runs: Sequence[Run]) -> None:
    """Renews the page, its plot and the figures that both are made of."""
    kept = DOCS / "performance.json"
    known: dict[str, Any] = {}
    if kept.exists():
        known = {each["name"]: each for each in json.loads(kept.read_text())}
    known |= {run.name: _plain(run) for run in runs}
    order = [module.removeprefix("bench.") for module in MODULES]
    everything = sorted(
        known.values(), key=lambda each: order.index(each["name"]) if each["name"] in order else 99
    )
    kept.write_text(json.dumps(everything, indent=1, ensure_ascii=False) + "\n")
    read = [_read(each) for each in everything]
    page = DOCS / "performance.md"
    before, _, rest = page.read_text().partition(BEGIN)
    after = rest.partition(END)[2]
    page.write_text(f"{before}{BEGIN}\n\n{as_markdown(read)}\n{END}{after}")
    (DOCS / "performance.svg").write_text(draw([row for run in read for row in run.rows]))


def as_markdown(runs: Sequence[Run]) -> str:
    """A table for each benchmark, with how it was made above it."""
    parts = []
    for run in runs:
        made = f"`{run.command}` at `{run.commit}`, {run.when}; {run.machine}; load {run.load:.1f}"
        lines = [f"### {run.name}", "", f"{made}.", ""]
        lines += ["| what | measured | baseline | ratio | goal | held |", "|---|---:|---:|---:|---|---|"]
        for row in run.rows:
            what = row.what + (f"<br><sub>{row.note}</sub>" if row.note else "")
            baseline = "" if row.baseline is None else f"{number(row.baseline)} ({row.against})"
            ratio = "" if row.ratio is None else f"{row.ratio:.2f} x"
            cells = (what, f"{number(row.measured)} {row.unit}", baseline, ratio, row.goal, mark(row).strip())
            lines.append(f"| {' | '.join(cells)} |")
        parts.append("\n".join(lines) + "\n")
    return "\n".join(parts)


def mark(row: Row) -> str:
    return {True: "held  ", False: "missed", None: "      "}[row.held]


def number(value: float) -> str:
    """Three significant digits, thousands set apart."""
    if value >= 1000:
        return f"{value:,.0f}"
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"


def machine() -> str:
    """What the figures were measured on, without its name."""
    model = next(
        (
            line.partition(":")[2].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if line.startswith("model name")
        ),
        platform.machine(),
    )
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return f"{os.cpu_count()} x {model}, {memory:.0f} GB, Python {platform.python_version()}"


def commit() -> str:
    """The commit that was measured; with a plus when files of the product differ from it."""
    asked = ["git", "describe", "--always", "--abbrev=9", "--exclude=*"]
    done = subprocess.run(asked, cwd=ROOT, capture_output=True, text=True, check=False)
    changed = subprocess.run(
        ["git", "diff", "--quiet", "HEAD", "--", "merchants", "payments", "callbacks", "config"],
        cwd=ROOT,
        check=False,
    )
    return (done.stdout.strip() or "unknown") + ("+" if changed.returncode else "")


def _plain(run: Run) -> dict[str, Any]:
    plain = asdict(run)
    plain["rows"] = [asdict(row) | {"goal": row.goal, "held": row.held} for row in run.rows]
    return plain


def _read(plain: Mapping[str, Any]) -> Run:
    made = {"goal", "held"}
    rows = [Row(**{name: row[name] for name in row if name not in made}) for row in plain["rows"]]
    return Run(**dict(plain) | {"rows": rows})
