"""`audit_verify`: walks the audit's chain, compares it with its witness, names the first wrong record."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from merchants import witness


class Command(BaseCommand):
    help = "Verifies the audit's chain of hashes, also against the heads written outside the database."

    def handle(self, *args: Any, **options: Any) -> None:
        report = witness.verify()
        if report.unread:
            self.stdout.write(f"{report.unread} written heads are under no key of the ring: not compared.")
        if report.bad:
            raise CommandError(f"Record {report.bad.number}: {report.bad.reason}.")
        self.stdout.write(f"The audit is whole. Heads written outside the database: {report.compared}.")
