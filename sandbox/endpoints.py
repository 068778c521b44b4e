"""The v2 endpoints that read, and the one that takes an address; those that move money are `orders`.

Each gets the open transaction and the parameters and returns the status and the body. Whether a body has
the `data` envelope is the published protocol's choice: `transactions/info` has none.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from merchants.errors import Refusal
from payments.wire import amount_text, tag_for_take
from sandbox import addresses, forms, orders, prices, store
from sandbox.bodies import operation_body
from sandbox.forms import Form, Refused
from sandbox.orders import NoPair
from sandbox.prices import CARRIED
from sandbox.store import Db, Row

Endpoint = Callable[[Db, Form], tuple[int, object]]


class NotOneKey(Refusal):
    """Provide exactly one of id, foreign_id, txid."""

    field = "id"


def list_currencies(db: Db, form: Form) -> tuple[int, object]:
    """Our client has every currency enabled, so the list of the rest is empty."""
    del db
    if form.params.get("visible") in (False, "0", "false"):
        return 200, {"data": []}
    return 200, {"data": [_currency(code) for code in CARRIED]}


def _currency(code: str) -> dict[str, object]:
    entry = CARRIED[code]
    return {
        "id": entry.id,
        "type": str(entry.kind),
        "currency": code,
        "minimum_amount": amount_text(entry.minimum_deposit),
        "deposit_fee_percent": f"{prices.DEPOSIT_FEE if entry.is_crypto else 0:.6f}",
        "withdrawal_fee_percent": f"{prices.WITHDRAWAL_FEE if entry.is_crypto else 0:.6f}",
        "precision": entry.precision,
    }


def list_pairs(db: Db, form: Form) -> tuple[int, object]:
    """Every pair, or those from and to the given currencies."""
    del db
    source = form.optional(forms.currency, "currency_from")
    target = form.optional(forms.currency, "currency_to")
    form.demand_valid()
    shown = [
        _pair(one.code, other.code)
        for one, other in prices.pairs()
        if source in {None, one} and target in {None, other}
    ]
    return 200, {"data": shown}


def _pair(source: str, target: str) -> dict[str, object]:
    entry = CARRIED[source]
    shown = {
        "currency": source,
        "type": str(entry.kind),
        "min_amount": amount_text(prices.least_exchange(source, target).amount),
    }
    if entry.is_crypto:
        shown["min_amount_deposit_with_exchange"] = amount_text(entry.minimum_deposit)
    return {
        "currency_from": shown,
        "currency_to": {"currency": target, "type": str(CARRIED[target].kind)},
        "rate_from": "1",
        "rate_to": f"{prices.shown_rate(source, target):f}",
    }


def list_accounts(db: Db, form: Form) -> tuple[int, object]:
    """Every account of our client, the empty ones too."""
    del form
    shown = [
        {
            "currency": code,
            "type": str(entry.kind),
            "balance": amount_text(store.balance(db, code).amount),
        }
        for code, entry in CARRIED.items()
    ]
    return 200, {"data": shown}


def take_address(db: Db, form: Form) -> tuple[int, object]:
    """A new address, or the one that this foreign id already has."""
    foreign_id = form.required(forms.text, "foreign_id")
    currency = form.required(forms.coin, "currency")
    target = form.optional(forms.currency, "convert_to")
    reference = form.optional(forms.text, "end_user_reference")
    if currency and target and not prices.is_pair(currency.code, target.code):
        form.refuse(NoPair(field="convert_to"))
    form.demand_valid()
    row = addresses.take(
        db,
        foreign_id=foreign_id,
        currency=currency.code,
        convert_to=target.code if target else "",
        end_user_reference=reference,
    )
    return 201, {"data": _address(row) | ({"end_user_reference": reference} if reference else {})}


def _address(row: Row) -> dict[str, object]:
    shown: dict[str, object] = {"id": row["id"], "currency": row["currency"]}
    shown |= {"convert_to": row["convert_to"]} if row["convert_to"] else {}
    tag = tag_for_take(row["tag"], as_string=False)
    return shown | {"address": row["address"], "tag": tag, "foreign_id": row["foreign_id"]}


_INFO_KEYS = ("id", "foreign_id", "txid")


def show_transaction(db: Db, form: Form) -> tuple[int, object]:
    """The newest operation with this id, foreign id or txid, as its callback would show it."""
    keys = [key for key in _INFO_KEYS if form.params.get(key) is not None]
    if len(keys) != 1:
        raise NotOneKey
    key = keys[0]
    value = form.required(forms.text, key)
    form.demand_valid()
    row = _find(db, key, value, form.params.get("type"))
    if row is None:
        raise Refused({key: "Transaction not found."}, status=404)
    return 200, operation_body(db, row)


def _find(db: Db, key: str, value: str, kind: object) -> Row | None:
    row: Row | None = db.execute(
        f"SELECT * FROM operation WHERE {key} = ? AND type = ifnull(?, type) ORDER BY id DESC LIMIT 1",  # noqa: S608 - one of three names
        [value, kind if isinstance(kind, str) else None],
    ).fetchone()
    return row


ENDPOINTS: Mapping[str, Endpoint] = MappingProxyType(
    {
        "currencies/list": list_currencies,
        "currencies/pairs": list_pairs,
        "currencies/rates": list_pairs,
        "accounts/list": list_accounts,
        "addresses/take": take_address,
        "transactions/info": show_transaction,
        "withdrawal/crypto": orders.withdraw,
        "exchange/calculate": orders.calculate,
        "exchange/fixed": orders.exchange_fixed,
        "exchange/now": orders.exchange_now,
    }
)
"""Every endpoint by its path below `/api/v2/`."""
