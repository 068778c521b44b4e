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
        "wrong codes and tries at the door cost nothing",
        ("R10",),
        {"merchants.models.device": "lets_codes_be_guessed", "merchants.throttle": "lets_tries_be_repeated"},
    ),
    "sulks": Defect(
        "a process that lost the database does not ask for it again for 100 seconds",
        ("R11",),
        {"django.db.backends.postgresql.base": "waits_before_it_connects_again"},
    ),
    "short-lease": Defect(
        "a delivery's lease ends while it is being posted",
        ("R6",),
        {"callbacks.outgoing.queue": "gives_short_leases"},
    ),
    "lost-for-good": Defect(
        "nobody looks for what a killed deliver worker held",
        ("R6",),
        {"callbacks.outgoing.queue": "never_finds_the_lost"},
    ),
    "signed-again": Defect(
        "the signature is of the body parsed and written again, not of the bytes that travel",
        ("R6", "R7"),
        {"callbacks.outgoing.courier": "signs_what_it_writes_again"},
    ),
    "one-off": Defect(
        "the schedule is read one place too far",
        ("R6",),
        {"callbacks.schedule": "skips_the_first_minute"},
    ),
    "old-after-new": Defect(
        "a callback that failed is sent again although a newer one speaks for it",
        ("R6",),
        {"callbacks.outgoing.queue": "sends_the_old_after_the_new"},
        "DROP INDEX outgoing_callback_one_leased_per_subject",
    ),
    "unfair": Defect(
        "an endpoint may have any number of posts at once, and a failing one is served with the others",
        ("R7",),
        {"callbacks.outgoing.queue": "serves_whoever_has_most"},
    ),
    "checks-then-holds": Defect(
        "a balance is read without its lock, and the database's own guards of it are gone",
        ("R3",),
        {"payments.ledger.posting": "locks_no_balance"},
        "DROP TRIGGER posting_is_judged ON payments_posting;"
        " DROP TRIGGER account_has_its_posting ON payments_account;"
        " DROP TRIGGER account_is_guarded ON payments_account;"
        " ALTER TABLE payments_posting DROP CONSTRAINT posting_number_is_unique",
    ),
    "any-number-twice": Defect(
        "a merchant's number for a withdrawal may be used again",
        ("R3",),
        sql="DROP INDEX withdrawal_foreign_id_is_unique",
    ),
    "orders-again": Defect(
        "an order that was not answered is sent once more",
        ("R4",),
        {"payments.processors.gateway.outbound": "orders_again_after_silence"},
    ),
    "silence-is-no": Defect(
        "an order that was not answered counts as refused: the money goes back",
        ("R4", "R5"),
        {"payments.processors.gateway.outbound": "takes_silence_for_a_no"},
    ),
    "not-found-is-no": Defect(
        "an order that the processor cannot find counts as never paid: the money goes back",
        ("R4", "R5"),
        {"payments.processors.gateway.outbound": "takes_not_found_for_a_no"},
    ),
    "sends-then-commits": Defect(
        "an order is handed over before it is written down that it may have been",
        ("R4",),
        {"payments.sending": "hands_over_before_it_commits"},
    ),
    "never-asks": Defect(
        "nobody asks what became of an order",
        ("R4", "R5"),
        {"payments.sending": "asks_nobody"},
    ),
    "never-tells": Defect(
        "nobody is told of an outcome that nobody knows",
        ("R5",),
        {"payments.outcomes": "tells_nobody"},
    ),
    "ignores-stops": Defect(
        "the sender does not look at the kill switch",
        ("R12",),
        {"payments.controls": "sees_no_stop", "payments.sending": "looks_past_stops"},
    ),
}
