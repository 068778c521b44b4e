"""R7: a hundred thousand callbacks wait for a receiver that never answers; the others notice nothing.

The first callback of the dead receiver's merchant comes about as all do. The rest of its queue is made from
that row, in one statement: the same columns with the same values, another subject and so another body.
What the healthy merchant is told comes about by real deposits, before and after, at the same pace.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from tests.soak import story
from tests.soak.delivery_oracle import MOST_AT_ONCE, share
from tests.soak.play import IDS_PER_TRIAL
from tests.soak.scenario import Scenario, Trial, Verdict
from tests.soak.shops import Shop
from tests.soak.sink import Script, Sink, listening
from tests.soak.upstream import Upstream

WITHIN_SECONDS = 60.0
IDS_PER_PART = 1_000_000
WELL, DEAD = "/r7/well", "/r7/dead"
_QUEUE = """
INSERT INTO callbacks_outgoingcallback
       (subject_kind, subject_id, version, merchant_id, endpoint_id, body, state, attempts, schedule_from)
SELECT c.subject_kind, 1000000000 + n, c.version, c.merchant_id, c.endpoint_id,
       convert_to(regexp_replace(convert_from(c.body, 'UTF8'), '^{"id":[0-9]+', '{"id":' || 1000000000 + n),
                  'UTF8'),
       'due', 0, 0
  FROM (SELECT * FROM callbacks_outgoingcallback WHERE merchant_id = %s ORDER BY id LIMIT 1) c,
       generate_series(1, %s) n
"""
_CLEAR = (
    "UPDATE callbacks_endpoint SET url = '' WHERE merchant_id = %s",
    "DELETE FROM callbacks_deliveryattempt WHERE callback_id IN (SELECT id FROM callbacks_outgoingcallback"
    " WHERE merchant_id = %s AND subject_id > 1000000000)",
    "DELETE FROM callbacks_outgoingcallback WHERE merchant_id = %s AND subject_id > 1000000000",
)
_TOLD = """
SELECT id, encode(sha256(body), 'hex'), subject_id, extract(epoch FROM created_at)::float8
  FROM callbacks_outgoingcallback WHERE merchant_id = %s ORDER BY version DESC
"""
_UNSETTLED = """
SELECT (SELECT count(*) FROM callbacks_incomingcallback WHERE sha256 = ANY(%s) AND state = 'received'),
       (SELECT count(*) FROM callbacks_outgoingcallback WHERE merchant_id = %s AND state = 'due')
"""
_WAITING = "SELECT count(*) FROM callbacks_outgoingcallback WHERE merchant_id = %s AND state = 'due'"


@dataclass
class Part:
    """How long the healthy merchant's callbacks took, from the change to the receiver, in seconds."""

    name: str
    ages: list[float]

    @property
    def told(self) -> str:
        return (
            f"{self.name}: {share(self.ages, 0.5):.2f} / {share(self.ages, 0.95):.2f} /"
            f" {max(self.ages, default=0):.2f} s"
        )


