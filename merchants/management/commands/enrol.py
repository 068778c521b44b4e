"""`enrol EMAIL`: a further authenticator for somebody; prints its secret, once."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from merchants import accounts, clock


class Command(BaseCommand):
    help = "Enrols a new authenticator for a person."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("email")

    def handle(self, *args: Any, **options: Any) -> None:
        user = accounts.find(options["email"])
        if user is None:
            raise CommandError(f"Nobody has the e-mail address {options['email']}.")
        enrolment = accounts.enrol(user=user, now=clock.now())
        self.stdout.write(f"TOTP secret  {enrolment.secret}\nfor a QR code  {enrolment.url}")
