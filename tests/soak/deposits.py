"""The scenarios of deposits: R1, R2, R10 and R11."""

from __future__ import annotations

import re
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from decimal import Decimal

import psycopg
import requests

from tests.soak import held, oracle, story
from tests.soak.nemesis import (
    Deed,
    Nemesis,
    Plan,
    end_a_connection,
    flush_valkey,
    freeze_a_worker,
    kill_a_pool_process,
    kill_a_worker,
    kill_the_intake,
    kill_the_tick,
    kill_valkey,
    lose_answers,
    slow_the_line,
)
from tests.soak.scenario import Scenario, Trial, Verdict
from tests.soak.story import Said
from tests.soak.upstream import Upstream, digests
from tests.soak.world import Shop

IDS_PER_TRIAL = 10_000_000
READY_WITHIN_SECONDS = 15.0
DRAINED_WITHIN_SECONDS = 600.0
MOST_SECONDS = 3600.0
_WAITING = """
SELECT count(*) FILTER (WHERE state = 'received'), count(*) FILTER (WHERE state = 'quarantined')
  FROM callbacks_incomingcallback WHERE sha256 = ANY(%s)
"""


@dataclass
class Play:
    """What every scenario of deposits is made of: merchants, an upstream, and the comparison at the end."""

    trial: Trial
    verdict: Verdict
    spare: int = 0
    spent: dict[tuple[int, str], Decimal] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.world = self.trial.world
        self.upstream = Upstream(self.world)
        name = f"{self.verdict.promise} shop {self.trial.number}"
        self.shops: list[Shop] = self.world.stage(story.shops_for(name, spare=self.spare))
        self.ids = (self.trial.number * IDS_PER_TRIAL, (self.trial.number + 1) * IDS_PER_TRIAL - 1)

    def tell(self, callbacks: int, *, growing: bool = False, after: int = 0) -> list[Said]:
        """Stories of so many callbacks; after: how many ids are taken already."""
        chance = self.trial.chance(f"stories {after}")
        return story.tell(
            chance, self.shops, callbacks=callbacks, first_id=self.ids[0] + 1 + after, growing=growing
        )

    def disorder(self, told: Sequence[Said], what: object) -> list[Said]:
        return story.disorder(self.trial.chance(f"order {what}"), told)

    @contextmanager
    def harmed(self, plan: Plan) -> Iterator[Nemesis]:
        diary = self.world.directory / f"{self.verdict.promise}.diary"
        nemesis = Nemesis(self.world, plan, self.trial.chance("nemesis"), diary)
        with nemesis.at_work():
            yield nemesis
        self.trial.say(f"nemesis: {nemesis.told}; its diary: {diary}")

    def waiting(self) -> tuple[int, int]:
        """(callbacks stored and not yet applied, callbacks quarantined)."""
        return tuple(self.world.ask(_WAITING, [list(self.upstream.log)])[0])

    def drained(self, seconds: float, *, left: int = 0) -> float | None:
        """Seconds until all that is stored, but `left`, was applied; None when it was not in time."""
        began = time.monotonic()
        while time.monotonic() - began < seconds:
            try:
                if self.waiting()[0] <= left:
                    return time.monotonic() - began
            except psycopg.OperationalError:
                pass
            time.sleep(0.25)
        return None

    def judge(self, *, api: bool = True) -> None:
        """All of it acknowledged, stored once, applied, and the books as the oracle says."""
        left = len(self.upstream.unacknowledged)
        self.verdict.demand(not left, f"{left} callbacks were never acknowledged")
        self.lost_none()
        rows = held.inbox(self.world, list(self.upstream.log))
        twice = sum(count > 1 for count, _, _ in rows.values())
        self.verdict.demand(not twice, f"{twice} callbacks are stored more than once")
        ill = Counter(f"{state} {error}"[:200] for _, state, error in rows.values() if state != "applied")
        self.verdict.broken += [
            f"{count} callbacks are {state}" for state, count in ill.most_common(held.SHOWN)
        ]
        terms = [shop.terms for shop in self.shops]
        expected = oracle.expect(self.upstream.acknowledged, terms, self.spent)
        held.compare(self.verdict, self.world, expected, self.shops, self.ids, api=api)
        deposits = len(expected.deposits) + len(expected.unmatched)
        self.verdict.measured = (
            f"{deposits} deposits and {expected.entries} entries as the oracle says"
            if self.verdict.held
            else ""
        )

    def lost_none(self) -> int:
        """Every 200 has its row; returns how many 200s there were."""
        acknowledged = digests(self.upstream.acknowledged)
        lost = acknowledged - held.inbox(self.world, list(acknowledged)).keys()
        self.verdict.demand(not lost, f"{len(lost)} callbacks were answered with 200 and are not stored")
        return len(acknowledged)

    def spend(self, shop: int, currency: str) -> None:
        """Takes the merchant's whole balance away, as if it had been paid out: reversals then make debts."""
        told = self.world.spend(self.shops[shop], currency)
        self.spent[shop, currency] = self.spent.get((shop, currency), Decimal(0)) + Decimal(told)


