"""`./bursar bench [NAME ...]`: measures an installation of its own, against baselines of the same run."""

from __future__ import annotations

import argparse
import os
import shlex
import signal
import sys
import tempfile
import time
from datetime import UTC, datetime

from bench.measure import Options


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="./bursar bench", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help="which; all but the long ones unless named")
    parser.add_argument("--json", action="store_true", help="one JSON array on stdout, instead of tables")
    parser.add_argument("--rounds", type=int, default=5, help="turns of each side (5)")
    parser.add_argument("--seconds", type=float, default=3.0, help="of each turn (3)")
    parser.add_argument(
        "--quick", action="store_true", help="one short round: shows that it runs, measures nothing"
    )
    parser.add_argument("--write", action="store_true", help="renew docs/performance.md and its plot")
    return parser


def main(arguments: list[str] | None = None) -> int:
    """Returns 0 when every goal held, 1 when one was missed, 2 when nothing could be measured."""
    given = sys.argv[1:] if arguments is None else arguments
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    with tempfile.TemporaryDirectory(prefix="bursar-bench-", ignore_cleanup_errors=True) as name:
        os.environ["BURSAR_VAR"] = name  # read once, when the launcher's modules are imported
        from bench import registry

        known = registry.load()
        parser = _parser()
        parser.epilog = "\n".join(f"{each.name:<10} {each.says}" for each in known.values())
        options = parser.parse_args(given)
        unknown = [word for word in options.names if word not in known]
        if unknown:
            print(f"bench: no {', '.join(unknown)}; there are {', '.join(known)}", file=sys.stderr)
            return 2
        wanted = options.names or [each.name for each in known.values() if not each.alone]
        size = Options(options.rounds, options.seconds)
        if options.quick:
            size = Options(rounds=1, seconds=0.5, quick=True)
        return _measure(wanted, size, options, shlex.join(["./bursar", "bench", *given]))


def _measure(wanted: list[str], size: Options, options: argparse.Namespace, command: str) -> int:
    from bench import report
    from bench.registry import BENCHMARKS
    from launcher.services import ServiceFailed
    from launcher.state import LauncherRefusal

    runs = []
    for name in wanted:
        print(f"bench: {name} …", file=sys.stderr, flush=True)
        began = time.monotonic()
        try:
            rows = BENCHMARKS[name].run(size)
        except (LauncherRefusal, ServiceFailed) as refusal:
            print(f"bench: {name}: {refusal}", file=sys.stderr)
            return 2
        runs.append(
            report.Run(
                name=name,
                rows=rows,
                when=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
                commit=report.commit(),
                command=command,
                machine=report.machine(),
                load=os.getloadavg()[0],
                seconds=time.monotonic() - began,
            )
        )
        if not options.json:
            print(report.as_table(runs[-1]), flush=True)
        if options.write:
            report.write(runs[-1:])
    if options.json:
        print(report.as_json(runs), flush=True)
    return 1 if any(row.held is False for run in runs for row in run.rows) and not size.quick else 0


if __name__ == "__main__":
    sys.exit(main())
