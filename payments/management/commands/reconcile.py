"""`manage.py reconcile`: asks each processor for its balances now and compares them with the books.

Runs where the processors' credentials are: `BURSAR_ROLE=sender`. Ends with 1 when two looks in a row differ.
"""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from merchants import clock
from payments import reconciliation
from payments.models import Processor
from payments.processors import registry
from payments.processors.base import ProcessorError


class Command(BaseCommand):
    help = "Compares what lies at the processors with the books."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--processor", default="", help="the code of one; all active ones by default")
        parser.add_argument("--last", action="store_true", help="show the last look; ask nobody")

    def handle(self, *_args: Any, processor: str, last: bool, **_options: Any) -> None:
        chosen = Processor.objects.filter(code=processor) if processor else None
        if chosen is not None and not chosen.exists():
            raise CommandError(f"There is no processor {processor}.")
        rows = Processor.objects.filter(is_active=True) if chosen is None else chosen
        if not last:
            for one in rows:
                self._look(one)
        looks = [each for each in reconciliation.latest() if each.row.processor in set(rows)]
        for each in looks:
            self.stdout.write(_line(each))
        wrong = sum(each.is_mismatch for each in looks)
        if wrong:
            raise CommandError(f"{wrong} balances differ from the books.")

    def _look(self, one: Processor) -> None:
        try:
            outbound = registry.outbound(one.code)
            reconciliation.look(processor=one, outbound=outbound, now=clock.now())
        except ProcessorError as error:
            raise CommandError(f"{one.code} cannot be asked: {error}.") from None


def _line(each: reconciliation.Look) -> str:
    row = each.row
    said = "as booked" if not row.difference else f"differs by {row.difference:f}"
    return (
        f"{row.processor.code:<12} {row.currency:<8} booked {row.booked:f}, reported {row.reported:f}, "
        f"under way {row.in_flight:f}: {said} ({row.at:%Y-%m-%d %H:%M})"
    )