def kills(trial: Trial) -> Verdict:
    """R1: duplicates, disorder and kill -9; equality with the oracle to the last digit."""
    count = trial.size["callbacks"]
    verdict = Verdict("R1", f"{count:,} callbacks + 5 % duplicates, windows of 200, a kill every 0.7 s")
    play = Play(trial, verdict)
    told = play.tell(count, growing=True)
    deeds: list[tuple[Deed, float]] = [
        *((kill_a_pool_process, 70.0), (kill_a_worker, 14.0), (kill_the_intake, 8.0), (kill_the_tick, 3.0))
    ]
    if trial.size["long"]:
        deeds += [(freeze_a_worker, 0.5), (lose_answers, 3.0), (slow_the_line, 2.0), (end_a_connection, 4.0)]
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
        verdict.demand(
            play.drained(trial.size["drained_within"]) is not None,
            f"not applied: {play.waiting()[0]} callbacks",
        )
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
        f"{stored} answers of 200, each with its row; {unanswered} posts refused or unanswered,"
        f" {lost} answers of the database lost on the line"
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
    slowest, ended = 0.0, 0
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
            began = time.monotonic()
            play.world.start_postgres()
            flow.await_ready()
            ready = time.monotonic() - began
            slowest = max(slowest, ready)
            verdict.demand(
                ready <= READY_WITHIN_SECONDS,
                f"ready {ready:.1f} s after start {number + 1}, not within 15 s",
            )
    if play.drained(trial.size["drained_within"]) is None:
        verdict.broken.append(f"{play.waiting()[0]} acknowledged callbacks are not applied")
    play.judge()
    flow.judge_addresses(verdict)
    verdict.measured += (
        f"; {ended} backends ended, {len(flow.taken)} addresses taken and kept; ready {slowest:.1f} s after"
        " the worst start"
    )
    return verdict


@dataclass
class Flow:
    """Callbacks that keep coming at a pace, and what a merchant does meanwhile."""

    play: Play
    per_second: float
    taken: dict[str, str] = field(default_factory=dict)

    @contextmanager
    def running(self) -> Iterator[None]:
        over = threading.Event()

        def send() -> None:
            part = 0
            while not over.is_set():
                told = self.play.tell(20, after=part * 1000)
                told = [said for said in told if said.act == 0]
                self.play.upstream.send(
                    self.play.disorder(told, part), per_second=self.per_second, seconds=MOST_SECONDS
                )
                part += 1

        sender = threading.Thread(target=send, daemon=True)
        sender.start()
        try:
            yield
        finally:
            over.set()
            sender.join()

    def take_address(self, number: int) -> None:
        """What was answered is noted: it must be true for ever."""
        body = {"foreign_id": f"flow-{number}", "currency": "BTC"}
        try:
            answer = self.play.world.call(self.play.shops[0], "addresses/take", body, timeout=10)
        except requests.RequestException:
            return
        if answer.status_code == 201:
            self.taken[body["foreign_id"]] = answer.json()["data"]["address"]

    def judge_addresses(self, verdict: Verdict) -> None:
        for foreign_id, address in self.taken.items():
            body = {"foreign_id": foreign_id, "currency": "BTC"}
            again = self.play.world.call(self.play.shops[0], "addresses/take", body).json()["data"]["address"]
            verdict.demand(again == address, f"{foreign_id} was given {address}, and now {again}")

    def await_ready(self) -> None:
        """Returns once the API answers, a fresh callback is accepted, and is applied; or after 30 s."""
        began = time.monotonic()
        probe = self._probe()
        for works in (
            self._api_answers,
            lambda: self.play.upstream.once(probe),
            lambda: self._applied(probe),
        ):
            while time.monotonic() - began < 2 * READY_WITHIN_SECONDS:
                try:
                    if works():
                        break
                except (requests.RequestException, psycopg.OperationalError):
                    pass
                time.sleep(0.05)

    def _probe(self) -> Said:
        """A callback that nobody has sent yet."""
        self._probes = getattr(self, "_probes", 0) + 1
        return self.play.tell(1, after=5_000_000 + 100 * self._probes)[0]

    def _api_answers(self) -> bool:
        return self.play.world.call(self.play.shops[0], "accounts/list", timeout=5).status_code == 200

    def _applied(self, said: Said) -> bool:
        rows = held.inbox(self.play.world, [said.sha256])
        return [state for _, state, _ in rows.values()] == ["applied"]


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
    verdict.demand(not refused, f"callbacks were answered {refused}")
    verdict.broken += merchant.failures()
    verdict.broken += throttled
    verdict.measured += (
        f"; {nemesis.told}; {sum(merchant.answers.values())} API requests, slowest {merchant.slowest:.2f} s;"
        f" backlog {backlog} drained in {drained or DRAINED_WITHIN_SECONDS:.1f} s; wrong codes throttled"
    )
    return verdict


