"""An operation as its wire object: what callbacks carry and `transactions/info` answers.

The key order follows the published samples. An operation that came to nothing leaves out its amounts where
the samples do.
"""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

from payments.money import Money
from payments.wire import amount_text
from sandbox import chain, store
from sandbox.prices import CARRIED
from sandbox.store import Db, Row

Body = dict[str, Any]


def operation_body(db: Db, row: Row) -> Body:
    """The operation in its present state."""
    body: Body = {"id": row["id"]}
    body |= _given("foreign_id", row["foreign_id"]) | _given("end_user_reference", row["end_user_reference"])
    body |= {"type": row["type"]}
    if row["family"] != "exchange":
        body |= {"crypto_address": _crypto_address(db, row)}
    body |= _amounts(row)
    return body | {
        "transactions": _legs(db, row),
        "fees": json.loads(row["fees"]) if row["status"] == "confirmed" else [],
        "error": row["error"],
        "status": row["status"],
    }


def fee_lines(fees: dict[str, Money]) -> str:
    """`fees` by their type, as they are stored and shown."""
    return json.dumps([{"type": kind} | _money(money) for kind, money in fees.items()])


def fees(row: Row) -> list[Money]:
    """Every fee of an operation."""
    return [Money(Decimal(line["amount"]), line["currency"]) for line in json.loads(row["fees"])]


def net(row: Row) -> Money:
    """What is credited: what was received less the fees in that currency."""
    left = store.received(row)
    for fee in fees(row):
        left -= fee if fee.currency == left.currency else Money.zero(left.currency)
    return left


def _crypto_address(db: Db, row: Row) -> Body:
    address = db.execute("SELECT * FROM address WHERE id = ?", [row["address_id"]]).fetchone()
    if row["family"] == "withdrawal":
        converts = row["received_currency"] if row["type"] == "withdrawal_exchange" else None
        body: Body = {"id": row["id"], "currency": row["sent_currency"]} | _given("convert_to", converts)
        return body | {"address": row["address"], "tag": row["tag"]}
    body = {"id": address["id"], "currency": row["sent_currency"]}
    body |= _given("convert_to", address["convert_to"])
    body |= {"address": address["address"], "tag": address["tag"], "foreign_id": address["foreign_id"]}
    if row["sent_currency"] != address["currency"]:
        body |= {"cross_currency": True, "expected_currency": address["currency"]}
    return body


def _amounts(row: Row) -> Body:
    failed = row["status"] in {"cancelled", "declined"}
    if failed and row["type"] in {"withdrawal", "withdrawal_exchange", "deposit_exchange"}:
        return {}
    body = {"currency_sent": _money(store.sent(row)), "currency_received": _money(store.received(row))}
    if row["family"] == "deposit":
        body["currency_received"] |= {"amount_minus_fee": _amount_minus_fee(row)}
    return body


def _amount_minus_fee(row: Row) -> str:
    if row["status"] == "cancelled":
        return amount_text(Decimal(0))
    return amount_text((net(row) if row["status"] == "confirmed" else store.received(row)).amount)


def _legs(db: Db, row: Row) -> list[Body]:
    """The leg on the chain and the leg of the conversion, in the order in which they happen."""
    converts = row["sent_currency"] != row["received_currency"]
    if row["family"] == "exchange":
        return [_exchange_leg(row)]
    if row["family"] == "withdrawal":
        return [*([_exchange_leg(row)] if converts else []), _payout_leg(row)]
    is_converted = converts and row["status"] == "confirmed"
    return [_deposit_leg(db, row), *([_exchange_leg(row)] if is_converted else [])]


def _deposit_leg(db: Db, row: Row) -> Body:
    body = _chain_leg(row, store.sent(row), "deposit")
    if CARRIED[row["sent_currency"]].has_riskscore:
        body |= {"riskscore": row["riskscore"] if row["status"] == "confirmed" else None}
    body |= {"confirmations": str(chain.confirmations(db, row))}
    if row["sender_address"]:
        body |= {"sender": {"address": row["sender_address"]}}
    return body


def _payout_leg(row: Row) -> Body:
    return _chain_leg(row, store.received(row), "withdrawal") | {"confirmations": "0"}


def _chain_leg(row: Row, money: Money, kind: str) -> Body:
    body: Body = {
        "id": 2 * row["id"],
        "currency": money.currency,
        "transaction_type": "blockchain",
        "type": kind,
        "address": row["address"],
        "tag": row["tag"],
        "amount": amount_text(money.amount),
    }
    return body | _given("txid", row["txid"])


def _exchange_leg(row: Row) -> Body:
    return {
        "id": 2 * row["id"] + 1,
        "currency": row["sent_currency"],
        "currency_to": row["received_currency"],
        "transaction_type": "exchange",
        "type": "exchange",
        "amount": row["sent_amount"],
        "amount_to": row["received_amount"],
        "confirmations": "0",
    }


def _money(money: Money) -> dict[str, str]:
    return {"currency": money.currency, "amount": amount_text(money.amount)}


def _given(key: str, value: object) -> Body:
    return {key: value} if value else {}
