"""The scripted upstream: signs callbacks and posts them to the intake until each is answered with 200.

It behaves as real ones do: several connections, no order between them, a refused or unanswered callback
sent again after a while, with the same bytes. Its log is the only thing the oracle believes.
"""

from __future__ import annotations

import http.client
import threading
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from queue import Empty, Queue

from merchants import signing
from tests.soak.story import Said
from tests.soak.world import UPSTREAM_KEY, UPSTREAM_SECRET, World

PATH = "/callbacks/sandbox/"
PAUSES = (0.1, 0.2, 0.5, 1.0)
TIMEOUT_SECONDS = 15.0
OK = 200


@dataclass
class Sent:
    """A callback as its sender knows it. acknowledged_at: of the first 200, by the monotonic clock."""

    said: Said
    tries: int = 0
    acknowledged_at: float | None = None


@dataclass
class Upstream:
    """Sends callbacks over `connections` at once; keeps what was sent and what was acknowledged when."""

    world: World
    connections: int = 12
    log: dict[bytes, Sent] = field(default_factory=dict)
    answers: Counter[str] = field(default_factory=Counter)
    """How often each status was answered; `no answer` where none came."""

    def __post_init__(self) -> None:
        self._lock = threading.Lock()
        self._asked_to_stop = threading.Event()

    def send(self, line: Sequence[Said], *, per_second: float = 0.0, seconds: float = 1800.0) -> None:
        """Returns once every callback of `line` is acknowledged, or after `seconds`.

        per_second: how fast new ones are begun; 0 for as fast as they are answered.
        """
        waiting: Queue[Said] = Queue()  # a SimpleQueue may wait for ever past its timeout (CPython 3.11)
        end = time.monotonic() + seconds
        everything = threading.Event()
        posts = [
            threading.Thread(target=self._post_all, args=(waiting, everything, end), daemon=True)
            for _ in range(self.connections)
        ]
        for post in posts:
            post.start()
        began = time.monotonic()
        for number, said in enumerate(line):
            if per_second:
                time.sleep(max(0.0, began + number / per_second - time.monotonic()))
            waiting.put(said)
        everything.set()
        for post in posts:
            post.join()

    @property
    def acknowledged(self) -> list[Said]:
        with self._lock:
            return [sent.said for sent in self.log.values() if sent.acknowledged_at is not None]

    @property
    def unacknowledged(self) -> list[Said]:
        with self._lock:
            return [sent.said for sent in self.log.values() if sent.acknowledged_at is None]

    @property
    def posts(self) -> int:
        return sum(self.answers.values())

    def once(self, said: Said) -> bool:
        """One try over a connection of its own; whether it was acknowledged."""
        return self._post(_Line(self.world.intake), said)

    def _post_all(self, waiting: Queue[Said], everything: threading.Event, end: float) -> None:
        line = _Line(self.world.intake)
        while time.monotonic() < end:
            try:
                said = waiting.get(timeout=0.05)
            except Empty:
                if everything.is_set():
                    break
                continue
            pauses = iter(PAUSES)
            while not self._post(line, said) and time.monotonic() < end:
                time.sleep(next(pauses, PAUSES[-1]))
        line.close()

    def _post(self, line: _Line, said: Said) -> bool:
        with self._lock:
            sent = self.log.setdefault(said.sha256, Sent(said))
            sent.tries += 1
        status = line.post(said.raw)
        with self._lock:
            self.answers[str(status or "no answer")] += 1
            if status == OK and sent.acknowledged_at is None:
                sent.acknowledged_at = time.monotonic()
        return status == OK


class _Line:
    """One connection, made anew whenever it breaks."""

    def __init__(self, where: tuple[str, int]) -> None:
        self._where = where
        self._connection: http.client.HTTPConnection | None = None

    def post(self, raw: bytes) -> int | None:
        """The status; None when there was no whole answer."""
        try:
            if self._connection is None:
                self._connection = http.client.HTTPConnection(*self._where, timeout=TIMEOUT_SECONDS)
            self._connection.request("POST", PATH, raw, _headers(raw))
            answer = self._connection.getresponse()
            answer.read()
        except (OSError, http.client.HTTPException):
            self.close()
            return None
        return answer.status

    def close(self) -> None:
        if self._connection:
            self._connection.close()
        self._connection = None


def _headers(raw: bytes) -> dict[str, str]:
    return {
        "Content-Type": "application/json",
        signing.KEY_HEADER: UPSTREAM_KEY,
        signing.SIGNATURE_HEADER: signing.sign(UPSTREAM_SECRET, raw),
    }


def digests(told: Iterable[Said]) -> set[bytes]:
    return {said.sha256 for said in told}
