"""`manage.py prune`: removes what is kept for a time only. For a nightly job, with the owner's rights."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from callbacks import pruning
from merchants.errors import Refusal


class Command(BaseCommand):
    help = "Removes delivery attempts, processors' callbacks and key traffic that are old enough."

    def handle(self, *_args: Any, **_options: Any) -> None:
        try:
            gone = pruning.prune()
        except Refusal as refusal:
            raise CommandError(str(refusal)) from None
        self.stdout.write(
            f"Removed {gone.attempts} attempts, {gone.incoming} incoming callbacks,"
            f" {gone.traffic} hours of traffic."
        )
