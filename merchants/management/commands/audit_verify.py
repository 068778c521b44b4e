"""`audit_verify`: walks the audit's chain and names the first record that is wrong."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from merchants import audit


class Command(BaseCommand):
    help = "Verifies the audit's chain of hashes."

    def handle(self, *args: Any, **options: Any) -> None:
        bad = audit.verify()
        if bad:
            raise CommandError(f"Record {bad.number}: {bad.reason}.")
        self.stdout.write("The audit is whole.")
