"""The simulated chains: one height per network, and what is in the mempool, in a block or nowhere.

A chain knows payments to our addresses only. It moves when it is told to (`/sim/block`) or, if the server
was started so, by itself.
"""

from __future__ import annotations

import secrets

from merchants.errors import Refusal
from payments.currencies import Network
from sandbox.prices import CARRIED
from sandbox.store import Db, Row

NETWORKS = {entry.network.code: entry.network for entry in CARRIED.values() if entry.network is not None}
COINS = {
    "bitcoin": "BTC",
    "bitcoin-cash": "BCH",
    "litecoin": "LTC",
    "dogecoin": "DOGE",
    "ethereum": "ETH",
    "arbitrum": "ETHA",
    "base": "ETHBASE",
    "polygon": "POL",
    "bnb-smart-chain": "BNB-BSC",
    "tron": "TRX",
    "xrp-ledger": "XRP",
}
"""The coin in which each network takes its fee."""


class NoNetwork(Refusal):
    """There is no such network."""

    field = "network"


def network(name: str) -> Network:
    """The network of that code, or the one of a currency of that code. Raises `NoNetwork`."""
    if name in NETWORKS:
        return NETWORKS[name]
    return network_of(name)


def network_of(currency: str) -> Network:
    """The network on which a currency moves. Raises `NoNetwork` for fiat."""
    entry = CARRIED.get(currency)
    if entry is None or entry.network is None:
        raise NoNetwork
    return entry.network


def currencies_on(code: str) -> list[str]:
    """The currencies of one network."""
    return [entry.code for entry in CARRIED.values() if entry.network and entry.network.code == code]


def tip(db: Db, code: str) -> int:
    """The height of the newest block."""
    row = db.execute("SELECT tip FROM height WHERE network = ?", [code]).fetchone()
    return int(row["tip"]) if row else 0


def mine(db: Db, code: str, count: int) -> list[Row]:
    """Adds blocks; the mempool goes into the first. Returns the mined deposits that are not confirmed yet."""
    first = tip(db, code) + 1
    db.execute(
        "INSERT INTO height VALUES (?, ?) ON CONFLICT DO UPDATE SET tip = excluded.tip",
        [code, first + count - 1],
    )
    codes = currencies_on(code)
    on_network = f"sent_currency IN ({', '.join('?' * len(codes))})"
    db.execute(
        f"UPDATE operation SET place = 'block', mined_at = ? WHERE place = 'mempool' AND {on_network}",  # noqa: S608 - only marks are put in
        [first, *codes],
    )
    unfinished = f"SELECT * FROM operation WHERE place = 'block' AND status <> 'confirmed' AND {on_network}"  # noqa: S608 - only marks are put in
    return db.execute(f"{unfinished} ORDER BY id", codes).fetchall()


def confirmations(db: Db, row: Row) -> int:
    """How many blocks hold the payment, its own included; 0 outside of one."""
    if row["place"] != "block":
        return 0
    return tip(db, network_of(row["sent_currency"]).code) - int(row["mined_at"]) + 1


def new_txid(currency: str) -> str:
    """A transaction id as the currency's network writes it."""
    digits = secrets.token_hex(32)
    address_format = network_of(currency).address_format
    if address_format == "evm":
        return f"0x{digits}"
    return digits.upper() if address_format == "xrp" else digits
