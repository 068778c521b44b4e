"""The bytes on the socket, and every way in which no whole answer comes."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from merchants import signing
from payments.processors.base import ProcessorError, Unreachable
from payments.processors.gateway import transport
from payments.processors.gateway.transport import Answer, Transport
from tests.payments.processors.gateway import certificates
from tests.payments.processors.gateway.scripted import ScriptedUpstream, scripted

OK = b"HTTP/1.1 200 OK\r\n"


def way_to(upstream: ScriptedUpstream, *, deadline: float = 5, path: str = "") -> Transport:
    return Transport(url=upstream.url + path, key="key", secret="secret", deadline=deadline)


class TestExchange:
    def test_sends_the_exact_bytes_with_their_signature(self, upstream: ScriptedUpstream) -> None:
        upstream.says(200, {"data": []})
        body = '{"title":"Café"}'.encode()
        assert way_to(upstream).exchange("some/path", body) == Answer(200, b'{"data": []}')
        head, _, sent = upstream.requests[0].partition(b"\r\n\r\n")
        lines = head.decode().split("\r\n")
        assert sent == body
        assert lines[0] == "POST /api/v2/some/path HTTP/1.1"
        assert "X-Processing-Key: key" in lines
        assert f"X-Processing-Signature: {signing.sign('secret', body)}" in lines
        assert "Content-Type: application/json" in lines

    def test_may_send_a_body_with_get_and_a_path_before_the_api(self, upstream: ScriptedUpstream) -> None:
        upstream.says(200, {})
        way_to(upstream, path="/gate/").exchange("transactions/info", b'{"id":1}', method="GET")
        assert upstream.requests[0].startswith(b"GET /gate/api/v2/transactions/info HTTP/1.1\r\n")
        assert upstream.bodies == [b'{"id":1}']

    def test_follows_no_redirect(self, upstream: ScriptedUpstream) -> None:
        upstream.says(307, {}, head=f"Location: {upstream.url}/other\r\n")
        assert way_to(upstream).exchange("x", b"{}").status == 307
        assert len(upstream.requests) == 1

    def test_uses_no_proxy_of_the_environment(
        self, upstream: ScriptedUpstream, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for name in ("http_proxy", "HTTP_PROXY", "ALL_PROXY"):
            monkeypatch.setenv(name, "http://127.0.0.1:1")
        upstream.says(200, {})
        assert way_to(upstream).exchange("x", b"{}").status == 200

    def test_shows_no_secret(self, upstream: ScriptedUpstream) -> None:
        assert "secret" not in repr(way_to(upstream))
        assert repr(way_to(upstream)) == "<Transport to 127.0.0.1>"

    @pytest.mark.parametrize(
        "answer",
        [
            b"",
            b"SSH-2.0-OpenSSH\r\n\r\n",
            OK + b'Content-Length: 10\r\n\r\n{"a":1}',
            OK + b"Transfer-Encoding: chunked\r\n\r\nff\r\n{",
            OK + b"X: " + b"y" * 100_000 + b"\r\n\r\n",
        ],
    )
    def test_is_unreachable_without_a_whole_answer(self, upstream: ScriptedUpstream, answer: bytes) -> None:
        upstream.does(lambda connection: connection.sendall(answer))
        with pytest.raises(Unreachable, match=r"^x: "):
            way_to(upstream).exchange("x", b"{}")

    def test_is_unreachable_where_nobody_listens(self) -> None:
        with pytest.raises(Unreachable, match="ConnectionRefusedError"):
            Transport(url="http://127.0.0.1:1", key="k", secret="s").exchange("x", b"{}")

    @pytest.mark.parametrize("first", [b"", OK, OK + b"Content-Length: 1000000\r\n\r\n"])
    def test_ends_at_the_deadline_however_slowly_bytes_drip(
        self, upstream: ScriptedUpstream, first: bytes
    ) -> None:
        def drip(connection: socket.socket) -> None:
            connection.sendall(first)
            for _ in range(400):
                connection.sendall(b"x")
                time.sleep(0.05)

        upstream.does(drip)
        started = time.monotonic()
        with pytest.raises(Unreachable):
            way_to(upstream, deadline=0.5).exchange("x", b"{}")
        assert time.monotonic() - started < 10

    def test_does_not_take_what_the_deadline_cut_for_a_whole_answer(self, upstream: ScriptedUpstream) -> None:
        def hang_after_a_body_of_unknown_length(connection: socket.socket) -> None:
            connection.sendall(OK + b'\r\n{"data":{}}')
            time.sleep(1.5)

        upstream.does(hang_after_a_body_of_unknown_length)
        with pytest.raises(Unreachable):
            way_to(upstream, deadline=0.5).exchange("x", b"{}")

    def test_reads_no_more_than_it_may(
        self, upstream: ScriptedUpstream, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(transport, "MOST_BYTES", 1000)
        upstream.says(200, b"x" * 1001)
        with pytest.raises(Unreachable, match="too long"):
            way_to(upstream).exchange("x", b"{}")


class TestTls:
    @pytest.fixture
    def secured(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ScriptedUpstream]:
        certificate, context = certificates.write(tmp_path)
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        with scripted(context) as upstream:
            yield upstream

    def test_carries_an_exchange(self, secured: ScriptedUpstream) -> None:
        secured.says(200, {"data": 1})
        assert way_to(secured).exchange("x", b"{}") == Answer(200, b'{"data": 1}')

    def test_is_unreachable_behind_a_certificate_that_nobody_trusts(
        self, secured: ScriptedUpstream, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.delenv("SSL_CERT_FILE")
        with pytest.raises(Unreachable, match="SSLCertVerificationError"):
            way_to(secured).exchange("x", b"{}")
        assert secured.requests == []

    def test_ends_at_the_deadline_too(self, secured: ScriptedUpstream) -> None:
        def drip(connection: socket.socket) -> None:
            connection.sendall(OK + b"Content-Length: 1000000\r\n\r\n")
            for _ in range(400):
                connection.sendall(b"x")
                time.sleep(0.05)

        secured.does(drip)
        started = time.monotonic()
        with pytest.raises(Unreachable):
            way_to(secured, deadline=0.5).exchange("x", b"{}")
        assert time.monotonic() - started < 10


class TestUrl:
    @pytest.mark.parametrize(
        "url",
        ["", "upstream.example", "ftp://upstream.example", "http://", "https://user:pw@upstream.example"],
    )
    def test_must_name_a_host_and_nobody(self, url: str) -> None:
        with pytest.raises(ProcessorError, match="an upstream's url") as refused:
            Transport(url=url, key="k", secret="s")
        assert "pw" not in str(refused.value).replace("password", "")
