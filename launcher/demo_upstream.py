"""The main job through two Bursars, one behind the other: a deposit up, then a withdrawal down.

```
deposit     payer → sandbox → the Bursar behind → the Bursar in front → shop
withdrawal  shop → the Bursar in front → the Bursar behind → sandbox → payee, and the word of it back
```
The one in front is a merchant of the one behind. What it holds there, by its own ledger, must be what the
one behind owes it.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from launcher.demo import AMOUNT, Mismatch, Player, check_books, demand
from launcher.state import LauncherRefusal
from payments import address_formats

PAYOUT = Decimal("0.01")
CURRENCY = "BTC"


@dataclass(frozen=True)
class Both:
    """Whoever plays on both. Their steps are one list."""

    front: Player
    behind: Player

    def balances(self) -> tuple[Decimal, Decimal]:
        """What each owes its merchant: the shop, and the Bursar in front."""
        return self.front.balance(CURRENCY), self.behind.balance(CURRENCY)


def demand_two(running: dict[str, Any]) -> None:
    """Raises `LauncherRefusal` when the running installation has no Bursar behind it."""
    if running and "upstream" not in running:
        raise LauncherRefusal(
            "a single Bursar is running; stop it, or start two elsewhere with `BURSAR_VAR=DIRECTORY "
            "./bursar up --upstream`"
        )


def play(player: Player) -> None:
    """Both ways. Raises `Mismatch`, `LauncherRefusal`."""
    demand_two(player.running)
    behind = Player.of(player.running["upstream"], player.say)
    behind.steps = player.steps
    both = Both(player, behind)
    deposit(both)
    withdraw(both)


def deposit(both: Both) -> None:
    """What a payer pays is seen, confirmed and credited by both, and told to the shop."""
    front, customer = both.front, f"demo-{secrets.token_hex(4)}"
    shop_before, front_before = both.balances()
    with front.step("the shop takes an address") as facts:
        taken = front.api("addresses/take", {"foreign_id": customer, "currency": CURRENCY}, 201)
        facts.update({"address": taken["address"]})
    with front.step(f"a payer pays {AMOUNT} {CURRENCY} in the sandbox") as facts:
        paid = front.simulate("pay", address=taken["address"], amount=str(AMOUNT))
        facts.update({"txid": paid["operations"][0]["txid"][:16]})
    with front.step("the shop is told: not_confirmed") as facts:
        seen = front.at_shop(customer, "not_confirmed")
        facts.update({"id": seen["id"]})
        demand(Decimal(seen["currency_sent"]["amount"]), AMOUNT, "the amount told")
    with front.step("a block is mined") as facts:
        front.simulate("block", network=CURRENCY, count=1)
    with front.step("the shop is told: confirmed") as facts:
        told = front.at_shop(customer, "confirmed")
        credited = Decimal(told["currency_received"]["amount_minus_fee"])
        facts.update({"amount_minus_fee": credited})
        demand(told["id"], seen["id"], "the operation told")
    with front.step("in front: the shop was credited that") as facts:
        booked = front.booked(told["id"])
        check_books(booked, credited)
        facts.update({"balance": front.balance(CURRENCY)})
        demand(facts["balance"], shop_before + credited, "the shop's balance")
    with front.step("behind: the Bursar in front, what it booked") as facts:
        here = -_moved(booked, "at_processor")
        check_books(both.behind.booked(int(booked["external_id"])), here)
        facts.update({"credited": here, "balance": both.behind.balance(CURRENCY)})
        demand(facts["balance"], front_before + here, "the balance of the Bursar in front")


def withdraw(both: Both) -> None:
    """What the shop orders is paid on the chain by the last of them, and told to the shop."""
    front, order = both.front, f"demo-out-{secrets.token_hex(4)}"
    payee = address_formats.make("bitcoin", secrets.token_bytes(16), testnet=True)
    shop_before, front_before = both.balances()
    with front.step(f"the shop orders a withdrawal of {PAYOUT} {CURRENCY}") as facts:
        asked = {"foreign_id": order, "amount": str(PAYOUT), "currency": CURRENCY, "address": payee}
        ordered = front.api("withdrawal/crypto", asked, 201)
        facts.update({"id": ordered["id"], "status": ordered["status"]})
        demand(ordered["status"], "processing", "the status answered")
    with front.step("the shop is told: confirmed") as facts:
        told = front.at_shop(order, "confirmed")
        facts.update({"txid": told["transactions"][0]["txid"][:16]})
        demand(told["id"], ordered["id"], "the operation told")
        demand(Decimal(told["currency_sent"]["amount"]), PAYOUT, "the amount told")
    with front.step("in the sandbox: it was paid, once") as facts:
        facts.update(_paid(front, payee, told["transactions"][0]["txid"]))
    with front.step("in front: the shop paid amount and fees") as facts:
        fees = sum((Decimal(fee["amount"]) for fee in told["fees"]), Decimal(0))
        facts.update({"fees": fees, "balance": front.balance(CURRENCY)})
        demand(facts["balance"], shop_before - PAYOUT - fees, "the shop's balance")
    with front.step("behind: the Bursar in front, what it booked") as facts:
        here = _moved(front.booked(told["id"]), "at_processor")
        facts.update({"paid": here, "balance": both.behind.balance(CURRENCY)})
        demand(facts["balance"], front_before - here, "the balance of the Bursar in front")


def _moved(booked: dict[str, Any], account: str) -> Decimal:
    """By how much an operation's entries moved an account, in the currency played."""
    return sum(
        (
            Decimal(posting["amount"])
            for entry in booked["entries"]
            for posting in entry["postings"]
            if (posting["account"], posting["currency"]) == (account, CURRENCY)
        ),
        Decimal(0),
    )


def _paid(player: Player, payee: str, txid: str) -> dict[str, Any]:
    """The one payout to that address, as the sandbox's chain has it."""
    operations = player.simulate("state")["operations"]
    found = [each for each in operations if (each.get("crypto_address") or {}).get("address") == payee]
    if len(found) != 1:
        raise Mismatch(f"payouts to {payee}: expected 1, found {len(found)}")
    (leg,) = found[0]["transactions"]
    demand(leg["txid"], txid, "the transaction of the payout")
    demand(Decimal(leg["amount"]), PAYOUT, "the amount of the payout")
    return {"status": found[0]["status"], "amount": leg["amount"]}
