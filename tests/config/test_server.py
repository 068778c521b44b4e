"""What is no HTTP request: answered in the wire's shape, never with a page, never with 5xx."""

from __future__ import annotations

import json
import logging
import socket

import pytest
from gunicorn.config import Config
from gunicorn.http import errors

from config import server
from config.server import WireWorker


@pytest.fixture
def worker():
    made = WireWorker(1, 1, [], None, 30, Config(), logging.getLogger("test"))
    yield made
    made.tmp.close()


def answer(worker: WireWorker, error: Exception) -> tuple[int, dict[str, str]]:
    server, client = socket.socketpair()
    with server, client:
        worker.handle_error(None, server, ("127.0.0.1", 4000), error)
        head, _, body = client.recv(4096).partition(b"\r\n\r\n")
    assert b"Content-Type: application/json" in head
    assert b"Connection: close" in head
    return int(head.split(b" ")[1]), json.loads(body)


def settings() -> Config:
    """As gunicorn reads a file of settings: the names that it knows."""
    read = Config()
    for name in vars(server).keys() & read.settings.keys():
        read.set(name, getattr(server, name))
    return read


class TestWireWorker:
    @pytest.mark.parametrize(
        ("error", "status"),
        [
            (errors.InvalidRequestLine("<script>"), 400),
            (errors.InvalidHeader("x\r\ny"), 400),
            (errors.InvalidChunkSize(b"zz"), 400),
            (errors.UnsupportedTransferCoding("gzip"), 400),
            (errors.ObsoleteFolding("x"), 400),
            (errors.LimitRequestLine(9000, 4094), 414),
            (errors.ExpectationFailed("200-ok"), 417),
            (errors.LimitRequestHeaders("too many"), 431),
        ],
    )
    def test_refuses_what_is_no_request_in_the_wires_shape(self, worker, error, status):
        assert answer(worker, error) == (
            status,
            {"error": "Bad content format", "code": "bad_content_format"},
        )

    @pytest.mark.parametrize("error", [RuntimeError("a secret detail"), errors.InvalidResponseHeader("x")])
    def test_owns_its_faults_and_names_nothing_of_them(self, worker, error):
        assert answer(worker, error) == (500, {"error": "Internal server error", "code": "internal_error"})

    def test_survives_a_client_that_is_gone(self, worker):
        server, client = socket.socketpair()
        client.close()
        with server:
            worker.handle_error(None, server, None, errors.InvalidRequestLine("x"))

    def test_lets_nobody_name_the_path_by_a_header(self):
        assert settings().forwarder_headers == []

    def test_is_what_gunicorn_is_told_to_use(self):
        assert settings().worker_class is WireWorker

    def test_writes_no_line_breaks_of_strangers_into_the_log(self, worker, caplog):
        with caplog.at_level(logging.WARNING):
            answer(worker, errors.InvalidHeader("x\r\nERROR forged"))
        assert "\n" not in caplog.messages[0]
