"""`python -m bench.stage`: makes the merchants that are measured, by Bursar's own verbs.

Reads a `Cast` as JSON from stdin and writes what it made to stdout. Pools are filled by hand, since no
upstream runs that could issue addresses.
"""

from __future__ import annotations

import json
import sys
from datetime import datetime
from decimal import Decimal
from typing import Any

_FREE = """
INSERT INTO payments_address (processor_id, currency, convert_to, origin, external_id, address, lookup,
                              issued_at)
SELECT %s, %s, '', 'pool', '', address, address, now() FROM unnest(%s::text[]) AS address
"""
_POOL = """
INSERT INTO payments_addresspool (processor_id, currency, convert_to, wanted) VALUES (%s, %s, '', 20)
    ON CONFLICT DO NOTHING
"""


def main() -> None:
    import django

    django.setup()
    from django.db import connection, transaction

    from merchants import clock
    from tests import factories

    wanted, now = json.load(sys.stdin), clock.now()
    upstream = factories.processor()
    with transaction.atomic():
        merchants = [_merchant(number, wanted, now) for number in range(wanted["merchants"])]
        free = [_free(f"spare {wanted['seed']} {number}") for number in range(wanted["spare"])]
        with connection.cursor() as cursor:
            cursor.execute(_POOL, [upstream.pk, "BTC"])
            cursor.execute(_FREE, [upstream.pk, "BTC", free])
            cursor.execute("ANALYZE payments_address")
    json.dump(merchants, sys.stdout)


def _merchant(number: int, wanted: dict[str, Any], now: datetime) -> dict[str, Any]:
    from callbacks import endpoints
    from merchants import keys, team
    from payments import currencies, terms
    from tests import factories

    merchant = team.create_merchant(name=f"{wanted['seed']} {number}", now=now)
    for code in list(currencies.CURRENCIES)[: wanted["currencies"]]:
        terms.agree(merchant=merchant, currency=code, now=now, deposit_fee_percent=Decimal("0.008"))
    if wanted["url"]:
        endpoints.set_url(merchant=merchant, url=wanted["url"], by=None, now=now)
    key = keys.generate(merchant=merchant, by=None, now=now)
    active = keys.activate(merchant=merchant, key_id=key.pk, by=None, now=now)
    text = _free(f"{wanted['seed']} {number}")
    factories.address(merchant, address=text, foreign_id="customer")
    if Decimal(wanted["funds"]):
        factories.fund(merchant, factories.money(wanted["funds"]))
    return {"id": merchant.pk, "key": active.key.public_key, "secret": active.secret, "address": text}


def _free(seed: str) -> str:
    from payments import address_formats, currencies

    return address_formats.make(currencies.get("BTC").address_format or "", seed.encode(), testnet=True)


if __name__ == "__main__":
    main()
