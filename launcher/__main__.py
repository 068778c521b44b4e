"""The launcher's command line: `./bursar COMMAND`."""

from __future__ import annotations

import argparse
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from launcher.state import ROOT, VAR, LauncherRefusal, alone, running

OWNERS = {"migrate", "showmigrations", "makemigrations", "sqlmigrate", "dbshell", "stops", "caps", "prune"}
PROOFS = {"soak": "tests.soak", "fuzz": "tests.fuzz", "bench": "bench"}
"""Commands that are programs of their own; each brings its own services and explains itself with --help."""
RED, PLAIN = ("\033[31m", "\033[0m") if sys.stdout.isatty() else ("", "")


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns the exit code: 0, 1 for a failed check, 2 for what is in the way."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    passed_on = {"manage": _manage, "shell": _shell, "sandbox": _sandbox, "test": _test}
    try:
        if given and given[0] in PROOFS:
            return _run(["-m", PROOFS[given[0]], *given[1:]], _without_settings())
        if given and given[0] in passed_on and given[1:2] not in (["--help"], ["-h"]):
            return passed_on[given[0]](given[1:])
        options = _parser().parse_args(given or ["--help"])
        return int(options.run(options))
    except LauncherRefusal as refusal:
        print(f"bursar: {refusal}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="./bursar", description="Bursar: a self-hosted crypto-payment gateway, on this machine."
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    up = commands.add_parser("up", help="start everything, with a demo merchant and the sandbox")
    up.add_argument("--host", default="127.0.0.1", help="where the web role listens (127.0.0.1)")
    up.add_argument("--port", type=int, default=8000, help="its port; +1, +10 and +20 are used too (8000)")
    up.add_argument(
        "--block-every",
        type=float,
        default=15.0,
        metavar="SECONDS",
        help="the sandbox mines by itself; 0: never",
    )
    up.add_argument(
        "--upstream",
        action="store_true",
        help="put a second Bursar behind this one as its processor; +30, +31 and +40 are used then",
    )
    up.set_defaults(run=_up)

    demo = commands.add_parser("demo", help="play the main job against a running `up`, or one of its own")
    demo.add_argument("--json", action="store_true", help="one JSON object")
    demo.add_argument(
        "--upstream", action="store_true", help="through two Bursars, a deposit and then a withdrawal"
    )
    demo.set_defaults(run=_demo)

    reset = commands.add_parser("reset", help="remove all data and start anew")
    reset.add_argument("--yes", action="store_true", help="do not ask")
    reset.set_defaults(run=_reset)

    check = commands.add_parser("check", help="run what CI runs")
    check.add_argument("--environment", action="store_true", help="only make the environment for it")
    check.set_defaults(run=_check)

    for name, text, example in (
        ("test", "run the tests on throw-away services", "./bursar test tests/payments -k ledger"),
        (
            "manage",
            "Django's command line, against the running `up` (--upstream: the one behind)",
            "./bursar manage check",
        ),
        ("shell", "a Python shell in the running `up` (--upstream: in the one behind)", "./bursar shell"),
        ("sandbox", "play payer, miner and faults", "./bursar sandbox pay ADDRESS 0.01"),
        ("soak", "prove the promises under kill -9 and cut lines", "./bursar soak R1 --full"),
        ("fuzz", "throw bad requests at the API and at intake", "./bursar fuzz --requests 5000"),
        ("bench", "measure, each figure against a baseline of the same run", "./bursar bench api"),
    ):
        further = commands.add_parser(name, help=text, epilog=f"Example: {example}")
        further.add_argument("arguments", nargs="*", help="passed on as they are")
        further.set_defaults(run=lambda options: 0)
    return parser


def _up(options: argparse.Namespace) -> int:
    from launcher import up  # the services' wheels are looked for only here

    return up.run(
        host=options.host, port=options.port, block_every=options.block_every, upstream=options.upstream
    )


def _demo(options: argparse.Namespace) -> int:
    from launcher import demo, demo_upstream, up

    quiet = options.json
    if options.upstream:
        demo_upstream.demand_two(running())
    with ExitStack() as stack:
        if not running():
            stack.enter_context(up.Background(upstream=options.upstream))
        player = demo.Player.of(running(), lambda text: None if quiet else print(text, flush=True))
        failed: demo.Mismatch | LauncherRefusal | None = None
        try:
            demo_upstream.play(player) if options.upstream else demo.play(player)
        except (demo.Mismatch, LauncherRefusal) as mismatch:
            failed = mismatch
    if quiet:
        print(demo.report(player, failed))
    elif failed:
        print(f"{RED}  MISMATCH  {failed}{PLAIN}")
    else:
        print(f"  everything as it must be, in {sum(step['seconds'] for step in player.steps):.2f} s")
    return 1 if failed else 0


def _reset(options: argparse.Namespace) -> int:
    with alone():
        if not options.yes and not _means_it():
            print("Nothing was removed.")
            return 1
        from launcher.services import Postgres, ServiceFailed

        try:
            postgres = Postgres(VAR / "postgres")
            postgres.end_what_is_left()
            shutil.rmtree(postgres.data, ignore_errors=True)
        except ServiceFailed as error:
            print(f"bursar: {error}", file=sys.stderr)
        shutil.rmtree(VAR, ignore_errors=True)
    print("Removed. `./bursar up` starts anew.")
    return 0


def _means_it() -> bool:
    try:
        return input(f"This removes {VAR} and all its data. Type reset: ") == "reset"
    except EOFError:
        return False


def _test(arguments: list[str]) -> int:
    from launcher.services import Postgres, ServiceFailed, Valkey

    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # what was started is stopped on the way out
    with tempfile.TemporaryDirectory(prefix="bursar-test-") as name, ExitStack() as stack:
        directory, environment = Path(name), _without_settings()
        try:
            if not environment.get("DATABASE_URL"):
                postgres = Postgres(directory / "postgres", throw_away=True)
                stack.callback(postgres.stop)
                postgres.start()
                postgres.prepare()
                environment["DATABASE_URL"] = postgres.url("bursar_super")
            if not environment.get("REDIS_URL"):
                valkey = Valkey(directory / "valkey")
                stack.callback(valkey.stop)
                environment["REDIS_URL"] = valkey.start()
        except ServiceFailed as error:
            raise LauncherRefusal(str(error)) from None
        command = [sys.executable, "-m", "pytest", *arguments]
        return subprocess.run(command, cwd=ROOT, env=environment, check=False).returncode


def _without_settings() -> dict[str, str]:
    """The caller's environment less Bursar's settings: tests run with the defaults."""
    ours = ("BURSAR_ENV", "BURSAR_ROLE", "BURSAR_SECRET_KEY", "BURSAR_ENCRYPTION_KEYS", "BURSAR_PROCESSORS")
    return {name: value for name, value in os.environ.items() if name not in ours}


def _check(options: argparse.Namespace) -> int:
    if options.environment:
        return 0
    return subprocess.run(["bash", ".ci/run"], cwd=ROOT, check=False).returncode


def _environment(*, as_owner: bool = False, upstream: bool = False) -> dict[str, str]:
    """The environment of a command that works on the running installation, or on the one behind it."""
    here = running()
    if upstream and "upstream" not in here:
        raise LauncherRefusal("no Bursar is running behind another; start two with `./bursar up --upstream`")
    if not here:
        if os.environ.get("DATABASE_URL"):
            return dict(os.environ)
        raise LauncherRefusal("nothing is running; start it with `./bursar up`, or set DATABASE_URL")
    asked = here["upstream"] if upstream else here
    environment: dict[str, str] = asked["owner_environment" if as_owner else "environment"]
    return environment


def _manage(arguments: list[str]) -> int:
    """Django's command line; what changes or shows the schema comes as the schema's owner."""
    upstream = arguments[:1] == ["--upstream"]
    command = arguments[upstream:]
    as_owner = bool(OWNERS & set(command[:1]))
    return _run(["manage.py", *command], _environment(as_owner=as_owner, upstream=upstream))


def _shell(arguments: list[str]) -> int:
    upstream = arguments[:1] == ["--upstream"]
    return _run(["manage.py", "shell", *arguments[upstream:]], _environment(upstream=upstream))


def _sandbox(arguments: list[str]) -> int:
    """The sandbox's controls. Business time is one: what the sandbox waits, every Bursar waits."""
    bursars = [_environment()]
    if "upstream" in running():
        bursars.insert(0, _environment(upstream=True))  # the one that has the sandbox
    failed = _run(["-m", "sandbox.control", *arguments], bursars[0])
    waited = _waited(arguments)
    if failed or waited is None:
        return failed
    return max(_run(["manage.py", "shift_clock", str(waited)], environment) for environment in bursars)


def _waited(arguments: list[str]) -> int | None:
    """The seconds of a `wait` that the sandbox has accepted; nothing for another command."""
    words = [word for word in arguments if not word.startswith("-")]
    if words[:1] != ["wait"] or len(words) < 2:
        return None
    number, unit = re.fullmatch(r"([0-9]+)([smhd]?)", words[1]).groups()  # type: ignore[union-attr]
    return int(number) * {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86_400}[unit]


def _run(command: list[str], environment: dict[str, str]) -> int:
    return subprocess.run([sys.executable, *command], cwd=ROOT, env=environment, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
