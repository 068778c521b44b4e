"""The description of the calls that convert, and of the one that shows a transaction."""

from __future__ import annotations

from payments.api import exchange_params, exchanges, information, params
from payments.api import schema_answers as answers
from payments.api.schema_answers import Schema
from payments.api.schema_call import Call
from payments.information import KINDS

_PRICE = r"^(0|[1-9][0-9]*)\.([0-9]{8}|[0-9]{18})$"
_MOMENT: Schema = {"type": "integer", "minimum": 0}

_SIDES: Schema = {
    "sender_amount": "0.02000000",
    "sender_currency": "BTC",
    "receiver_amount": "1546.28528889",
    "receiver_currency": "EUR",
    "fee_amount": "15.46285289",
    "fee_currency": "EUR",
    "price": "77314.26444450",
}
CALCULATION_EXAMPLE: Schema = {
    **_SIDES,
    "ts_fixed": 1775172819,
    "ts_release": 1775172879,
    "fix_period": 60,
}
EXCHANGE_EXAMPLE: Schema = {
    "id": 500140,
    "foreign_id": "ex-0001",
    "type": "exchange",
    **_SIDES,
    "status": "processing",
}
_AT: Schema = {
    "id": 9010,
    "currency": "BTC",
    "convert_to": "EUR",
    "address": "2N4Q5FhU2497BryFfUgbqkAJE87aKHUhXMp",
    "tag": None,
    "foreign_id": "u-80",
}
LADDER_EXAMPLE: Schema = {
    "addresses": [_AT],
    "ts_fixed": 1584005304,
    "ts_release": 1584005904,
    "rates": {"BTCEUR": {"100.00000000": "6495.27045000", "100000.00000000": "0.00000000"}},
}
FUTURE_EXAMPLE: Schema = {
    "futures_id": 3001,
    "sender_currency": "BTC",
    "receiver_currency": "EUR",
    "fee_currency": "EUR",
    "price": "6495.27045000",
    "address": _AT,
    "sender_amount": "0.01539582",
    "receiver_amount": "100.00000000",
    "fee_amount": "1.50000000",
    "ts_fixed": 1584005304,
    "ts_release": 1584005904,
}
TRANSACTION_EXAMPLE: Schema = {
    "id": 500140,
    "foreign_id": "ex-0001",
    "type": "exchange",
    "currency_sent": {"currency": "EUR", "amount": "180.50000000"},
    "currency_received": {"currency": "BTC", "amount": "0.00300000"},
    "transactions": [
        {
            "id": 700240,
            "currency": "EUR",
            "currency_to": "BTC",
            "transaction_type": "exchange",
            "type": "exchange",
            "amount": "180.50000000",
            "amount_to": "0.00300000",
            "confirmations": "0",
        }
    ],
    "fees": [{"type": "exchange", "currency": "EUR", "amount": "1.80500000"}],
    "error": "",
    "status": "confirmed",
}


def _price(description: str) -> Schema:
    text = f"{description} A decimal in a string: 8 places, or 18 where it is below one."
    return answers.text(text, pattern=_PRICE)


def _moment(description: str) -> Schema:
    return _MOMENT | {"description": f"{description} Unix seconds."}


def _object(description: str) -> Schema:
    return {"type": "object", "description": description}


def _array(description: str) -> Schema:
    return {"type": "array", "items": {"type": "object"}, "description": description}


_WHAT_IT_COMES_TO: dict[str, Schema] = {
    "sender_amount": answers.amount("What is debited, without the fee, in `sender_currency`."),
    "sender_currency": answers.CODE,
    "receiver_amount": answers.amount(
        "What is got, before the fee, in `receiver_currency`; an estimate in `exchange/now`."
    ),
    "receiver_currency": answers.CODE,
    "fee_amount": answers.amount("On top, in `fee_currency`."),
    "fee_currency": answers.CODE,
    "price": _price("Units of `receiver_currency` for one of `sender_currency`."),
}
_WINDOW: dict[str, Schema] = {
    "ts_fixed": _moment("From when the price holds."),
    "ts_release": _moment("When it stops holding."),
}

