"""The scripted upstream: signs callbacks and posts them to the intake until each is answered with 200.

It behaves as real ones do: several connections, no order between them, a refused or unanswered callback
sent again after a while, with the same bytes. Its log is the only thing the oracle believes.

A server closes a connection that nobody used for a while, and its client may learn of that only when it
next sends. HTTP clients then send the request again on a fresh connection (RFC 9112, 9.3.1), and so does this
one where that is the only explanation: long idle, and not a byte of an answer. All else is a failure.
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
MAY_BE_CLOSED_AFTER_SECONDS = 14.0
"""Of idleness. The intake closes a connection that was idle for 15 s, by a clock that ticks every second."""


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
    silences: Counter[str] = field(default_factory=Counter)
    """Why no answer came: what went wrong, and how long the connection had been idle."""
    renewed: list[float] = field(default_factory=list)
    """For how many seconds each connection had been idle that was found closed by the other side."""

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
            if line.silence:
                self.silences[line.silence] += 1
            if line.renewed is not None:
                self.renewed.append(line.renewed)
            if status == OK and sent.acknowledged_at is None:
                sent.acknowledged_at = time.monotonic()
        return status == OK


class _Line:
    """One connection, made anew whenever it breaks.

    silence: why the last callback got no answer, if so. renewed: for how many seconds the connection had been
    idle that was closed when it came to the last callback, which then went over a fresh one.
    """

    def __init__(self, where: tuple[str, int]) -> None:
        self._where = where
        self._connection: http.client.HTTPConnection | None = None
        self._answered_at: float | None = None
        self.silence = ""
        self.renewed: float | None = None

    def post(self, raw: bytes) -> int | None:
        """The status; None when there was no whole answer."""
        self.silence, self.renewed = "", None
        idle = None if self._answered_at is None else time.monotonic() - self._answered_at
        try:
            return self._exchange(raw)
        except _WasClosed as closed:
            if idle is None or idle < MAY_BE_CLOSED_AFTER_SECONDS:
                return self._give_up(closed, idle)
            self.close()
            self.renewed = idle
        except (OSError, http.client.HTTPException) as error:
            return self._give_up(error, idle)
        try:
            return self._exchange(raw)
        except (OSError, http.client.HTTPException) as error:
            return self._give_up(error, None)

    def _exchange(self, raw: bytes) -> int:
        """Raises `_WasClosed` when the connection ended before a byte of an answer came."""
        if self._connection is None:
            self._connection = http.client.HTTPConnection(*self._where, timeout=TIMEOUT_SECONDS)
            self._connection.connect()
        try:
            self._connection.request("POST", PATH, raw, _headers(raw))
            answer = self._connection.getresponse()
        except (http.client.RemoteDisconnected, ConnectionResetError, BrokenPipeError) as error:
            raise _WasClosed(type(error).__name__) from None
        answer.read()
        if answer.will_close:
            self.close()
        else:
            self._answered_at = time.monotonic()
        return answer.status

    def _give_up(self, error: Exception, idle: float | None) -> None:
        self.close()
        what = str(error) if isinstance(error, _WasClosed) else type(error).__name__
        where = "a fresh connection" if idle is None else f"a connection idle for {idle:.1f} s"
        self.silence = f"{what} on {where}"

    def close(self) -> None:
        if self._connection:
            self._connection.close()
        self._connection, self._answered_at = None, None


class _WasClosed(http.client.HTTPException):
    """The other side closed the connection, and nothing of an answer had come."""


def _headers(raw: bytes) -> dict[str, str]:
    return {
        "Content-Type": "application/json",
        signing.KEY_HEADER: UPSTREAM_KEY,
        signing.SIGNATURE_HEADER: signing.sign(UPSTREAM_SECRET, raw),
    }


def digests(told: Iterable[Said]) -> set[bytes]:
    return {said.sha256 for said in told}
