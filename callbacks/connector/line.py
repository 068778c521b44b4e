"""A connection under a clock: dial a checked address, send, read an answer; never past the deadline.

A socket's own time-out starts anew with each byte, so a receiver that drips could hold us for ever. Here
every single wait, from the TLS handshake over the status line to the last byte, gets what is left of one
deadline. The answer is parsed by `http.client`; redirects, proxies and encodings do not exist here.
"""

from __future__ import annotations

import http.client
import io
import socket
import ssl
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

from urllib3.util import wait_for_read

from callbacks.connector.targets import Target

MOST_BODY = 64 * 1024
MOST_HEADERS = 64 * 1024
MOST_FRAMING = 1024 * 1024
"""What a body may take on the wire; chunks of one byte would otherwise cost far more than they carry."""
CONNECT_SECONDS = 4.0
"""Of the deadline, what one address may use up while there are others."""
IDLE_SECONDS = 15.0
OLDEST_SECONDS = 60.0
"""A kept connection is dropped after this, so that a changed name is looked up again."""


class Deadline:
    """A moment by the monotonic clock."""

    def __init__(self, seconds: float) -> None:
        self._began = time.monotonic()
        self._end = self._began + seconds

    @property
    def ms(self) -> int:
        """Milliseconds since it was set."""
        return round((time.monotonic() - self._began) * 1000)

    def left(self) -> float:
        """Seconds left, more than 0. Raises TimeoutError."""
        left = self._end - time.monotonic()
        if left <= 0:
            raise TimeoutError("the deadline has passed")
        return left


class TooMuch(http.client.HTTPException):
    """the headers or the framing of the answer are too long"""


class CutOff(http.client.HTTPException):
    """the answer ended early"""


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back. body: at most 64 kB. reusable: the connection is ready for another request."""

    status: int
    headers: dict[str, str]
    body: bytes
    reusable: bool


class Line:
    """One open connection to one checked address; used by one thread at a time."""

    def __init__(self, sock: socket.socket, address: str) -> None:
        self._sock = sock
        self.address = address
        self._opened = self._used = time.monotonic()
        self.heard = 0
        """Bytes received for the present request."""

    def send(self, request: bytes, deadline: Deadline) -> None:
        """The request's exact bytes, head and body."""
        self.heard = 0
        view = memoryview(request)
        while view:
            self._sock.settimeout(deadline.left())
            view = view[self._sock.send(view) :]

    def receive(self, deadline: Deadline) -> Reply:
        """The answer. Raises TimeoutError, OSError, http.client.HTTPException."""
        reader = _Reader(self, deadline)
        response = http.client.HTTPResponse(reader, method="POST")  # type: ignore[arg-type] # only makefile is used
        try:
            response.begin()
            reader.allowance = MOST_FRAMING
            body = response.read(MOST_BODY)
            if response.length and len(body) < MOST_BODY:
                raise CutOff(CutOff.__doc__)
            whole = response.isclosed() or response.length == 0
            headers = dict(response.getheaders())
            return Reply(response.status, headers, body, whole and not response.will_close)
        finally:
            self._used = time.monotonic()
            response.close()

    def read_into(self, buffer: memoryview, deadline: Deadline) -> int:
        self._sock.settimeout(deadline.left())
        count = self._sock.recv_into(buffer)
        self.heard += count
        return count

    @property
    def is_fresh(self) -> bool:
        """Young enough to be used again, and silent: bytes or an end that nobody asked for spoil it."""
        now = time.monotonic()
        young = now - self._used < IDLE_SECONDS and now - self._opened < OLDEST_SECONDS
        return young and not wait_for_read(self._sock, timeout=0)

    def close(self) -> None:
        self._sock.close()


class _Reader(io.RawIOBase):
    """What `http.client` reads from: the line's bytes, each read under the deadline, up to an allowance."""

    def __init__(self, line: Line, deadline: Deadline) -> None:
        self._line, self._deadline = line, deadline
        self.allowance = MOST_HEADERS

    def makefile(self, _mode: str) -> io.BufferedReader:
        return io.BufferedReader(self)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override] # BufferedReader gives a memoryview
        count = self._line.read_into(buffer, self._deadline)
        self.allowance -= count
        if self.allowance < 0:
            raise TooMuch(TooMuch.__doc__)
        return count


def dial(target: Target, addresses: Sequence[str], deadline: Deadline) -> Line:
    """Connects to the first of the checked addresses that answers. Raises OSError.

    For https the certificate must be valid for the URL's own host.
    """
    for number, address in enumerate(addresses, start=1):
        last = number == len(addresses)
        try:
            sock = _connected(address, target.port, deadline, patient=last)
        except OSError:
            if last:
                raise
            continue
        return Line(_secured(sock, target, deadline) if target.scheme == "https" else sock, address)
    raise OSError("no address to dial")


def _connected(address: str, port: int, deadline: Deadline, *, patient: bool) -> socket.socket:
    left = deadline.left()
    sock = socket.create_connection((address, port), left if patient else min(left, CONNECT_SECONDS))
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock


def _secured(sock: socket.socket, target: Target, deadline: Deadline) -> ssl.SSLSocket:
    try:
        sock.settimeout(deadline.left())
        return _tls().wrap_socket(sock, server_hostname=target.host.rstrip("."))
    except BaseException:
        sock.close()
        raise


@cache
def _tls() -> ssl.SSLContext:
    """The system's trust, kept, since reading it costs more than a handshake."""
    return ssl.create_default_context()
