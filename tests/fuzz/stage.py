"""`python -m tests.fuzz.stage ADDRESSES`: what the installation holds before the first request.

Everything that a request's bytes depend on is fixed, so that one seed makes the same bytes on every
installation: the keys and their secrets, the currencies, the addresses that the recorded callbacks pay to.
Prices stay fresh for a day and pools hold enough addresses, so that no refusal is due to the upstream.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

KEY, SECRET = "bpk_fuzz_working", "fuzz-secret-working"
ENDED_KEY, ENDED_SECRET = "bpk_fuzz_ended", "fuzz-secret-ended"
ELSEWHERE_KEY, ELSEWHERE_SECRET = "bpk_fuzz_elsewhere", "fuzz-secret-elsewhere"
"""A key that works only from a network where the fuzz is not."""
UPSTREAM_KEY, UPSTREAM_SECRET = "upstream-fuzz", "upstream-fuzz-secret"
CURRENCIES = ("BTC", "ETH", "EUR", "USD", "USDTE", "XRP")
PRICES = {"BTC": 48_715, "ETH": 2_513, "EUR": 1, "USD": 0.9, "USDTE": 0.91, "XRP": 0.51}
PAID_TO = (
    ("BTC", "", "bc1qdemo0000000000000000000000000deposit1", None),
    ("BTC", "EUR", "2N4Q5FhU2497BryFfUgbqkAJE87aKHUhXMp", None),
    ("ETH", "", "0xd300000000000000000000000000000000000A01", None),
    ("XRP", "", "rDemoXrpAddress1111111111111111111", "12345"),
)
"""Currency, conversion, address and tag of the recorded callbacks' addresses."""

_FILL = """
INSERT INTO payments_address (processor_id, currency, convert_to, origin, external_id, address, lookup,
                              issued_at)
SELECT %s, %s, %s, 'pool', '', a.text, a.text, now()
  FROM generate_series(1, %s) n, LATERAL (SELECT format('fuzz-%%s-%%s-%%s', %s::text, %s::text, n) AS text) a
"""


def main() -> None:
    import django

    django.setup()
    from django.core.management import call_command

    with tempfile.TemporaryDirectory() as name:
        call_command(
            "seed_demo", json_out=Path(name) / "demo.json", shop_url="http://127.0.0.1:9/", verbosity=0
        )
    _merchants()
    _prices()
    _pools(int(sys.argv[1]))


def _merchants() -> None:
    from merchants import clock
    from merchants.models import AllowlistEntry, ApiKey
    from payments import addresses, terms
    from tests import factories

    now = clock.now()

    def key(public: str, secret: str) -> ApiKey:
        merchant = factories.merchant()
        made = ApiKey.objects.create(merchant=merchant, public_key=public, generated_at=now)
        made.activate(secret=secret, now=now)
        return made

    working, ended = key(KEY, SECRET), key(ENDED_KEY, ENDED_SECRET)
    ended.deactivate(now=now)
    elsewhere = key(ELSEWHERE_KEY, ELSEWHERE_SECRET)
    AllowlistEntry.objects.create(key=elsewhere, network="192.0.2.0/24")
    for currency in CURRENCIES:
        terms.enable(merchant=working.merchant, currency=currency, now=now)
        factories.fund(working.merchant, factories.money("1000000", currency))
    for currency, convert_to, address, tag in PAID_TO:
        factories.address(
            working.merchant,
            currency,
            convert_to=convert_to,
            address=address,
            lookup=addresses.lookup(currency, address),
            tag=tag,
            foreign_id=f"recorded-{currency}{convert_to}",
        )


def _prices() -> None:
    from decimal import Decimal

    from django.db import connection

    from payments import rates
    from payments.models import Processor
    from payments.processors.base import Pair, Quote

    known = {code: Decimal(str(price)) for code, price in PRICES.items()}
    quotes = [
        Quote(Pair(source, target), (known[source] / known[target]).quantize(Decimal("1E-8")), None, None)
        for source in known
        for target in known
        if source != target
    ]
    rates.keep(processor=Processor.objects.get(code="sandbox"), quotes=quotes)
    with connection.cursor() as cursor:
        cursor.execute("UPDATE payments_rate SET seen_at = now() + interval '1 day'")


def _pools(size: int) -> None:
    from django.db import connection

    from payments.currencies import CURRENCIES as KNOWN
    from payments.models import Processor

    processor = Processor.objects.get(code="sandbox").pk
    with connection.cursor() as cursor:
        for code in CURRENCIES:
            for target in ("", *CURRENCIES):
                if KNOWN[code].is_crypto and target != code:
                    share = size if not target else max(40, size // 4)
                    cursor.execute(_FILL, [processor, code, target, share, code, target])
        cursor.execute("ANALYZE")


if __name__ == "__main__":
    main()
