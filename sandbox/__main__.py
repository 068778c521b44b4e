"""`python -m sandbox`: runs the sandbox until SIGTERM or Ctrl-C."""

from __future__ import annotations

import argparse
import logging
import os
import signal
import sys
import threading
from pathlib import Path

from sandbox.api import Credentials
from sandbox.server import Sandbox, Settings

_NEEDED = ("BURSAR_SANDBOX_KEY", "BURSAR_SANDBOX_SECRET", "BURSAR_SANDBOX_CONTROL_TOKEN")


def main(arguments: list[str] | None = None) -> int:
    """Returns 0 when it was told to end, 2 when it could not begin."""
    options = _parser().parse_args(arguments)
    missing = [name for name in _NEEDED if not os.environ.get(name)]
    if missing:
        print(f"sandbox: set {', '.join(missing)}", file=sys.stderr)  # noqa: T201 - a command's answer
        return 2
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    try:
        sandbox = Sandbox(_settings(options))
    except OSError as error:
        print(f"sandbox: {options.host}:{options.port}: {error.strerror}", file=sys.stderr)  # noqa: T201
        return 2
    told_to_end = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: told_to_end.set())
    sandbox.start()
    print(f"sandbox: {sandbox.url}", flush=True)  # noqa: T201 - where it listens
    told_to_end.wait()
    sandbox.stop()
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m sandbox", description=f"The built-in processor. Needs {', '.join(_NEEDED)}."
    )
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8010, help="0 takes a free one")
    parser.add_argument("--state", type=Path, required=True, help="the SQLite file")
    parser.add_argument("--callback-url", default="", help="where Bursar takes callbacks; empty sends none")
    parser.add_argument(
        "--block-every", type=float, default=0, metavar="SECONDS", help="0 mines on demand only"
    )
    parser.add_argument(
        "--orders-take", type=float, default=1, metavar="SECONDS", help="how long orders take"
    )
    return parser


def _settings(options: argparse.Namespace) -> Settings:
    return Settings(
        state=options.state,
        credentials=Credentials(os.environ["BURSAR_SANDBOX_KEY"], os.environ["BURSAR_SANDBOX_SECRET"]),
        control_token=os.environ["BURSAR_SANDBOX_CONTROL_TOKEN"],
        callback_url=options.callback_url,
        host=options.host,
        port=options.port,
        block_every=options.block_every,
        orders_take_seconds=options.orders_take,
    )


if __name__ == "__main__":
    sys.exit(main())
