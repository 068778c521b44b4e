"""The scripted upstream's connections: what is sent again, and what counts as no answer."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.soak import upstream
from tests.soak.upstream import _Line

TAKEN = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nOK"


class Server:
    """Serves one connection after the other; each gets so many answers and is then closed."""

    def __init__(self, answers: list[int]) -> None:
        self.requests: list[int] = []
        self._answers = answers
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.where = self._listener.getsockname()
        self.closed = threading.Semaphore(0)
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        for number, answers in enumerate(self._answers):
            line, _ = self._listener.accept()
            with line:
                for _ in range(answers):
                    came = b""
                    while not came.endswith(b"{}") and (part := line.recv(65536)):
                        came += part
                    if not came:
                        break
                    self.requests.append(number)
                    line.sendall(TAKEN)
            self.closed.release()

    def close(self) -> None:
        self._listener.close()


@contextmanager
def serving(*answers: int) -> Iterator[tuple[Server, _Line]]:
    server = Server(list(answers))
    line = _Line(server.where)
    try:
        yield server, line
    finally:
        line.close()
        server.close()


class TestALine:
    def test_keeps_its_connection(self):
        with serving(2) as (server, line):
            assert [line.post(b"{}"), line.post(b"{}")] == [200, 200]
            assert server.requests == [0, 0]
            assert (line.silence, line.renewed) == ("", None)

    def test_sends_again_what_met_a_connection_closed_while_it_was_idle(self, monkeypatch):
        monkeypatch.setattr(upstream, "MAY_BE_CLOSED_AFTER_SECONDS", 0.0)
        with serving(1, 1) as (server, line):
            assert line.post(b"{}") == 200
            server.closed.acquire()
            assert line.post(b"{}") == 200
            assert server.requests == [0, 1]
            assert line.renewed is not None
            assert line.silence == ""

    def test_counts_a_connection_closed_sooner_as_no_answer(self):
        with serving(1, 1) as (server, line):
            assert line.post(b"{}") == 200
            server.closed.acquire()
            assert line.post(b"{}") is None
            assert "on a connection idle for 0." in line.silence
            assert line.post(b"{}") == 200
            assert (line.silence, line.renewed) == ("", None)

    def test_counts_what_fails_on_a_fresh_connection_too(self, monkeypatch):
        monkeypatch.setattr(upstream, "MAY_BE_CLOSED_AFTER_SECONDS", 0.0)
        with serving(1, 0) as (server, line):
            assert line.post(b"{}") == 200
            server.closed.acquire()
            assert line.post(b"{}") is None
            assert line.silence.endswith("on a fresh connection")

    def test_says_what_went_wrong_where_nobody_listens(self):
        with serving() as (server, line):
            server.close()
            assert line.post(b"{}") is None
            assert line.silence == "ConnectionRefusedError on a fresh connection"

    @pytest.mark.parametrize("cut", [b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nO"])
    def test_never_repeats_after_a_byte_of_an_answer(self, monkeypatch, cut):
        monkeypatch.setattr(upstream, "MAY_BE_CLOSED_AFTER_SECONDS", 0.0)
        monkeypatch.setattr(f"{__name__}.TAKEN", cut)
        with serving(1, 1) as (server, line):
            assert line.post(b"{}") is None
            assert line.silence == "IncompleteRead on a fresh connection"
            assert server.requests == [0]
