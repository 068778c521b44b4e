"""`manage.py openapi`: writes docs/openapi.yaml, the API's description, from the code that serves it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser


class Command(BaseCommand):
    help = "Writes the API's OpenAPI document."
    requires_system_checks = ()  # it reads classes, not the database

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--out", type=Path, default=settings.BASE_DIR / "docs" / "openapi.yaml")
        parser.add_argument("--check", action="store_true", help="fail if the file is not current")

    def handle(self, *_args: Any, out: Path, check: bool, **_options: Any) -> None:
        try:
            from payments.api import schema  # its library comes with the development requirements only
        except ModuleNotFoundError as missing:
            raise CommandError(f"{missing.name} is not installed: `./bursar check --environment`") from None
        fresh = schema.as_yaml()
        if not check:
            out.write_text(fresh)
        elif not out.exists() or out.read_text() != fresh:
            raise CommandError(f"{out.name} is not current: run `manage.py openapi`")
