"""Withdrawals and exchanges: ordered by Bursar, debited at once, carried out a moment later.

A foreign id is used once per family, by the database. An accepted order is confirmed or, if the fault says
so, cancelled with everything returned; either is one callback.
"""

from __future__ import annotations

import sqlite3
import time
from dataclasses import dataclass
from decimal import Decimal, localcontext

from merchants.errors import Refusal
from payments.errors import BelowMinimum, FieldRefusal
from payments.fees import fee_for
from payments.money import Money
from sandbox import addresses, bodies, chain, deposits, faults, outbox, prices, store
from sandbox.deposits import Payment
from sandbox.prices import CARRIED
from sandbox.store import Db, Row


class AlreadyTaken(FieldRefusal):
    """The {attr} has already been taken."""

    field = "foreign_id"


class NotEnough(Refusal):
    """Not enough money on balance"""

    field = "amount"


class PriceExpired(Refusal):
    """The price is expired or invalid."""

    field = "price"


@dataclass(frozen=True)
class Order:
    """A withdrawal (with an address) or an exchange (without). received: at today's price, before fees."""

    foreign_id: str
    sent: Money
    received: Money
    address: str = ""
    tag: str | None = None
    end_user_reference: str | None = None

    @property
    def family(self) -> str:
        return "withdrawal" if self.address else "exchange"

    @property
    def type(self) -> str:
        converts = self.sent.currency != self.received.currency
        return "withdrawal_exchange" if self.address and converts else self.family


def place(db: Db, order: Order) -> Row:
    """Takes the order and its money; carried out after a while. Raises `Refusal`, and nothing has moved."""
    if faults.load(db).used_foreign_id:
        raise AlreadyTaken
    _demand_minimum(order)
    fees = _fees(order)
    _demand_funds(db, order.sent, fees)
    try:
        operation_id = _store(db, order, fees)
    except sqlite3.IntegrityError:
        raise AlreadyTaken from None
    for money in (order.sent, *_upfront(order.sent, fees)):
        store.move(db, -money)
    return store.operation(db, operation_id)


def _store(db: Db, order: Order, fees: dict[str, Money]) -> int:
    return store.add(
        db,
        "operation",
        family=order.family,
        type=order.type,
        status="processing",
        foreign_id=order.foreign_id,
        end_user_reference=order.end_user_reference,
        address=order.address,
        tag=order.tag,
        sent_currency=order.sent.currency,
        sent_amount=f"{order.sent.amount:.8f}",
        received_currency=order.received.currency,
        received_amount=f"{order.received.amount:.8f}",
        fees=bodies.fee_lines(fees),
        due_at=time.time() + float(store.get(db, "orders_take_seconds", "1")),
        created_at=store.now(db),
    )


def _demand_minimum(order: Order) -> None:
    if order.address:
        least = CARRIED[order.received.currency].minimum_withdrawal
        if order.received.amount < least:
            raise BelowMinimum(field="amount", minimum=f"{least:f}")
        return
    least = prices.least_exchange(order.sent.currency, order.received.currency).amount
    if order.sent.amount < least:
        raise BelowMinimum(field="sender_amount", minimum=f"{least:f}")


def _fees(order: Order) -> dict[str, Money]:
    """A plain withdrawal's mining fee is in the chain's coin; a converting one's in what is debited."""
    if order.type == "exchange":
        return {"exchange": prices.exchange_fee(order.sent, order.received)}
    if order.type == "withdrawal_exchange":
        return {
            "exchange": fee_for(order.sent, percent=prices.EXCHANGE_FEE, minimum=Decimal(0)),
            "mining": prices.mining_fee(order.sent.currency),
        }
    coin = chain.COINS[chain.network_of(order.sent.currency).code]
    return {
        "mining": prices.mining_fee(coin),
        "withdrawal": fee_for(order.sent, percent=prices.WITHDRAWAL_FEE, minimum=Decimal(0)),
    }


def _demand_funds(db: Db, sent: Money, fees: dict[str, Money]) -> None:
    """A chain's coin may be overdrawn by the fees of its tokens; what is sent may not."""
    needed = sent
    for fee in fees.values():
        needed += fee if fee.currency == sent.currency else Money.zero(sent.currency)
    if store.balance(db, sent.currency) < needed:
        raise NotEnough


def _upfront(sent: Money, fees: dict[str, Money]) -> list[Money]:
    """The fees taken with the order: all but the one that comes off what an exchange brings."""
    return [fee for kind, fee in fees.items() if kind != "exchange" or fee.currency == sent.currency]


def carry_out_due(db: Db) -> list[Row]:
    """Finishes every order whose time has come; returns them as they are now."""
    in_force = faults.load(db)
    if in_force.hold_withdrawals:
        return []
    due = db.execute("SELECT * FROM operation WHERE due_at <= ? ORDER BY due_at", [time.time()]).fetchall()
    return [_finish(db, row, in_force) for row in due]


def _finish(db: Db, row: Row, in_force: faults.Faults) -> Row:
    if row["family"] == "withdrawal" and in_force.fail_withdrawals:
        row = _cancel(db, row, in_force.fail_withdrawals)
    elif row["family"] == "withdrawal":
        row = _send(db, row)
    else:
        store.move(db, bodies.net(row))
        row = store.change(db, row["id"], status="confirmed", due_at=None)
    outbox.queue(db, row)
    return row


def _cancel(db: Db, row: Row, error: str) -> Row:
    for money in (store.sent(row), *bodies.fees(row)):
        store.move(db, money)
    return store.change(db, row["id"], status="cancelled", error=error, due_at=None)


def _send(db: Db, row: Row) -> Row:
    """Hands the payout to the network; one to an address that was issued here arrives at it."""
    txid = chain.new_txid(row["received_currency"])
    row = store.change(db, row["id"], status="confirmed", txid=txid, due_at=None)
    if addresses.find(db, row["address"], row["tag"]) is not None:
        received = store.received(row)
        deposits.pay(
            db,
            Payment(
                address=row["address"],
                amount=received.amount,
                currency=received.currency,
                tag=row["tag"],
                txid=txid,
            ),
        )
    return row


def quote(db: Db, source: str, target: str) -> tuple[int, int]:
    """Promises the present price of a pair; returns from when until when."""
    fixed_at = store.now(db)
    released_at = fixed_at + prices.PRICE_HOLDS_SECONDS
    store.add(
        db,
        "quote",
        source=source,
        target=target,
        price=f"{prices.price(source, target):f}",
        released_at=released_at,
    )
    return fixed_at, released_at


def demand_quoted(db: Db, source: str, target: str, price: Decimal) -> None:
    """Raises `PriceExpired` unless the pair was quoted at this price (to a millionth) and it still holds."""
    rows = db.execute(
        "SELECT price FROM quote WHERE source = ? AND target = ? AND released_at > ?",
        [source, target, store.now(db)],
    )
    with localcontext(prec=60):
        held = any(abs(Decimal(row["price"]) - price) <= price / 1_000_000 for row in rows)
    if not held:
        raise PriceExpired
