"""The main job, played over real HTTP against a running installation, each step timed and checked."""

from __future__ import annotations

import json
import secrets
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

from launcher import wire
from launcher.processes import python
from launcher.state import ROOT, LauncherRefusal, read

WAIT_SECONDS = 20.0
AMOUNT = Decimal("0.015")


class Mismatch(Exception):
    """A step did not come out as it must; the text says what was expected and what was there."""


@dataclass
class Player:
    """Plays and times. running: what `up` wrote of itself; demo: the demo's people and keys."""

    running: dict[str, Any]
    demo: dict[str, Any]
    say: Callable[[str], None]
    steps: list[dict[str, Any]] = field(default_factory=list)

    @classmethod
    def of(cls, running: dict[str, Any], say: Callable[[str], None]) -> Player:
        """Who plays on an installation that wrote this of itself."""
        return cls(running, read(Path(running["demo"])), say)

    @contextmanager
    def step(self, title: str) -> Iterator[dict[str, Any]]:
        """One step: what the block puts into the yielded facts is shown beside its time."""
        facts: dict[str, Any] = {}
        began = time.monotonic()
        yield facts
        seconds = time.monotonic() - began
        self.steps.append({"step": title, "seconds": round(seconds, 3), **facts})
        shown = "  ".join(f"{name}={value}" for name, value in facts.items())
        self.say(f"  {seconds:6.2f} s  {title:<46} {shown}")

    def api(self, path: str, body: dict[str, Any], expected: int = 200) -> Any:
        status, answer = wire.signed(
            self.running["api_url"], self.demo["api_key"], self.demo["api_secret"], path, body
        )
        demand(status, expected, f"{path}: {answer}")
        return answer["data"]

    def simulate(self, control: str, **parameters: Any) -> dict[str, Any]:
        headers = {"X-Sandbox-Token": self.running["control_token"]}
        status, answer = wire.post(f"{self.running['control_url']}/sim/{control}", parameters, headers)
        demand(status, 200, f"sandbox {control}: {answer}")
        facts: dict[str, Any] = answer
        return facts

    def at_shop(self, foreign_id: str, status: str) -> dict[str, Any]:
        """The shop's callback of a customer's deposit, or of an order, in that status, once it is there."""

        def look() -> dict[str, Any] | None:
            shown = wire.get(f"{self.running['shop_url']}/callbacks.json")
            for item in shown["callbacks"]:
                body: dict[str, Any] = item["body"]
                if _foreign_id(body) == foreign_id and body["status"] == status:
                    return body
            return None

        told: dict[str, Any] = until(look, f"the shop to be told {status!r}")
        return told

    def balance(self, currency: str) -> Decimal:
        rows = self.api("accounts/list", {})
        return Decimal(next(row["balance"] for row in rows if row["currency"] == currency))

    def booked(self, operation: int) -> dict[str, Any]:
        """What the ledger holds of an operation, through the command line."""
        command = python("manage.py", "show_deposit", "--json", "--merchant", str(self.demo["client_id"]))
        done = subprocess.run(
            [*command, "--operation", str(operation)],
            cwd=ROOT,
            env=self.running["environment"],
            capture_output=True,
            text=True,
            check=False,
        )
        demand(done.returncode, 0, f"show_deposit: {done.stderr.strip()[-200:]}")
        facts: dict[str, Any] = json.loads(done.stdout)
        return facts


def play(player: Player) -> None:
    """A deposit from the address to the ledger. Raises `Mismatch`."""
    customer = f"demo-{secrets.token_hex(4)}"
    before = player.balance("BTC")
    with player.step("take an address over the signed API") as facts:
        taken = player.api("addresses/take", {"foreign_id": customer, "currency": "BTC"}, 201)
        facts.update({"address": taken["address"]})
    with player.step(f"pay {AMOUNT} BTC to it in the sandbox") as facts:
        paid = player.simulate("pay", address=taken["address"], amount=str(AMOUNT))
        facts.update({"txid": paid["operations"][0]["txid"][:16]})
    with player.step("the shop is told: not_confirmed") as facts:
        seen = player.at_shop(customer, "not_confirmed")
        facts.update({"id": seen["id"]})
        demand(Decimal(seen["currency_sent"]["amount"]), AMOUNT, "the amount told")
    with player.step("a block is mined") as facts:
        player.simulate("block", network="BTC", count=1)
    with player.step("the shop is told: confirmed") as facts:
        told = player.at_shop(customer, "confirmed")
        credited = Decimal(told["currency_received"]["amount_minus_fee"])
        facts.update({"amount_minus_fee": credited})
        demand(told["id"], seen["id"], "the operation told")
    with player.step("the balance in accounts/list grew by that") as facts:
        facts.update({"balance": player.balance("BTC")})
        demand(facts["balance"], before + credited, "the balance")
    with player.step("the ledger has it, and sums to zero") as facts:
        facts.update(check_books(player.booked(told["id"]), credited))


def check_books(shown: dict[str, Any], credited: Decimal) -> dict[str, Any]:
    """A deposit's one entry sums to zero and credits the merchant this much. Raises `Mismatch`."""
    demand(shown["status"], "confirmed", "the operation's status")
    demand(len(shown["entries"]), 1, "the number of entries")
    (entry,) = shown["entries"]
    sums: dict[str, Decimal] = {}
    for posting in entry["postings"]:
        sums[posting["currency"]] = sums.get(posting["currency"], Decimal(0)) + Decimal(posting["amount"])
    demand(sum(map(abs, sums.values())), Decimal(0), "the entry's sum")
    to_merchant = [row for row in entry["postings"] if row["account"] == "available"]
    demand(sum(Decimal(row["amount"]) for row in to_merchant), credited, "what the merchant was credited")
    return {"entry": entry["key"], "postings": len(entry["postings"])}


def fund(player: Player, currency: str, amount: str, blocks: int) -> None:
    """Brings a demo balance by a real deposit: address, payment, blocks, credit."""
    taken = player.api("addresses/take", {"foreign_id": "first-customer", "currency": currency}, 201)
    before = player.balance(currency)
    player.simulate("pay", address=taken["address"], amount=amount)
    player.simulate("block", network=currency, count=blocks)
    until(lambda: player.balance(currency) > before, f"{amount} {currency} to be credited")


def until(look: Callable[[], Any], what: str) -> Any:
    """What `look` finds, once it finds something. Raises `Mismatch` when it does not in time."""
    end = time.monotonic() + WAIT_SECONDS
    while time.monotonic() < end:
        found = look()
        if found:
            return found
        time.sleep(0.05)
    raise Mismatch(f"waited {WAIT_SECONDS:.0f} s for {what}")


def demand(found: object, expected: object, what: str) -> None:
    if found != expected:
        raise Mismatch(f"{what}: expected {expected}, found {found}")


def _foreign_id(body: dict[str, Any]) -> str | None:
    """An order's own, or the customer's whose address was paid."""
    return body.get("foreign_id") or (body.get("crypto_address") or {}).get("foreign_id")


def report(player: Player, mismatch: Mismatch | LauncherRefusal | None) -> str:
    """The run for machines."""
    return json.dumps(
        {"ok": mismatch is None, "error": str(mismatch) if mismatch else None, "steps": player.steps},
        default=str,
    )
