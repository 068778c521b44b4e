"""The v2 endpoints that move money: withdrawals and exchanges."""

from __future__ import annotations

from decimal import Decimal

from payments.errors import BelowMinimum, FieldRefusal, Required
from payments.money import Money
from payments.wire import amount_text
from sandbox import forms, payouts, prices
from sandbox.forms import Form
from sandbox.payouts import Order
from sandbox.store import Db, Row


class NoPair(FieldRefusal):
    """Exchange is unavailable for given currencies"""

    field = "sender_currency"


class OneAmountOnly(FieldRefusal):
    """Only one of amount and amount_to can be given."""

    field = "amount"


def withdraw(db: Db, form: Form) -> tuple[int, object]:
    """Pays to an address, converting when `convert_to` is given."""
    order = _withdrawal(form)
    row = payouts.place(db, order)
    shown = {
        "id": row["id"],
        "foreign_id": row["foreign_id"],
        "type": row["type"],
        "status": row["status"],
        "amount": row["sent_amount"],
        "sender_amount": row["sent_amount"],
        "sender_currency": row["sent_currency"],
        "receiver_amount": row["received_amount"],
        "receiver_currency": row["received_currency"],
    }
    reference = {"end_user_reference": row["end_user_reference"]} if row["end_user_reference"] else {}
    return 201, {"data": shown | reference}


def _withdrawal(form: Form) -> Order:
    foreign_id = form.required(forms.text, "foreign_id")
    source = form.required(forms.currency, "currency")
    target = form.optional(forms.coin, "convert_to") or form.required(forms.coin, "currency")
    address = form.required(forms.text, "address")
    reference = form.optional(forms.text, "end_user_reference")
    if form.params.get("amount") is not None and form.params.get("amount_to") is not None:
        form.refuse(OneAmountOnly())
    wants_target = form.params.get("amount_to") is not None
    amount = form.required(forms.amount, "amount_to" if wants_target else "amount")
    converts = form.params.get("convert_to") is not None
    if source and target and converts and not prices.is_pair(source.code, target.code):
        form.refuse(NoPair(field="convert_to"))
    if wants_target and not converts:
        form.refuse(Required(field="convert_to"))
    tag = form.required(forms.tag, "tag") if target and target.takes_tag else None
    if address and target:
        form.check(forms.demand_address, target, address)
    form.demand_valid()
    sent, received = _amounts(source.code, target.code, amount, wants_target=wants_target)
    return Order(
        foreign_id=foreign_id,
        sent=sent,
        received=received,
        address=address,
        tag=tag,
        end_user_reference=reference,
    )


def _amounts(source: str, target: str, amount: Decimal, *, wants_target: bool) -> tuple[Money, Money]:
    """Both sides of an order, of which one is given; prices round to the client's disadvantage."""
    if source == target:
        return Money(amount, source), Money(amount, source)
    if wants_target:
        received = Money(amount, target)
        return prices.cost(received, source), received
    sent = Money(amount, source)
    return sent, prices.converted(sent, target)


def calculate(db: Db, form: Form) -> tuple[int, object]:
    """Quotes a price, which then holds for a minute."""
    sent, received = _exchange(form)
    least = prices.least_exchange(sent.currency, received.currency).amount
    if sent.amount < least:
        raise BelowMinimum(field="sender_amount", minimum=f"{least:f}")
    fixed_at, released_at = payouts.quote(db, sent.currency, received.currency)
    shown: dict[str, object] = _shown_exchange(sent, received)
    shown |= {"ts_fixed": fixed_at, "ts_release": released_at, "fix_period": prices.PRICE_HOLDS_SECONDS}
    return 200, {"data": shown}


def exchange_fixed(db: Db, form: Form) -> tuple[int, object]:
    """Exchanges at a price that was quoted and still holds."""
    price = form.required(forms.price, "price")
    order = _exchange_order(form)
    payouts.demand_quoted(db, order.sent.currency, order.received.currency, price)
    return 201, {"data": _ordered(payouts.place(db, order), order)}


def exchange_now(db: Db, form: Form) -> tuple[int, object]:
    """Exchanges at the present price."""
    order = _exchange_order(form)
    return 201, {"data": _ordered(payouts.place(db, order), order)}


def _exchange_order(form: Form) -> Order:
    foreign_id = form.required(forms.text, "foreign_id")
    sent, received = _exchange(form)
    return Order(foreign_id=foreign_id, sent=sent, received=received)


def _exchange(form: Form) -> tuple[Money, Money]:
    source = form.required(forms.currency, "sender_currency")
    target = form.required(forms.currency, "receiver_currency")
    wants_target = form.params.get("sender_amount") is None and form.params.get("receiver_amount") is not None
    amount = form.required(forms.amount, "receiver_amount" if wants_target else "sender_amount")
    if form.params.get("sender_amount") is None and not wants_target:
        form.refuse(Required(field="receiver_amount"))
    if source and target and not prices.is_pair(source.code, target.code):
        form.refuse(NoPair())
    form.demand_valid()
    return _amounts(source.code, target.code, amount, wants_target=wants_target)


def _shown_exchange(sent: Money, received: Money) -> dict[str, object]:
    fee = prices.exchange_fee(sent, received)
    return {
        "sender_amount": amount_text(sent.amount),
        "sender_currency": sent.currency,
        "receiver_amount": amount_text(received.amount),
        "receiver_currency": received.currency,
        "fee_amount": amount_text(fee.amount),
        "fee_currency": fee.currency,
        "price": f"{prices.price(sent.currency, received.currency):f}",
    }


def _ordered(row: Row, order: Order) -> dict[str, object]:
    shown = {"id": row["id"], "foreign_id": row["foreign_id"], "type": row["type"]}
    return shown | _shown_exchange(order.sent, order.received) | {"status": row["status"]}
