"""A withdrawal in words: what happened to it, step by step, and where it stands."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from payments.models import Limit, Origin, Outcome, Withdrawal, WithdrawalState

GOOD, BAD = "good", "bad"


@dataclass(frozen=True)
class Step:
    """One line of a timeline."""

    at: datetime
    text: str
    tone: str = ""


def of(withdrawal: Withdrawal) -> list[Step]:
    """Oldest first: asked for, decided, written down, handed over, found unknown, resolved, closed."""
    steps = [
        Step(withdrawal.requested_at, _asked(withdrawal)),
        *_decided(withdrawal),
        *_handed_over(withdrawal),
    ]
    steps += [*_resolved(withdrawal), *_closed(withdrawal)]
    return sorted(steps, key=lambda step: step.at)


def who_asked(withdrawal: Withdrawal) -> str:
    if withdrawal.origin == Origin.API:
        return (
            f"your program, with the API key {withdrawal.api_key.short if withdrawal.api_key else ''}".strip()
        )
    if withdrawal.requested_by:
        return withdrawal.requested_by.email
    return "Bursar, for a refund"


def _asked(withdrawal: Withdrawal) -> str:
    text = f"Asked for by {who_asked(withdrawal)}; the money is held"
    if withdrawal.limit != Limit.NONE:
        text += f". Waits for an Owner: {withdrawal.get_limit_display()}"
    return text


def _decided(withdrawal: Withdrawal) -> list[Step]:
    if withdrawal.decided_at is None or withdrawal.decided_by is None:
        return []
    declined = withdrawal.state == WithdrawalState.DECLINED
    word, tone = ("Declined", BAD) if declined else ("Approved", GOOD)
    reason = f": {withdrawal.decision_reason}" if withdrawal.decision_reason else ""
    return [Step(withdrawal.decided_at, f"{word} by {withdrawal.decided_by.email}{reason}", tone)]


def _handed_over(withdrawal: Withdrawal) -> list[Step]:
    steps = []
    if withdrawal.prepared_at:
        steps.append(Step(withdrawal.prepared_at, "The order to the processor is written down"))
    if withdrawal.submitted_at:
        steps.append(Step(withdrawal.submitted_at, "Handed to the processor"))
    if withdrawal.unknown_at:
        why = f": {withdrawal.unknown_reason}" if withdrawal.unknown_reason else ""
        steps.append(Step(withdrawal.unknown_at, f"Outcome unknown{why}. The money stays held", BAD))
    if withdrawal.stuck_at:
        steps.append(Step(withdrawal.stuck_at, "People were told that it hangs", BAD))
    return steps


def _resolved(withdrawal: Withdrawal) -> list[Step]:
    said = withdrawal.outcome_said_by
    if withdrawal.outcome_said_at is None or said is None:
        return []
    what = Outcome(withdrawal.outcome).label.lower()
    steps = [Step(withdrawal.outcome_said_at, f"{said.email} says that {what}: {withdrawal.outcome_reason}")]
    agreed = withdrawal.outcome_agreed_by
    if agreed and withdrawal.closed_at:
        steps.append(Step(withdrawal.closed_at, f"{agreed.email} agrees"))
    return steps


def _closed(withdrawal: Withdrawal) -> list[Step]:
    if withdrawal.closed_at is None:
        return []
    match withdrawal.state:
        case WithdrawalState.CONFIRMED:
            return [Step(withdrawal.closed_at, "Confirmed: it was paid", GOOD)]
        case WithdrawalState.FAILED:
            return [Step(withdrawal.closed_at, "Not paid; the money is available again", BAD)]
        case WithdrawalState.EXPIRED:
            return [
                Step(withdrawal.closed_at, "Nobody approved it in time; the money is available again", BAD)
            ]
        case _:
            return []
