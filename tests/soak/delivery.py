"""The scenarios of deliveries to merchants: R6, on schedule and in order, and R7, nobody waits for the dead.

Callbacks come about as they always do: the scripted upstream tells of deposits, workers apply them, and
each change writes what its merchant is told. `sink` receives, `delivery_clock` makes a day pass in minutes,
`delivery_oracle` judges.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from tests.soak import delivery_backlog, delivery_clock, delivery_oracle, story
from tests.soak.delivery_oracle import Findings, share
from tests.soak.nemesis import Nemesis, Plan
from tests.soak.play import IDS_PER_TRIAL
from tests.soak.scenario import Scenario, Trial, Verdict
from tests.soak.shops import Shop
from tests.soak.sink import Script, Sink, listening
from tests.soak.upstream import Upstream
from tests.soak.world import World

SHOWN = 5
LATE_ANSWERS = 0.2
RINGS_WITHIN_SECONDS = 1.0
"""A worker that has come up hears of what is due at the next tick."""
_LOOK_SECONDS = 8.0
_POSTING = """
SELECT e.health FROM callbacks_outgoingcallback c JOIN callbacks_endpoint e ON e.id = c.endpoint_id
 WHERE c.leased_until > now() + interval '20 s'
"""
_UNSETTLED = """
SELECT (SELECT count(*) FROM callbacks_incomingcallback WHERE sha256 = ANY(%s) AND state = 'received'),
       (SELECT count(*) FROM callbacks_outgoingcallback WHERE merchant_id = ANY(%s) AND state = 'due')
"""


@dataclass
class Killer:
    """Kills deliver workers while they are posting. down: from each -9 until one served again."""

    down: list[tuple[float, float]] = field(default_factory=list)

    def kill_a_deliverer(self, world: World, _number: int) -> str:
        """-9 for the whole worker that is posting just now."""
        end = time.monotonic() + _LOOK_SECONDS
        while not (held := world.ask(_POSTING)) and time.monotonic() < end:
            pass
        name = "deliver_slow" if held and held[0][0] == "failing" else "deliver"
        before, began = world.pids(name)[0], time.time()
        world.kill(name)
        try:
            while world.pids(name)[0] == before:
                time.sleep(0.05)
            world.await_ready(name)
        finally:
            self.down.append((began, time.time() + RINGS_WITHIN_SECONDS))
        return f"{name}, with {len(held)} leases"


@dataclass
class Round:
    """Merchants whose receivers fail by script, and the deposits that they are told of."""

    trial: Trial
    sink: Sink

    def __post_init__(self) -> None:
        size, name = self.trial.size, f"R6 shop {self.trial.number}"
        wishes = [
            replace(shop, url=self.sink.url(f"/r6/{place}"))
            for place, shop in enumerate(story.shops_for(name, count=size["shops"]))
        ]
        self.shops: list[Shop] = self.trial.world.stage(wishes)
        for place, shop in enumerate(self.shops):
            script = Script(self.trial.seed + place, most=size["failures"], late=LATE_ANSWERS)
            self.sink.open(f"/r6/{place}", shop.key, shop.secret, script)
        self.merchants = [shop.id for shop in self.shops]
        # One of them follows the other list.
        self.trial.world.ask(
            "UPDATE callbacks_endpoint SET preset = '2023' WHERE merchant_id = %s", [self.merchants[-1]]
        )
        self.upstream = Upstream(self.trial.world)

    def tell(self) -> None:
        """All stories, act by act, at a pace."""
        told = story.tell(
            self.trial.chance("stories"),
            self.shops,
            callbacks=self.trial.size["told"],
            first_id=self.trial.number * IDS_PER_TRIAL + 1,
        )
        told = [said for said in told if said.external_id % 4 == 0 or _is_single(said)]
        for number, act in enumerate(story.acts(told)):
            line = story.disorder(self.trial.chance(f"order {number}"), act, window=10)
            self.upstream.send(line, per_second=self.trial.size["per_second"], seconds=600)

    def settled(self, seconds: float) -> bool:
        """Whether everything was delivered or given up in time."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if not any(self.trial.world.ask(_UNSETTLED, [list(self.upstream.log), self.merchants])[0]):
                return True
            time.sleep(0.5)
        return False


