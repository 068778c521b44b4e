"""`secrets_rotate`: seals every secret of the database with the first key of the ring."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from merchants import clock, sealing
from merchants.secrets import CannotOpen


class Command(BaseCommand):
    help = "Encrypts every secret anew with the first key of BURSAR_ENCRYPTION_KEYS."

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            moved = sealing.rotate(now=clock.now())
        except CannotOpen as error:
            raise CommandError(f"A secret does not open ({error}); run secrets_check.") from None
        self.stdout.write(f"{moved} secrets sealed anew.")
