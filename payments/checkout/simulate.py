"""The sandbox's payer: buttons on the page that pay, pay oddly, or mine a block. Absent in production."""

from __future__ import annotations

from decimal import Decimal

from django.conf import settings

from merchants.errors import Refusal
from payments import invoice_bodies
from payments.checkout.stages import Stage
from payments.models import Invoice
from payments.money import CONTEXT, Money
from payments.wire import amount_text

LESS = Decimal("0.6")
MORE = Decimal("1.25")


class NoSandbox(Refusal):
    """The sandbox does not answer."""


PAYING = {
    "exact": "Pay it",
    "under": "Pay less",
    "over": "Pay more",
    "parts": "Pay in two parts",
}
OFFERED: dict[Stage, dict[str, str]] = {
    Stage.PAY: PAYING,
    Stage.PART_PAID: PAYING | {"block": "Mine a block"},
    Stage.SEEN: {"block": "Mine a block", "replace": "Replace the payment"},
    Stage.EXPIRED: {"exact": "Pay late"},
    Stage.UNDERPAID: {"exact": "Pay late"},
    Stage.CANCELLED: {"exact": "Pay late"},
    Stage.PAID_LATE: {"block": "Mine a block"},
}


def offered(stage: Stage, *, has_address: bool) -> dict[str, str]:
    """What can be played at this stage; nothing where there is no sandbox."""
    if not all(settings.SANDBOX_CONTROL) or not has_address:
        return {}
    return OFFERED.get(stage, {})


def play(invoice: Invoice, act: str) -> None:
    """Does at the sandbox what the button says. Raises `NoSandbox`."""
    # Here and not above: production loads no part of the sandbox.
    from sandbox.control import Control, ControlRefused, NoAnswer

    url, token = settings.SANDBOX_CONTROL
    control = Control(url=url, token=token, timeout=5)
    try:
        if act == "block":
            control.call("block")
        elif act == "replace":
            control.call("replace", txid=_last_txid(invoice))
        else:
            control.call("pay", **_payment(invoice, act))
    except (NoAnswer, ControlRefused) as error:
        raise NoSandbox from error


def _payment(invoice: Invoice, act: str) -> dict[str, object]:
    if invoice.address is None:
        raise NoSandbox
    parts = [part for part in invoice.parts.all() if part.stands]
    due = invoice_bodies.remaining(invoice, parts) or invoice.sender_amount or Decimal(0)
    share = {"under": LESS, "over": MORE}.get(act, Decimal(1))
    amount = Money(CONTEXT.multiply(due, share), invoice.sender_currency).rounded_up().amount
    return {
        "address": invoice.address.address,
        "tag": invoice.address.tag,
        "amount": amount_text(amount),
        "parts": 2 if act == "parts" else None,
    }


def _last_txid(invoice: Invoice) -> str:
    legs = [leg for part in invoice.parts.all() for leg in part.operation.legs.all() if leg.txid]
    if not legs:
        raise NoSandbox
    return str(legs[-1].txid)
