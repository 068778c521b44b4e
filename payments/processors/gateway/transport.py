"""One HTTP exchange with an upstream: signed bytes out, bounded bytes back, within a deadline.

A connection serves one exchange. A kept-alive one may be closed by the other side just when it is used, and
then nobody can say whether an order was taken. Redirects are not followed and no proxy of the environment
is used: the bytes are signed for one place.
"""

from __future__ import annotations

import socket
import ssl
import threading
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from urllib.parse import urlsplit

from merchants import signing
from payments.processors.base import ProcessorError, Unreachable

CONNECT_OR_READ_SECONDS = 10.0
DEADLINE_SECONDS = 30.0
MOST_BYTES = 8 * 1024 * 1024
API = "/api/v2/"


@dataclass(frozen=True, slots=True)
class Answer:
    """An upstream's answer, complete as sent."""

    status: int
    body: bytes


class Transport:
    """The way to one upstream."""

    def __init__(self, *, url: str, key: str, secret: str, deadline: float = DEADLINE_SECONDS) -> None:
        """url: scheme, host and port, perhaps a path before `/api/v2/`. Raises `ProcessorError`."""
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"} or not parts.hostname or parts.username is not None:
            raise ProcessorError("an upstream's url is http(s)://host[:port], without a name or password")
        self._secure, self._host, self._port = parts.scheme == "https", parts.hostname, parts.port
        self._base = parts.path.rstrip("/") + API
        self._key, self._secret, self._deadline = key, secret, deadline

    def __repr__(self) -> str:
        return f"<Transport to {self._host}>"

    def exchange(self, path: str, body: bytes, *, method: str = "POST") -> Answer:
        """Sends exactly `body`, signed. Raises `Unreachable` for anything but a complete answer."""
        connection = self._connection()
        watchdog = _Watchdog(connection, self._deadline)
        try:
            connection.request(method, self._base + path, body=body, headers=self._headers(body))
            answer = connection.getresponse()
            raw = answer.read(MOST_BYTES + 1)
        except (OSError, HTTPException, ValueError) as error:
            raise Unreachable(f"{path}: {type(error).__name__}") from None
        finally:
            watchdog.call_off()
            connection.close()
        if watchdog.has_bitten:
            raise Unreachable(f"{path}: no whole answer in {self._deadline:g} s")
        if answer.length or len(raw) > MOST_BYTES:  # length: how much was promised and did not come
            raise Unreachable(f"{path}: the answer is cut short, or too long")
        return Answer(answer.status, raw)

    def _connection(self) -> HTTPConnection:
        timeout = min(CONNECT_OR_READ_SECONDS, self._deadline)
        if self._secure:
            context = ssl.create_default_context()
            return HTTPSConnection(self._host, self._port, timeout=timeout, context=context)
        return HTTPConnection(self._host, self._port, timeout=timeout)

    def _headers(self, body: bytes) -> dict[str, str]:
        return {
            "Content-Type": "application/json",
            "Accept": "application/json",
            signing.KEY_HEADER: self._key,
            signing.SIGNATURE_HEADER: signing.sign(self._secret, body),
        }


class _Watchdog:
    """Cuts a connection when its time is up, however often single bytes keep coming."""

    def __init__(self, connection: HTTPConnection, seconds: float) -> None:
        self.has_bitten = False
        self._connection = connection
        self._timer = threading.Timer(seconds, self._bite)
        self._timer.daemon = True
        self._timer.start()

    def call_off(self) -> None:
        self._timer.cancel()

    def _bite(self) -> None:
        self.has_bitten = True
        plugged = self._connection.sock
        if plugged is not None:
            try:
                # The plain socket's: an SSL socket's own would pull the state from under a reading thread.
                socket.socket.shutdown(plugged, socket.SHUT_RDWR)
            except OSError:
                return  # closed already, which is as good
