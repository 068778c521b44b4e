"""`create_operator EMAIL`: somebody who runs the installation; prints what they sign in with, once."""

from __future__ import annotations

import json
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from merchants import accounts, clock
from merchants.errors import Refusal


class Command(BaseCommand):
    help = "Creates an operator."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("email")
        parser.add_argument("--json", action="store_true", help="Print one JSON object.")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            made = accounts.create(email=options["email"], is_operator=True, now=clock.now())
        except Refusal as refusal:
            raise CommandError(str(refusal)) from None
        answer = {
            "operator": made.user.email,
            "one-time password": made.password,
            "TOTP secret": made.enrolment.secret,
        }
        if options["json"]:
            self.stdout.write(json.dumps(answer))
        else:
            self.stdout.write("\n".join(f"{name:>18}  {value}" for name, value in answer.items()))
