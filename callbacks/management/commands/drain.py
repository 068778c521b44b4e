"""`manage.py drain`: works the queues without any broker, for when Valkey is dead or nothing else runs.

The inbox, the outbox, invoices and approvals whose time is up, and, where this process holds a processor's
credentials, the sender's pools, prices and withdrawals too. Safe beside running workers: rows are claimed
the same way.
"""

from __future__ import annotations

import time
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandParser

from callbacks import incoming
from callbacks.models import Health
from callbacks.outgoing.courier import Courier
from merchants import clock
from payments import tasks

IDLE_SECONDS = 0.2


class Command(BaseCommand):
    help = "Works the inbox, the outbox and the pools without a broker."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--seconds",
            type=float,
            default=0.0,
            help="Keep looking for this long. Default: once, until nothing is due.",
        )

    def handle(self, *_args: Any, seconds: float, **_options: Any) -> None:
        until = time.monotonic() + seconds
        if settings.PROCESSORS:
            tasks.refresh_once()
        while self._work() or time.monotonic() < until:
            time.sleep(IDLE_SECONDS)

    def _work(self) -> bool:
        """One round over every queue; whether there was anything to do."""
        busy = bool(incoming.process(now=clock.now()))
        busy |= bool(tasks.expire_once() + tasks.expire_withdrawals_once())
        for health in Health:
            with Courier(health=health) as courier:
                while courier.step():
                    busy = True
        if settings.PROCESSORS:
            busy |= bool(tasks.fill_once() + tasks.send_once() + tasks.ask_once())
        return busy