COMPONENTS: dict[str, Schema] = {
    "Calculation": answers.closed(
        "A price that holds for a minute, and what the amounts come to.",
        CALCULATION_EXAMPLE,
        **_WHAT_IT_COMES_TO,
        **_WINDOW,
        fix_period={"type": "integer", "description": "For how many seconds it holds."},
    ),
    "Exchange": answers.closed(
        "An exchange that was taken; its end is told by a callback.",
        EXCHANGE_EXAMPLE,
        id=answers.number("Number of the exchange; its callbacks name it too."),
        foreign_id=answers.text("As it was given.", minLength=1, maxLength=255),
        type=answers.text("Always exchange.", const="exchange"),
        **_WHAT_IT_COMES_TO,
        status=answers.text("Always processing.", const="processing"),
    ),
    "ConvertingAddress": answers.closed(
        "A deposit address whose deposits are converted.",
        _AT,
        id=answers.number("Number of the address."),
        currency=answers.CRYPTO_CODE,
        convert_to=answers.CODE,
        address=answers.text("Where to pay.", minLength=1),
        tag={"type": ["string", "null"], "description": "Tag that the payment must carry, if any."},
        foreign_id=answers.text("The customer, as the merchant calls them.", minLength=1),
    ),
    "Ladder": answers.closed(
        "Which prices could be held for deposits at an address.",
        LADDER_EXAMPLE,
        addresses={"type": "array", "items": answers.reference("ConvertingAddress"), "minItems": 1},
        **_WINDOW,
        rates={
            "type": "object",
            "description": "By pair, then by the largest amount got for which the price stands; 0.00000000"
            " where none can be held.",
            "additionalProperties": {
                "type": "object",
                "additionalProperties": {"type": "string", "pattern": _PRICE},
            },
        },
    ),
    "Future": answers.closed(
        "A price that is held for deposits seen at an address in the next ten minutes.",
        FUTURE_EXAMPLE,
        futures_id=answers.number("Its number; the deposits' callbacks name it too."),
        sender_currency=answers.CRYPTO_CODE,
        receiver_currency=answers.CODE,
        fee_currency=answers.CODE,
        price=_price("Units of `receiver_currency` for one of `sender_currency`."),
        address=answers.reference("ConvertingAddress"),
        sender_amount=answers.amount("What to send for exactly `receiver_amount`, in `sender_currency`."),
        receiver_amount=answers.amount("What that makes, before the fee, in `receiver_currency`."),
        fee_amount=answers.amount("What it would cost, in `fee_currency`."),
        **_WINDOW,
    ),
    "Transaction": answers.closed(
        "A transaction in its present state, exactly as its callbacks show it; no `data` around it.",
        TRANSACTION_EXAMPLE,
        (
            *("foreign_id", "end_user_reference", "crypto_address", "currency_sent", "currency_received"),
            *("fixed_at", "expires_at", "futures_id", "transaction_id"),
        ),
        id=answers.number("Number of the transaction."),
        foreign_id=answers.text("The merchant's number of an order or invoice.", minLength=1),
        end_user_reference=answers.text("As it was given.", minLength=1),
        type=answers.text("What it is.", enum=list(KINDS)),
        crypto_address=_object("Where it came or goes to. Not with exchanges."),
        currency_sent=_object("What was sent: `currency`, `amount`, with invoices `remaining_amount`."),
        currency_received=_object("What was got: `currency`, `amount`, with deposits `amount_minus_fee`."),
        transactions=_array("Its movements."),
        fees=_array("What the merchant was charged: `type`, `currency`, `amount`."),
        error=answers.text("Why it was not done; empty where nothing is wrong."),
        status=answers.text("Where it stands.", minLength=1),
        fixed_at=_moment("With invoices: from when the rate is held."),
        expires_at=_moment("With invoices: until when it can be paid."),
        futures_id=answers.number("The future at whose price a deposit was converted."),
        transaction_id=answers.number("With a future: the number of the deposit once more."),
    ),
    "TransactionNotFound": answers.closed(
        "The merchant has no such transaction.",
        {"errors": {"id": "Transaction not found."}},
        errors={"type": "object", "additionalProperties": {"type": "string"}, "minProperties": 1},
    ),
    "TooManyRequests": answers.closed(
        "More than 30 calculations a minute from one address; refused for the next minute.",
        {"errors": {"limit": "Too many requests. Try again in one minute."}},
        errors={"type": "object", "additionalProperties": {"type": "string"}, "minProperties": 1},
    ),
}

