"""Gunicorn's settings, and its threads, answering what is no HTTP request in the wire's shape.

For `gunicorn -c config/server.py config.wsgi`: read as a file, because to import it would load the package,
and with it the whole of Celery, into the process that only watches the others: 7 MB for each role.

Such a request never reaches Django. Gunicorn alone would answer a page, and 501 where a client names a
transfer coding that nobody speaks: the client's fault all the same. It would also let a peer on this
machine say by a header (`SCRIPT_NAME`) where the path begins, and fail with 500 where that is not so; a
proxy that passes strangers' headers on would lend them that, so nobody may.
"""

from __future__ import annotations

import socket
from typing import Any

from gunicorn import util
from gunicorn.http import errors
from gunicorn.workers.gthread import ThreadWorker

_STATUSES: dict[type[Exception], tuple[int, str]] = {
    errors.LimitRequestLine: (414, "URI Too Long"),
    errors.LimitRequestHeaders: (431, "Request Header Fields Too Large"),
    errors.ExpectationFailed: (417, "Expectation Failed"),
}
_BAD_REQUEST = (400, "Bad Request")
_OURS = (errors.InvalidResponseHeader, errors.InvalidResponseHeaderName, errors.ConfigurationProblem)
_BAD_CONTENT = b'{"error":"Bad content format","code":"bad_content_format"}'
_INTERNAL = b'{"error":"Internal server error","code":"internal_error"}'
LONGEST_REASON = 200


class WireWorker(ThreadWorker):  # type: ignore[misc]  # gunicorn carries no types
    """Gunicorn's worker with threads, less its pages."""

    def handle_error(self, req: Any, client: socket.socket, addr: Any, exc: Exception) -> None:
        """What gunicorn calls for whatever goes wrong outside of the application."""
        if isinstance(exc, errors.ParseException) and not isinstance(exc, _OURS):
            status, reason = _STATUSES.get(type(exc), _BAD_REQUEST)
            self.log.warning("no HTTP request from %s: %s", _host(addr), ascii(str(exc))[:LONGEST_REASON])
            _answer(client, status, reason, _BAD_CONTENT)
        else:
            self.log.error("failed outside of the application", exc_info=exc)
            _answer(client, 500, "Internal Server Error", _INTERNAL)


def _host(addr: Any) -> str:
    return str(addr[0]) if addr else "a local socket"


def _answer(client: socket.socket, status: int, reason: str, body: bytes) -> None:
    """Best effort: who wrote nonsense may be gone."""
    head = f"HTTP/1.1 {status} {reason}\r\nConnection: close\r\nContent-Type: application/json\r\n"
    try:
        util.write_nonblock(client, f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
    except OSError:
        return


worker_class = WireWorker
forwarder_headers = ""