class Bench:
    """A healthy merchant and one whose receiver is dead."""

    def __init__(self, trial: Trial, sink: Sink) -> None:
        self.trial, self.world, self.sink = trial, trial.world, sink
        wishes = [
            replace(shop, url=sink.url(path))
            for shop, path in zip(
                story.shops_for(f"R7 shop {trial.number}", count=2), (WELL, DEAD), strict=True
            )
        ]
        self.well, self.dead = self.world.stage(wishes)
        sink.open(WELL, self.well.key, self.well.secret, Script())
        sink.open(DEAD, self.dead.key, self.dead.secret, Script(dead=True))
        self._parts = 0

    def part(self, name: str, meanwhile: Callable[[], None] = lambda: None) -> Part:
        """Deposits of the healthy merchant at a pace, while something else happens; its callbacks' ages."""
        before = {callback for callback, *_ in self.world.ask(_TOLD, [self.well.id])}
        harm = threading.Timer(1.0, meanwhile)
        harm.start()
        upstream = self._tell(self.well, self.trial.size["callbacks"])
        harm.join()
        end = time.monotonic() + 3 * WITHIN_SECONDS
        while any(self.world.ask(_UNSETTLED, [list(upstream.log), self.well.id])[0]):
            if time.monotonic() > end:
                break
            time.sleep(0.25)
        part = Part(name, self._ages(before))
        self.trial.say(part.told)
        return part

    def queue(self, count: int) -> None:
        """So many callbacks for the dead receiver, all due; returns when it has some of them."""
        self._tell(self.dead, 1)
        self._await(lambda: self.world.ask(_WAITING, [self.dead.id])[0][0] > 0)
        self.world.ask(_QUEUE, [self.dead.id, count])
        self.world.ask("ANALYZE callbacks_outgoingcallback")
        self._await(lambda: sum(arrival.path == DEAD for arrival in self.sink.arrivals()) >= MOST_AT_ONCE)

    def clear(self) -> None:
        for statement in _CLEAR:
            self.world.ask(statement, [self.dead.id])

    @property
    def waiting(self) -> int:
        return int(self.world.ask(_WAITING, [self.dead.id])[0][0])

    def _ages(self, before: set[int]) -> list[float]:
        """Of each callback that is none of `before`, until its merchant was told of that state or a newer.

        One that was lost with its worker, and is superseded, never comes.
        """
        came: dict[str, float] = {}
        for arrival in self.sink.arrivals():
            if arrival.path == WELL:
                came.setdefault(arrival.sha, arrival.wall)
        told: dict[int, float] = {}
        ages = []
        for callback, sha, subject, written in self.world.ask(_TOLD, [self.well.id]):  # the newest first
            told[subject] = min(came.get(sha, float("inf")), told.get(subject, float("inf")))
            if callback not in before:
                ages.append(told[subject] - written)
        return ages

    def _tell(self, shop: Shop, callbacks: int) -> Upstream:
        """Deposits to that merchant alone, in stories that end in the first act."""
        self._parts += 1
        first = self.trial.number * IDS_PER_TRIAL + self._parts * IDS_PER_PART
        told = story.tell(
            self.trial.chance(f"stories {self._parts}"), [shop], callbacks=callbacks, first_id=first
        )
        upstream = Upstream(self.world)
        line = [said for said in told if said.act == 0 and said.shop is not None]
        upstream.send(line, per_second=self.trial.size["per_second"], seconds=600)
        return upstream

    def _await(self, holds: Callable[[], bool], seconds: float = 60.0) -> None:
        end = time.monotonic() + seconds
        while not holds():
            if time.monotonic() > end:
                raise TimeoutError("the dead receiver's queue did not begin")
            time.sleep(0.1)


def nobody_waits(trial: Trial) -> Verdict:
    """R7: alone, beside the queue, with deliver workers killed, with Valkey dead for a while."""
    count, world = trial.size["queued"], trial.world
    verdict = Verdict("R7", f"{count:,} callbacks queued for a receiver that never answers")

    def kill_deliverers() -> None:
        world.kill("deliver")
        world.kill("deliver_slow")

    def kill_valkey() -> None:
        world.kill_valkey()
        time.sleep(trial.size["down"])
        world.start_valkey()

    with listening(world.directory, f"R7-{trial.number}") as sink:
        bench = Bench(trial, sink)
        alone = bench.part("alone")
        bench.queue(count)
        trial.say(f"{bench.waiting:,} wait for the dead receiver")
        parts = [
            bench.part("beside the queue"),
            bench.part("and both deliver workers killed", kill_deliverers),
            bench.part(f"and Valkey dead for {trial.size['down']:g} s", kill_valkey),
        ]
        left = bench.waiting
        arrivals = sink.arrivals()
        bench.clear()
    for part in parts:
        late = share(part.ages, 0.95)
        verdict.demand(
            len(part.ages) >= trial.size["callbacks"] * 0.6, f"{part.name}: only {len(part.ages)} were told"
        )
        verdict.demand(late <= WITHIN_SECONDS, f"{part.name}: p95 {late:.1f} s, not within 60 s")
    at_once = max(arrival.at_once for arrival in arrivals)
    verdict.demand(at_once <= MOST_AT_ONCE, f"{at_once} requests at once at one receiver")
    verdict.demand(all(arrival.is_signed for arrival in arrivals), "a wrong signature")
    verdict.demand(left >= count * 0.9, f"only {left:,} of {count:,} were still waiting at the end")
    tried = sum(arrival.path == DEAD for arrival in arrivals)
    verdict.measured = (
        f"{len(alone.ages)} callbacks each, p50 / p95 / most from the change to the receiver; "
        + "; ".join(part.told for part in (alone, *parts))
        + f"; {tried} requests to the dead one, {at_once} at once"
    )
    return verdict


SCENARIOS = [
    Scenario(
        "R7",
        "one dead receiver delays nobody else",
        small={"queued": 5_000, "callbacks": 40, "per_second": 20.0, "down": 2.0},
        full={"queued": 100_000, "callbacks": 600, "per_second": 10.0, "down": 15.0},
        run=nobody_waits,
    ),
]
"""In the order in which they run."""
