"""`/sim/*`: playing the payers, the miners, the clock and the faults.

JSON over POST with the control token in `X-Sandbox-Token`; refusals have the API's shape. Not part of any
processor's protocol, and not reachable without the token.
"""

from __future__ import annotations

import hmac
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict
from types import MappingProxyType

from merchants.errors import Refusal
from payments.money import Money
from payments.wire import BadContent, amount_text, parse_body
from sandbox import chain, deposits, faults, forms, outbox, store
from sandbox.api import Answer, Request, json_answer
from sandbox.bodies import operation_body
from sandbox.deposits import Payment
from sandbox.faults import Faults
from sandbox.forms import Form, Refused
from sandbox.store import Db, Row, Store

PREFIX = "/sim/"
TOKEN_HEADER = "X-Sandbox-Token"  # noqa: S105 - the header's name
_RECENT = 20

Control = Callable[[Db, Form], dict[str, object]]


class NoSuchDeposit(Refusal):
    """No deposit has this id or txid."""

    field = "id"


def answer(store: Store, token: str, request: Request) -> Answer:
    """What a request to a path below `/sim/` is answered with."""
    given = request.headers.get(TOKEN_HEADER.lower(), "")
    if not hmac.compare_digest(given.encode(), token.encode()):
        return json_answer(403, {"error": "Bad sandbox token", "code": "bad_sandbox_token"})
    control = CONTROLS.get(request.path.removeprefix(PREFIX).rstrip("/"))
    if control is None or request.method != "POST":
        return json_answer(404, {"error": "Not found", "code": "not_found"})
    try:
        form = Form(parse_body(request.body, "application/json"))
        with store.transaction() as db:
            return json_answer(200, control(db, form))
    except BadContent as refusal:
        return json_answer(400, {"error": str(refusal), "code": refusal.code})
    except Refused as refused:
        return json_answer(400, {"errors": refused.errors})
    except Refusal as refusal:
        return json_answer(400, {"errors": {refusal.field: str(refusal)}})


def pay(db: Db, form: Form) -> dict[str, object]:
    """Sends a payment to an issued address; it waits in the mempool for a block."""
    address = form.required(forms.text, "address")
    amount = form.required(forms.amount, "amount")
    currency = form.optional(forms.coin, "currency")
    parts = form.optional(forms.whole(1, 100), "parts")
    optional = ("tag", "txid", "sender_address", "riskscore")
    texts = {name: form.optional(forms.text, name) for name in optional}
    form.demand_valid()
    payment = Payment(
        address=address,
        amount=amount,
        currency=currency.code if currency else "",
        parts=parts or 1,
        **{name: text for name, text in texts.items() if text is not None},
    )
    return {"operations": [_summary(db, row) for row in deposits.pay(db, payment)]}


def block(db: Db, form: Form) -> dict[str, object]:
    """Mines blocks on one network, or on all."""
    count = form.optional(forms.whole(1, 10_000), "count") or 1
    name = form.optional(forms.text, "network")
    form.demand_valid()
    codes = [chain.network(name).code] if name else list(chain.NETWORKS)
    confirmed = deposits.mine(db, codes, count)
    return {
        "heights": {code: chain.tip(db, code) for code in codes},
        "confirmed": [_summary(db, row) for row in confirmed],
    }


def wait(db: Db, form: Form) -> dict[str, object]:
    """Moves the sandbox's clock ahead."""
    seconds = form.required(forms.whole(0, 366 * 86_400), "seconds")
    form.demand_valid()
    return {"now": store.wait(db, seconds)}


def replace(db: Db, form: Form) -> dict[str, object]:
    """Double-spends a payment in the mempool; with `amount`, the payer pays the address that much instead."""
    row = _deposit(db, form)
    amount = form.optional(forms.amount, "amount")
    form.demand_valid()
    rows = [deposits.replace(db, row)]
    if amount is not None:
        again = Payment(address=row["address"], amount=amount, currency=row["sent_currency"], tag=row["tag"])
        rows += deposits.pay(db, again)
    return {"operations": [_summary(db, row) for row in rows]}


