"""The sandbox as an HTTP server: sockets, the faults that strike at them, and the threads behind.

One thread per connection, kept alive; a GET may carry a body. The courier sends callbacks, the clockwork
carries out orders and, where asked to, mines.
"""

from __future__ import annotations

import logging
import socket
import struct
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

from payments.wire import MAX_BODY_BYTES
from sandbox import api, chain, controls, deposits, faults, payouts, store
from sandbox.api import Answer, Credentials, Request, json_answer
from sandbox.faults import Faults
from sandbox.outbox import Courier
from sandbox.store import Store

log = logging.getLogger(__name__)

_TICK_SECONDS = 0.1
_MOST_BODY_BYTES = 16 * MAX_BODY_BYTES
_RESET_AT_CLOSE = struct.pack("ii", 1, 0)
"""SO_LINGER with a time of zero: closing sends RST."""


@dataclass(frozen=True)
class Settings:
    """How a sandbox runs. port: 0 takes a free one. block_every: seconds between own blocks, 0 for none."""

    state: Path
    credentials: Credentials
    control_token: str = field(repr=False)
    callback_url: str = ""
    host: str = "127.0.0.1"
    port: int = 0
    block_every: float = 0
    orders_take_seconds: float = 1


class Sandbox:
    """A running sandbox: listening from the moment it is made, at work from `start` until `stop`."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.http = _Listener((settings.host, settings.port), _Connection)
        settings.state.parent.mkdir(parents=True, exist_ok=True)
        self.store = Store(settings.state)
        with self.store.transaction() as db:
            store.put(db, "orders_take_seconds", str(settings.orders_take_seconds))
        self.http.sandbox = self
        self._stopping = threading.Event()
        self._threads = [
            threading.Thread(target=self.http.serve_forever, args=(_TICK_SECONDS,), name="http", daemon=True),
            threading.Thread(target=self._turn, name="clockwork", daemon=True),
        ]
        self._courier = self._new_courier()

    @property
    def url(self) -> str:
        host, port = self.http.server_address[:2]
        return f"http://{host!s}:{port}"

    def start(self) -> None:
        for thread in self._threads:
            thread.start()
        if self._courier:
            self._courier.start()

    def stop(self) -> None:
        """Ends every thread, then closes the file; what was queued stays queued."""
        self._stopping.set()
        self.http.shutdown()
        self.http.server_close()
        for thread in self._threads:
            thread.join(5)
        if self._courier:
            self._courier.stop()
        self.store.close()

    def answer(self, request: Request) -> Answer:
        """What a request is answered with; faults aside."""
        if request.path.startswith(api.PREFIX):
            return api.answer(self.store, self.settings.credentials, request)
        if request.path.startswith(controls.PREFIX):
            return controls.answer(self.store, self.settings.control_token, request)
        if request.path == "/healthz":
            return Answer(200, b"ok", "text/plain")
        return json_answer(404, {"error": "Not found", "code": "not_found"})

    def strike(self, request: Request) -> Faults | None:
        """The faults that hit this request."""
        if not request.path.startswith(api.PREFIX):
            return None
        with self.store.transaction() as db:
            return faults.strike(db, request.path.removeprefix(api.PREFIX))

    def _new_courier(self) -> Courier | None:
        url, client = self.settings.callback_url, self.settings.credentials
        return Courier(self.store, url=url, key=client.key, secret=client.secret) if url else None

    def _turn(self) -> None:
        next_block = time.monotonic() + self.settings.block_every
        while not self._stopping.wait(_TICK_SECONDS):
            with self.store.transaction() as db:
                payouts.carry_out_due(db)
                if self.settings.block_every and time.monotonic() >= next_block:
                    next_block += self.settings.block_every
                    deposits.mine(db, chain.NETWORKS, 1)


class _Listener(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128
    sandbox: Sandbox


class _Connection(BaseHTTPRequestHandler):
    """Reads requests off one connection and writes their answers."""

    protocol_version = "HTTP/1.1"
    server_version = "BursarSandbox"
    sys_version = ""
    timeout = 60
    wbufsize = -1  # one packet for head and body
    disable_nagle_algorithm = True
    server: _Listener

    def _serve(self) -> None:
        request = self._read()
        if request is None:
            self.close_connection = True
            self._write(json_answer(400, {"error": "Bad content format", "code": "bad_content_format"}))
            return
        sandbox = self.server.sandbox
        struck = sandbox.strike(request)
        if struck is None:
            self._write(sandbox.answer(request))
            return
        answer = json_answer(503, {"error": "Out of order", "code": "fault"})
        if not struck.api_before:
            answer = sandbox.answer(request)
        self._write_struck(struck, answer)

    do_GET = do_POST = do_HEAD = do_PUT = do_DELETE = do_PATCH = _serve  # noqa: N815 - http.server's names

    def _read(self) -> Request | None:
        """The request with its body; None when its length is unknown or beyond all measure."""
        length = self.headers.get("Content-Length", "0")
        if not length.isdecimal() or int(length) > _MOST_BODY_BYTES or "Transfer-Encoding" in self.headers:
            return None
        url = urlsplit(self.path)
        return Request(
            method=self.command,
            path=url.path,
            query=url.query,
            headers={name.lower(): value for name, value in self.headers.items()},
            body=self.rfile.read(int(length)),
        )

    def _write(self, answer: Answer, *, cut: int = 0) -> None:
        """cut: how many bytes at the end are promised and not sent."""
        self.send_response(answer.status)
        self.send_header("Content-Type", answer.content_type)
        self.send_header("Content-Length", str(len(answer.body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(answer.body[: len(answer.body) - cut])

    def _write_struck(self, struck: Faults, answer: Answer) -> None:
        time.sleep(struck.api_hang)
        if struck.api_reset:
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_AT_CLOSE)
            self.close_connection = True
        elif struck.api_status:
            self._write(Answer(struck.api_status, b"<html>out of order</html>", "text/html"))
        elif struck.api_truncate:
            self.close_connection = True
            self._write(answer, cut=len(answer.body) // 2 + 1)
        else:
            self._write(answer)

    def log_message(self, format: str, *args: object) -> None:
        log.debug(format, *args)
