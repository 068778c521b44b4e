"""An upstream that says exactly what a test wants, byte for byte, and keeps what it was asked."""

from __future__ import annotations

import json
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

Script = Callable[[socket.socket], None]


class ScriptedUpstream:
    """Answers one request per connection with the next of `scripts`; the last one repeats."""

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self._tls = tls
        self.requests: list[bytes] = []
        self.scripts: list[Script] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"{'https' if tls else 'http'}://127.0.0.1:{self._listener.getsockname()[1]}"
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def says(self, status: int, body: object, *, head: str = "") -> None:
        """The next answer: JSON of `body`, or the bytes as they are."""
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        answer = f"HTTP/1.1 {status} X\r\n{head}Content-Length: {len(raw)}\r\n\r\n".encode() + raw
        self.scripts.append(lambda connection: connection.sendall(answer))

    def does(self, script: Script) -> None:
        self.scripts.append(script)

    @property
    def bodies(self) -> list[bytes]:
        return [request.partition(b"\r\n\r\n")[2] for request in self.requests]

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(5)

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            connection.settimeout(5)
            try:
                with (
                    self._tls.wrap_socket(connection, server_side=True) if self._tls else connection as plain
                ):
                    self._answer(plain)
            except OSError:
                connection.close()  # the client does not trust us, as some tests want it to

    def _shaken(self, connection: socket.socket) -> socket.socket:
        return self._tls.wrap_socket(connection, server_side=True) if self._tls else connection

    def _answer(self, connection: socket.socket) -> None:
        try:
            self.requests.append(_read(connection))
            script = self.scripts.pop(0) if len(self.scripts) > 1 else self.scripts[0]
            script(connection)
        except OSError:
            return  # the client hung up, as some tests want it to


def _read(connection: socket.socket) -> bytes:
    raw = b""
    while b"\r\n\r\n" not in raw:
        raw += connection.recv(65536)
    head, _, body = raw.partition(b"\r\n\r\n")
    lengths = [line for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")]
    length = int(lengths[0].split(b":")[1]) if lengths else 0
    while len(body) < length:
        body += connection.recv(65536)
    return head + b"\r\n\r\n" + body


@contextmanager
def scripted(tls: ssl.SSLContext | None = None) -> Iterator[ScriptedUpstream]:
    upstream = ScriptedUpstream(tls)
    try:
        yield upstream
    finally:
        upstream.close()
