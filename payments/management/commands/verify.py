"""`manage.py verify`: walks the books, the withdrawals and the audit; names the first bad row.

Needs a database and nothing else: no broker, no processor, no key. Ends with 1 when something is wrong.
"""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from payments import proof


class Command(BaseCommand):
    help = "Proves the ledger, the withdrawals and the audit's chain, offline."
    requires_system_checks = ()

    def handle(self, *_args: Any, **_options: Any) -> None:
        flaw = proof.first_flaw()
        if flaw:
            raise CommandError(f"{flaw.row}: {flaw.reason}.")
        self.stdout.write("The books, the withdrawals and the audit are whole.")
