"""Merchants' servers as they really are: on real sockets, and as slow, rude or broken as a test wants."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Self


@dataclass(frozen=True)
class Request:
    """One request as it stood on the wire."""

    head: str
    body: bytes
    at: float = field(default_factory=time.monotonic)

    @property
    def headers(self) -> dict[str, str]:
        lines = self.head.split("\r\n")[1:]
        return dict(line.split(": ", 1) for line in lines if line)

    @property
    def line(self) -> str:
        return self.head.split("\r\n", 1)[0]


Behaviour = Callable[[socket.socket, Request], bool]
"""Answers one request on the connection; True when the connection is kept for another."""


class Receiver:
    """A server on a loopback port that behaves as told and remembers what it was sent."""

    def __init__(self, behaviour: Behaviour, *, tls: ssl.SSLContext | None = None) -> None:
        self.behaviour = behaviour
        self.requests: list[Request] = []
        self.connections = 0
        self.most_at_once = 0
        self._busy = 0
        self._lock = threading.Lock()
        self._tls = tls
        self._open: list[socket.socket] = []
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=200)
        self.port = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._accept, daemon=True)

    @property
    def url(self) -> str:
        return f"{'https' if self._tls else 'http'}://127.0.0.1:{self.port}/callback"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join()
        for connection in self._open:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
            connection.close()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            self._open.append(connection)
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, raw: socket.socket) -> None:
        with contextlib.suppress(OSError, ssl.SSLError):
            connection = self._tls.wrap_socket(raw, server_side=True) if self._tls else raw
            self._open.append(connection)
            while (request := read_request(connection)) and self._answer(connection, request):
                pass
            connection.close()

    def _answer(self, connection: socket.socket, request: Request) -> bool:
        with self._lock:
            self.requests.append(request)
            self._busy += 1
            self.most_at_once = max(self.most_at_once, self._busy)
        try:
            return self.behaviour(connection, request)
        finally:
            with self._lock:
                self._busy -= 1


def read_request(connection: socket.socket) -> Request | None:
    """The next request, or None at the end."""
    data = b""
    while b"\r\n\r\n" not in data:
        more = connection.recv(65536)
        if not more:
            return None
        data += more
    head, _, body = data.partition(b"\r\n\r\n")
    lines = head.decode("latin-1").lower().split("\r\n")
    length = next(int(line.split(":")[1]) for line in lines if line.startswith("content-length:"))
    while len(body) < length:
        body += connection.recv(65536)
    return Request(head.decode("latin-1"), body)


def answers(status: int = 200, body: bytes = b"OK", *, headers: str = "", keep: bool = True) -> Behaviour:
    """A well-behaved receiver."""

    def behave(connection: socket.socket, _: Request) -> bool:
        close = "" if keep else "Connection: close\r\n"
        head = f"HTTP/1.1 {status} Said\r\nContent-Length: {len(body)}\r\n{close}{headers}\r\n"
        connection.sendall(head.encode("latin-1") + body)
        return keep

    return behave


def says(raw: bytes) -> Behaviour:
    """Sends exactly these bytes and hangs up."""

    def behave(connection: socket.socket, _: Request) -> bool:
        connection.sendall(raw)
        return False

    return behave


def hangs(seconds: float = 30.0) -> Behaviour:
    """Takes the request and says nothing."""

    def behave(connection: socket.socket, _: Request) -> bool:
        connection.settimeout(seconds)
        with contextlib.suppress(OSError):
            connection.recv(1)
        return False

    return behave


def drips(raw: bytes, *, every: float = 0.05) -> Behaviour:
    """Sends its answer one byte at a time."""

    def behave(connection: socket.socket, _: Request) -> bool:
        for number in range(len(raw)):
            connection.sendall(raw[number : number + 1])
            time.sleep(every)
        return False

    return behave


def resets() -> Behaviour:
    """Takes the request and resets the connection."""

    def behave(connection: socket.socket, _: Request) -> bool:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")
        return False

    return behave


def in_turn(*behaviours: Behaviour) -> Behaviour:
    """Each request gets the next behaviour; the last one stays."""
    waiting = list(behaviours)
    lock = threading.Lock()

    def behave(connection: socket.socket, request: Request) -> bool:
        with lock:
            behaviour = waiting.pop(0) if len(waiting) > 1 else waiting[0]
        return behaviour(connection, request)

    return behave
