"""Outcomes that nobody knows: told to people in time, and in the end decided by two of them.

A withdrawal whose order may have been taken is never sent again: the second order could be paid as well. The
processor is asked on and on; what it says decides. Where it cannot say, people look it up there: one says
what they found, another agrees. Only then the money is settled, or given back.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, Unpack

from django.db import connection, transaction

from merchants import audit, clock, team
from merchants.errors import Refusal
from merchants.models import Membership, User
from merchants.one_line import one_line
from payments import alerts, closings, payouts
from payments.models import Outcome, Withdrawal, WithdrawalState

BATCH = 50
_OPEN = (WithdrawalState.UNKNOWN, WithdrawalState.SENT)
_LONGEST_TXID, _LONGEST_REASON = 150, 255


class NotAllowed(Refusal):
    """Only Owners of the merchant and operators can say what became of a withdrawal."""


class NotSettled(Refusal):
    """For 24 hours after becoming Owner or after a reset nobody decides about withdrawals."""


class NotOpen(Refusal):
    """The outcome of this withdrawal is not open."""


class BadOutcome(Refusal):
    """Say whether it was paid or not."""

    field = "outcome"


class ReasonMissing(Refusal):
    """Say how you know."""

    field = "reason"


class TxidMissing(Refusal):
    """Give the transaction by which it was paid."""

    field = "txid"


class NothingSaid(Refusal):
    """Nobody has said yet what became of it."""


class SaidOtherwise(Refusal):
    """What the first person said has changed. Look at it again."""


class OwnWord(Refusal):
    """You said so yourself: somebody else has to agree."""


@transaction.atomic
def say(
    *,
    withdrawal: Withdrawal,
    outcome: str,
    txid: str,
    reason: str,
    by: User,
    now: datetime,
    **how: Unpack[audit.How],
) -> Withdrawal:
    """The first person's word: paid (by which transaction) or not paid, and how they know. Nothing moves.

    Another word replaces it, and needs another person's consent. Raises `NotAllowed`, `NotSettled`,
    `NotOpen`, `BadOutcome`, `ReasonMissing`, `TxidMissing`.
    """
    row = _open(withdrawal, by, now)
    why, proof = one_line(reason)[:_LONGEST_REASON], one_line(txid)[:_LONGEST_TXID]
    if outcome not in Outcome.values:
        raise BadOutcome
    if not why:
        raise ReasonMissing
    if outcome == Outcome.PAID and not proof:
        raise TxidMissing
    before = _facts(row)
    row.say(outcome=outcome, txid=proof if outcome == Outcome.PAID else "", reason=why, by=by, now=now)
    alerts.settle(keys=[_about(row, "outcome")], now=now)
    alerts.raise_once(
        kind="outcome",
        key=_about(row, "outcome"),
        text=f"{by.email} says of withdrawal {row.our_id}: {Outcome(outcome).label}."
        " Somebody else has to agree.",
        merchant=row.merchant_id,
        now=now,
    )
    _audit(row, "withdrawals.say_outcome", before, by, now, how)
    return row


@transaction.atomic
def agree(
    *, withdrawal: Withdrawal, outcome: str, by: User, now: datetime, **how: Unpack[audit.How]
) -> Withdrawal:
    """The second person's word: settles the withdrawal, or gives the money back.

    outcome: what the person was shown and agrees with. Raises `NotAllowed`, `NotSettled`, `NotOpen`,
    `NothingSaid`, `SaidOtherwise`, `OwnWord`.
    """
    row = _open(withdrawal, by, now)
    if not row.outcome:
        raise NothingSaid
    if row.outcome_said_by_id == by.pk:
        raise OwnWord
    if row.outcome != outcome:
        raise SaidOtherwise
    before = _facts(row)
    row.agree(by=by)
    alerts.settle(keys=[_about(row, kind) for kind in ("outcome", "stuck")], now=now)
    _audit(row, "withdrawals.agree_outcome", before, by, now, how)
    if row.outcome == Outcome.PAID:
        payouts.confirm(withdrawal=row, txid=row.outcome_txid, now=now)
    else:
        payouts.fail(withdrawal=row, error=payouts.NOT_EXECUTED, now=now)
    return row


def why_not_retry(withdrawal: Withdrawal) -> list[str]:
    """For people who would rather send it again: why nobody does, and what happens instead."""
    name, asks = withdrawal.processor.name, withdrawal.asks
    asked = f"{name} is asked again and again what became of it, {asks} times so far."
    if withdrawal.state == WithdrawalState.SENT:
        return [
            f"{name} took the order under its number {withdrawal.external_id}.",
            "A second order would be paid as well.",
            asked,
            "If it has no answer, look the number up there; two people then say what they found.",
        ]
    if withdrawal.state == WithdrawalState.UNKNOWN:
        return [
            f"The order was handed to {name}, and no definite answer came back: {withdrawal.unknown_reason}",
            "It may be paid already or may be paid yet. If it were sent again, both could be paid.",
            f"The money stays held meanwhile. {asked}",
            f"If it has no answer, look for {withdrawal.our_id} there; two people then say what they found.",
        ]
    return []


# --- what hangs ---

_HANGS = """
    state IN ('approved', 'sending', 'unknown', 'sent') AND stuck_at IS NULL AND NOT is_internal
    AND CASE state WHEN 'sent' THEN submitted_at < {now} - interval '1 hour'
                   WHEN 'approved' THEN COALESCE(decided_at, requested_at) < {now} - interval '30 minutes'
                        AND next_ask_at IS NULL AND NOT EXISTS (
                            SELECT 1 FROM payments_stop s WHERE s.lifted_at IS NULL
                               AND (s.merchant_id IS NULL OR s.merchant_id = payments_withdrawal.merchant_id))
                   ELSE submitted_at < {now} - interval '4 minutes' END
