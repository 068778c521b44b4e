"""`python -m tests.soak.stage ACT`: what happens before, or between, what a scenario tries.

`make` reads the merchants that are wanted and writes those that were made; `spend` takes a merchant's whole
available balance away, as an adjustment by two operators, and writes how much that was; `decide` lets two
operators say what became of withdrawals; `stop` and `lift` are the kill switch of the whole installation.

Both are JSON, on stdin and stdout. Everything is made by Bursar's own verbs, as an operator and an Owner
would; only the pools are filled by hand, since no upstream runs that could issue addresses.
"""

from __future__ import annotations

import json
import sys
import time
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from payments.money import Money

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

    factories.processor()
    json.dump(_ACTS[sys.argv[1]](json.load(sys.stdin), clock.now()), sys.stdout)


def _make(wanted: list[dict[str, Any]], now: datetime) -> list[dict[str, Any]]:
    return [_shop(shop, now) for shop in wanted]


def _spend(wanted: dict[str, Any], now: datetime) -> str:
    from merchants.models import Merchant
    from payments import adjustments, ledger
    from payments.money import Money
    from tests import factories

    merchant, currency = Merchant.objects.get(pk=wanted["merchant"]), wanted["currency"]
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


def _decide(wanted: list[dict[str, str]], now: datetime) -> dict[str, str]:
    """What each withdrawal, named by its merchant's number, became; the refusal's words where it did not.

    One operator's own consent is tried first, and must be refused.
    """
    from merchants.errors import Refusal
    from payments import outcomes
    from payments.models import Withdrawal

    name = wanted[0]["foreign_id"]
    one, other = (_settled(f"{who}.{name}@soak.test", now) for who in ("one", "other"))
    ended = {}
    for word in wanted:
        withdrawal = Withdrawal.objects.get(operation__foreign_id=word["foreign_id"])
        what = {"withdrawal": withdrawal, "outcome": word["outcome"], "now": now}
        outcomes.say(**what, txid=word["txid"], reason="Looked up at the processor", by=one)
        try:
            outcomes.agree(**what, by=one)
        except outcomes.OwnWord:
            outcomes.agree(**what, by=other)
        except Refusal as refusal:
            ended[word["foreign_id"]] = str(refusal)
            continue
        else:
            ended[word["foreign_id"]] = "one person was enough"
            continue
        ended[word["foreign_id"]] = Withdrawal.objects.get(pk=withdrawal.pk).state
    return ended


def _settled(email: str, now: datetime) -> Any:
    """An operator who has been one for long."""
    from tests import factories

    operator = factories.operator(email)
    operator.settled_at = now
    operator.save(update_fields=["settled_at"])
    return operator


def _stop(wanted: dict[str, Any], now: datetime) -> dict[str, Any]:
    """pressed: when, by the monotonic clock, which is the same in every process."""
    from payments import controls
    from tests import factories

    operator = factories.operator(wanted["email"])
    pressed = time.monotonic()
    stop = controls.stop(merchant=None, reason="The soak tries it", by=operator, now=now)
    return {"stop": stop.pk, "pressed": pressed, "returned": time.monotonic()}


def _lift(wanted: dict[str, Any], now: datetime) -> None:
    from payments import controls

    controls.lift(stop_id=wanted["stop"], by="the soak", reason="Tried", now=now)


def _shop(wanted: dict[str, Any], now: datetime) -> dict[str, Any]:
    from callbacks import endpoints
    from merchants import accounts, keys, team
    from merchants.roles import Role
    from payments import addresses, terms
    from payments.money import Money

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
    for currency, amount in wanted["funds"].items():
        _fund(merchant.pk, Money(Decimal(amount), currency), now)
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


def _fund(merchant_id: int, money: Money, now: datetime) -> None:
    """As if it had always been there; the key is the merchant's, since every act is a process of its own."""
    from django.db import transaction

    from payments import ledger
    from payments.models.account import AccountKind

    lines = [ledger.credit(merchant_id, money), ledger.house(AccountKind.ADJUSTMENT, -money)]
    with transaction.atomic():
        ledger.post(ledger.NewEntry(f"fund:{merchant_id}:{money.currency}", "test", "test", now, lines))


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


_ACTS = {"make": _make, "spend": _spend, "decide": _decide, "stop": _stop, "lift": _lift}

if __name__ == "__main__":
    main()
