"""An operation as its wire object: what callbacks carry and `transactions/info` answers.

The key order is the contract's and part of it, since receivers re-encode what they hash. Keys without a
value are left out, never null, but for those the contract shows as null (`tag`, `riskscore`).
"""

from __future__ import annotations

from typing import Any

from payments import wire
from payments.models import (
    DEPOSITS,
    WITHDRAWALS,
    Leg,
    LegType,
    Operation,
    OperationKind,
    OperationStatus,
    Withdrawal,
)

Body = dict[str, Any]


def operation_body(operation: Operation, *, with_sender: bool = False) -> Body:
    """The operation in its present state; reads its address or withdrawal, legs and fees.

    with_sender: adds the payer's own address to the legs, which merchants ask for by a switch.
    """
    return (
        {"id": operation.wire_id}
        | _optional("foreign_id", operation.foreign_id)
        | _optional("end_user_reference", operation.end_user_reference)
        | {"type": str(operation.kind)}
        | _destination(operation)
        | _amounts(operation)
        | {
            "transactions": [_leg(leg, with_sender=with_sender) for leg in operation.legs.all()],
            "fees": [
                {"type": fee.type, "currency": fee.currency, "amount": wire.amount_text(fee.amount)}
                for fee in operation.fees.all()
            ],
            "error": operation.error,
            "status": str(operation.status),
        }
        | _future(operation)
    )


def render(body: Body) -> bytes:
    """The exact bytes that are stored, signed and sent."""
    return wire.php_json(body)


def _optional(key: str, value: object) -> Body:
    return {} if value in {None, ""} else {key: value}


def _destination(operation: Operation) -> Body:
    """Where it came to; an exchange moves nowhere."""
    if operation.kind == OperationKind.EXCHANGE:
        return {}
    return {"crypto_address": _crypto_address(operation)}


def _future(operation: Operation) -> Body:
    """A deposit at a held price names what held it, and itself once more."""
    if operation.kind != OperationKind.DEPOSIT_EXCHANGE or not hasattr(operation, "future_deposit"):
        return {}
    return {"futures_id": operation.future_deposit.future.wire_id, "transaction_id": operation.wire_id}


def _crypto_address(operation: Operation) -> Body:
    if operation.kind in WITHDRAWALS:
        return _paid_to(operation.withdrawal)
    address = operation.came_to
    body: Body = {"id": address.wire_id, "currency": operation.currency_sent}
    body |= _optional("convert_to", address.convert_to)
    body |= {"address": address.address, "tag": address.tag, "foreign_id": address.foreign_id}
    if operation.is_cross_currency:
        body |= {"cross_currency": True, "expected_currency": address.currency}
    return body


def _paid_to(withdrawal: Withdrawal) -> Body:
    """Where a withdrawal goes: the currency debited beside what it is converted to (contract, A13)."""
    return (
        {"id": withdrawal.address_wire_id, "currency": withdrawal.currency}
        | _optional("convert_to", withdrawal.convert_to)
        | {"address": withdrawal.address, "tag": withdrawal.tag}
    )


_NOTHING_MOVED = {OperationStatus.CANCELLED, OperationStatus.DECLINED}


def _amounts(operation: Operation) -> Body:
    """What came and what it made; a withdrawal or a conversion that came to nothing leaves both keys out."""
    silent = operation.kind in {*WITHDRAWALS, OperationKind.DEPOSIT_EXCHANGE}
    if silent and operation.status in _NOTHING_MOVED:
        return {}
    received = {
        "currency": operation.currency_received,
        "amount": wire.amount_text(operation.amount_received),
    }
    if operation.kind in DEPOSITS:
        received["amount_minus_fee"] = wire.amount_text(operation.amount_minus_fee)
    sent = {"currency": operation.currency_sent, "amount": wire.amount_text(operation.amount_sent)}
    return {"currency_sent": sent, "currency_received": received}


def _leg(leg: Leg, *, with_sender: bool) -> Body:
    body: Body = {"id": leg.wire_id, "currency": leg.currency}
    body |= _optional("currency_to", leg.currency_to)
    body |= {"transaction_type": str(leg.transaction_type), "type": str(leg.type)}
    if leg.type != LegType.EXCHANGE:
        body |= {"address": leg.address, "tag": leg.tag}
    body |= {"amount": wire.amount_text(leg.amount)}
    if leg.amount_to is not None:
        body |= {"amount_to": wire.amount_text(leg.amount_to)}
    body |= _optional("txid", leg.txid)
    if leg.risk_asked:
        body |= {"riskscore": leg.riskscore}
    body |= {"confirmations": str(leg.confirmations)}
    if with_sender and leg.sender_address:
        body |= {"sender": {"address": leg.sender_address}}
    return body
