"""`shift_clock SECONDS`: moves the sandbox's clock ahead."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from merchants import clock
from merchants.errors import Refusal


class Command(BaseCommand):
    help = "Moves the sandbox's clock ahead."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("seconds", type=float)

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            offset = clock.shift(by=timedelta(seconds=options["seconds"]))
        except Refusal as refusal:
            raise CommandError(str(refusal)) from None
        self.stdout.write(f"The clock is {offset} ahead: {clock.now():%Y-%m-%d %H:%M:%S} UTC")
