"""`python -m config.queues worker|beat OPTIONS`: Celery's own commands, each for itself.

The options are those of `celery -A config worker` and `celery -A config beat`, which work too. That umbrella
loads an interactive shell along, 12 MB in each of eight processes, and Django's checks load the doors, which
no queue opens; `migrate` has run them.
"""

from __future__ import annotations

import os
import sys
from importlib import import_module

from celery.bin.base import CLIContext

from config.celery import app

COMMANDS = ("worker", "beat")


def main(arguments: list[str]) -> None:
    """Runs the command until it is told to stop; leaves the process."""
    name = arguments[0] if arguments else ""
    if name not in COMMANDS:
        sys.exit(f"usage: python -m config.queues {'|'.join(COMMANDS)} OPTIONS")
    os.environ["CELERY_SKIP_CHECKS"] = "true"
    command = getattr(import_module(f"celery.bin.{name}"), name)
    command.main(
        args=arguments[1:],
        prog_name=f"config.queues {name}",
        obj=CLIContext(app=app, no_color=True, workdir=None),
    )


if __name__ == "__main__":
    main(sys.argv[1:])
