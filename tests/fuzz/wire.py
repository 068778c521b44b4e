"""Requests as exact bytes, and their way over a socket of their own.

A request is the parts that are written, each after its pause, and how the writing ends. Nothing is added
or mended on the way, and a request that was kept as JSON is sent again byte for byte.
"""

from __future__ import annotations

import base64
import json
import socket
import time
from contextlib import suppress
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

GIVES_UP_SECONDS = 15.0
_MOST_ANSWER_BYTES = 1_000_000


class Door(StrEnum):
    API = "api"
    INTAKE = "intake"


class Ending(StrEnum):
    """What the client does once everything is written."""

    READ = "read"  # waits for its answers, as clients do
    HALF = "half"  # says that nothing more comes, then waits
    CLOSE = "close"  # goes away without looking


class Due(StrEnum):
    """What the promise says of the answers."""

    ANY = "any"  # a readable HTTP request: it is answered, by whatever fits
    REFUSED = "refused"  # it proves nothing, and must not succeed
    MAYBE = "maybe"  # no HTTP at all, or broken off: it may go unanswered


@dataclass(frozen=True)
class Part:
    data: bytes
    pause: float = 0.0


@dataclass(frozen=True)
class Request:
    """One entry of the trial. bodies: what a 200 at the intake acknowledges, in order.

    method: of the first request, since the answer to HEAD has no body.
    """

    number: int
    door: Door
    kind: str
    parts: tuple[Part, ...]
    due: Due = Due.ANY
    ending: Ending = Ending.READ
    answers: int = 1
    method: str = "POST"
    path: str = ""
    bodies: tuple[bytes, ...] = ()

    def kept(self) -> dict[str, Any]:
        """As JSON, for a file that replays it."""
        return {
            "number": self.number,
            "door": self.door,
            "kind": self.kind,
            "due": self.due,
            "ending": self.ending,
            "answers": self.answers,
            "method": self.method,
            "path": self.path,
            "parts": [{"base64": _text(part.data), "pause": part.pause} for part in self.parts],
            "bodies": [_text(body) for body in self.bodies],
        }


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()


def read_kept(path: Path) -> Request:
    """The request that a file of findings holds."""
    kept = json.loads(path.read_text())
    return Request(
        number=kept["number"],
        door=Door(kept["door"]),
        kind=kept["kind"],
        due=Due(kept["due"]),
        ending=Ending(kept["ending"]),
        answers=kept["answers"],
        method=kept["method"],
        path=kept["path"],
        parts=tuple(Part(base64.b64decode(part["base64"]), part["pause"]) for part in kept["parts"]),
        bodies=tuple(base64.b64decode(body) for body in kept["bodies"]),
    )


@dataclass
class Answer:
    """One HTTP answer; headers by lower-case name, the last of each."""

    status: int
    headers: dict[str, str]
    body: bytes


@dataclass
class Exchange:
    """What came of a request. seconds: the longest wait for an answer, since the last byte was written or
    since the answer before it.
    """

    answers: list[Answer] = field(default_factory=list)
    seconds: float = 0.0
    ended: str = ""  # "reset", "closed", "silent", "unreadable", or nothing


class Unreadable(Exception):
    """The bytes that came are no HTTP answer."""


def send(request: Request, address: tuple[str, int]) -> Exchange:
    """Writes the request and reads what comes back. Never raises for what the server does."""
    exchange = Exchange()
    try:
        with socket.create_connection(address, timeout=GIVES_UP_SECONDS) as connection:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            _write(request, connection)
            if request.ending is Ending.CLOSE:
                return exchange
            _read(request, connection, exchange)
    except TimeoutError:
        exchange.ended = "silent"
    except ConnectionError:
        exchange.ended = "reset"
    except Unreadable:
        exchange.ended = "unreadable"
    return exchange


def _write(request: Request, connection: socket.socket) -> None:
    """A server that has refused already may have stopped listening: its answer is read all the same."""
    with suppress(OSError):
        for part in request.parts:
            if part.pause:
                time.sleep(part.pause)
            connection.sendall(part.data)
        if request.ending is Ending.HALF:
            connection.shutdown(socket.SHUT_WR)


def _read(request: Request, connection: socket.socket, exchange: Exchange) -> None:
    buffer = Buffer(connection)
    while len(exchange.answers) < request.answers:
        since = time.monotonic()
        try:
            answer = buffer.answer(without_body=request.method == "HEAD")
        finally:
            exchange.seconds = max(exchange.seconds, time.monotonic() - since)
        if answer is None:
            exchange.ended = "closed"
            return
        exchange.answers.append(answer)
        if answer.headers.get("connection", "").lower() == "close":
            return


class Buffer:
    """Takes answers off a connection."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._bytes = b""

    def answer(self, *, without_body: bool) -> Answer | None:
        """The next answer, past any `100 Continue`; None at the end of the connection."""
        while True:
            head = self._until(b"\r\n\r\n")
            if head is None:
                return None
            status, headers = _parsed(head)
            if status >= 200:
                break
        return Answer(status, headers, b"" if without_body else self._body(status, headers))

    def _body(self, status: int, headers: dict[str, str]) -> bytes:
        if status in {204, 304}:
            return b""
        if "content-length" in headers:
            return self._exactly(int(headers["content-length"]))
        if "chunked" in headers.get("transfer-encoding", ""):
            return self._chunks()
        while self._more():
            pass
        taken, self._bytes = self._bytes, b""
        return taken

    def _chunks(self) -> bytes:
        whole = b""
        while size := int((self._until(b"\r\n") or b"0").split(b";")[0], 16):
            whole += self._exactly(size)
            self._exactly(2)
        self._exactly(2)
        return whole

    def _until(self, mark: bytes) -> bytes | None:
        while mark not in self._bytes:
            if not self._more():
                if self._bytes:
                    raise Unreadable
                return None
        taken, self._bytes = self._bytes.split(mark, 1)
        return taken

    def _exactly(self, count: int) -> bytes:
        while len(self._bytes) < count:
            if not self._more():
                raise Unreadable
        taken, self._bytes = self._bytes[:count], self._bytes[count:]
        return taken

    def _more(self) -> bool:
        fresh = self._connection.recv(65_536)
        self._bytes += fresh
        if len(self._bytes) > _MOST_ANSWER_BYTES:
            raise Unreadable
        return bool(fresh)


def _parsed(head: bytes) -> tuple[int, dict[str, str]]:
    first, *lines = head.decode("latin-1").split("\r\n")
    words = first.split(" ", 2)
    if not words[0].startswith("HTTP/1.") or len(words) < 2 or not words[1].isdigit():
        raise Unreadable
    pairs = (line.partition(":") for line in lines)
    return int(words[1]), {name.strip().lower(): value.strip() for name, _, value in pairs}
