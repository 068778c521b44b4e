"""`manage.py seed_demo`: the sandbox's demo merchant, its people, balances and key; once.

The merchant is a shop, or another Bursar that has this one for its processor, at half the price.

What people need to try it (passwords, authenticator secrets, the API secret) goes to one file that only its
owner can read, written within the transaction: without the file there is no demo, and the other way round.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from secrets import token_urlsafe
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import transaction

from callbacks import endpoints
from merchants import accounts, clock, keys, team
from merchants.models import Merchant, User
from merchants.roles import Role
from payments import adjustments, ledger, terms
from payments.currencies import CURRENCIES
from payments.models import Processor, Route, Terms
from payments.models.route import RouteOperation
from payments.money import Money

PROCESSORS = {"sandbox": "Sandbox", "upstream": "Upstream Bursar"}
ENABLED = ("BTC", "ETH", "EUR", "USD", "USDTT", "XRP")
TOP_UPS = (Money(Decimal(10_000), "EUR"), Money(Decimal(10_000), "USD"))
PRICES: dict[str, Any] = {
    "deposit_fee_percent": Decimal("0.008"),
    "deposit_exchange_fee_percent": Decimal("0.015"),
    "withdrawal_fee_percent": Decimal("0.001"),
    "withdrawal_exchange_fee_percent": Decimal("0.008"),
    "exchange_fee_percent": Decimal("0.01"),
}


@dataclass(frozen=True)
class Cast:
    """Who is who. domain: of the merchant's people; pays: which share of `PRICES` its fees are."""

    name: str
    domain: str
    operators: str
    pays: Decimal


MERCHANTS = {
    "shop": Cast("Demo Shop", "demo.test", "bursar.test", Decimal(1)),
    "bursar": Cast("Bursar in front", "front.test", "upstream.test", Decimal("0.5")),
}


class Command(BaseCommand):
    help = "Makes the demo merchant of a sandbox, once."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--json-out", type=Path, required=True, help="where what is secret is written")
        parser.add_argument("--shop-url", required=True, help="the merchant's callback address")
        parser.add_argument("--processor", choices=PROCESSORS, default="sandbox", help="who moves the coins")
        parser.add_argument(
            "--banked", action="store_true", help="the money of the top-ups lies at the processor"
        )
        parser.add_argument("--merchant", choices=MERCHANTS, default="shop", help="whom it serves")

    def handle(self, *args: Any, **options: Any) -> None:
        if settings.PRODUCTION:
            raise CommandError("The demo is for the sandbox only.")
        cast = MERCHANTS[options["merchant"]]
        merchant = Merchant.objects.filter(name=cast.name).first()
        if merchant:
            endpoints.set_url(merchant=merchant, url=options["shop_url"], by=None, now=clock.now())
            self.stdout.write("The demo is there already; it is called back at this address.")
            return
        with transaction.atomic():
            demo = _Demo(clock.now(), cast, options["processor"], is_banked=options["banked"])
            facts = demo.make(shop_url=options["shop_url"])
            _write(options["json_out"], facts)
        self.stdout.write("The demo is made.")


@dataclass
class _Demo:
    now: datetime
    cast: Cast
    processor: str
    is_banked: bool

    def make(self, *, shop_url: str) -> dict[str, Any]:
        processor = self._upstream()
        operator = self._person(f"operator@{self.cast.operators}", is_operator=True)
        second = self._person(f"second.operator@{self.cast.operators}", is_operator=True)
        merchant = team.create_merchant(name=self.cast.name, by=operator.user, now=self.now)
        owner = self._member(merchant, "owner", Role.OWNER)
        second_owner = self._member(merchant, "second.owner", Role.OWNER)
        viewer = self._member(merchant, "viewer", Role.VIEW)
        for currency in ENABLED:
            terms.enable(merchant=merchant, currency=currency, now=self.now)
        self._top_up(merchant, operator.user, second.user)
        if self.is_banked:
            self._bank(processor)
        endpoints.set_url(merchant=merchant, url=shop_url, by=owner.user, now=self.now)
        key = keys.generate(merchant=merchant, by=owner.user, now=self.now)
        active = keys.activate(merchant=merchant, key_id=key.pk, by=owner.user, now=self.now)
        return {
            "callback_url": shop_url,
            "client_id": merchant.wire_id,
            "api_key": active.key.public_key,
            "api_secret": active.secret,
            "owner": owner.facts,
            "second_owner": second_owner.facts,
            "viewer": viewer.facts,
            "operator": operator.facts,
            "second_operator": second.facts,
        }

    def _upstream(self) -> Processor:
        """The processor, and an offer for every currency whose addresses can be checked."""
        processor, _ = Processor.objects.get_or_create(
            code=self.processor, defaults={"connector": "gateway", "name": PROCESSORS[self.processor]}
        )
        for operation in RouteOperation:
            Route.objects.create(operation=operation, processor=processor, valid_from=self.now)
        offered = set(Terms.objects.filter(merchant=None).values_list("currency", flat=True))
        for code, currency in CURRENCIES.items():
            if currency.can_be_enabled and code not in offered:
                prices = {name: share * self.cast.pays for name, share in PRICES.items()}
                prices = prices if currency.is_crypto else {}
                terms.agree(merchant=None, currency=code, now=self.now, **prices)
        return processor

    def _person(self, email: str, *, is_operator: bool = False) -> _Person:
        password = token_urlsafe(12)
        made = accounts.create(email=email, now=self.now, is_operator=is_operator, password=password)
        return _Person(made.user, password, made.enrolment.secret)

    def _member(self, merchant: Merchant, name: str, role: Role) -> _Person:
        person = self._person(f"{name}@{self.cast.domain}")
        team.add(merchant=merchant, user=person.user, role=role, now=self.now, settled=True)
        return person

    def _top_up(self, merchant: Merchant, asks: User, approves: User) -> None:
        for money in TOP_UPS:
            asked = adjustments.request(
                merchant=merchant, money=money, reason="Demo top-up", by=asks, now=self.now
            )
            adjustments.approve(adjustment_id=asked.pk, by=approves, now=self.now)

    def _bank(self, processor: Processor) -> None:
        """The bank transfers that brought the top-ups; without them the books would differ from its own."""
        for money in TOP_UPS:
            ledger.post(
                ledger.NewEntry(
                    key=f"demo:bank:{money.currency}",
                    kind="adjustment",
                    subject=f"processor:{processor.pk}",
                    occurred_at=self.now,
                    lines=[
                        ledger.at_processor(processor.pk, -money),
                        ledger.house(ledger.AccountKind.ADJUSTMENT, money),
                    ],
                )
            )


@dataclass(frozen=True)
class _Person:
    user: User
    password: str
    totp_secret: str

    @property
    def facts(self) -> dict[str, str]:
        return {"email": self.user.email, "password": self.password, "totp_secret": self.totp_secret}


def _write(path: Path, facts: dict[str, Any]) -> None:
    """Readable by its owner alone from the first byte."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        json.dump(facts, file, indent=2)
