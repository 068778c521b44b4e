"""`./bursar fuzz`: throws bad requests at the API and at intake, and says whether the promise held."""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.fuzz.trial import Finding, Result
    from tests.fuzz.world import World

from tests.fuzz.defects.sitecustomize import DEFECTS

FILES = Path(__file__).resolve().parents[2] / "var" / "fuzz"
SHARE_OF_API = 0.6


def _options(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="./bursar fuzz", description=__doc__)
    parser.add_argument("--requests", type=int, default=50_000, help="how many in all (50000)")
    parser.add_argument("--seed", type=int, default=1, help="the same seed gives the same bytes (1)")
    parser.add_argument("--door", choices=("api", "intake", "both"), default="both")
    parser.add_argument(
        "--described", type=int, metavar="N", help="cases from the API's description (a tenth)"
    )
    parser.add_argument("--seconds", type=float, default=1.0, help="the latest answer that keeps it (1.0)")
    parser.add_argument("--replay", nargs="+", type=Path, metavar="FILE", help="send kept requests again")
    parser.add_argument(
        "--defect", choices=sorted(DEFECTS), default="", help="break Bursar first, to see the fuzz bite"
    )
    parser.add_argument("--json", action="store_true", help="one JSON object")
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> int:
    """Returns 0 when the promise held, 1 when it broke, 2 when it could not be tried."""
    options = _options(arguments)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    with tempfile.TemporaryDirectory(prefix="bursar-fuzz-") as name:
        os.environ["BURSAR_VAR"] = name  # read once, when the launcher's modules are imported
        from launcher.services import ServiceFailed
        from launcher.state import LauncherRefusal
        from tests.fuzz.world import running

        try:
            with running(Path(name), addresses=200 + options.requests // 10, defect=options.defect) as world:
                return _replay(world, options) if options.replay else _try(world, options)
        except (LauncherRefusal, ServiceFailed) as refusal:
            print(f"fuzz: {refusal}", file=sys.stderr)
            return 2


def _try(world: World, options: argparse.Namespace) -> int:
    from tests.fuzz import trial
    from tests.fuzz.wire import Door, read_kept

    api = {"api": options.requests, "intake": 0, "both": int(options.requests * SHARE_OF_API)}[options.door]
    counts = {Door.API: api, Door.INTAKE: options.requests - api}
    result = trial.run(
        world,
        seed=options.seed,
        counts={door: count for door, count in counts.items() if count},
        described=options.requests // 10 if options.described is None else options.described,
        seconds=options.seconds,
        files=FILES / str(options.seed),
    )
    trial.repeat_slow(world, result, read_kept)
    print(_as_json(result) if options.json else _as_table(result))
    return 0 if result.held else 1


def _replay(world: World, options: argparse.Namespace) -> int:
    from tests.fuzz.verdict import breaches
    from tests.fuzz.wire import read_kept, send

    broken = 0
    for file in options.replay:
        request = read_kept(file)
        exchange = send(request, world.address(request.door))
        found = breaches(request, exchange, seconds=options.seconds)
        broken += bool(found)
        print(f"== {file}\n" + "\n".join(repr(part.data[:2_000]) for part in request.parts))
        for answer in exchange.answers:
            print(f"-> {answer.status} {answer.headers} {answer.body[:1_000]!r}")
        print(f"-> {exchange.seconds:.3f} s {exchange.ended} {found or 'as promised'}")
    print("\n".join(world.complaints()))
    return 1 if broken else 0


def _as_table(result: Result) -> str:
    lines = [f"{'class of request':<26}{'sent':>7}  {'slowest':>8}  verdict  statuses"]
    for (door, kind), row in sorted(result.tally.rows.items()):
        statuses = " ".join(f"{status}:{count}" for status, count in sorted(row.statuses.items()))
        verdict = f"{row.broken} broken" if row.broken else "held"
        lines.append(f"{f'{door} {kind}':<26}{row.sent:>7}  {row.slowest:>7.3f}s  {verdict:<7}  {statuses}")
    for role, (start, warm, end) in result.memory.items():
        figures = f"{start / 1024:.1f} at the start, {warm / 1024:.1f} warm, {end / 1024:.1f} at the end"
        lines.append(f"memory of {role}: {figures} MB")
    lines += [f"inbox: {result.inbox}"] if result.inbox else []
    lines += [f"  {count} x {reason}" for reason, count in result.tally.reasons.most_common()]
    lines += [f"  {finding.why}: --replay {finding.file} {finding.again or ''}" for finding in _shown(result)]
    lines += [f"  BROKEN {text}" for text in result.broken]
    sent = sum(row.sent for row in result.tally.rows.values())
    lines.append(
        f"{sent} requests in {result.seconds:.0f} s, seed {result.seed}, memory"
        f" {result.growth / 1024:+.1f} MB: the promise {'held' if result.held else 'is BROKEN'}"
    )
    return "\n".join(lines)


def _shown(result: Result) -> list[Finding]:
    return [finding for finding in result.tally.findings if finding.file]


def _as_json(result: Result) -> str:
    rows = [
        {"door": door, "class": kind, "sent": row.sent, "statuses": row.statuses, "slowest": row.slowest}
        | {"broken": row.broken}
        for (door, kind), row in sorted(result.tally.rows.items())
    ]
    return json.dumps(
        {
            "seed": result.seed,
            "held": result.held,
            "seconds": round(result.seconds, 1),
            "rows": rows,
            "memory_kb": result.memory,
            "growth_kb": result.growth,
            "inbox": result.inbox,
            "broken": result.broken,
            "findings": [vars(finding) for finding in _shown(result)],
        },
        indent=1,
    )


if __name__ == "__main__":
    sys.exit(main())
