"""A trial: the requests sent side by side, every answer judged, and the sums at the end."""

from __future__ import annotations

import hashlib
import itertools
import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.fuzz.cases import MOUNT, Maker
from tests.fuzz.verdict import breaches
from tests.fuzz.wire import Door, Due, Ending, Exchange, Request, send
from tests.fuzz.world import World

WRITERS = 6
"""Requests under way at once; a web role answers eight, the intake four."""
WARM_UP, LEAST_WARM_UP = 0.04, 400
"""The share of requests after which memory is measured: caches, threads and connections are there then."""
LARGEST_GROWTH_KB = 50 * 1024
MOST_FILES = 5
"""Kept for each kind of breach."""
ROLES_OF = {Door.API: ("web",), Door.INTAKE: ("intake", "worker")}
NOT_FOR_EVER = ("/cancel", "/fixed", "/calculate", "/info")
"""Calls whose answer depends on what was called before them, or how often."""
MAY_GROW = {
    Door.API: {
        *("merchants_keytraffic", "payments_addresspool", "callbacks_outgoingcallback"),
        *(
            "payments_invoice",
            "payments_quote",
            "payments_exchange",
            "payments_withdrawal",
            "payments_future",
        ),
        *("payments_operation", "payments_leg", "payments_entry", "payments_posting", "payments_account"),
    },
    Door.INTAKE: None,  # what was accepted is applied meanwhile
}


@dataclass
class Row:
    """One class of requests."""

    sent: int = 0
    statuses: Counter[str] = field(default_factory=Counter)
    slowest: float = 0.0
    broken: int = 0


@dataclass
class Finding:
    door: str
    number: int
    kind: str
    why: str
    file: str = ""
    again: list[float] = field(default_factory=list)  # seconds of slow requests when repeated alone


class Tally:
    """What was sent and what came back; safe to add to from several threads."""

    def __init__(self, *, seconds: float, files: Path) -> None:
        self.rows: dict[tuple[str, str], Row] = {}
        self.findings: list[Finding] = []
        self.acknowledged: set[bytes] = set()
        self.perhaps: set[bytes] = set()
        self.taken: set[int] = set()
        self.unanswered = 0
        self.reasons: Counter[str] = Counter()
        self._seconds, self._files = seconds, files
        self._lock = threading.Lock()

    def add(self, request: Request, exchange: Exchange, differs: Sequence[str] = ()) -> None:
        """differs: how the answer is not what the API's description says, where that was looked at."""
        found = [*breaches(request, exchange, seconds=self._seconds), *differs]
        with self._lock:
            row = self.rows.setdefault((request.door, request.kind), Row())
            row.sent += 1
            row.statuses.update(str(answer.status) for answer in exchange.answers)
            row.statuses.update([exchange.ended or "gone"] if not exchange.answers else [])
            row.slowest = max(row.slowest, exchange.seconds)
            row.broken += bool(found)
            self.learn(request, exchange)
            for why in found:
                self._keep(request, exchange, why)

    def learn(self, request: Request, exchange: Exchange) -> None:
        """Which callbacks were acknowledged, which addresses given; and what nobody can know."""
        digests = {hashlib.sha256(body).digest() for body in request.bodies}
        stored = [answer for answer in exchange.answers if answer.status == 200 and answer.body == b"OK"]
        if request.door is Door.INTAKE and stored and request.path.startswith(MOUNT[Door.INTAKE]):
            self.acknowledged |= digests
        elif len(exchange.answers) < request.answers:
            self.perhaps |= digests
        if request.ending is Ending.CLOSE or exchange.ended not in {"", "closed"}:
            self.unanswered += any(b"addresses/take" in part.data for part in request.parts)
        for answer in exchange.answers:
            if request.door is Door.API and answer.status == 201:
                data = json.loads(answer.body)["data"]
                self.taken |= {data["id"]} if "address" in data else set()

    def _keep(self, request: Request, exchange: Exchange, why: str) -> None:
        reason = f"{request.door}: {why.partition(' after ')[0]}"
        self.reasons[reason] += 1
        finding = Finding(request.door, request.number, request.kind, why)
        self.findings.append(finding)
        if self.reasons[reason] <= MOST_FILES:
            self._files.mkdir(parents=True, exist_ok=True)
            file = self._files / f"{request.door}-{request.number}.json"
            seen = [f"{answer.status} {answer.body[:300]!r}" for answer in exchange.answers]
            file.write_text(json.dumps(request.kept() | {"why": why, "seen": seen}, indent=1))
            finding.file = str(file)


@dataclass
class Result:
    """All that a trial found out."""

    seed: int
    tally: Tally
    seconds: float = 0.0
    memory: dict[str, tuple[int, int, int]] = field(default_factory=dict)  # kB: start, warm, end
    broken: list[str] = field(default_factory=list)  # what no single answer shows
    inbox: dict[str, int] = field(default_factory=dict)

    @property
    def growth(self) -> int:
        return sum(end - warm for _, warm, end in self.memory.values())

    @property
    def held(self) -> bool:
        return not self.broken and not self.tally.findings


