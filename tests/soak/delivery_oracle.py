"""The oracle of deliveries: what must be true of a run, from the receiver's log and the books beside it.

Pure; nothing of Bursar's is imported, the published lists of retries stand here again. A gap is measured
between two arrivals at the receiver, plus the time that was skipped in between (see `delivery_clock`).
What a killed worker leaves is allowed exactly: its try may have arrived or not, it is found lost once its
lease has run out and not before, and the next one is due at once: as soon as one of the endpoint's two hands
is free, which a receiver that never answers holds for as long as a try may take. While no worker runs, or
both hands are held by the dead, nothing is sent.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from tests.soak.sink import LATE_OK, OK, Arrival

MINUTES: Mapping[str, tuple[int, ...]] = {
    "2026": (1, 5, 15, 30, 60, 90, 120, 180, 240, 240, 240, 240),
    "2023": (1, 5, 10, 15, 20, 30, 60, 90, 120, 150, 180, 210, 240),
}
LATE_SHARE = 0.10
AT_ONCE_SECONDS = 6.0
"""What is due at once may be as late as what is due in a minute."""
LEASE_SECONDS, FOUND_WITHIN_SECONDS = 25.0, 10.0
MOST_AT_ONCE = 2
FIRST_WITHIN_SECONDS = 5.0
ANSWERED = {OK: 200, LATE_OK: 200, "500": 500, "late 500": 500, "404": 404, "429": 429, "redirect": 302}
"""What the books must say of an answer; of the others, that there was none."""


@dataclass
class Turn:
    """One try in the books. claimed, settled: wall seconds. skipped: of the wait after it, in seconds."""

    number: int
    claimed: float
    settled: float | None
    skipped: float
    is_noted: bool
    lost: bool
    status: int | None
    arrivals: list[Arrival] = field(default_factory=list)

    @property
    def at(self) -> float:
        """When it came to the receiver; when it was claimed, if it never did."""
        return self.arrivals[0].wall if self.arrivals else self.claimed


@dataclass
class Callback:
    """One callback in the books."""

    id: int
    endpoint: int
    subject: int
    version: int
    preset: str
    sha: str
    created: float
    state: str
    attempts: int
    turns: list[Turn] = field(default_factory=list)
    strays: int = 0

    @property
    def arrivals(self) -> list[Arrival]:
        return [arrival for turn in self.turns for arrival in turn.arrivals]


@dataclass
class Findings:
    """What a run showed. late: the share of its gap by which each retry was late; early: seconds, if any.

    first: seconds from the change to the first try. Both without the time in which a worker was dead;
    first_in_all: with it.
    """

    broken: list[str] = field(default_factory=list)
    late: list[float] = field(default_factory=list)
    early: float = 0.0
    lost: int = 0
    first: list[float] = field(default_factory=list)
    first_in_all: list[float] = field(default_factory=list)


Down = Sequence[tuple[float, float]]
"""When nothing could be sent, in wall seconds; in order and apart from each other."""


def alive(since: float, until: float, down: Down) -> float:
    """Seconds between the two in which something could be sent; below 0 when `until` comes first."""
    return until - since - sum(max(0.0, min(until, end) - max(since, start)) for start, end in down)


def downtimes(callbacks: Sequence[Callback], down: Down, *, living: bool = False) -> dict[int, Down]:
    """For each endpoint, when a worker was dead or all that it may have at once was held by dead ones.

    living: or held by anybody.
    """
    held: dict[int, list[tuple[float, float]]] = defaultdict(list)
    for callback in callbacks:
        held[callback.endpoint] += [
            (turn.claimed, turn.settled or turn.claimed) for turn in callback.turns if turn.lost or living
        ]
    return {endpoint: _merged([*down, *_all_hands(leases)]) for endpoint, leases in held.items()}


def _all_hands(leases: Sequence[tuple[float, float]]) -> Iterator[tuple[float, float]]:
    for place, one in enumerate(leases):
        for other in leases[:place]:
            both = max(one[0], other[0]), min(one[1], other[1])
            if both[0] < both[1]:
                yield both


def _merged(spans: Sequence[tuple[float, float]]) -> Down:
    merged: list[tuple[float, float]] = []
    for start, end in sorted(spans):
        if merged and start <= merged[-1][1]:
            merged[-1] = merged[-1][0], max(end, merged[-1][1])
        else:
            merged.append((start, end))
    return merged


def share(values: Sequence[float], part: float) -> float:
    """The value that `part` of them do not exceed; 0 of none."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(part * len(ordered)))] if ordered else 0.0


def judge(
    callbacks: Sequence[Callback], arrivals: Sequence[Arrival], *, lag: float, down: Down = ()
) -> Findings:
    """lag: how late the receiver's notes may be, in seconds; no gap is called short because of it."""
    found = Findings()
    found.broken += _receiver(callbacks, arrivals)
    newest: dict[int, int] = defaultdict(int)
    for callback in callbacks:
        newest[callback.subject] = max(newest[callback.subject], callback.version)
    dead, busy = downtimes(callbacks, down), downtimes(callbacks, down, living=True)
    for callback in callbacks:
        down = dead[callback.endpoint]
        found.broken += _turns(callback, down)
        found.broken += _end(callback, has_newer=callback.version < newest[callback.subject])
        found.broken += _gaps(callback, found, lag, down, busy[callback.endpoint])
        found.lost += sum(turn.lost for turn in callback.turns)
        if callback.arrivals:
            came = min(arrival.wall for arrival in callback.arrivals)
            found.first.append(alive(callback.created, came, down))
            found.first_in_all.append(came - callback.created)
    found.broken += _order(callbacks)
    late = share(found.first, 0.95)
    if late > FIRST_WITHIN_SECONDS:
        found.broken.append(f"the first try came {late:.1f} s after the change (p95), not within 5 s")
    return found


