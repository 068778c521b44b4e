"""`python -m tests.soak.stage make|spend`: what happens before, or between, what a scenario tries.

`make` reads the merchants that are wanted and writes those that were made; `spend` takes a merchant's whole
available balance away, as an adjustment by two operators, and writes how much that was.

Both are JSON, on stdin and stdout. Everything is made by Bursar's own verbs, as an operator and an Owner
would; only the pools are filled by hand, since no upstream runs that could issue addresses.
"""

from __future__ import annotations

import json
import sys
from datetime import datetime
from decimal import Decimal
from typing import Any

_FREE = """
INSERT INTO payments_address (processor_id, currency, convert_to, origin, external_id, address, lookup, tag,
                              issued_at)
VALUES (%s, %s, %s, 'pool', '', %s, %s, %s, now())
"""


def main() -> None:
    import django

    django.setup()
    from merchants import clock
    from tests import factories

    wanted = json.load(sys.stdin)
    now = clock.now()
    factories.processor()
    if sys.argv[1] == "spend":
        json.dump(_spend(wanted["merchant"], wanted["currency"], now), sys.stdout)
    else:
        json.dump([_shop(shop, now) for shop in wanted], sys.stdout)


def _spend(merchant_id: int, currency: str, now: datetime) -> str:
    from merchants.models import Merchant
    from payments import adjustments, ledger
    from payments.money import Money
    from tests import factories

    merchant = Merchant.objects.get(pk=merchant_id)
    there = next((row.available for row in ledger.balances(merchant) if row.currency == currency), Decimal(0))
    if there:
        asks, approves = (
            factories.operator(f"{who}.{merchant.pk}.{currency}@soak.test") for who in ("asks", "approves")
        )
        asked = adjustments.request(
            merchant=merchant, money=Money(-there, currency), reason="Spent", by=asks, now=now
        )
        adjustments.approve(adjustment_id=asked.pk, by=approves, now=now)
    return f"{there:f}"


def _shop(wanted: dict[str, Any], now: datetime) -> dict[str, Any]:
    from callbacks import endpoints
    from merchants import accounts, keys, team
    from merchants.roles import Role
    from payments import addresses, terms

    merchant = team.create_merchant(name=wanted["name"], now=now)
    owner = accounts.create(email=wanted["email"], now=now, password=wanted["password"])
    team.add(merchant=merchant, user=owner.user, role=Role.OWNER, now=now, settled=True)
    for currency, prices in wanted["terms"].items():
        agreed = {name: Decimal(price) for name, price in prices.items()}
        terms.agree(merchant=merchant, currency=currency, now=now, **agreed)
    if wanted["url"]:
        endpoints.set_url(merchant=merchant, url=wanted["url"], by=owner.user, now=now)
    key = keys.generate(merchant=merchant, by=owner.user, now=now)
    active = keys.activate(merchant=merchant, key_id=key.pk, by=owner.user, now=now)
    taken = []
    for number, place in enumerate(wanted["addresses"]):
        order = addresses.Order(
            foreign_id=f"customer-{number}", currency=place["currency"], convert_to=place["convert_to"]
        )
        _fill(order.currency, order.convert_to, f"{wanted['name']} {number}")
        address = addresses.take(merchant=merchant, order=order, now=now, call_for_more=lambda: None)
        taken.append({"address": address.address, "tag": address.tag, "foreign_id": order.foreign_id})
    for number in range(wanted["spare"]):
        _fill("BTC", "", f"{wanted['name']} spare {number}")
    return {
        "id": merchant.pk,
        "client_id": merchant.wire_id,
        "key": active.key.public_key,
        "secret": active.secret,
        "totp_secret": owner.enrolment.secret,
        "addresses": taken,
    }


def _fill(code: str, convert_to: str, seed: str) -> None:
    """One free address in the pool."""
    from django.db import connection

    from payments import address_formats, addresses, currencies
    from payments.models import Processor

    currency = currencies.get(code)
    text = address_formats.make(currency.address_format or "", f"{code} {seed}".encode(), testnet=True)
    tag = str(abs(hash(seed)) % 1_000_000_000) if currency.takes_tag else None
    with connection.cursor() as cursor:
        cursor.execute(
            _FREE,
            [Processor.objects.get().pk, code, convert_to, text, addresses.lookup(code, text), tag],
        )


if __name__ == "__main__":
    main()
