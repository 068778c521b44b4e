"""The scenarios of who looks after payouts: R5, unknown outcomes, and R12, the kill switch."""

from __future__ import annotations

import time
from datetime import timedelta

from tests.soak import orders, payout_clock
from tests.soak.orders import (
    AFTER,
    CONFIRMED,
    FORGETS,
    HELD,
    NEVER,
    RELEASED,
    RESETS,
    SILENT,
    TELLS,
    Behaviour,
)
from tests.soak.payout_play import PayoutPlay, counted
from tests.soak.payouts import ROLES
from tests.soak.scenario import Scenario, Trial, Verdict

RESOLVED_WITHIN, ALERTED_WITHIN = timedelta(minutes=10), timedelta(minutes=5)
STOPPED_WITHIN_SECONDS = 5.0
TELLS_LATE = Behaviour("paid, and told when asked", True, RESETS, NEVER, TELLS)
SILENT_PAID = Behaviour("paid, and never told", True, RESETS, NEVER, SILENT)
SILENT_UNPAID = Behaviour("not paid, and never told", False, RESETS, NEVER, SILENT)
FORGOTTEN = Behaviour("paid, and denied when asked", True, RESETS, NEVER, FORGETS)
PLAIN = Behaviour("accepted and told", True, orders.ACCEPTS, AFTER, TELLS)
MOVED_TO = timedelta(minutes=4, seconds=20)
"""Business time jumps until the oldest unknown outcome is that old: alerts that are due by then come now."""
SILENT_TO = 4
"""So many questions go unanswered; by the schedule the next one comes within ten minutes."""
_OLDEST = """
SELECT max(now() + COALESCE((SELECT "offset" FROM merchants_clockoffset), interval '0') - unknown_at)
  FROM payments_withdrawal WHERE merchant_id = ANY(%s)
"""
_ALERTS = """
SELECT o.foreign_id, min(a.raised_at - w.unknown_at)
  FROM payments_withdrawal w JOIN payments_operation o ON o.id = w.operation_id
  LEFT JOIN payments_alert a ON a.kind = 'stuck' AND a.merchant_id = w.merchant_id
       AND a.text LIKE '%%' || w.our_id || '%%'
 WHERE w.merchant_id = ANY(%s) GROUP BY 1
"""


def nobody_knows(trial: Trial) -> Verdict:
    """R5: asked until it is told, within ten minutes; else people are alerted in five, and two decide."""
    each = trial.size["each"]
    verdict = Verdict("R5", f"{4 * each} unknown outcomes: told when asked, denied, or never told")
    kinds = [TELLS_LATE, SILENT_PAID, SILENT_UNPAID, FORGOTTEN] * each
    asked = orders.plan(f"r5-{trial.number}", kinds)
    play = PayoutPlay(trial, verdict, "R5", 1, {"BTC": "1000", "ETH": "1000"})
    with play.paying(asked, wait=trial.size["wait"]) as payer:
        payer.silent_first = SILENT_TO
        play.world.start("sender")
        play.ask(asked)
        _resolve_by_asking(play, trial.size["within"])
        slowest = _alert(play)
        by_people = _resolve_by_people(play)
        play.judge(payer, by_people, paid_by_people=_called_paid(play))
    if verdict.held:
        verdict.measured = (
            f"{each} told within {_longest(play)} by the schedule; {3 * each} alerts within {slowest}, and"
            f" {3 * each} decided by two people; {len(payer.asked)} questions"
        )
    return verdict


def _resolve_by_asking(play: PayoutPlay, seconds: float) -> None:
    ends = {order.foreign_id: CONFIRMED for order in play.taken if order.behaviour is TELLS_LATE}
    play.verdict.demand(
        play.until(lambda: play.has_ended(ends), seconds),
        f"not all were resolved by asking: {counted(play.standing())}",
    )
    longest = _longest(play)
    play.verdict.demand(longest <= RESOLVED_WITHIN, f"resolved by asking after {longest} by the schedule")


def _longest(play: PayoutPlay) -> timedelta:
    waited = payout_clock.waited(play.world, play.shops)
    told = [waited[order.foreign_id] for order in play.taken if order.behaviour is TELLS_LATE]
    return timedelta(seconds=round(max(told, default=timedelta()).total_seconds()))