def _receiver(callbacks: Sequence[Callback], arrivals: Sequence[Arrival]) -> Iterator[str]:
    """What the receiver can say by itself; assigns arrivals to tries."""
    by_sha = {callback.sha: callback for callback in callbacks}
    for arrival in arrivals:
        if not arrival.is_signed:
            yield f"a wrong signature at {arrival.path}: {arrival.body[:60]}"
        if arrival.at_once > MOST_AT_ONCE:
            yield f"{arrival.at_once} at once at {arrival.path}"
        callback = by_sha.get(arrival.sha)
        if callback is None:
            yield f"bytes at {arrival.path} that no callback has: {arrival.body[:60]}"
            continue
        turns = [turn for turn in callback.turns if _held(turn, arrival.wall)]
        if turns:
            turns[-1].arrivals.append(arrival)
        else:
            callback.strays += 1


def _held(turn: Turn, moment: float) -> bool:
    return turn.claimed <= moment and (turn.settled is None or moment <= turn.settled)


def _turns(callback: Callback, down: Down) -> Iterator[str]:
    """Each try by itself."""
    who = f"callback {callback.id}"
    if callback.strays:
        yield f"{who} was sent {callback.strays} times while nobody held it"
    if [turn.number for turn in callback.turns] != list(range(1, callback.attempts + 1)):
        yield f"{who} counts {callback.attempts} tries, and its leases say otherwise"
    for turn in callback.turns:
        which = f"{who}, try {turn.number}"
        if not turn.is_noted:
            yield f"{which} is not in the books"
        elif turn.lost:
            held = (turn.settled or 0.0) - turn.claimed
            late = alive(turn.claimed + LEASE_SECONDS, turn.settled or 0.0, down)
            if not -0.1 <= late <= FOUND_WITHIN_SECONDS:
                yield f"{which} was given up {held:.1f} s after it began; its lease is 25 s"
            if len(turn.arrivals) > 1:
                yield f"{which} came {len(turn.arrivals)} times"
        elif len(turn.arrivals) != 1:
            yield f"{which} came {len(turn.arrivals)} times"
        elif turn.status != ANSWERED.get(turn.arrivals[0].answer):
            yield f"{which} was answered {turn.arrivals[0].answer}, and the books say {turn.status}"


def _end(callback: Callback, *, has_newer: bool) -> Iterator[str]:
    """Tried until delivered, until a newer one speaks for it, or until the list is at its end."""
    who, state = f"callback {callback.id}", callback.state
    if not callback.turns:
        yield f"{who} was never tried"
        return
    last = callback.turns[-1]
    everything = len(callback.turns) == len(MINUTES[callback.preset]) + 1
    if not callback.arrivals and not (has_newer and all(turn.lost for turn in callback.turns)):
        yield f"{who} never came"
    if state == "delivered" and last.status != 200:
        yield f"{who} is called delivered, and its last try was not"
    elif state == "exhausted" and (not everything or last.status == 200):
        yield f"{who} was given up after {len(callback.turns)} tries"
    elif state == "superseded" and not has_newer:
        yield f"{who} is superseded by nothing"
    elif state not in {"delivered", "exhausted", "superseded"}:
        yield f"{who} is still {state} after {len(callback.turns)} tries"
    if any(turn.status == 200 for turn in callback.turns[:-1]):
        yield f"{who} was sent again after it had been taken"


def _gaps(callback: Callback, found: Findings, lag: float, down: Down, busy: Down) -> Iterator[str]:
    for turn, following in zip(callback.turns, callback.turns[1:], strict=False):
        which = f"callback {callback.id}, try {following.number}"
        if turn.lost:
            waited = alive(turn.settled or 0.0, following.claimed, busy)
            if waited > AT_ONCE_SECONDS:
                yield f"{which} was due at once and began {waited:.1f} s late"
            continue
        if turn.number > len(MINUTES[callback.preset]):
            yield f"{which} is one too many"
            continue
        wanted = MINUTES[callback.preset][turn.number - 1] * 60.0
        due = turn.at + wanted - turn.skipped
        over = alive(due, following.at, down)
        found.late.append(over / wanted)
        found.early = max(found.early, -over)
        if over < -lag:
            yield f"{which} came {-over:.3f} s early after a gap of {wanted / 60:.0f} min"
        if over > wanted * LATE_SHARE:
            yield f"{which} came {over:.1f} s late after a gap of {wanted / 60:.0f} min"


def _order(callbacks: Sequence[Callback]) -> Iterator[str]:
    """Of one subject, nothing older arrives after anything newer."""
    subjects: dict[int, list[tuple[float, int]]] = defaultdict(list)
    for callback in callbacks:
        subjects[callback.subject] += [(arrival.wall, callback.version) for arrival in callback.arrivals]
    for subject, came in subjects.items():
        versions = [version for _, version in sorted(came)]
        if versions != sorted(versions):
            yield f"subject {subject} was told in the order {versions}"
