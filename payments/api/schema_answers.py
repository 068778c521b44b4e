"""What the API answers, as JSON Schema: every field with its unit, every refusal, an example of each.

`shapes` builds these answers; a test asks the API and holds what comes against this page.
"""

from __future__ import annotations

from typing import Any

from merchants.authentication import REFUSALS as AUTHENTICATION
from payments.api import errors
from payments.currencies import CURRENCIES

Schema = dict[str, Any]

LARGEST_ID = 2_147_483_647


def closed(
    description: str, example: Schema, optional: tuple[str, ...] = (), /, **properties: Schema
) -> Schema:
    """An object with these properties and no other; all but the optional ones are always there."""
    return {
        "type": "object",
        "description": description,
        "properties": properties,
        "required": [name for name in properties if name not in optional],
        "additionalProperties": False,
        "examples": [example],
    }


def text(description: str, **more: Any) -> Schema:
    return {"type": "string", "description": description, **more}


def amount(description: str, pattern: str = r"^(0|[1-9][0-9]*)\.[0-9]{8}$") -> Schema:
    return text(
        f"{description} A decimal in a string, with 8 places, never with an exponent.", pattern=pattern
    )


def _fraction(description: str) -> Schema:
    return text(f"{description} A fraction of one: 0.008000 is 0.8 %.", pattern=r"^[0-9]+\.[0-9]{6}$")


def number(description: str) -> Schema:
    return {"type": "integer", "minimum": 1, "maximum": LARGEST_ID, "description": description}


def reference(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


CODE, CRYPTO_CODE = reference("CurrencyCode"), reference("CryptoCode")
KIND = text("Whether it lives on a blockchain.", enum=["crypto", "fiat"])

CURRENCY_EXAMPLE: Schema = {
    "id": 1,
    "type": "crypto",
    "currency": "BTC",
    "minimum_amount": "0.00010000",
    "deposit_fee_percent": "0.008000",
    "withdrawal_fee_percent": "0.000000",
    "precision": 8,
}
PAIR_EXAMPLE: Schema = {
    "currency_from": {
        "currency": "BTC",
        "type": "crypto",
        "min_amount": "0.00300000",
        "min_amount_deposit_with_exchange": "0.00010000",
    },
    "currency_to": {"currency": "EUR", "type": "fiat"},
    "rate_from": "1",
    "rate_to": "48715.61680000",
}
ACCOUNT_EXAMPLE: Schema = {"currency": "EUR", "type": "fiat", "balance": "5973.97568920"}
ADDRESS_EXAMPLE: Schema = {
    "id": 9001,
    "currency": "BTC",
    "convert_to": "EUR",
    "address": "2N4Q5FhU2497BryFfUgbqkAJE87aKHUhXMp",
    "tag": None,
    "foreign_id": "u-77",
    "end_user_reference": "player-77",
}

_CURRENCY = closed(
    "A currency and the merchant's terms for it.",
    CURRENCY_EXAMPLE,
    id=number("Number of the currency; it never changes."),
    type=KIND,
    currency=CODE,
    minimum_amount=amount("Least deposit, in this currency; zero for fiat."),
    deposit_fee_percent=_fraction("Taken of each deposit."),
    withdrawal_fee_percent=_fraction("Taken on top of each withdrawal."),
    precision={"type": "integer", "description": "Decimals that an amount of it may have."},
)
_PAIR = closed(
    "A pair that can be exchanged now, and its price.",
    PAIR_EXAMPLE,
    currency_from=closed(
        "What is given.",
        PAIR_EXAMPLE["currency_from"],
        ("min_amount_deposit_with_exchange",),
        currency=CODE,
        type=KIND,
        min_amount=amount("Least amount of it to exchange, in this currency."),
        min_amount_deposit_with_exchange=amount(
            "Least deposit of it to convert on arrival, in this currency. Crypto only."
        ),
    ),
    currency_to=closed("What is got.", PAIR_EXAMPLE["currency_to"], currency=CODE, type=KIND),
    rate_from=text("Always 1.", const="1"),
    rate_to=amount(
        "Price of one unit of `currency_from` in `currency_to`. Between fiat and crypto it is always the"
        " price of one coin in fiat, whichever way the pair goes."
    ),
)
_ACCOUNT = closed(
    "What the merchant has in one currency.",
    ACCOUNT_EXAMPLE,
    currency=CODE,
    type=KIND,
    balance=amount(
        "Available, in this currency, without what is held for withdrawals.", r"^-?[0-9]+\.[0-9]{8}$"
    ),
)
_ADDRESS = closed(
    "A deposit address of one customer, for one currency and conversion, for ever.",
    ADDRESS_EXAMPLE,
    ("convert_to", "end_user_reference"),
    id=number("Number of the address; callbacks name it too."),
    currency=CRYPTO_CODE,
    convert_to=CODE | {"description": "What each deposit is converted to. Absent unless it was asked for."},
    address=text("Where to pay.", minLength=1),
    tag={
        "type": ["integer", "string", "null"],
        "description": "Tag or memo that the payment must carry; null where the network has none. An integer"
        " where it is one, unless the merchant's settings ask for strings. In callbacks it is a string.",
    },
    foreign_id=text("The customer, as the merchant calls them.", minLength=1, maxLength=255),
    end_user_reference=text("As it was given. Absent when none was.", minLength=1, maxLength=255),
)


def _refusal(description: str, *bodies: dict[str, str]) -> Schema:
    """`{error, code}`: one of these pairs."""
    properties = {
        "error": text("The sentence.", enum=[body["error"] for body in bodies]),
        "code": text("The same for programs.", enum=[body["code"] for body in bodies]),
    }
    return closed(description, dict(bodies[0]), **properties)


_PROOF = [
    {"error": sentence, "code": outcome.value}
    for outcome, (status, sentence) in AUTHENTICATION.items()
    if status == 403
]

COMPONENTS: dict[str, Schema] = {
    "CurrencyCode": text("Code of a currency.", enum=sorted(CURRENCIES), examples=["EUR"]),
    "CryptoCode": text(
        "Code of a currency that lives on a blockchain.",
        enum=sorted(code for code, currency in CURRENCIES.items() if currency.is_crypto),
        examples=["BTC"],
    ),
    "Currency": _CURRENCY,
    "Pair": _PAIR,
    "Account": _ACCOUNT,
    "Address": _ADDRESS,
    "FieldErrors": closed(
        "Some parameters are wrong: one sentence for each, under its name.",
        {"errors": {"foreign_id": "The foreign id field is required."}},
        errors={"type": "object", "additionalProperties": {"type": "string"}, "minProperties": 1},
    ),
    "BadContent": _refusal(
        "The body is no JSON object of at most 64 kB and 32 levels in UTF-8, or names a key twice, or holds"
        " NUL or half a surrogate pair, or its content type is not application/json.",
        errors.BAD_CONTENT,
    ),
    "Forbidden": _refusal("The request does not prove who sent it, or came from elsewhere.", *_PROOF),
    "MethodNotAllowed": _refusal("The path exists; the method is wrong.", errors.NOT_ALLOWED),
    "Unavailable": _refusal(
        "The database is away, or no address came in time. Nothing was done; ask again.", errors.INTERNAL
    ),
}


def data(schema: Schema) -> Schema:
    """Every success but ping's: the answer under `data`."""
    return {
        "type": "object",
        "properties": {"data": schema},
        "required": ["data"],
        "additionalProperties": False,
    }


def several(name: str) -> Schema:
    return data({"type": "array", "items": reference(name)})
