"""`create_merchant NAME EMAIL`: a merchant and its first Owner; prints what the Owner signs in with, once."""

from __future__ import annotations

import json
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import transaction

from merchants import accounts, clock, team
from merchants.errors import Refusal
from merchants.roles import Role


class Command(BaseCommand):
    help = "Creates a merchant with its first Owner."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("name")
        parser.add_argument("email", help="The Owner's; somebody who has an account keeps it.")
        parser.add_argument("--public-name", default="", help="What payers read; NAME unless given.")
        parser.add_argument("--settled", action="store_true", help="Sandbox: no day without withdrawals.")
        parser.add_argument("--json", action="store_true", help="Print one JSON object.")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["settled"] and settings.PRODUCTION:
            raise CommandError("--settled is for the sandbox.")
        try:
            answer = self._create(options)
        except Refusal as refusal:
            raise CommandError(str(refusal)) from None
        if options["json"]:
            self.stdout.write(json.dumps(answer))
        else:
            self.stdout.write("\n".join(f"{name:>18}  {value}" for name, value in answer.items()))

    @transaction.atomic
    def _create(self, options: dict[str, Any]) -> dict[str, Any]:
        now = clock.now()
        merchant = team.create_merchant(name=options["name"], public_name=options["public_name"], now=now)
        known = accounts.find(options["email"])
        made = None if known else accounts.create(email=options["email"], now=now)
        owner = made.user if made else known
        if owner is None:
            raise CommandError("No Owner.")
        team.add(merchant=merchant, user=owner, role=Role.OWNER, now=now, settled=options["settled"])
        answer = {"merchant": merchant.name, "client_id": merchant.wire_id, "owner": owner.email}
        if made:
            answer |= {"one-time password": made.password, "TOTP secret": made.enrolment.secret}
        return answer
