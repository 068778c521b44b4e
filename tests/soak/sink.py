"""The merchants' receivers: one fast process that listens for many merchants, each at a path of its own.

It answers by script (failures first, then 200; or never), checks every signature over the bytes that came,
with arithmetic of its own, and writes a line per request: when, where, which bytes, what was answered.
`Sink` starts it and reads what it wrote. It imports nothing of Bursar.

    with listening(directory) as sink:
        sink.open("/shop", key, secret, Script(seed=1, most=12))
        ... sink.url("/shop") ... sink.arrivals()
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import socket
import struct
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import IO, Any, NamedTuple

OK, LATE_OK, HANG, STRAY = "200", "late 200", "hang", "stray"
KINDS = {"500": 40, "429": 5, "404": 5, "late 500": 20, "redirect": 8, "cut": 10, "reset": 10, HANG: 1}
"""How a request may be failed, with weights. `cut` is a 200 whose body ends early."""
LATE_SECONDS = 0.4
FOLLOWED = "/followed"
"""Where redirects point; nobody may ever come there."""


@dataclass(frozen=True)
class Script:
    """How one merchant's receiver behaves, as a function of the seed and the body's bytes.

    most: each body is failed 0 .. most times before it is taken. late: the share of 200s that come late.
    dead: never answers anything.
    """

    seed: int = 0
    most: int = 0
    late: float = 0.0
    dead: bool = False

    def failures(self, sha: str) -> int:
        return self._draw(sha, "failures") % (self.most + 1)

    def answer(self, sha: str, came_before: int, hangs: int) -> str:
        """hangs: how many requests at this path hang already; a receiver that fails keeps one hand free."""
        if self.dead:
            return HANG
        if came_before >= self.failures(sha):
            return LATE_OK if self._draw(sha, "late") % 1000 < self.late * 1000 else OK
        drawn = self._draw(sha, f"kind {came_before}") % sum(KINDS.values())
        for kind, weight in KINDS.items():
            drawn -= weight
            if drawn < 0:
                return kind if kind != HANG or not hangs else "500"
        raise AssertionError(drawn)

    def _draw(self, *what: object) -> int:
        return int.from_bytes(hashlib.sha256(f"{self.seed} {what}".encode()).digest()[:6])


class Arrival(NamedTuple):
    """One request. monotonic, wall: when its first byte was read. at_once: unanswered ones there, with it.

    told: 0-based, how often these bytes had come there before.
    """

    monotonic: float
    wall: float
    path: str
    is_signed: bool
    answer: str
    at_once: int
    told: int
    sha: str
    body: str


# --- the process ---


@dataclass
class Place:
    """One path. came: how often each body was received."""

    key: bytes
    secret: bytes
    script: Script
    came: Counter[str] = field(default_factory=Counter)
    at_once: int = 0
    hangs: int = 0


class Receivers:
    """All paths and the log. lag: the longest that the event loop was late, in seconds."""

    def __init__(self, log: IO[str]) -> None:
        self.places: dict[str, Place] = {}
        self.log = log
        self.lag = 0.0

    async def watch_itself(self, every: float = 0.02) -> None:
        while True:
            began = time.monotonic()
            await asyncio.sleep(every)
            self.lag = max(self.lag, time.monotonic() - began - every)

    def take(self, began: tuple[float, float], path: str, head: dict[bytes, bytes], body: bytes) -> str:
        """Notes the request and returns how to answer it."""
        sha, place = hashlib.sha256(body).hexdigest(), self.places.get(path)
        signed, answer, told, at_once = False, STRAY, 0, 0
        if place:
            wanted = hmac.digest(place.secret, body, "sha512").hex().encode()
            signed = head.get(b"x-processing-signature") == wanted
            signed = signed and head.get(b"x-processing-key") == place.key
            told = place.came[sha]
            answer = place.script.answer(sha, told, place.hangs)
            place.came[sha] += 1
            place.at_once += 1
            place.hangs += answer == HANG
            at_once = place.at_once
        line = Arrival(*began, path, signed, answer, at_once, told, sha, body.decode("latin-1"))
        self.log.write(json.dumps(line) + "\n")
        return answer


class Receiver(asyncio.Protocol):
    """One connection: one request after the other."""

    def __init__(self, receivers: Receivers) -> None:
        self._all = receivers
        self._buffer = bytearray()
        self._began = (0.0, 0.0)
        self._open: tuple[Place, str] | None = None
        self._requests = 0

    def connection_made(self, transport: Any) -> None:
        self._transport = transport
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def data_received(self, data: bytes) -> None:
        if not self._buffer:
            self._began = time.monotonic(), time.time()
        self._buffer += data
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0:
            return
        first, *lines = bytes(self._buffer[:end]).split(b"\r\n")
        head = {name.lower(): value.strip() for name, _, value in (line.partition(b":") for line in lines)}
        whole = end + 4 + int(head.get(b"content-length", b"0"))
        if len(self._buffer) >= whole:
            body = bytes(self._buffer[end + 4 : whole])
            del self._buffer[:whole]
            self._answer(first.split(b" ")[1].decode("latin-1"), head, body)

    def _answer(self, path: str, head: dict[bytes, bytes], body: bytes) -> None:
        answer = self._all.take(self._began, path, head, body)
        place = self._all.places.get(path)
        self._open = (place, answer) if place else None
        self._requests += 1
        late, _, status = answer.rpartition("late ")
        if late or status != answer:
            asyncio.get_running_loop().call_later(LATE_SECONDS, self._say, status)
        elif answer != HANG:
            self._say(answer)

    def _say(self, answer: str) -> None:
        self._close()
        if answer == "reset":
            self._reset()
        elif answer == "cut":
            self._transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nOK, but")
            self._transport.close()
        elif answer == "redirect":
            to = FOLLOWED.encode()
            self._transport.write(b"HTTP/1.1 302 Found\r\nLocation: " + to + b"\r\nContent-Length: 0\r\n\r\n")
        else:
            status = b"404" if answer == STRAY else answer.encode()
            self._transport.write(b"HTTP/1.1 " + status + b" Said\r\nContent-Length: 2\r\n\r\nOK")

    def _reset(self) -> None:
        """On a kept connection a part of an answer goes ahead.

        Otherwise whoever posts may rightly take it for a connection that had been closed, and dial anew.
        """
        if self._requests > 1:
            self._transport.write(b"HTTP/1.1 20")
        linger = struct.pack("ii", 1, 0)
        self._transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self._transport.abort()

    def connection_lost(self, _error: Exception | None) -> None:
        self._close()

    def _close(self) -> None:
        if self._open:
            place, answer = self._open
            place.at_once -= 1
            place.hangs -= answer == HANG
            self._open = None


async def _serve(log: Path) -> None:
    loop = asyncio.get_running_loop()
    with log.open("w") as file:
        receivers = Receivers(file)
        watch = loop.create_task(receivers.watch_itself())
        server = await loop.create_server(lambda: Receiver(receivers), "127.0.0.1", 0, backlog=1024)
        print(json.dumps({"port": server.sockets[0].getsockname()[1]}), flush=True)
        orders = asyncio.StreamReader()
        await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(orders), sys.stdin)
        while line := await orders.readline():
            order = json.loads(line)
            if order:
                script = Script(**order["script"])
                receivers.places[order["path"]] = Place(
                    order["key"].encode(), order["secret"].encode(), script
                )
            file.flush()
            print(json.dumps({"lag": receivers.lag}), flush=True)
        watch.cancel()
        server.close()


# --- whoever started it ---


class Sink:
    """The receivers' process, as the scenario holds it."""

    def __init__(self, directory: Path, name: str) -> None:
        self._log = directory / f"{name}.arrivals"
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.soak.sink", str(self._log)],
            cwd=Path(__file__).parents[2],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        self.port: int = self._heard()["port"]

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.port}{path}"

    def open(self, path: str, key: str, secret: str, script: Script) -> None:
        """Listens at `path` for a merchant with that key."""
        self._tell({"path": path, "key": key, "secret": secret, "script": asdict(script)})

    def arrivals(self) -> list[Arrival]:
        """All requests so far, in order."""
        self.lag()
        return [Arrival(*json.loads(line)) for line in self._log.read_text().splitlines()]

    def lag(self) -> float:
        """How late its notes may be: the longest that its event loop was held up, in seconds."""
        return float(self._tell({})["lag"])

    def close(self) -> None:
        self._process.communicate()  # the end of its orders is its end

    def _tell(self, order: dict[str, Any]) -> dict[str, Any]:
        assert self._process.stdin
        self._process.stdin.write(json.dumps(order).encode() + b"\n")
        self._process.stdin.flush()
        return self._heard()

    def _heard(self) -> dict[str, Any]:
        assert self._process.stdout
        heard: dict[str, Any] = json.loads(self._process.stdout.readline())
        return heard


@contextmanager
def listening(directory: Path, name: str = "sink") -> Iterator[Sink]:
    """A sink that is gone afterwards; its log stays in `directory`."""
    sink = Sink(directory, name)
    try:
        yield sink
    finally:
        sink.close()


if __name__ == "__main__":
    asyncio.run(_serve(Path(sys.argv[1])))
