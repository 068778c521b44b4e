"""`manage.py stops`: shows what stops payouts; `stops lift` lifts one, with the database owner's rights.

manage.py stops
manage.py stops lift 3 --by "Ada Owner" --reason "the processor answers again"
"""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from merchants import clock
from merchants.errors import Refusal
from payments import controls
from payments.models import Stop


class Command(BaseCommand):
    help = "Shows the stops of payouts, and lifts them."

    def add_arguments(self, parser: CommandParser) -> None:
        acts = parser.add_subparsers(dest="act")
        acts.add_parser("list", help="the open ones (also without a word)")
        lift = acts.add_parser("lift", help="payouts go on")
        lift.add_argument("stop", type=int, help="its number in the list")
        lift.add_argument("--by", required=True, help="who says so")
        lift.add_argument("--reason", required=True)

    def handle(self, *_args: Any, **options: Any) -> None:
        if options["act"] == "lift":
            self._lift(options["stop"], options["by"], options["reason"])
            return
        rows = Stop.objects.filter(lifted_at=None).select_related("merchant", "stopped_by").order_by("id")
        for row in rows:
            whose = f"merchant {row.merchant.wire_id}" if row.merchant else "everything"
            who = row.stopped_by.email if row.stopped_by else "the breaker"
            self.stdout.write(f"{row.pk:>4}  {whose}, {row.stopped_at:%Y-%m-%d %H:%M}, {who}: {row.reason}")
        if not rows:
            self.stdout.write("Nothing is stopped.")

    def _lift(self, number: int, by: str, reason: str) -> None:
        try:
            lifted = controls.lift(stop_id=number, by=by, reason=reason, now=clock.now())
        except Refusal as refusal:
            raise CommandError(str(refusal)) from None
        self.stdout.write(f"Lifted: {lifted.reason}")
