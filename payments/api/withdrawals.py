"""The API's call that pays out: parameters, view and answer."""

from __future__ import annotations

from typing import Any

from rest_framework.request import Request
from rest_framework.response import Response

from payments import doorbell, tasks, wire, withdrawals
from payments.api.params import Amount, OneOf, Parameter, Params, Person, Text
from payments.api.shapes import Json
from payments.api.views import SignedView
from payments.models import Operation, OperationStatus, Origin

PARTIES = ("sender_type", "sender_data", "receiver_type", "receiver_data")
SELF = "self"


class NamedCurrency(Parameter):
    """A currency code; whether it serves is judged with the other parameters."""

    def parse(self, data: Any) -> str:
        if not isinstance(data, str):
            self.fail("invalid")
        return data


class Receiver(Person):
    """The same about who receives, who may be the sender as well."""

    SHAPES = {**Person.SHAPES, SELF: ()}  # noqa: RUF012 - as the base class has it


class WithdrawalParams(Params):
    """One of the amounts; `amount_to` needs `convert_to`."""

    foreign_id = Text(help_text="The merchant's number of the withdrawal: one is taken once, for ever.")
    amount = Amount(
        required=False, help_text="What is debited, without the fees, in `currency`. Or `amount_to`."
    )
    amount_to = Amount(required=False)
    currency = NamedCurrency(help_text="The balance debited; a coin, unless it is converted.")
    convert_to = NamedCurrency(
        required=False, help_text="What arrives: a coin that is enabled, with a price for the pair."
    )
    address = Text(help_text="Where it goes: an address of the network of what arrives.")
    tag = Text(required=False)
    end_user_reference = Text(
        required=False, help_text="Who is paid, for the merchant's own records. Answered as a string."
    )
    sender_type = OneOf(words=tuple(Person.SHAPES), required=False)
    sender_data = Person(required=False)
    receiver_type = OneOf(words=tuple(Receiver.SHAPES), required=False)
    receiver_data = Receiver(kind="receiver_type", required=False)


class WithdrawalCrypto(SignedView):
    """An order to pay out; the same foreign id is never taken twice."""

    def post(self, request: Request) -> Response:
        values, unread = WithdrawalParams.read_each(self.write_body())
        operation = withdrawals.request(
            merchant=self.merchant,
            order=_order(values, unread),
            origin=Origin.API,
            api_key_id=self.caller.key_id,
            now=self.now,
        )
        if operation.status == OperationStatus.PROCESSING:
            doorbell.ring_on_commit(tasks.SEND_APPROVED)
        return Response({"data": shape(operation)}, status=201)


def _order(values: dict[str, Any], unread: dict[str, str]) -> withdrawals.Order:
    parties = {name: values[name] for name in PARTIES if name in values}
    return withdrawals.Order(
        foreign_id=values.get("foreign_id", ""),
        currency=values.get("currency", ""),
        address=values.get("address", ""),
        amount=values.get("amount"),
        amount_to=values.get("amount_to"),
        convert_to=values.get("convert_to", ""),
        tag=values.get("tag"),
        end_user_reference=values.get("end_user_reference"),
        parties=parties or None,
        unread=unread,
    )


def shape(operation: Operation) -> Json:
    """The order as it was taken. One within the installation is done already; its callback says so."""
    waits = operation.status == OperationStatus.PENDING
    amount = wire.amount_text(operation.amount_sent)
    answer: Json = {
        "id": operation.wire_id,
        "foreign_id": operation.foreign_id,
        "type": str(operation.kind),
        "status": str(OperationStatus.PENDING if waits else OperationStatus.PROCESSING),
        "amount": amount,
        "sender_amount": amount,
        "sender_currency": operation.currency_sent,
        "receiver_amount": wire.amount_text(operation.amount_received),
        "receiver_currency": operation.currency_received,
    }
    if operation.end_user_reference is not None:
        answer["end_user_reference"] = operation.end_user_reference
    return answer
