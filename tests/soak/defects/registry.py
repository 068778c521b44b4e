"""Which defects there are: what each forgets, in which module, and what it does to the database."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Defect:
    """breaks: which must fail. modules: {module: function of `broken`}. sql: run after the migrations."""

    what: str
    breaks: tuple[str, ...]
    modules: dict[str, str] = field(default_factory=dict)
    sql: str = ""


DEFECTS: dict[str, Defect] = {
    "credits-again": Defect(
        "a deposit forgets that it is booked: each confirmation credits it",
        ("R1",),
        {"payments.models.operation": "forgets_what_is_booked"},
    ),
    "endless-lease": Defect(
        "the inbox's lease never ends: what a killed worker held stays its own",
        ("R1",),
        {"callbacks.incoming": "leases_for_ever"},
    ),
    "no-unique-key": Defect(
        "the inbox has no unique key: a callback sent twice is stored twice",
        ("R1",),
        {"callbacks.incoming": "stores_whatever_comes"},
        "ALTER TABLE callbacks_incomingcallback DROP CONSTRAINT incoming_callback_is_stored_once",
    ),
    "applied-first": Defect(
        "a callback is marked as applied in a transaction of its own, before the work",
        ("R1",),
        {"callbacks.incoming": "marks_before_it_books"},
    ),
    "early-200": Defect(
        "the intake answers 200 and stores a moment later",
        ("R2",),
        {"callbacks.incoming": "stores_after_the_answer"},
    ),
    "asynchronous-commit": Defect(
        "PostgreSQL answers a commit before it is on disk",
        ("R2",),
        sql="ALTER DATABASE bursar SET synchronous_commit = off",
    ),
    "torn-chain": Defect(
        "the ledger's statement trigger is gone, and postings note the wrong balance after them",
        ("R8",),
        {"payments.ledger.posting": "notes_another_balance"},
        "DROP TRIGGER posting_is_judged ON payments_posting;"
        " DROP TRIGGER account_has_its_posting ON payments_account",
    ),
    "broker-matters": Defect(
        "a doorbell that cannot be rung fails the request",
        ("R10",),
        {"payments.doorbell": "needs_the_broker"},
    ),
    "no-throttle": Defect(
        "wrong codes cost nothing",
        ("R10",),
        {"merchants.models.device": "lets_codes_be_guessed"},
    ),
    "sulks": Defect(
        "a process that lost the database does not ask for it again for 20 seconds",
        ("R11",),
        {"django.db.backends.postgresql.base": "waits_before_it_connects_again"},
    ),
}