_WANTED = {"sender_currency": "BTC", "receiver_currency": "EUR", "sender_amount": "0.02"}
_AT_ADDRESS = {"address": _AT["address"]}

CALLS = (
    Call(
        "exchange/calculate",
        exchanges.Calculate,
        "A price for a minute",
        "What an exchange comes to at the present price, which `exchange/fixed` takes for a minute, for any"
        " amount. One of the amounts is needed; where both are given, the sender's counts.",
        (200, answers.data(answers.reference("Calculation"))),
        exchange_params.CalculateParams,
        _WANTED,
        CALCULATION_EXAMPLE,
        refuses={429: answers.reference("TooManyRequests")},
    ),
    Call(
        "exchange/fixed",
        exchanges.ExchangeFixed,
        "Exchange at a held price",
        "Converts a balance at a price that `exchange/calculate` gave less than a minute ago. A refused call"
        " leaves its `foreign_id` free.",
        (201, answers.data(answers.reference("Exchange"))),
        exchange_params.ExchangeFixedParams,
        {**_WANTED, "foreign_id": "ex-0001", "price": "77314.2644445"},
        EXCHANGE_EXAMPLE,
    ),
    Call(
        "exchange/now",
        exchanges.ExchangeNow,
        "Exchange at the market",
        "Converts a balance at once; what is got is what the market makes of it. A refused call leaves its"
        " `foreign_id` free.",
        (201, answers.data(answers.reference("Exchange"))),
        exchange_params.ExchangeNowParams,
        {**_WANTED, "foreign_id": "ex-0001"},
        EXCHANGE_EXAMPLE,
    ),
    Call(
        "futures/rates",
        exchanges.FuturesRates,
        "Prices that could be held for a deposit",
        "At an address that converts: the price for each size of a deposit, up to the worth of 10,000 EUR.",
        (200, answers.data(answers.reference("Ladder"))),
        exchange_params.FuturesRatesParams,
        _AT_ADDRESS,
        LADDER_EXAMPLE,
    ),
    Call(
        "futures/confirm",
        exchanges.FuturesConfirm,
        "Hold a price for a deposit",
        "Deposits that are first seen at the address in the next ten minutes are converted at this price, as"
        " long as all of them together are worth no more than 10,000 EUR; any other at the market.",
        (200, answers.data(answers.reference("Future"))),
        exchange_params.FuturesConfirmParams,
        {**_AT_ADDRESS, "sender_currency": "BTC", "receiver_currency": "EUR", "receiver_amount": "100"},
        FUTURE_EXAMPLE,
    ),
    Call(
        "transactions/info",
        information.TransactionsInfo,
        "One transaction as it stands",
        "Found by exactly one of `id`, `foreign_id` and `txid`; of several the newest, or the one of `type`."
        " Served as GET too, with the parameters in its body or in the query. Deposits are found by `id` or"
        " `txid`.",
        (200, answers.reference("Transaction")),
        information.TransactionsInfoParams,
        {"foreign_id": "ex-0001"},
        TRANSACTION_EXAMPLE,
        ("id", "foreign_id", "txid", "type"),
        refuses={404: answers.reference("TransactionNotFound")},
        is_bare=True,
        method="post",
    ),
)

MEANINGS = {
    "sender_amount": "What to debit, without the fee; at most 8 decimals.",
    "receiver_currency": "What is got.",
    "receiver_amount": "What is got, before the fee; at most 8 decimals.",
    "address": "One of the merchant's deposit addresses that convert.",
    "price": "As it was calculated; a millionth more or less is the same.",
    "id": "Its number.",
    "txid": "A transaction id on the chain.",
}


def wanted(parameter: params.Parameter) -> Schema | None:
    """The kinds of parameters that only these calls have."""
    match parameter:
        case exchange_params.Price():
            decimal = {"type": "string", "pattern": r"^(0|[1-9][0-9]{0,16})(\.[0-9]{1,18})?$"}
            return {"anyOf": [decimal, {"type": "number", "minimum": 0}]}
        case information.Number():
            return {"anyOf": [{"type": "integer"}, {"type": "string", "pattern": "^[0-9]+$"}]}
    return None
