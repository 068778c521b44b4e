"""A light HTTP client in a process of its own; knows nothing of Bursar.

Requests are ready bytes, sent over keep-alive connections by one thread: some ten microseconds each, so that
the server is what is measured. Closed: every connection sends its next request when its answer is there.
Open (`per_second`): requests are due at fixed times and their latency counts from when they were due, so
that a server that stalls pays for those that waited.
"""

from __future__ import annotations

import pickle
import selectors
import socket
import subprocess
import sys
import time
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from bench.measure import Sample

TIMEOUT_SECONDS = 30.0


@dataclass(frozen=True)
class Job:
    """What to send where. requests: sent in order; `again`: from the start when all were sent."""

    where: tuple[str, int]
    requests: Sequence[bytes]
    connections: int = 8
    seconds: float = 3.0
    per_second: float = 0.0
    again: bool = True


@dataclass
class Outcome:
    """latencies in ms; began: by the wall clock; used: how many requests were sent."""

    seconds: float
    began: float = 0.0
    latencies: list[float] = field(default_factory=list)
    statuses: Counter[int] = field(default_factory=Counter)
    used: int = 0

    def sample(self, *, demand: int = 200, cpu: float = 0.0) -> Sample:
        """Raises when anything was answered otherwise: such figures would mean nothing."""
        if set(self.statuses) - {demand}:
            raise RuntimeError(f"expected {demand} only, got {dict(self.statuses)}")
        return Sample(len(self.latencies), self.seconds, self.latencies, cpu)


def run(job: Job) -> Outcome:
    """Runs the job in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-c", "from bench import load; load.serve()"],
        input=pickle.dumps(job),
        stdout=subprocess.PIPE,
        check=True,
    )
    outcome: Outcome = pickle.loads(done.stdout)  # noqa: S301 - our own child's
    return outcome


def request(
    path: str, body: bytes = b"", headers: dict[str, str] | None = None, method: str = "POST"
) -> bytes:
    """The bytes of one request."""
    lines = [f"{method} {path} HTTP/1.1", "Host: 127.0.0.1"]
    lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
    if body or method == "POST":
        lines.append(f"Content-Length: {len(body)}")
    return ("\r\n".join(lines) + "\r\n\r\n").encode() + body


class _Connection:
    """One keep-alive connection: at most one request under way."""

    def __init__(self, where: tuple[str, int]) -> None:
        self._where = where
        self._open()
        self.busy = False
        self.due = 0.0

    def _open(self) -> None:
        self.socket = socket.create_connection(self._where, TIMEOUT_SECONDS)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._received = b""

    def send(self, request: bytes, due: float) -> None:
        self.due, self.busy = due, True
        self.socket.sendall(request)

    def receive(self) -> int | None:
        """The status once the answer is whole."""
        part = self.socket.recv(65536)
        if not part:
            raise ConnectionError("the server closed a connection under way")
        self._received += part
        head, found, body = self._received.partition(b"\r\n\r\n")
        if not found:
            return None
        lowered = head.lower()
        start = lowered.find(b"content-length:")
        length = int(lowered[start + 15 :].split(b"\r\n", 1)[0]) if start >= 0 else 0
        if len(body) < length:
            return None
        self._received, self.busy = b"", False
        return int(head[9:12])


class _Client:
    def __init__(self, job: Job) -> None:
        self._job = job
        self._selector = selectors.DefaultSelector()
        self._connections = [_Connection(job.where) for _ in range(job.connections)]
        for connection in self._connections:
            self._selector.register(connection.socket, selectors.EVENT_READ, connection)
        self._idle = deque(self._connections)
        self.outcome = Outcome(0.0)

    def run(self) -> Outcome:
        began = time.monotonic()
        self.outcome.began = time.time()
        end = began + self._job.seconds
        dues = self._dues(began, end)
        due = next(dues, None)
        while due is not None or len(self._idle) < len(self._connections):
            now = time.monotonic()
            while due is not None and self._idle and due <= now:
                self._send(due if self._job.per_second else now)
                due = next(dues, None)
            pause = TIMEOUT_SECONDS if due is None or not self._idle else max(0.0, due - now)
            ready = self._selector.select(pause)
            if not ready and pause == TIMEOUT_SECONDS:
                raise TimeoutError("no answer")
            for key, _ in ready:
                self._receive(key.data)
        self.outcome.seconds = time.monotonic() - began
        return self.outcome

    def _dues(self, began: float, end: float) -> Iterator[float]:
        """When the next request is due, until the time is up or all were sent."""
        most = len(self._job.requests) if not self._job.again else sys.maxsize
        for number in range(most):
            due = began + number / self._job.per_second if self._job.per_second else 0.0
            if (due or time.monotonic()) >= end:
                return
            yield due

    def _send(self, due: float) -> None:
        requests = self._job.requests
        self._idle.popleft().send(requests[self.outcome.used % len(requests)], due)
        self.outcome.used += 1

    def _receive(self, connection: _Connection) -> None:
        status = connection.receive()
        if status is None:
            return
        self.outcome.latencies.append((time.monotonic() - connection.due) * 1000)
        self.outcome.statuses[status] += 1
        self._idle.append(connection)


def serve() -> None:
    """The child's side."""
    job: Job = pickle.load(sys.stdin.buffer)  # noqa: S301 - our own parent's
    pickle.dump(_Client(job).run(), sys.stdout.buffer)
