"""The scenarios of deposits: R1, R2, R10 and R11."""

from __future__ import annotations

import threading
import time
from collections import Counter

from tests.soak import story
from tests.soak.nemesis import (
    Deed,
    Plan,
    end_a_connection,
    flush_valkey,
    freeze_a_worker,
    kill_a_courier,
    kill_a_pool_process,
    kill_a_web_process,
    kill_a_worker,
    kill_the_intake,
    kill_the_tick,
    kill_valkey,
    lose_answers,
    slow_the_line,
)
from tests.soak.play import MOST_SECONDS, Customer, Flow, Play, tries_at_the_door
from tests.soak.scenario import Scenario, Trial, Verdict

DRAINED_WITHIN_SECONDS = 600.0


def kills(trial: Trial) -> Verdict:
    """R1: duplicates, disorder and kill -9; equality with the oracle to the last digit."""
    count = trial.size["callbacks"]
    verdict = Verdict("R1", f"{count:,} callbacks + 5 % duplicates, windows of 200, a kill every 0.7 s")
    play = Play(trial, verdict)
    told = play.tell(count, growing=True)
    deeds: list[tuple[Deed, float]] = [
        *((kill_a_pool_process, 36.0), (kill_a_worker, 4.0), (kill_the_intake, 6.0), (kill_the_tick, 4.0)),
        *((kill_a_web_process, 22.0), (kill_a_courier, 22.0)),
    ]
    if trial.size["long"]:
        deeds += [(freeze_a_worker, 0.5), (lose_answers, 2.0), (slow_the_line, 2.0), (end_a_connection, 2.0)]
    done: Counter[str] = Counter()
    for number, act in enumerate(story.acts(told)):
        if number == 1:
            play.spend(0, "BTC")
        with play.harmed(Plan(0.7, deeds)) as nemesis:
            play.upstream.send(play.disorder(act, number), seconds=MOST_SECONDS)
            trial.say(
                f"act {number + 1}: {len(act)} callbacks acknowledged, {play.waiting()[0]} still to apply"
            )
            play.drained(trial.size["drained_within"], left=len(act) // 50)  # the last ones in peace
        done += nemesis.done
        if play.drained(trial.size["drained_within"] / 4) is None:
            break
    play.judge()
    deaths = sum(number for name, number in done.items() if name.startswith("kill"))
    verdict.measured += f"; {deaths} processes killed, {play.upstream.posts} posts"
    return verdict


def stops(trial: Trial) -> Verdict:
    """R2: PostgreSQL is stopped on the spot, twice, under load; answers are lost on the line too."""
    count = trial.size["callbacks"]
    verdict = Verdict("R2", f"{count:,} callbacks, PostgreSQL stopped on the spot twice")
    play = Play(trial, verdict)
    line = play.disorder(play.tell(count), 0)
    chance = trial.chance("stops")
    marks = [int(len(line) * share) for share in (chance.uniform(0.2, 0.4), chance.uniform(0.6, 0.8))]
    sending = threading.Thread(target=play.upstream.send, args=(line,), kwargs={"seconds": MOST_SECONDS})
    play.world.proxy.lose_answers(40)
    sending.start()
    for mark in marks:
        while len(play.upstream.acknowledged) < mark and sending.is_alive():
            time.sleep(0.01)
        play.world.stop_postgres()
        acknowledged = len(play.upstream.acknowledged)
        time.sleep(chance.uniform(0.5, 2.0))
        play.world.start_postgres()
        trial.say(f"stopped after {acknowledged} acknowledgements")
    sending.join()
    lost = play.world.proxy.lost
    play.world.proxy.heal()
    left = len(play.upstream.unacknowledged)
    verdict.demand(not left, f"{left} callbacks were never acknowledged")
    stored = play.lost_none()
    unanswered = play.upstream.posts - play.upstream.answers["200"]
    verdict.measured = (
        f"{stored}; {unanswered} posts refused or unanswered, {lost} answers of the database lost on the line"
    )
    play.drained(120)  # the next scenario starts from an empty inbox
    return verdict


def restarts(trial: Trial) -> Verdict:
    """R11: PostgreSQL is stopped on the spot and its processes are ended, again and again, under load."""
    rounds, ends = trial.size["stops"], trial.size["backends"]
    verdict = Verdict("R11", f"{rounds} immediate stops, {ends} killed backends")
    play = Play(trial, verdict, spare=rounds * 4 + 10)
    chance = trial.chance("restarts")
    flow = Flow(play, trial.size["per_second"])
    slowest, recovery, ended = 0.0, 0.0, 0
    with flow.running():
        for number in range(rounds):
            for _ in range(ends * (number + 1) // rounds - ends * number // rounds):
                end_a_connection(play.world, chance.randrange(2**31))
                ended += 1
                time.sleep(chance.uniform(0.02, 0.1))
            flow.take_address(number)
            time.sleep(chance.uniform(0.2, 1.5))
            play.world.stop_postgres()
            time.sleep(chance.uniform(0.1, 1.5))
            recovery = max(recovery, play.world.start_postgres())
            began = time.monotonic()
            took = flow.await_ready()
            ready = time.monotonic() - began
            slowest = max(slowest, ready)
            trial.say(f"start {number + 1}: ready {ready:.1f} s after PostgreSQL was ({took})")
            verdict.demand(
                ready <= trial.size["ready_within"], f"ready {ready:.1f} s after start {number + 1} ({took})"
            )
    if play.drained(trial.size["drained_within"]) is None:
        verdict.broken.append(f"{play.waiting()[0]} acknowledged callbacks are not applied")
    play.judge()
    flow.judge_addresses(verdict)
    verdict.measured += (
        f"; {ended} backends ended, {len(flow.taken)} addresses taken and kept; PostgreSQL's own recovery"
        f" took {recovery:.1f} s at most, and all was ready {slowest:.1f} s after it at most"
    )
    return verdict


def without_valkey(trial: Trial) -> Verdict:
    """R10: Valkey is flushed or killed every 2 s, then dead for minutes; nothing may depend on it."""
    first, second, down = trial.size["callbacks"], trial.size["meanwhile"], trial.size["down"]
    verdict = Verdict(
        "R10", f"{first:,} callbacks while flushed or killed every 2 s, then {second:,} while down {down} s"
    )
    play = Play(trial, verdict, spare=trial.size["spare"])
    merchant = Customer(play)
    with merchant.asking():
        told = [said for said in play.tell(first) if said.act == 0]
        with play.harmed(Plan(2.0, [(flush_valkey, 1.0), (kill_valkey, 1.0)])) as nemesis:
            play.upstream.send(
                play.disorder(told, 0), per_second=trial.size["per_second"], seconds=MOST_SECONDS
            )
        trial.say(f"{len(told)} callbacks acknowledged, {play.waiting()[0]} still to apply")
        play.world.kill_valkey()
        dead_since = time.monotonic()
        more = [said for said in play.tell(second, after=2_000_000) if said.act == 0]
        play.upstream.send(play.disorder(more, 1), per_second=len(more) / (down * 0.8), seconds=MOST_SECONDS)
        throttled = tries_at_the_door(play)
        time.sleep(max(0.0, dead_since + down - time.monotonic()))
        backlog = play.waiting()[0]
        play.world.start_valkey()
        drained = play.drained(DRAINED_WITHIN_SECONDS)
        trial.say(f"a backlog of {backlog} was drained in {drained or DRAINED_WITHIN_SECONDS:.1f} s")
    verdict.demand(drained is not None, f"{play.waiting()[0]} of {backlog} not applied within 10 min")
    play.judge()
    refused = {status: count for status, count in play.upstream.answers.items() if status != "200"}
    silences = dict(play.upstream.silences)
    verdict.demand(not refused, f"callbacks were answered {refused}{f': {silences}' if silences else ''}")
    verdict.broken += merchant.failures()
    verdict.broken += throttled
    verdict.measured += (
        f"; {nemesis.told}; {sum(merchant.answers.values())} API requests, slowest {merchant.slowest:.2f} s;"
        f" backlog {backlog} drained in {drained or DRAINED_WITHIN_SECONDS:.1f} s;"
        f" {len(play.upstream.renewed)} idle connections made anew"
        f"{'' if throttled else '; wrong codes throttled meanwhile'}"
    )
    return verdict


SCENARIOS = [
    Scenario(
        "R1",
        "no callback lost, none credited twice",
        small={"callbacks": 300, "long": False, "drained_within": 240.0},
        full={"callbacks": 10_000, "long": True, "drained_within": 900.0},
        run=kills,
    ),
    Scenario(
        "R2",
        "200 to the processor only after commit",
        small={"callbacks": 200},
        full={"callbacks": 2_000},
        run=stops,
    ),
    Scenario(
        "R10",
        "Redis is expendable",
        small={"callbacks": 150, "meanwhile": 60, "down": 8, "per_second": 25.0, "spare": 60},
        full={"callbacks": 3_000, "meanwhile": 2_000, "down": 300, "per_second": 60.0, "spare": 1500},
        run=without_valkey,
    ),
    Scenario(
        "R11",
        "a database restart is safe",
        small={"stops": 2, "backends": 20, "per_second": 20.0, "drained_within": 120.0, "ready_within": 60.0},
        full={
            "stops": 20,
            "backends": 200,
            "per_second": 20.0,
            "drained_within": 600.0,
            "ready_within": 15.0,
        },
        run=restarts,
    ),
]
"""In the order in which they run."""