def on_schedule(trial: Trial) -> Verdict:
    """R6: receivers fail each callback 0 .. 13 times in every way; deliver workers are killed meanwhile.

    The killing begins when all is told: how soon first tries come is judged in peace (and by R7 without).
    """
    size = trial.size
    world, real = trial.world, size["real"]
    with listening(world.directory, f"R6-{trial.number}") as sink:
        play = Round(trial, sink)
        killer = Killer()
        plan = Plan(size["kill_every"], [(killer.kill_a_deliverer, 1.0)])
        nemesis = Nemesis(world, plan, trial.chance("nemesis"), world.directory / "R6.diary")
        with delivery_clock.shortened(world, play.merchants, real=real):
            play.tell()
            trial.say("all told; the harm begins")
            with nemesis.at_work():
                time.sleep(size["harm_seconds"])
            trial.say(nemesis.told)
            in_time = play.settled(size["settled_within"])
            callbacks = delivery_clock.callbacks(world, play.merchants)
        arrivals = sink.arrivals()
        found = delivery_oracle.judge(callbacks, arrivals, lag=sink.lag(), down=killer.down)
    verdict = Verdict(
        "R6",
        f"{len(callbacks):,} callbacks, receivers failing 0..{size['failures']} times;"
        f" of each wait the last {real:g} s are waited for",
    )
    verdict.demand(len(callbacks) >= size["at_least"], f"only {len(callbacks)} callbacks were written")
    verdict.demand(in_time, "not everything was delivered or given up in time")
    _note(verdict, found.broken)
    states = Counter(callback.state for callback in callbacks)
    verdict.measured = (
        f"{len(arrivals):,} requests; {_told(states)}; {_gaps(found)}; first try after"
        f" {share(found.first, 0.5):.2f} s (median), {share(found.first, 0.95):.2f} s (p95;"
        f" {share(found.first_in_all, 0.95):.2f} s with the time in which a worker was dead);"
        f" {nemesis.told}, {found.lost} tries lost by it"
    )
    return verdict


def _is_single(said: story.Said) -> bool:
    """Most are told of once: what is told of again soon ends the retries of what came before."""
    return said.act == 0 and said.status == story.CONFIRMED


def _note(verdict: Verdict, broken: Sequence[str]) -> None:
    """A few of each kind: the kinds are told apart by their words, without the numbers."""
    kinds: Counter[str] = Counter()
    for text in broken:
        kind = "".join(letter for letter in text if not letter.isdigit())[:60]
        kinds[kind] += 1
        if kinds[kind] <= SHOWN and len(kinds) <= 4 * SHOWN:
            verdict.broken.append(text)
    left = len(broken) - len(verdict.broken)
    verdict.demand(left <= 0 or not broken, f"… and {left} more")


def _told(states: Counter[str]) -> str:
    return ", ".join(f"{count} {state}" for state, count in sorted(states.items()))


def _gaps(found: Findings) -> str:
    late = [100 * one for one in found.late]
    return (
        f"{len(late):,} gaps, late by {share(late, 0.5):.2f} % (median), {share(late, 0.99):.2f} % (p99),"
        f" {max(late, default=0):.2f} % (most), early by {1000 * found.early:.0f} ms at most"
    )


SCENARIOS = [
    Scenario(
        "R6",
        "every merchant callback attempted on schedule, at least once",
        small={
            "told": 140,
            "at_least": 50,
            "shops": 6,
            "failures": 13,
            "per_second": 15.0,
            "real": 0.5,
            "kill_every": 1.0,
            "harm_seconds": 1.5,
            "settled_within": 120.0,
        },
        full={
            "told": 4_200,
            "at_least": 2_000,
            "shops": 10,
            "failures": 13,
            "per_second": 12.0,
            "real": 45.0,
            "kill_every": 45.0,
            "harm_seconds": 320.0,
            "settled_within": 1800.0,
        },
        run=on_schedule,
    ),
    *delivery_backlog.SCENARIOS,
]
"""In the order in which they run."""
