"""The v2 door over real HTTP: who is let in, and what every refusal looks like."""

from __future__ import annotations

import json
from http.client import HTTPConnection

import pytest

from tests.sandbox.running import KEY, Client, signed

LIST = "/api/v2/accounts/list"


class TestPing:
    @pytest.mark.parametrize("method", ["GET", "HEAD"])
    def test_is_open_to_everybody(self, client: Client, method: str) -> None:
        status, body = client.raw("/api/v2/ping", b"", method=method)
        assert (status, body) == (200, b"OK" if method == "GET" else b"")

    def test_takes_a_key_alone(self, client: Client) -> None:
        status, body = client.raw("/api/v2/ping", b"[]", method="GET", headers={"X-Processing-Key": "x"})
        assert (status, body) == (200, b"OK")

    def test_checks_the_keys_when_both_headers_are_there(self, client: Client) -> None:
        assert client.raw("/api/v2/ping", b"[]", method="GET", headers=signed(b"[]"))[0] == 200
        status, body = client.raw("/api/v2/ping", b"[]", method="GET", headers=signed(b"other"))
        assert (status, json.loads(body)["code"]) == (403, "bad_header_signature")

    def test_is_plain_text_without_a_newline(self, client: Client) -> None:
        connection = HTTPConnection(client.host)
        connection.request("GET", "/api/v2/ping/")
        answer = connection.getresponse()
        assert (answer.read(), answer.getheader("Content-Type")) == (b"OK", "text/plain")
        connection.close()


class TestAuthentication:
    @pytest.mark.parametrize(
        ("headers", "error", "code"),
        [
            ({}, "No key header", "required_header_key"),
            ({"X-Processing-Key": "stranger"}, "Bad key header", "bad_header_key"),
            ({"X-Processing-Key": KEY}, "No signature header", "required_header_signature"),
            (
                {"X-Processing-Key": KEY, "X-Processing-Signature": "0" * 128},
                "Bad signature header",
                "bad_header_signature",
            ),
        ],
    )
    def test_refuses_in_order(self, client: Client, headers: dict[str, str], error: str, code: str) -> None:
        status, body = client.raw(LIST, b"{}", headers=headers)
        assert (status, json.loads(body)) == (403, {"error": error, "code": code})

    def test_comes_before_the_question_whether_the_url_exists(self, client: Client) -> None:
        assert client.raw("/api/v2/nothing", b"")[0] == 403

    def test_covers_the_exact_bytes(self, client: Client) -> None:
        headers = signed(b'{"a":1}')
        assert client.raw(LIST, b'{"a":1}', headers=headers)[0] == 200
        assert client.raw(LIST, b'{"a": 1}', headers=headers)[0] == 403


class TestBody:
    @pytest.mark.parametrize("body", [b"{}", b"[]", b"null", b""])
    def test_of_nothing_is_no_parameters(self, client: Client, body: bytes) -> None:
        assert client.raw(LIST, body, headers=signed(body))[0] == 200

    @pytest.mark.parametrize("body", [b"1", b"[1]", b"{", b'{"a":1,"a":2}', b'"' + b"x" * 70_000 + b'"'])
    def test_of_anything_else_is_bad_content(self, client: Client, body: bytes) -> None:
        status, raw = client.raw(LIST, body, headers=signed(body))
        assert (status, json.loads(raw)) == (
            400,
            {"error": "Bad content format", "code": "bad_content_format"},
        )

    def test_without_a_known_length_is_bad_content(self, client: Client) -> None:
        headers = {"Transfer-Encoding": "chunked"}
        assert client.raw(LIST, b"2\r\n{}\r\n0\r\n\r\n", headers=headers)[0] == 400


class TestPaths:
    def test_unknown_ones_are_not_found(self, client: Client) -> None:
        assert client.call("nothing") == (404, {"error": "Not found", "code": "not_found"})

    def test_of_other_methods_are_not_allowed(self, client: Client) -> None:
        status, body = client.call("accounts/list", {}, method="GET")
        assert (status, body["code"]) == (405, "method_not_allowed")

    def test_outside_the_api_are_not_found(self, client: Client) -> None:
        assert client.raw("/", b"", method="GET")[0] == 404

    def test_tell_that_the_server_is_well(self, client: Client) -> None:
        assert client.raw("/healthz", b"", method="GET") == (200, b"ok")


class TestConnection:
    def test_is_kept_for_many_requests_even_gets_with_bodies(self, client: Client) -> None:
        connection = HTTPConnection(client.host)
        connection.connect()
        first_socket = connection.sock
        for method, path in [("GET", "/api/v2/ping"), ("POST", LIST), ("GET", "/api/v2/ping")]:
            connection.request(method, path, body=b"{}", headers=signed(b"{}"))
            answer = connection.getresponse()
            answer.read()
            assert answer.status == 200
        assert connection.sock is first_socket
        connection.close()
