"""The description of the call that pays out."""

from __future__ import annotations

from payments.api import params, withdrawals
from payments.api import schema_answers as answers
from payments.api.schema_answers import Schema
from payments.api.schema_call import Call

WITHDRAWAL_EXAMPLE: Schema = {
    "id": 500120,
    "foreign_id": "wd-2026-0001",
    "type": "withdrawal",
    "status": "processing",
    "amount": "0.01000000",
    "sender_amount": "0.01000000",
    "sender_currency": "ETH",
    "receiver_amount": "0.01000000",
    "receiver_currency": "ETH",
}

COMPONENTS: dict[str, Schema] = {
    "Withdrawal": answers.closed(
        "A withdrawal that was taken, its money and fees held; its end is told by a callback.",
        WITHDRAWAL_EXAMPLE,
        ("end_user_reference",),
        id=answers.number("Number of the withdrawal; its callbacks name it too."),
        foreign_id=answers.text("As it was given.", minLength=1, maxLength=255),
        type=answers.text("Whether it is converted.", enum=["withdrawal", "withdrawal_exchange"]),
        status=answers.text(
            "`pending` where it waits for an Owner's approval, which a callback says too.",
            enum=["processing", "pending"],
        ),
        amount=answers.amount("The same as `sender_amount`."),
        sender_amount=answers.amount("What is debited, without the fees, in `sender_currency`."),
        sender_currency=answers.CODE,
        receiver_amount=answers.amount(
            "What arrives, in `receiver_currency`; with a conversion an estimate, unless it was asked for."
        ),
        receiver_currency=answers.CRYPTO_CODE,
        end_user_reference=answers.text("As it was given. Absent when none was.", minLength=1),
    ),
}

CALLS = (
    Call(
        "withdrawal/crypto",
        withdrawals.WithdrawalCrypto,
        "Pay out",
        "Pays to an address, converting when `convert_to` is given. The amount and the fees on top of it are"
        " held at once. A `foreign_id` is taken once: asking again, after a lost answer too, is refused and"
        " pays nothing; `transactions/info` says what became of it. A refused call leaves it free.",
        (201, answers.data(answers.reference("Withdrawal"))),
        withdrawals.WithdrawalParams,
        {
            "foreign_id": "wd-2026-0001",
            "currency": "ETH",
            "amount": "0.01",
            "address": "0x52908400098527886E0F7030069857D2E4169EE7",
        },
        WITHDRAWAL_EXAMPLE,
    ),
)

MEANINGS = {
    "amount_to": "What is to arrive, in `convert_to`, which it needs; instead of `amount`.",
    "tag": "What the address is not complete without on networks that have it: digits, at most 32 bits.",
    "receiver_type": "Which kind `receiver_data` describes; `self` where the sender receives.",
    "receiver_data": "Compliance data about who receives, kept as given and passed on.",
}


def wanted(parameter: params.Parameter) -> Schema | None:
    """The kinds of parameters that only this call has."""
    match parameter:
        case withdrawals.NamedCurrency(field_name="convert_to"):
            return dict(answers.CRYPTO_CODE)
        case withdrawals.NamedCurrency():
            return dict(answers.CODE)
        case withdrawals.Receiver():
            return {"type": "object", "title": "as `receiver_type` says"}
    return None
