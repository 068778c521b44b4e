"""What scenarios of deposits are made of: a play of merchants and an upstream, and who else is about."""

from __future__ import annotations

import re
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from decimal import Decimal

import psycopg
import requests

from tests.soak import held, oracle, story
from tests.soak.nemesis import Nemesis, Plan
from tests.soak.scenario import Trial, Verdict
from tests.soak.shops import Shop
from tests.soak.story import Said
from tests.soak.upstream import Upstream, digests

IDS_PER_TRIAL = 10_000_000
MOST_SECONDS = 3600.0
READY_AT_LAST_SECONDS = 120.0
FREE_TRIES = 5
_APPLIED_SINCE = """
SELECT EXISTS (SELECT 1 FROM callbacks_incomingcallback WHERE applied_at > pg_postmaster_start_time())
"""
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

    def lost_none(self) -> str:
        """Every 200 has its row; returns how many of them have."""
        acknowledged = digests(self.upstream.acknowledged)
        lost = acknowledged - held.inbox(self.world, list(acknowledged)).keys()
        self.verdict.demand(not lost, f"{len(lost)} callbacks were answered with 200 and are not stored")
        return f"of {len(acknowledged)} answers of 200, {len(acknowledged) - len(lost)} have their row"

    def spend(self, shop: int, currency: str) -> None:
        """Takes the merchant's whole balance away, as if it had been paid out: reversals then make debts."""
        told = self.world.spend(self.shops[shop], currency)
        self.spent[shop, currency] = self.spent.get((shop, currency), Decimal(0)) + Decimal(told)


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

    def await_ready(self) -> str:
        """Returns once the API answers, a fresh callback is accepted, and one is applied; what took how long.

        Gives up after a while.
        """
        began = time.monotonic()
        probe = self._probe()
        steps: dict[str, Callable[[], bool]] = {
            "API": self._api_answers,
            "intake": lambda: self.play.upstream.once(probe),
            "worker": self._applies,
        }
        took = []
        for name, works in steps.items():
            while time.monotonic() - began < READY_AT_LAST_SECONDS:
                with suppress(requests.RequestException, psycopg.OperationalError):
                    if works():
                        break
                time.sleep(0.05)
            took.append(f"{name} after {time.monotonic() - began:.1f} s")
        return ", ".join(took)

    def _probe(self) -> Said:
        """A callback that nobody has sent yet."""
        self._probes = getattr(self, "_probes", 0) + 1
        return self.play.tell(1, after=5_000_000 + 100 * self._probes)[0]

    def _api_answers(self) -> bool:
        return self.play.world.call(self.play.shops[0], "accounts/list", timeout=5).status_code == 200

    def _applies(self) -> bool:
        """Whether anything was applied since PostgreSQL was started; how much waits is another matter."""
        return bool(self.play.world.ask(_APPLIED_SINCE)[0][0])


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
        if number % 10 == 0 and number // 10 < self.play.spare:
            path, body = "addresses/take", {"foreign_id": f"asked-{number}", "currency": "BTC"}
        began = time.monotonic()
        try:
            answer = str(self.play.world.call(self.play.shops[0], path, body).status_code)
        except requests.RequestException as error:
            answer = type(error).__name__
        self.answers[f"{path} {answer}"] += 1
        self.slowest = max(self.slowest, time.monotonic() - began)


def tries_at_the_door(play: Play, tries: int = 14) -> list[str]:
    """Wrong codes at the sign-in; returns what is broken about their throttle.

    Five wrong tries at an account are free, each further one makes the next wait twice as long (1, 2, 4 … s):
    of many in a row only so many may be judged at all.
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
        judged += "Too many" not in page.text
    spent = time.monotonic() - began
    if 2 ** max(0, judged - FREE_TRIES) - 1 > spent:
        return [f"{judged} wrong codes were judged in {spent:.1f} s: the throttle does not hold"]
    return []


def _token(page: str) -> str:
    found = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', page)
    return found.group(1) if found else ""
