"""The scenarios of payouts by the API: R3, a balance is never over-spent, and R4, nobody is paid twice."""

from __future__ import annotations

import itertools
import re
from decimal import Decimal

from tests.soak import orders, payout_oracle
from tests.soak.orders import DIES, DIES_BEFORE, HUNG, PLAIN, Order
from tests.soak.payout_play import PayoutPlay, counted, ends_of
from tests.soak.scenario import Scenario, Trial, Verdict

ROLES = ("web", "intake", "worker", "beat", "deliver")
SHORT = "Not enough money on balance"
TAKEN = "The foreign id has already been taken."
ONE = Decimal(1)


def one_balance(trial: Trial) -> Verdict:
    """R3: all requests in the same moment; a share of them repeat a number that others have, too."""
    requests, lasts_for, repeated = (trial.size[name] for name in ("requests", "balance", "repeated"))
    verdict = Verdict(
        "R3", f"{requests:,} withdrawals of 1 at once against a balance for {lasts_for}, {repeated} repeated"
    )
    asked = _asked(f"r3-{trial.number}", requests, repeated)
    enough = payout_oracle.cost(asked[0]) * lasts_for + Decimal("0.5")
    play = PayoutPlay(trial, verdict, "R3", 1, {"BTC": f"{enough:f}"})
    with play.paying(asked) as payer:
        trial.chance("order").shuffle(asked)
        play.ask_together(asked)
        trial.say(f"answered: {dict(play.answers)}")
        _judge_answers(play, lasts_for, requests)
        play.world.start("sender")
        ends = ends_of(play.taken)
        done = play.until(lambda: play.has_ended(ends), 60 + lasts_for)
        verdict.demand(done, f"not every accepted withdrawal was paid in time: {counted(play.standing())}")
        play.judge(payer, ends)
        paid = len(payer.paid)
        verdict.demand(paid == lasts_for, f"{paid} were paid, the balance was for {lasts_for}")
    if verdict.held:
        verdict.measured = (
            f"{len(play.taken)} accepted and paid, {requests - len(play.taken)} refused; all as said"
        )
    return verdict


def _asked(name: str, requests: int, repeated: int) -> list[Order]:
    """Orders of 1 BTC; the last `repeated` carry, four and four, one number to different destinations."""
    alone = requests - repeated
    numbers = [f"{name}-{number}" for number in range(alone)]
    numbers += [f"{name}-again-{number // 4}" for number in range(repeated)]
    return [
        Order(0, foreign_id, "BTC", ONE, orders.destination("BTC", f"{name} {place}"), PLAIN)
        for place, foreign_id in enumerate(numbers)
    ]


def _judge_answers(play: PayoutPlay, lasts_for: int, requests: int) -> None:
    verdict, accepted = play.verdict, len(play.taken)
    verdict.demand(accepted == lasts_for, f"{accepted} were accepted, not {lasts_for}")
    numbers = {order.foreign_id for order in play.taken}
    verdict.demand(len(numbers) == accepted, f"{accepted - len(numbers)} numbers were accepted twice")
    strange = {
        text: count
        for text, count in play.answers.items()
        if text != "201" and not re.fullmatch(rf'400 .*("{re.escape(SHORT)}"|"{re.escape(TAKEN)}").*', text)
    }
    verdict.demand(not strange, f"answered otherwise: {strange}")
    answered = sum(play.answers.values())
    verdict.demand(answered == requests, f"{answered} of {requests} were answered")


def every_answer(trial: Trial) -> Verdict:
    """R4: each way in which a processor can answer, not answer, or be answered by a dead sender."""
    count, wait = trial.size["withdrawals"], trial.size["wait"]
    behaviours = list(orders.every_kind(count, more=(HUNG,) if trial.size["long"] else ()))
    verdict = Verdict("R4", f"{count} withdrawals x {len(set(behaviours))} ways to answer")
    play = PayoutPlay(trial, verdict, "R4", 2, {"BTC": "1000", "ETH": "1000"})
    asked = orders.plan(f"r4-{trial.number}", behaviours, shops=2)
    with play.paying(asked, wait=wait, hangs_for=trial.size["hangs_for"]) as payer:
        play.world.start("sender")
        play.ask(asked)
        refused = {text: number for text, number in play.answers.items() if text != "201"}
        verdict.demand(not refused, f"requests were answered {refused}")
        ends = ends_of(play.taken)
        done = play.until(lambda: play.has_ended(ends), trial.size["ended_within"])
        if not done:
            verdict.broken += _late(play, ends)
        play.judge(payer, ends)
        verdict.demand(play.trips, "the breaker never stopped, after all these unknown outcomes")
        reached = {one.order.address for one in payer.received}
        missed = [
            order.behaviour.name
            for order in play.taken
            if (order.behaviour.answer == DIES_BEFORE) == (order.address in reached)
        ]
        verdict.demand(not missed, f"the play went otherwise than written: {missed[:5]}")
    kills = sum(order.behaviour.answer in {DIES, DIES_BEFORE} for order in play.taken)
    if verdict.held:
        verdict.measured = (
            f"{counted(ends)}; {len(payer.paid)} payments, at most one each; {kills} x sender killed,"
            f" {len(payer.asked)} questions, {payer.told} callbacks, {len(play.trips)} stops by the breaker"
        )
    return verdict


def _late(play: PayoutPlay, ends: dict[str, str]) -> list[str]:
    standing = play.standing()
    named = {order.foreign_id: order.behaviour.name for order in play.taken}
    late = (
        f"{foreign_id} ({named[foreign_id]}) is {standing.get(foreign_id)}, must be {end}"
        for foreign_id, end in ends.items()
        if not play.has_ended({foreign_id: end})
    )
    return list(itertools.islice(late, 8))


SCENARIOS = [
    Scenario(
        "R3",
        "a balance is never over-spent",
        small={"requests": 60, "balance": 30, "repeated": 12},
        full={"requests": 1_000, "balance": 500, "repeated": 200},
        run=one_balance,
        roles=ROLES,
    ),
    Scenario(
        "R4",
        "never two payments for one intent",
        small={"withdrawals": 24, "wait": 0.5, "hangs_for": 60.0, "ended_within": 240.0, "long": False},
        full={"withdrawals": 500, "wait": 2.0, "hangs_for": 120.0, "ended_within": 3600.0, "long": True},
        run=every_answer,
        roles=ROLES,
    ),
]
"""In the order in which they run."""