def run(
    world: World, *, seed: int, counts: dict[Door, int], described: int, seconds: float, files: Path
) -> Result:
    """Sends `counts` requests at each door, one door after the other, and looks around.

    described: how many cases more are drawn from the API's description.
    """
    result = Result(seed, Tally(seconds=seconds, files=files))
    began, processes, start, warm = time.monotonic(), world.processes(), world.memory(), {}
    for door, count in counts.items():
        maker, before = Maker(seed, door), (world.rows(), world.balances())
        split = min(count // 2, max(LEAST_WARM_UP, int(count * WARM_UP)))
        _send_all(world, result.tally, map(maker.make, range(split)))
        if door is Door.INTAKE:
            world.drain()  # the worker is warm once it has worked
        warm |= {role: world.memory()[role] for role in ROLES_OF[door]}
        _send_all(world, result.tally, map(maker.make, range(split, count)))
        if door is Door.API and described:
            _send_described(world, result, described)
        result.broken += _still_works(world, maker, result.tally)
        result.broken += _unwritten(world, door, before)
    result.seconds = time.monotonic() - began
    if Door.INTAKE in counts:
        _await_inbox(world, result)
    if Door.API in counts:
        result.broken += _addresses(world, result.tally)
    end = world.memory()
    result.memory = {role: (start[role], warm[role], end[role]) for role in warm}
    _look_around(world, result, processes)
    return result


def _send_all(world: World, tally: Tally, requests: Iterator[Request]) -> None:
    lock = threading.Lock()

    def write() -> None:
        while True:
            with lock:
                request = next(requests, None)
            if request is None:
                return
            tally.add(request, send(request, world.address(request.door)))

    threads = [threading.Thread(target=write) for _ in range(WRITERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def _send_described(world: World, result: Result, count: int) -> None:
    from tests.fuzz.described import exchanges  # takes a second to load, for those who ask for it

    host, port = world.address(Door.API)
    for request, exchange, differs in exchanges(f"http://{host}:{port}", count=count, of_seed=result.seed):
        result.tally.add(request, exchange, differs)


def _still_works(world: World, maker: Maker, tally: Tally) -> list[str]:
    """Recorded requests, as they were recorded, after all that."""
    for number in range(20):
        request = maker.untouched(number)
        exchange = send(request, world.address(request.door))
        tally.learn(request, exchange)
        statuses = [answer.status for answer in exchange.answers]
        played_back = request.door is Door.API and b'"transactions":' in request.bodies[0]
        once = [b"has already been taken" in answer.body for answer in exchange.answers]
        if (once and all(once)) or any(part in request.path for part in NOT_FOR_EVER):
            continue  # a number is taken once and an invoice given up once, if it is there at all
        if statuses not in ([[400]] if played_back else [[200], [201]]):
            said = [answer.body[:200] for answer in exchange.answers]
            return [f"{request.door}: {request.path} got {statuses} {said} {exchange.ended}"]
    return []


def _unwritten(world: World, door: Door, before: tuple[dict[str, int], list[object]]) -> list[str]:
    """Rows are added for what may be asked for and nowhere else; money is set aside and moves nowhere."""
    allowed = MAY_GROW[door]
    if allowed is None:
        return []
    rows, balances = before
    grown = {name for name, count in world.rows().items() if count != rows[name]} - allowed
    moved = ["money moved"] if world.balances() != balances else []
    return [f"{door}: {text}" for text in (*(f"rows in {name}" for name in sorted(grown)), *moved)]


def _addresses(world: World, tally: Tally) -> list[str]:
    """Taken are those that answers named, and at most as many more as clients went away before theirs.

    Where the server ends a connection without a word, nothing may have been done.
    """
    taken = world.addresses_taken()
    if tally.taken - taken or len(taken - tally.taken) > tally.unanswered:
        return [f"api: {len(taken)} addresses taken, {len(tally.taken)} answered"]
    return []


def _await_inbox(world: World, result: Result) -> None:
    """Everything acknowledged is stored, nothing else is, and all of it was applied or quarantined."""
    world.drain()
    stored = world.inbox()
    digests = {row.sha256 for row in stored}
    lost = result.tally.acknowledged - digests
    unasked = digests - result.tally.acknowledged - result.tally.perhaps
    result.inbox = dict(Counter(row.state for row in stored))
    crashed = [row.error for row in stored if row.failures > (row.state == "quarantined")]
    waiting = [row for row in stored if row.state == "received" and not row.failures]
    for count, what in (
        (len(lost), "acknowledged callbacks are not stored"),
        (len(unasked), "callbacks are stored although they were refused"),
        (len(waiting), "callbacks were not worked"),
        (len(crashed), f"callbacks failed in the worker: {crashed[:1]}"),
    ):
        if count:
            result.broken.append(f"intake: {count} {what}")


def _look_around(world: World, result: Result, processes: dict[str, set[int]]) -> None:
    for role, numbers in world.processes().items():
        if numbers != processes[role]:
            result.broken.append(f"{role}: processes {sorted(processes[role])} became {sorted(numbers)}")
    complaints = world.complaints()
    if complaints:
        result.broken.append(f"{len(complaints)} lines in the logs, as {complaints[0][:200]!r}")
    if result.growth > LARGEST_GROWTH_KB:
        result.broken.append(f"memory grew by {result.growth / 1024:.1f} MB")
    result.broken += [f"ledger: {text} is out of balance" for text in world.out_of_balance()]


def repeat_slow(world: World, result: Result, read: Callable[[Path], Request]) -> None:
    """Sends what was answered too late three times more, alone, to tell its fault from the machine's."""
    slow = [finding for finding in result.tally.findings if " after " in finding.why and finding.file]
    for finding, _ in itertools.product(slow, range(3)):
        request = read(Path(finding.file))
        if request.due is not Due.MAYBE:
            finding.again.append(round(send(request, world.address(request.door)).seconds, 3))
