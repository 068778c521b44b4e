"""`manage.py caps`: shows the most that is paid out; `caps set` sets it, with the database owner's rights.

manage.py caps
manage.py caps set --hour 50000 --day 200000                 # for each merchant, all currencies in EUR
manage.py caps set --merchant 11 --currency BTC --one 2      # one merchant's, in BTC
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from merchants import clock
from merchants.errors import Refusal
from merchants.models import Merchant
from payments import controls
from payments.models import Cap
from payments.wire import parse_amount


class Command(BaseCommand):
    help = "Shows and sets the caps of payouts."

    def add_arguments(self, parser: CommandParser) -> None:
        acts = parser.add_subparsers(dest="act")
        acts.add_parser("list", help="all of them (also without a word)")
        change = acts.add_parser("set", help="sets a row whole: what is not named has no cap")
        change.add_argument("--merchant", type=int, help="the merchant's client id; without it each merchant")
        change.add_argument("--currency", default="", help="without it all currencies, in EUR")
        change.add_argument("--one", help="of one operation")
        change.add_argument("--hour", help="of an hour")
        change.add_argument("--day", help="of a day")
        change.add_argument("--by", default="operator", help="who says so, for the audit")

    def handle(self, *_args: Any, **options: Any) -> None:
        if options["act"] == "set":
            try:
                self.stdout.write(_line(_set(options)))
            except Refusal as refusal:
                raise CommandError(str(refusal)) from None
            return
        rows = Cap.objects.select_related("merchant").order_by("merchant__wire_id", "currency")
        for row in rows:
            self.stdout.write(_line(row))
        if not rows:
            self.stdout.write("There is no cap: whatever is approved is paid out.")


def _set(options: dict[str, Any]) -> Cap:
    merchant = None
    if options["merchant"] is not None:
        merchant = Merchant.objects.filter(wire_id=options["merchant"]).first()
        if merchant is None:
            raise CommandError(f"There is no merchant {options['merchant']}.")
    return controls.set_cap(
        merchant=merchant,
        currency=options["currency"],
        one_operation=_amount(options, "one"),
        per_hour=_amount(options, "hour"),
        per_day=_amount(options, "day"),
        by=options["by"],
        now=clock.now(),
    )


def _amount(options: dict[str, Any], name: str) -> Decimal | None:
    """Raises `Refusal` for what is no amount."""
    given = options[name]
    return None if given is None else parse_amount(given, places=8, field=name)


def _line(row: Cap) -> str:
    whose = f"merchant {row.merchant.wire_id}" if row.merchant else "each merchant"
    amounts = (("one", row.one_operation), ("hour", row.per_hour), ("day", row.per_day))
    said = ", ".join(f"{name} {amount:f}" for name, amount in amounts if amount is not None) or "no cap"
    return f"{whose}, {row.currency or 'all in EUR'}: {said}"