def reorganise(db: Db, form: Form) -> dict[str, object]:
    """Throws the block of a confirmed deposit out of its chain."""
    return {"operations": [_summary(db, deposits.reorganise(db, _deposit(db, form)))]}


def mine_again(db: Db, form: Form) -> dict[str, object]:
    """Lets a deposit that was reorganised away be mined by the next block."""
    return {"operations": [_summary(db, deposits.mine_again(db, _deposit(db, form)))]}


def fund(db: Db, form: Form) -> dict[str, object]:
    """Adds money to Bursar's account here, as a bank transfer would; no callback tells of it."""
    currency = form.required(forms.currency, "currency")
    amount = form.required(forms.amount, "amount")
    form.demand_valid()
    store.move(db, Money(amount, currency.code))
    return {"currency": currency.code, "balance": amount_text(store.balance(db, currency.code).amount)}


def repeat(db: Db, form: Form) -> dict[str, object]:
    """Sends the present callback of an operation again, whatever the faults."""
    row = _operation(db, form)
    outbox.enqueue(db, row, due_at=time.time())
    return {"operations": [_summary(db, row)]}


def set_faults(db: Db, form: Form) -> dict[str, object]:
    """Turns faults on or off; those not named stay as they are."""
    return {"faults": asdict(faults.update(db, dict(form.params)))}


def reset_faults(db: Db, form: Form) -> dict[str, object]:
    """Nothing goes wrong any more."""
    del form
    faults.save(db, Faults())
    return {"faults": asdict(Faults())}


def state(db: Db, form: Form) -> dict[str, object]:
    """What exists: time, heights, balances, faults, the newest operations in full, waiting callbacks."""
    del form
    operations = db.execute("SELECT * FROM operation ORDER BY id DESC LIMIT ?", [_RECENT]).fetchall()
    counted = db.execute(
        "SELECT count(*) AS queued, count(due_at) AS waiting, max(attempts) AS attempts FROM callback"
    ).fetchone()
    return {
        "now": store.now(db),
        "heights": {code: chain.tip(db, code) for code in chain.NETWORKS},
        "balances": [
            {"currency": money.currency, "amount": amount_text(money.amount)} for money in store.balances(db)
        ],
        "faults": asdict(faults.load(db)),
        "addresses": db.execute("SELECT count(*) AS number FROM address").fetchone()["number"],
        "callbacks": {
            "waiting": counted["waiting"],
            "sent": counted["queued"] - counted["waiting"],
            "most_attempts": counted["attempts"] or 0,
        },
        "operations": [operation_body(db, row) for row in operations],
    }


def _deposit(db: Db, form: Form) -> Row:
    row = _operation(db, form)
    if row["family"] != "deposit":
        raise NoSuchDeposit
    return row


def _operation(db: Db, form: Form) -> Row:
    """The newest operation with the id, or the txid, given as `id`."""
    wanted = form.required(forms.text, "id")
    form.demand_valid()
    row: Row | None = db.execute(
        "SELECT * FROM operation WHERE id = ? OR txid = ? ORDER BY id DESC LIMIT 1", [wanted, wanted]
    ).fetchone()
    if row is None:
        raise NoSuchDeposit
    return row


def _summary(db: Db, row: Row) -> dict[str, object]:
    return {
        "id": row["id"],
        "type": row["type"],
        "status": row["status"],
        "currency": row["sent_currency"],
        "amount": row["sent_amount"],
        "txid": row["txid"],
        "confirmations": chain.confirmations(db, row) if row["family"] == "deposit" else 0,
        "error": row["error"],
    }


CONTROLS: Mapping[str, Control] = MappingProxyType(
    {
        "pay": pay,
        "block": block,
        "wait": wait,
        "replace": replace,
        "reorg": reorganise,
        "remine": mine_again,
        "fund": fund,
        "repeat": repeat,
        "faults": set_faults,
        "reset_faults": reset_faults,
        "state": state,
    }
)
"""Every control by its path below `/sim/`."""