def _alert(play: PayoutPlay) -> timedelta:
    """Moves business time to shortly before five minutes after; returns how long the slowest alert took."""
    open_ones = [order.foreign_id for order in play.taken if order.behaviour is not TELLS_LATE]
    ends = dict.fromkeys(open_ones, HELD)
    play.verdict.demand(
        play.until(lambda: play.has_ended(ends), 60), f"not all stayed open: {counted(play.standing())}"
    )
    (oldest,) = play.world.ask(_OLDEST, [play.ids])[0]
    payout_clock.move(play.world, max(MOVED_TO - oldest, timedelta()))

    def raised() -> dict[str, timedelta]:
        after = dict(play.world.ask(_ALERTS, [play.ids]))
        return {number: took for number in open_ones if (took := after.get(number)) is not None}

    play.until(lambda: len(raised()) == len(open_ones), 60.0)
    took = raised()
    silent = len(open_ones) - len(took)
    play.verdict.demand(not silent, f"{silent} of {len(open_ones)} unknown outcomes are silent")
    slowest = max(took.values(), default=timedelta())
    play.verdict.demand(
        slowest <= ALERTED_WITHIN, f"an alert came {slowest} after its outcome became unknown"
    )
    return timedelta(seconds=round(slowest.total_seconds()))


def _resolve_by_people(play: PayoutPlay) -> dict[str, str]:
    """How each order ends in the end; one operator's own consent must have been refused."""
    words, ends = [], {}
    for order in play.taken:
        if order.behaviour is TELLS_LATE:
            ends[order.foreign_id] = CONFIRMED
            continue
        paid = order.behaviour.pays
        ends[order.foreign_id] = CONFIRMED if paid else RELEASED
        word = {"foreign_id": order.foreign_id, "outcome": "paid" if paid else "not_paid"}
        words.append(word | {"txid": f"{len(words) + 1:064x}" if paid else ""})
    became = play.world.stage_act("decide", words) if words else {}
    for word in words:
        wanted = "confirmed" if word["outcome"] == "paid" else "failed"
        got = became.get(word["foreign_id"])
        play.verdict.demand(
            got == wanted, f"{word['foreign_id']}: two people say {word['outcome']}, got {got}"
        )
    return ends


def _called_paid(play: PayoutPlay) -> frozenset[str]:
    return frozenset(
        order.foreign_id for order in play.taken if order.behaviour.pays and order.behaviour is not TELLS_LATE
    )


def kill_switch(trial: Trial) -> Verdict:
    """R12: stopped in the middle; the processor's log says when the last new order came."""
    count, slow = trial.size["withdrawals"], trial.size["slow"]
    verdict = Verdict("R12", f"kill switch with {count} in flight")
    play = PayoutPlay(trial, verdict, "R12", 1, {"BTC": "1000", "ETH": "1000"})
    asked = orders.plan(f"r12-{trial.number}", [PLAIN] * count)
    with play.paying(asked, slow=slow) as payer:
        if "sender" in play.world.names:
            play.world.hold("sender")
        play.ask(asked)
        refused = {text: number for text, number in play.answers.items() if text != "201"}
        verdict.demand(not refused, f"requests were answered {refused}")
        play.world.start("sender")
        begun = play.until(lambda: len(payer.received) >= count // 5, 120)
        verdict.demand(begun, "nothing was sent before the stop")
        pressed = play.world.stage_act("stop", {"email": f"stops.{trial.number}@soak.test"})
        time.sleep(max(0.0, pressed["pressed"] + trial.size["watched"] - time.monotonic()))
        before = len(payer.received)
        last = max((one.at for one in payer.received), default=0.0) - pressed["pressed"]
        verdict.demand(last <= STOPPED_WITHIN_SECONDS, f"an order was sent {last:.1f} s after the stop")
        verdict.demand(before < count, "all was sent before the stop: nothing was tried")
        trial.say(f"stopped after {before}; the last came {last:+.2f} s from the stop")
        payer.slow = 0.0
        play.world.stage_act("lift", {"stop": pressed["stop"]})
        ends = {order.foreign_id: CONFIRMED for order in play.taken}
        done = play.until(lambda: play.has_ended(ends), 120 + count)
        verdict.demand(done, f"not all was sent after the stop was lifted: {counted(play.standing())}")
        play.judge(payer, ends)
    if verdict.held:
        verdict.measured = (
            f"{before} sent before, the last {last:+.2f} s from the stop;"
            f" {count - before} after it was lifted, {len(payer.paid)} payments in all"
        )
    return verdict


SCENARIOS = [
    Scenario(
        "R5",
        "an unknown outcome is resolved or shown",
        small={"each": 1, "wait": 0.3, "within": 60.0},
        full={"each": 25, "wait": 1.0, "within": 600.0},
        run=nobody_knows,
        roles=ROLES,
    ),
    Scenario(
        "R12",
        "stop means stop",
        small={"withdrawals": 20, "slow": 0.8, "watched": 8.0},
        full={"withdrawals": 200, "slow": 0.5, "watched": 20.0},
        run=kill_switch,
        roles=ROLES,
    ),
]
"""In the order in which they run."""