@dataclass
class Customer:
    """A merchant's program that asks the API all the time."""

    play: Play
    answers: Counter[str] = field(default_factory=Counter)
    slowest: float = 0.0

    @contextmanager
    def asking(self) -> Iterator[None]:
        over = threading.Event()

        def ask() -> None:
            number = 0
            while not over.wait(0.1):
                self._ask(number)
                number += 1

        asker = threading.Thread(target=ask, daemon=True)
        asker.start()
        try:
            yield
        finally:
            over.set()
            asker.join()

    def failures(self) -> list[str]:
        return [
            f"{count} x {answer}"
            for answer, count in self.answers.items()
            if not re.fullmatch(r"(accounts/list 200|addresses/take 201)", answer)
        ]

    def _ask(self, number: int) -> None:
        path, body = "accounts/list", None
        if number % 10 == 0:
            path, body = "addresses/take", {"foreign_id": f"asked-{number}", "currency": "BTC"}
        began = time.monotonic()
        try:
            answer = str(self.play.world.call(self.play.shops[0], path, body).status_code)
        except requests.RequestException as error:
            answer = type(error).__name__
        self.answers[f"{path} {answer}"] += 1
        self.slowest = max(self.slowest, time.monotonic() - began)


def tries_at_the_door(play: Play, tries: int = 8) -> list[str]:
    """Wrong codes at the sign-in; returns what is broken about their throttle.

    Each wrong code makes the next one wait twice as long (1, 2, 4 … s): of many tries in a row only so many
    may be judged at all, and a right code in between must wait as well.
    """
    session, where = requests.Session(), f"{play.world.installation.public_url}/sign-in/"
    page = session.get(where, timeout=30)
    began, judged = time.monotonic(), 0
    for _ in range(tries):
        form = {
            "email": play.shops[0].email,
            "password": play.shops[0].password,
            "code": "000000",
            "csrfmiddlewaretoken": _token(page.text),
        }
        page = session.post(where, form, headers={"Referer": where}, timeout=30)
        if page.status_code != 422:
            return [f"a wrong code at the sign-in is answered {page.status_code}"]
        judged += "Too many wrong codes" not in page.text
    spent = time.monotonic() - began
    if 2 ** (judged - 1) - 1 > spent:
        return [f"{judged} wrong codes were judged in {spent:.1f} s: the throttle does not hold"]
    return []


def _token(page: str) -> str:
    found = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', page)
    return found.group(1) if found else ""


SCENARIOS = [
    Scenario(
        "R1",
        "no callback lost, none credited twice",
        small={"callbacks": 300, "long": False, "drained_within": 90.0},
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
        full={"callbacks": 10_000, "meanwhile": 5_000, "down": 300, "per_second": 60.0, "spare": 1500},
        run=without_valkey,
    ),
    Scenario(
        "R11",
        "a database restart is safe",
        small={"stops": 2, "backends": 20, "per_second": 20.0, "drained_within": 60.0},
        full={"stops": 20, "backends": 200, "per_second": 20.0, "drained_within": 300.0},
        run=restarts,
    ),
]
"""In the order in which they run."""
