"""`manage.py show_deposit`: one operation with its ledger entries, for a look or for a machine."""

from __future__ import annotations

import json
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from payments import ledger
from payments.models import Operation


class Command(BaseCommand):
    help = "Shows an operation of a merchant and the ledger entries that it made."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--merchant", type=int, required=True, help="the merchant's client id")
        parser.add_argument("--operation", type=int, required=True, help="the operation's id on the wire")
        parser.add_argument("--json", action="store_true", help="one JSON object")

    def handle(self, *args: Any, **options: Any) -> None:
        operation = Operation.objects.filter(
            merchant__wire_id=options["merchant"], wire_id=options["operation"]
        ).first()
        if operation is None:
            raise CommandError("This merchant has no such operation.")
        shown = {
            "id": operation.wire_id,
            "type": operation.kind,
            "status": operation.status,
            "external_id": operation.external_id,
            "entries": [_entry(entry) for entry in ledger.entries_about(operation.subject)],
        }
        self.stdout.write(json.dumps(shown) if options["json"] else _text(shown))


def _entry(entry: ledger.BookedEntry) -> dict[str, Any]:
    return {
        "key": entry.key,
        "postings": [
            {"account": line.account, "currency": line.currency, "amount": f"{line.amount:f}"}
            for line in entry.lines
        ],
    }


def _text(shown: dict[str, Any]) -> str:
    lines = [f"{shown['type']} {shown['id']}: {shown['status']}"]
    for entry in shown["entries"]:
        lines.append(entry["key"])
        lines += [
            f"  {row['account']:<14} {row['amount']:>20} {row['currency']}" for row in entry["postings"]
        ]
    return "\n".join(lines)