"""
"""Four minutes leave one to tell people within five. An approved one hangs when nobody has looked at it: of
what is stopped or put off people are told otherwise."""
_OVER = """
    SELECT a.id FROM payments_alert a
      JOIN payments_withdrawal w ON a.key = 'withdrawal:' || w.operation_id || ':' || a.kind
     WHERE a.cleared_at IS NULL AND w.closed_at IS NOT NULL
       AND a.kind IN ('stuck', 'altered', 'outcome')
"""
_SAYS = {
    WithdrawalState.APPROVED: "is approved, and was not sent for half an hour",
    WithdrawalState.SENDING: "was being sent when its process ended; it may be paid",
    WithdrawalState.UNKNOWN: "may or may not be paid: its processor gave no definite answer",
    WithdrawalState.SENT: "was taken by its processor, which has said nothing for an hour",
}


def due_sql() -> str:
    """For whoever rings by what is due."""
    hangs = _HANGS.format(now=clock.now_sql())
    return f"SELECT 1 FROM payments_withdrawal WHERE {hangs} UNION ALL ({_OVER})"  # noqa: S608 - constants


@transaction.atomic
def tell_stuck(*, now: datetime) -> int:
    """Raises an alert for each withdrawal that hangs, once, and clears those that are over; how many hang.

    The worker's, so that a sender that has died is noticed too.
    """
    hanging = _mark(now)
    for operation_id, merchant_id, our_id, state in hanging:
        alerts.raise_once(
            kind="stuck",
            key=f"withdrawal:{operation_id}:stuck",
            text=f"Withdrawal {our_id} {_SAYS[WithdrawalState(state)]}.",
            merchant=merchant_id,
            now=now,
        )
    with connection.cursor() as cursor:
        cursor.execute(
            f"UPDATE payments_alert SET cleared_at = %s WHERE id IN ({_OVER})",  # noqa: S608 - a constant
            [now],
        )
    return len(hanging)


def _mark(now: datetime) -> list[tuple[int, int, str, str]]:
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            UPDATE payments_withdrawal w SET stuck_at = %(now)s
              FROM (SELECT operation_id FROM payments_withdrawal WHERE {_HANGS.format(now="%(now)s")}
                     ORDER BY operation_id LIMIT %(batch)s FOR NO KEY UPDATE SKIP LOCKED) hanging
             WHERE w.operation_id = hanging.operation_id
            RETURNING w.operation_id, w.merchant_id, w.our_id, w.state
            """,  # noqa: S608 - a constant of this module
            {"now": now, "batch": BATCH},
        )
        return list(cursor.fetchall())


# --- one withdrawal ---


def _open(withdrawal: Withdrawal, by: User, now: datetime) -> Withdrawal:
    """The withdrawal, locked, for somebody who may decide about it."""
    if by.is_operator:
        settled = by.is_settled(now)
    else:
        team_of = Membership.objects.for_merchant(withdrawal.merchant_id).select_related("user")
        member = team_of.filter(user=by).first()
        if member is None or not member.may("withdrawals.approve"):
            raise NotAllowed
        settled = team.may_move_money(member, now)
    if not settled:
        raise NotSettled
    row = next(iter(closings.locked(operation_id=withdrawal.operation_id, state__in=_OPEN)), None)
    if row is None:
        raise NotOpen
    return row


def _facts(row: Withdrawal) -> dict[str, Any]:
    return {
        "state": row.state,
        "outcome": row.outcome,
        "reason": row.outcome_reason,
        "txid": row.outcome_txid,
        "said_by": row.outcome_said_by_id,
        "agreed_by": row.outcome_agreed_by_id,
    }


def _audit(
    row: Withdrawal, act: str, before: dict[str, Any], by: User, now: datetime, how: audit.How
) -> None:
    audit.record(
        actor=by,
        act=act,
        merchant=row.merchant,
        subject=row.subject,
        before=before,
        after=_facts(row),
        now=now,
        **how,
    )


def _about(row: Withdrawal, kind: str) -> str:
    return f"withdrawal:{row.operation_id}:{kind}"
