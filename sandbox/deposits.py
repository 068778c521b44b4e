"""Deposits: payments to issued addresses, from the mempool to our account, and back when a chain turns.

Every change of status is one callback. A payment below the minimum is cancelled when it is seen and never
credited; a replaced one leaves the mempool; one that a reorganisation threw out is taken back from the
account and may be mined again.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import ROUND_DOWN, Decimal

from merchants.errors import Refusal
from payments.fees import fee_for
from payments.money import Money
from sandbox import addresses, bodies, chain, outbox, prices, store
from sandbox.prices import CARRIED
from sandbox.store import Db, Row

TOO_SMALL = "Transaction amount less than minimum deposit"
REPLACED = "Transaction was replaced in the network"
REORGANISED = "Transaction was dropped by a reorganisation of the network"
_STEP = Decimal("0.00000001")


class NotOurAddress(Refusal):
    """This address was not issued here."""

    field = "address"


class WrongNetwork(Refusal):
    """This currency does not move on the address's network."""

    field = "currency"


class TooManyParts(Refusal):
    """The amount cannot be split into so many parts."""

    field = "parts"


class NotInMempool(Refusal):
    """Only a payment that is not in a block can be replaced."""

    field = "id"


class NotConfirmed(Refusal):
    """Only a confirmed deposit can be reorganised away."""

    field = "id"


class NotDropped(Refusal):
    """Only a deposit that was reorganised away can be mined again."""

    field = "id"


@dataclass(frozen=True)
class Payment:
    """What a payer sends. currency: the address's own unless named; parts: transactions it comes in."""

    address: str
    amount: Decimal
    currency: str = ""
    tag: str | None = None
    parts: int = 1
    txid: str = ""
    sender_address: str | None = None
    riskscore: str = "0.05"


def pay(db: Db, payment: Payment) -> list[Row]:
    """Puts a payment into the mempool, one deposit for each part."""
    address = addresses.find(db, payment.address, payment.tag)
    if address is None:
        address = addresses.unclaimed(db, payment.address, payment.tag)
    if address is None:
        raise NotOurAddress
    currency = payment.currency or address["currency"]
    if chain.network_of(currency) != chain.network_of(address["currency"]):
        raise WrongNetwork
    amounts = _split(payment.amount, payment.parts)
    return [_see(db, payment, address, Money(amount, currency)) for amount in amounts]


def _split(amount: Decimal, parts: int) -> list[Decimal]:
    """Equal parts of at least the smallest unit; the last one takes the remainder."""
    part = (amount / parts).quantize(_STEP, rounding=ROUND_DOWN)
    if part <= 0:
        raise TooManyParts
    return [part] * (parts - 1) + [amount - part * (parts - 1)]


def _see(db: Db, payment: Payment, address: Row, sent: Money) -> Row:
    converts = address["convert_to"]
    received = prices.converted(sent, converts) if converts else sent
    too_small = sent.amount < CARRIED[sent.currency].minimum_deposit
    operation_id = store.add(
        db,
        "operation",
        family="deposit",
        type="deposit_exchange" if converts else "deposit",
        status="cancelled" if too_small else "not_confirmed",
        error=TOO_SMALL if too_small else "",
        end_user_reference=address["end_user_reference"],
        address_id=address["id"],
        address=address["address"],
        tag=address["tag"],
        sent_currency=sent.currency,
        sent_amount=f"{sent.amount:.8f}",
        received_currency=received.currency,
        received_amount=f"{received.amount:.8f}",
        txid=payment.txid or chain.new_txid(sent.currency),
        sender_address=payment.sender_address,
        riskscore=payment.riskscore,
        place="nowhere" if too_small else "mempool",
        created_at=store.now(db),
    )
    return _tell(db, store.operation(db, operation_id))


def mine(db: Db, networks: Iterable[str], count: int) -> list[Row]:
    """Adds blocks to each network; returns the deposits that are confirmed by them."""
    mined = [row for code in networks for row in chain.mine(db, code, count)]
    return [_confirm(db, row) for row in mined if _is_final(db, row)]


def _is_final(db: Db, row: Row) -> bool:
    return chain.confirmations(db, row) >= CARRIED[row["sent_currency"]].confirmations


def _confirm(db: Db, row: Row) -> Row:
    received = store.received(row)
    kind, percent = (
        ("exchange", prices.EXCHANGE_FEE)
        if row["type"] == "deposit_exchange"
        else ("deposit", prices.DEPOSIT_FEE)
    )
    fee = fee_for(received, percent=percent, minimum=Decimal(0))
    fees = bodies.fee_lines({kind: fee} if fee else {})
    row = store.change(db, row["id"], status="confirmed", error="", fees=fees)
    store.move(db, bodies.net(row))
    return _tell(db, row)


def replace(db: Db, row: Row) -> Row:
    """A payment in the mempool is double-spent: it will never be mined."""
    if row["place"] != "mempool":
        raise NotInMempool
    return _tell(db, store.change(db, row["id"], status="cancelled", error=REPLACED, place="nowhere"))


def reorganise(db: Db, row: Row) -> Row:
    """A confirmed deposit's block is thrown out: its money leaves the account again."""
    if row["family"] != "deposit" or row["status"] != "confirmed":
        raise NotConfirmed
    store.move(db, -bodies.net(row))
    changes = {"status": "cancelled", "error": REORGANISED, "place": "nowhere", "mined_at": None}
    return _tell(db, store.change(db, row["id"], **changes))


def mine_again(db: Db, row: Row) -> Row:
    """Puts a deposit that was reorganised away back into the mempool; the next blocks confirm it."""
    if row["error"] != REORGANISED:
        raise NotDropped
    return store.change(db, row["id"], place="mempool")


def _tell(db: Db, row: Row) -> Row:
    outbox.queue(db, row)
    return row
