"""Rows that tests start from, made the way Bursar makes them; every default may be overridden."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from django.db import connection, transaction

from merchants import keys
from merchants.models import Merchant, User
from payments import currencies, ledger
from payments.models import Address, Invoice, Processor, Route, Terms
from payments.models.account import AccountKind
from payments.models.route import RouteOperation
from payments.money import Money
from payments.processors.base import DepositNotice, DepositStatus

NOW = datetime(2026, 5, 4, 12, 0, tzinfo=UTC)
_numbers = itertools.count(1)


def money(amount: str, currency: str = "BTC") -> Money:
    return Money(Decimal(amount), currency)


def merchant(**options: Any) -> Merchant:
    number = next(_numbers)
    defaults = {"name": f"Shop {number}", "public_name": f"Shop {number}"}
    return Merchant.objects.create(**defaults | options)


def operator(email: str | None = None) -> User:
    return User.objects.create_user(
        email=email or f"operator{next(_numbers)}@bursar.test", password="a long enough one", is_operator=True
    )


def processor(code: str = "sandbox") -> Processor:
    upstream, _ = Processor.objects.get_or_create(
        code=code, defaults={"connector": "gateway", "name": code.title()}
    )
    for operation in RouteOperation:
        if not Route.objects.filter(processor=upstream, operation=operation).exists():
            Route.objects.create(
                processor=upstream, operation=operation, valid_from=datetime(2026, 1, 1, tzinfo=UTC)
            )
    return upstream


def terms(currency: str = "BTC", *, merchant: Merchant | None = None, **options: Any) -> Terms:
    known = currencies.get(currency)
    defaults: dict[str, Any] = {
        "deposit_fee_percent": Decimal("0.008"),
        "deposit_exchange_fee_percent": Decimal("0.015"),
        "deposit_minimum": known.minimum_deposit,
        "withdrawal_minimum": known.minimum_withdrawal,
        "valid_from": datetime(2026, 1, 1, tzinfo=UTC),
    }
    return Terms.objects.create(merchant=merchant, currency=currency, **defaults | options)


def fund(merchant: Merchant, amount: Money) -> None:
    """Puts `amount` on the merchant's available balance, by an entry of the house."""
    with transaction.atomic():
        ledger.post(
            ledger.NewEntry(
                key=f"fund:{next(_numbers)}",
                kind="test",
                subject="test",
                occurred_at=NOW,
                lines=[ledger.credit(merchant.pk, amount), ledger.house(AccountKind.ADJUSTMENT, -amount)],
            )
        )


def address(merchant: Merchant, currency: str = "BTC", **options: Any) -> Address:
    """An address that the merchant's program took."""
    number = next(_numbers)
    text = options.pop("address", f"2N{number:033d}")
    with connection.cursor() as cursor:
        cursor.execute("SELECT nextval('address_wire_id')")
        wire_id = cursor.fetchone()[0]
    defaults: dict[str, Any] = {
        "processor": options.pop("processor", None) or processor(),
        "origin": "api",
        "address": text,
        "lookup": text,
        "wire_id": wire_id,
        "foreign_id": f"u-{number}",
        "issued_at": NOW,
        "taken_at": NOW,
    }
    return Address.objects.create(merchant=merchant, currency=currency, **defaults | options)


def invoice(merchant: Merchant, **options: Any) -> Invoice:
    """An invoice over 106.75 EUR whose payer has not chosen yet; with a timer unless told otherwise."""
    number = next(_numbers)
    timer = options.setdefault("timer", True)
    defaults: dict[str, Any] = {
        "wire_id": number,
        "foreign_id": f"inv-{number}",
        "code": f"{number:022d}",
        "mode": "fill_or_kill",
        "title": "An order",
        "currency": "EUR",
        "amount": Decimal("106.75"),
        "url_success": "https://shop.example/ok",
        "url_failed": "https://shop.example/no",
        "status": "pending" if timer else "created",
        "fixed_at": NOW if timer else None,
        "release_at": NOW + timedelta(minutes=15) if timer else None,
        "created_at": NOW,
        "changed_at": NOW,
    }
    return Invoice.objects.create(merchant=merchant, **defaults | options)


def notice(to: Address, amount: str = "0.01500000", **options: Any) -> DepositNotice:
    """What the processor says of a deposit `to` an address; confirmed and credited whole by default."""
    sent = options.pop("sent", money(amount, to.currency))
    status = options.pop("status", DepositStatus.CONFIRMED)
    defaults: dict[str, Any] = {
        "external_id": f"up-{next(_numbers)}",
        "address": to.address,
        "tag": to.tag,
        "received": sent,
        "credited": sent if status == DepositStatus.CONFIRMED else None,
        "txid": "c0ffee" + "0" * 58,
        "confirmations": 1 if status == DepositStatus.CONFIRMED else 0,
    }
    if (
        options.get("received") is not None
        and "credited" not in options
        and status == DepositStatus.CONFIRMED
    ):
        options["credited"] = options["received"]
    return DepositNotice(sent=sent, status=status, **defaults | options)


def active_key(merchant: Merchant) -> tuple[str, str]:
    """(public key, secret) of a key that works."""
    key = keys.generate(merchant=merchant, by=None, now=NOW)
    activated = keys.activate(merchant=merchant, key_id=key.pk, by=None, now=NOW)
    return activated.key.public_key, activated.secret
