"""`./bursar soak [NAME ...]`: proves the promises on an installation of its own that is harmed meanwhile."""

from __future__ import annotations

import argparse
import os
import secrets
import shlex
import signal
import sys
import tempfile
import time
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.soak.report import Report
    from tests.soak.scenario import Scenario, Verdict
    from tests.soak.world import World

from tests.soak.defects.registry import DEFECTS

R8 = "R8"
TITLE_OF_R8 = "the ledger balances, always"


def _options(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="./bursar soak", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help="R1, R2, …; all of them unless named")
    parser.add_argument("--full", action="store_true", help="the size that the promise names, not CI's")
    parser.add_argument(
        "--size", nargs="+", default=[], metavar="WHAT=NUMBER", help="another size, as callbacks=4000"
    )
    parser.add_argument("--seed", type=int, help="replays a run's plan; drawn and printed unless given")
    parser.add_argument(
        "--defect", choices=sorted(DEFECTS), default="", help="break Bursar first, to see the proofs bite"
    )
    parser.add_argument("--json", action="store_true", help="one JSON object at the end")
    parser.add_argument("--markdown", action="store_true", help="the table as Markdown")
    parser.add_argument("--keep", type=Path, metavar="DIRECTORY", help="keep logs and diaries there")
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> int:
    """Returns 0 when every promise held, 1 when one broke, 2 when they could not be tried."""
    options = _options(arguments)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    with tempfile.TemporaryDirectory(prefix="bursar-soak-", ignore_cleanup_errors=True) as name:
        os.environ["BURSAR_VAR"] = name  # read once, when the launcher's modules are imported
        from launcher.services import ServiceFailed
        from launcher.state import LauncherRefusal
        from tests.soak.scenarios import SCENARIOS

        wanted = [word.upper() for word in options.names] or list(SCENARIOS)
        unknown = [word for word in wanted if word not in SCENARIOS and word != R8]
        if unknown:
            print(
                f"soak: no scenario {', '.join(unknown)}; there are {', '.join(SCENARIOS)}", file=sys.stderr
            )
            return 2
        chosen = [SCENARIOS[word] for word in wanted if word != R8] or list(SCENARIOS.values())
        try:
            report = _prove(Path(name), chosen, options)
        except (LauncherRefusal, ServiceFailed) as refusal:
            print(f"soak: {refusal}", file=sys.stderr)
            return 2
        finally:
            _keep(Path(name), options.keep)
    text = (
        report.as_json() if options.json else report.as_markdown() if options.markdown else report.as_table()
    )
    print(text, flush=True)
    return 0 if report.held else 1


def _prove(directory: Path, chosen: list[Scenario], options: argparse.Namespace) -> Report:
    from tests.soak import report
    from tests.soak.books import Books
    from tests.soak.world import running

    began = time.monotonic()
    seed = secrets.randbelow(1_000_000) if options.seed is None else options.seed
    titles = {scenario.promise: scenario.title for scenario in chosen} | {R8: TITLE_OF_R8}
    command = shlex.join(
        ["./bursar", "soak", *sys.argv[1:], *(() if options.seed is not None else ("--seed", str(seed)))]
    )
    told = report.Report(command, seed, options.defect, titles)
    print(f"soak: seed {seed}", file=sys.stderr, flush=True)
    roles = list(dict.fromkeys(role for scenario in chosen for role in scenario.roles))
    with running(directory, seed=seed, roles=roles, defect=options.defect) as world:
        books = Books(world)
        for scenario in chosen:
            with books.watched():
                told.verdicts.append(_try(world, scenario, seed, _size(scenario, options)))
        told.verdicts.append(report.of_books(books.looks, books.missed, books.broken))
    told.seconds = time.monotonic() - began
    return told


def _size(scenario: Scenario, options: argparse.Namespace) -> dict[str, Any]:
    """What is asked for: CI's or the full one, with whatever the command says otherwise."""
    size = dict(scenario.full if options.full else scenario.small)
    for what, _, number in (text.partition("=") for text in options.size):
        if what in size:
            size[what] = type(size[what])(number)
    return size


def _try(world: World, scenario: Scenario, seed: int, size: dict[str, Any]) -> Verdict:
    from tests.soak.scenario import Trial, Verdict
    from tests.soak.scenarios import SCENARIOS

    print(f"{scenario.promise}: {scenario.title}", file=sys.stderr, flush=True)
    world.heal()
    number = list(SCENARIOS).index(scenario.promise) + 1
    trial = Trial(world, seed, size, number)
    try:
        verdict = scenario.run(trial)
    except Exception as error:  # noqa: BLE001 - a scenario that cannot go on has shown that something broke
        traceback.print_exc()
        verdict = Verdict(
            scenario.promise, str(dict(trial.size)), broken=[f"the run itself failed: {error!r}"]
        )
    trial.say("held" if verdict.held else f"BROKEN: {verdict.broken}")
    return verdict


def _keep(directory: Path, where: Path | None) -> None:
    """Logs and diaries outlive the run where they are asked for."""
    if where is None:
        return
    where.mkdir(parents=True, exist_ok=True)
    for file in [*directory.glob("*.diary"), *(directory / "log").glob("*")]:
        (where / file.name).write_bytes(file.read_bytes())


if __name__ == "__main__":
    sys.exit(main())
