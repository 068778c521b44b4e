"""The line's faults, on a server that repeats what it hears."""

from __future__ import annotations

import socket
import socketserver
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.soak.proxy import Proxy


class Repeater(socketserver.StreamRequestHandler):
    heard: list[bytes]

    def handle(self) -> None:
        while chunk := self.request.recv(1000):
            self.server.heard.append(chunk)  # type: ignore[attr-defined]
            try:
                self.request.sendall(chunk)
            except OSError:
                return


@pytest.fixture
def server(tmp_path: Path) -> Iterator[socketserver.ThreadingUnixStreamServer]:
    made = socketserver.ThreadingUnixStreamServer(str(tmp_path / "socket"), Repeater)
    made.daemon_threads = True
    made.heard = []  # type: ignore[attr-defined]
    threading.Thread(target=made.serve_forever, daemon=True).start()
    yield made
    made.shutdown()
    made.server_close()


@pytest.fixture
def proxy(server: socketserver.ThreadingUnixStreamServer) -> Iterator[Proxy]:
    made = Proxy(Path(str(server.server_address)), seed=1)
    made.start()
    yield made
    made.stop()


@pytest.fixture
def client(proxy: Proxy) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", proxy.port), timeout=10) as made:
        yield made


def ended(client: socket.socket) -> bool:
    """Whether the other side is gone, by an end or a reset."""
    try:
        return client.recv(1000) == b""
    except ConnectionResetError:
        return True


class TestProxy:
    def test_passes_everything_on_both_ways(self, client):
        client.sendall(b"SELECT 1")
        assert client.recv(1000) == b"SELECT 1"

    def test_loses_the_answer_to_a_commit_that_was_carried_out(self, proxy, client, server):
        proxy.lose_answers(1)
        client.sendall(b"SELECT 1")
        assert client.recv(1000) == b"SELECT 1"
        client.sendall(b"COMMIT")
        assert ended(client)
        assert server.heard == [b"SELECT 1", b"COMMIT"]
        assert proxy.lost == 1

    def test_hears_and_says_nothing_while_silent(self, proxy, client, server):
        proxy.go_silent()
        client.sendall(b"SELECT 1")
        client.settimeout(0.2)
        with pytest.raises(TimeoutError):
            client.recv(1000)
        assert server.heard == [b"SELECT 1"]
        proxy.heal()
        client.sendall(b"SELECT 2")
        client.settimeout(10)
        assert client.recv(1000) == b"SELECT 2"

    def test_cuts_what_is_open_and_takes_new_ones(self, proxy, client):
        client.sendall(b"SELECT 1")
        client.recv(1000)
        proxy.cut_all()
        assert ended(client)
        with socket.create_connection(("127.0.0.1", proxy.port), timeout=10) as again:
            again.sendall(b"SELECT 1")
            assert again.recv(1000) == b"SELECT 1"

    def test_ends_a_line_whose_server_is_gone(self, proxy, server):
        Path(str(server.server_address)).unlink()
        with socket.create_connection(("127.0.0.1", proxy.port), timeout=10) as alone:
            assert ended(alone)
