"""The connector against real receivers: it reports what they did, and none holds it past its deadline."""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Iterator
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest

from callbacks import connector
from callbacks.connector import (
    Answer,
    Forbidden,
    Insecure,
    Lost,
    NotDelivered,
    NotHttpAnswer,
    TooSlow,
    Unreachable,
    line,
)
from tests.callbacks import certificates
from tests.callbacks.receivers import Receiver, answers, drips, hangs, in_turn, resets, says

LOOPBACK = [ip_network("127.0.0.0/8"), ip_network("::1/128")]
BODY = b'{"id":1}'
HEADERS = {"X-Processing-Key": "key", "X-Processing-Signature": "ab" * 64, "Content-Type": "application/json"}


def post(url: str, **options: Any) -> Answer:
    return connector.post(
        **{"url": url, "body": BODY, "headers": HEADERS, "private_targets": LOOPBACK} | options
    )


def failure(url: str, **options: Any) -> NotDelivered:
    with pytest.raises(NotDelivered) as caught:
        post(url, **options)
    return caught.value


class TestAnswer:
    def test_is_what_the_receiver_said(self) -> None:
        with Receiver(answers(200, b"fine", headers="X-Said: so\r\n")) as receiver:
            answer = post(receiver.url)
        assert (answer.status, answer.body, answer.address) == (200, b"fine", "127.0.0.1")
        assert answer.headers["X-Said"] == "so"
        assert 0 <= answer.ms < 10_000

    def test_comes_to_the_exact_bytes_under_the_exact_names(self) -> None:
        with Receiver(answers()) as receiver:
            post(receiver.url + "?shop=1")
        (request,) = receiver.requests
        assert request.body == BODY
        assert request.line == "POST /callback?shop=1 HTTP/1.1"
        assert request.headers == {
            "Host": f"127.0.0.1:{receiver.port}",
            "User-Agent": "Bursar",
            "Accept": "*/*",
            **HEADERS,
            "Content-Length": "8",
        }

    @pytest.mark.parametrize("status", [201, 204, 301, 302, 307, 308, 403, 404, 500, 503])
    def test_is_reported_whatever_its_status(self, status: int) -> None:
        with Receiver(answers(status, b"", headers="Location: http://127.0.0.1:1/\r\n")) as receiver:
            assert post(receiver.url).status == status
        assert len(receiver.requests) == 1

    def test_follows_no_redirect(self) -> None:
        with Receiver(answers()) as elsewhere:
            with Receiver(answers(302, headers=f"Location: {elsewhere.url}\r\n")) as receiver:
                assert post(receiver.url).status == 302
            assert elsewhere.requests == []

    def test_asks_no_proxy_of_the_environment(self, monkeypatch: pytest.MonkeyPatch) -> None:
        with Receiver(answers(502)) as proxy, Receiver(answers()) as receiver:
            for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
                monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
            monkeypatch.delenv("no_proxy", raising=False)
            assert post(receiver.url).status == 200
            assert proxy.requests == []

    def test_keeps_64_kb_of_a_large_body(self) -> None:
        with Receiver(answers(500, b"x" * 200_000)) as receiver:
            answer = post(receiver.url)
        assert answer.body == b"x" * 65_536

    def test_reads_a_chunked_body(self) -> None:
        chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nOK\r\n0\r\n\r\n"
        with Receiver(says(chunked)) as receiver:
            assert post(receiver.url).body == b"OK"

    def test_reads_a_body_that_ends_with_the_connection(self) -> None:
        with Receiver(says(b"HTTP/1.0 200 OK\r\n\r\nOK")) as receiver:
            assert post(receiver.url).body == b"OK"

    def test_passes_over_a_100(self) -> None:
        with Receiver(
            says(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        ) as receiver:
            assert post(receiver.url).status == 200


class TestNotDelivered:
    def test_when_nobody_listens(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as closed:
            port = closed.getsockname()[1]
        error = failure(f"http://127.0.0.1:{port}/")
        assert type(error) is Unreachable
        assert (error.address, error.sent_at) == ("127.0.0.1", None)

    def test_when_the_host_is_unknown(self) -> None:
        error = failure("http://shop.example/", look=lambda *_: [])
        assert type(error) is Unreachable
        assert (str(error), error.address) == ("The host shop.example cannot be found.", None)

    def test_when_the_receiver_resets(self) -> None:
        with Receiver(resets()) as receiver:
            error = failure(receiver.url)
        assert type(error) is Lost
        assert error.sent_at is not None

    def test_when_the_receiver_hangs_up_without_a_word(self) -> None:
        with Receiver(says(b"")) as receiver:
            assert type(failure(receiver.url)) is Lost

    @pytest.mark.parametrize(
        "raw",
        [
            b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nOK",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nOK",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nOK",
        ],
    )
    def test_when_the_answer_is_cut_off(self, raw: bytes) -> None:
        with Receiver(says(raw)) as receiver:
            assert type(failure(receiver.url)) is Lost

    @pytest.mark.parametrize(
        "raw",
        [
            b"SSH-2.0-OpenSSH_9.2\r\n",
            b"HTTP/1.1 abc\r\n\r\n",
            b"HTTP/1.1 200 OK\r\n" + b"X-Much: " + b"x" * 70_000 + b"\r\n\r\n",
            b"HTTP/1.1 200 OK\r\n" + b"X-Many: 1\r\n" * 200 + b"\r\n",
            b"HTTP/1.1 200 OK\r\n" + (b"X-Long: " + b"x" * 8_000 + b"\r\n") * 20 + b"\r\n",
            b"HTTP/1.1 100 Continue\r\n\r\n" * 10_000,
        ],
    )
    def test_when_the_answer_is_no_http(self, raw: bytes) -> None:
        with Receiver(says(raw)) as receiver:
            assert type(failure(receiver.url)) is NotHttpAnswer

    def test_when_the_target_is_private(self) -> None:
        with Receiver(answers()) as receiver:
            error = failure(receiver.url, private_targets=[])
            assert type(error) is Forbidden
            assert receiver.connections == 0

    def test_when_one_of_several_answers_is_private(self) -> None:
        with Receiver(answers()) as receiver:
            url = f"http://shop.example:{receiver.port}/"
            error = failure(url, look=lambda *_: ["127.0.0.1", "10.0.0.1"])
            assert type(error) is Forbidden
            assert receiver.connections == 0


class TestDeadline:
    @pytest.mark.parametrize(
        "behaviour",
        [
            hangs(),
            drips(b"HTTP/1.1 200 OK\r\n" + b"X-Slow: 1\r\n" * 50),
            drips(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n" + b"x" * 100),
            drips(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"1\r\nx\r\n" * 50),
        ],
        ids=["hangs", "drips headers", "drips a body", "drips chunks"],
    )
    def test_holds_whatever_the_receiver_does(self, behaviour: Any) -> None:
        with Receiver(behaviour) as receiver:
            began = time.monotonic()
            error = failure(receiver.url, seconds=0.5)
        assert type(error) is TooSlow
        assert str(error) == "No complete answer within 0.5 s"
        assert 0.4 < time.monotonic() - began < 3

    def test_holds_while_tls_is_awaited(self) -> None:
        with Receiver(hangs()) as receiver:
            error = failure(receiver.url.replace("http:", "https:"), seconds=0.5)
        assert type(error) is TooSlow
        assert error.sent_at is None

    def test_holds_while_the_name_is_looked_up(self) -> None:
        def hang(host: str, port: int) -> list[str]:
            time.sleep(3)
            return []

        assert type(failure("http://shop.example/", look=hang, seconds=0.2)) is TooSlow

    def test_holds_while_a_full_receiver_takes_nothing(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as deaf:
            url = f"http://127.0.0.1:{deaf.getsockname()[1]}/"
            assert type(failure(url, body=b"x" * 20_000_000, seconds=0.5)) is TooSlow


class TestPinning:
    def test_dials_the_address_that_was_checked_and_looks_up_once(self) -> None:
        looks = []

        def rebind(host: str, port: int) -> list[str]:
            looks.append(host)
            return ["127.0.0.1"] if len(looks) == 1 else ["10.0.0.1"]

        with Receiver(answers()) as receiver:
            answer = post(f"http://shop.example:{receiver.port}/", look=rebind)
        assert answer.address == "127.0.0.1"
        assert looks == ["shop.example"]
        assert receiver.requests[0].headers["Host"] == f"shop.example:{receiver.port}"

    def test_tries_the_next_checked_address_when_one_is_dead(self) -> None:
        with Receiver(answers()) as receiver:
            answer = post(f"http://shop.example:{receiver.port}/", look=lambda *_: ["::1", "127.0.0.1"])
        assert answer.address == "127.0.0.1"


class TestKeptConnections:
    def test_are_used_again(self) -> None:
        with Receiver(answers()) as receiver:
            for _ in range(3):
                post(receiver.url)
            assert (receiver.connections, len(receiver.requests)) == (1, 3)

    def test_are_not_kept_when_the_receiver_says_so(self) -> None:
        with Receiver(answers(keep=False)) as receiver:
            for _ in range(2):
                post(receiver.url)
            assert receiver.connections == 2

    def test_are_replaced_when_the_receiver_closed_them(self) -> None:
        def once(connection: socket.socket, request: Any) -> bool:
            answers()(connection, request)
            return False

        with Receiver(once) as receiver:
            assert [post(receiver.url).status for _ in range(3)] == [200, 200, 200]
            assert receiver.connections == 3

    def test_are_replaced_when_the_receiver_closes_them_at_the_request(self) -> None:
        with Receiver(in_turn(answers(), resets(), answers())) as receiver:
            assert [post(receiver.url).status for _ in range(2)] == [200, 200]
            assert (receiver.connections, len(receiver.requests)) == (2, 3)

    def test_are_not_shared_with_who_may_not_reach_them(self) -> None:
        with Receiver(answers()) as receiver:
            post(receiver.url)
            assert type(failure(receiver.url, private_targets=[])) is Forbidden

    def test_with_bytes_that_nobody_asked_for_are_dropped(self) -> None:
        said = threading.Event()

        def chatty(connection: socket.socket, request: Any) -> bool:
            answers()(connection, request)
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
            said.set()
            return True

        with Receiver(in_turn(chatty, answers(500, b""))) as receiver:
            assert post(receiver.url).status == 200
            assert said.wait(5)
            assert post(receiver.url).status == 500

    def test_are_no_more_than_two_per_origin(self) -> None:
        idle = connector.Idle()
        with Receiver(answers()) as receiver:
            dialled = [
                line.dial(connector.targets.parse(receiver.url), ["127.0.0.1"], line.Deadline(5))
                for _ in range(3)
            ]
            for one in dialled:
                idle.keep("origin", one)
            assert idle.take("origin") is dialled[2]
            assert idle.take("origin") is dialled[1]
            assert idle.take("origin") is None
            for one in dialled[1:]:
                one.close()


class TestTls:
    @pytest.fixture
    def trusted(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ssl.SSLContext]:
        """A server's context for `shop.example`, which this process trusts."""
        server = certificates.server_context(tmp_path, host="shop.example")
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "authority.pem"))
        line._tls.cache_clear()
        yield server
        line._tls.cache_clear()

    def test_reaches_the_named_host(self, trusted: ssl.SSLContext) -> None:
        with Receiver(answers(), tls=trusted) as receiver:
            url = f"https://shop.example:{receiver.port}/"
            assert [post(url, look=lambda *_: ["127.0.0.1"]).status for _ in range(2)] == [200, 200]

    def test_refuses_another_hosts_certificate(self, trusted: ssl.SSLContext) -> None:
        with Receiver(answers(), tls=trusted) as receiver:
            error = failure(f"https://other.example:{receiver.port}/", look=lambda *_: ["127.0.0.1"])
            assert type(error) is Insecure
            assert receiver.requests == []

    def test_refuses_an_untrusted_certificate(self, trusted: ssl.SSLContext, monkeypatch: Any) -> None:
        monkeypatch.delenv("SSL_CERT_FILE")
        line._tls.cache_clear()
        with Receiver(answers(), tls=trusted) as receiver:
            error = failure(f"https://shop.example:{receiver.port}/", look=lambda *_: ["127.0.0.1"])
            assert type(error) is Insecure
            assert receiver.requests == []

    def test_refuses_a_server_that_speaks_none(self) -> None:
        with Receiver(says(b"HTTP/1.1 400 Bad\r\n\r\n")) as receiver:
            with socket.create_server(("127.0.0.1", 0)):
                pass
            url = receiver.url.replace("http:", "https:")
            assert type(failure(url, seconds=1)) in {Insecure, TooSlow}
