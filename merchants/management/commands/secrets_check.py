"""`secrets_check`: opens every secret of the database, shows none, fails if one does not open."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from merchants import sealing


class Command(BaseCommand):
    help = "Checks that every secret opens, and says which key sealed how many."

    def handle(self, *args: Any, **options: Any) -> None:
        report = sealing.check()
        for kid, count in sorted(report.sealed_by.items()):
            self.stdout.write(f"{count:>8} sealed by key {kid}")
        if report.unreadable:
            raise CommandError("These do not open:\n" + "\n".join(report.unreadable))
        self.stdout.write("Every secret opens.")
