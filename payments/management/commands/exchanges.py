"""`manage.py exchanges`: the house's open positions, and exchanges whose outcome is unknown.

manage.py exchanges                                        # shows both
manage.py exchanges give-up m11-exchange-500017-0f3c9a1e --by Ada --reason "never taken"
"""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from merchants import clock
from merchants.errors import Refusal
from payments import exchange_outcomes, positions
from payments.models import Exchange, ExchangeState


class Command(BaseCommand):
    help = __doc__

    def add_arguments(self, parser: CommandParser) -> None:
        acts = parser.add_subparsers(dest="act", metavar="act")
        give_up = acts.add_parser("give-up", help="the processor never did it: gives the money back")
        give_up.add_argument("our_id")
        give_up.add_argument("--by", required=True, help="who decided")
        give_up.add_argument("--reason", required=True, help="how it was found out")

    def handle(self, *_args: Any, act: str | None, **options: Any) -> None:
        if act:
            self._give_up(**{name: options[name] for name in ("our_id", "by", "reason")})
        else:
            self._show()

    def _give_up(self, **said: str) -> None:
        try:
            exchange = exchange_outcomes.give_up(**said, now=clock.now())
        except Refusal as refusal:
            raise CommandError(str(refusal)) from None
        except Exchange.DoesNotExist:
            raise CommandError(f"There is no exchange {said['our_id']}.") from None
        self.stdout.write(f"{exchange.holding} went back to {exchange.merchant.name}.")

    def _show(self) -> None:
        self.stdout.write(
            f"Open positions; none goes beyond {settings.CONVERSION_LIMIT_EUR:f} EUR.\ncurrency booked open"
        )
        for one in positions.of_house():
            self.stdout.write(f"{one.currency} {one.booked:f} {one.open:f}")
        self.stdout.write("Exchanges whose outcome is unknown:")
        for row in Exchange.objects.filter(state=ExchangeState.UNKNOWN).order_by("operation_id"):
            self.stdout.write(f"{row.our_id} {row.gives} → {row.target}: {row.unknown_reason}")
