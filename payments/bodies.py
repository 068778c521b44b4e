"""An operation as its wire object: what callbacks carry and `transactions/info` answers.

The key order is the contract's and part of it, since receivers re-encode what they hash. Keys without a
value are left out, never null, but for those the contract shows as null (`tag`, `riskscore`).
"""

from __future__ import annotations

from typing import Any

from payments import wire
from payments.models import Address, Leg, LegType, Operation, OperationKind, OperationStatus

Body = dict[str, Any]


def operation_body(operation: Operation, *, with_sender: bool = False) -> Body:
    """The operation in its present state; reads its address, legs and fees.

    with_sender: adds the payer's own address to the legs, which merchants ask for by a switch.
    """
    return (
        {"id": operation.wire_id}
        | _optional("end_user_reference", operation.end_user_reference)
        | {"type": str(operation.kind), "crypto_address": _crypto_address(operation)}
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
    )


def render(body: Body) -> bytes:
    """The exact bytes that are stored, signed and sent."""
    return wire.php_json(body)


def _optional(key: str, value: object) -> Body:
    return {} if value in {None, ""} else {key: value}


def _crypto_address(operation: Operation) -> Body:
    address: Address = operation.address
    body: Body = {"id": address.wire_id, "currency": operation.currency_sent}
    body |= _optional("convert_to", address.convert_to)
    body |= {"address": address.address, "tag": address.tag, "foreign_id": address.foreign_id}
    if operation.is_cross_currency:
        body |= {"cross_currency": True, "expected_currency": address.currency}
    return body


def _amounts(operation: Operation) -> Body:
    """What came and what it made; a cancelled conversion made nothing, so both keys are left out."""
    converts = operation.kind == OperationKind.DEPOSIT_EXCHANGE
    if converts and operation.status == OperationStatus.CANCELLED:
        return {}
    return {
        "currency_sent": {
            "currency": operation.currency_sent,
            "amount": wire.amount_text(operation.amount_sent),
        },
        "currency_received": {
            "currency": operation.currency_received,
            "amount": wire.amount_text(operation.amount_received),
            "amount_minus_fee": wire.amount_text(operation.amount_minus_fee),
        },
    }


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
