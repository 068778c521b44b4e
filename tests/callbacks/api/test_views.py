"""The processors' door: each answer to the byte, and nothing stored that was not signed."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from typing import Any

import pytest
from django.db import OperationalError, connection
from django.http import HttpRequest, HttpResponse, UnreadablePostError
from django.test import Client

from callbacks import incoming
from callbacks.models import IncomingCallback
from payments import doorbell
from payments.models import Address
from tests.callbacks import upstream

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("intake")]

BODY = b'{"id":1,"type":"deposit"}'


def post(body: bytes = BODY, *, path: str = "/callbacks/sandbox/", **options: Any) -> HttpResponse:
    headers = options.pop("headers", upstream.headers(body))
    client = Client(raise_request_exception=False)
    options.setdefault("content_type", "application/json")
    answer: HttpResponse = client.generic("POST", path, body, headers=headers, **options)
    return answer


def said(answer: HttpResponse) -> tuple[int, Any]:
    return answer.status_code, json.loads(answer.content)


class TestAnswers:
    def test_200_ok_once_it_is_stored(self) -> None:
        answer = post()
        assert (answer.status_code, answer.content, answer["Content-Type"]) == (200, b"OK", "text/plain")
        assert bytes(IncomingCallback.objects.get().raw) == BODY

    def test_200_ok_again_for_the_same_bytes(self) -> None:
        assert [post().status_code for _ in range(3)] == [200, 200, 200]
        assert IncomingCallback.objects.count() == 1

    def test_200_without_a_trailing_slash_too(self) -> None:
        assert post(path="/callbacks/sandbox").status_code == 200

    @pytest.mark.parametrize("accept", ["text/plain", "text/html", "application/xml", "nonsense"])
    def test_200_whatever_the_processor_would_accept(self, accept: str) -> None:
        headers = upstream.headers(BODY) | {"Accept": accept}
        assert post(headers=headers, path="/callbacks/sandbox/?format=xml").status_code == 200

    @pytest.mark.parametrize(
        "content_type",
        ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", ""],
    )
    def test_200_whatever_the_content_type(self, content_type: str) -> None:
        assert post(content_type=content_type).status_code == 200
        assert bytes(IncomingCallback.objects.get().raw) == BODY

    @pytest.mark.parametrize(
        "headers",
        [
            {},
            {"X-Processing-Key": upstream.KEY},
            {"X-Processing-Signature": "ab" * 64},
            upstream.headers(BODY, key="another"),
            upstream.headers(BODY, secret="another"),
            upstream.headers(BODY + b" "),
            {"X-Processing-Key": upstream.KEY, "X-Processing-Signature": "é" * 128},
            {"X-Processing-Key": upstream.KEY, "X-Processing-Signature": ""},
        ],
    )
    def test_403_for_another_key_or_signature(self, headers: dict[str, str]) -> None:
        assert said(post(headers=headers)) == (
            403,
            {"error": "Bad signature header", "code": "bad_header_signature"},
        )
        assert not IncomingCallback.objects.exists()

    def test_404_for_a_processor_that_is_not_ours(self) -> None:
        assert said(post(path="/callbacks/stranger/")) == (404, {"error": "Not found", "code": "not_found"})

    @pytest.mark.parametrize("path", ["/callbacks/", "/callbacks/sandbox/more/", "/callbacks/%00/"])
    def test_404_for_any_other_path(self, path: str) -> None:
        assert said(post(path=path)) == (404, {"error": "Not found", "code": "not_found"})

    @pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH"])
    def test_405_for_another_method(self, method: str) -> None:
        answer = Client().generic(method, "/callbacks/sandbox/", BODY, headers=upstream.headers(BODY))
        assert said(answer) == (405, {"error": "Method not allowed", "code": "method_not_allowed"})
        assert not IncomingCallback.objects.exists()

    def test_413_over_64_kb(self) -> None:
        assert post(b"x" * 65_536).status_code == 200
        for size in (65_537, 2_000_000):
            assert said(post(b"x" * size)) == (
                413,
                {"error": "Bad content format", "code": "bad_content_format"},
            )
        assert IncomingCallback.objects.count() == 1

    def test_400_when_the_sender_hangs_up_half_way(self, monkeypatch: Any) -> None:
        def broken(_: HttpRequest) -> bytes:
            raise UnreadablePostError("hung up")

        monkeypatch.setattr(HttpRequest, "body", property(broken))
        assert said(post()) == (400, {"error": "Bad content format", "code": "bad_content_format"})

    def test_503_while_the_database_is_away(self, monkeypatch: Any) -> None:
        def away(**_: Any) -> bool:
            raise OperationalError("server closed the connection unexpectedly")

        monkeypatch.setattr(incoming, "receive", away)
        answer = post()
        assert said(answer) == (503, {"error": "Internal server error", "code": "internal_error"})
        assert answer["Retry-After"] == "5"


class TestDoorbell:
    def test_is_rung_for_what_is_new(
        self, monkeypatch: Any, django_capture_on_commit_callbacks: Callable[..., Any]
    ) -> None:
        rung: list[str] = []
        monkeypatch.setattr(doorbell, "ring", lambda bell: rung.append(bell.task))
        for _ in range(2):
            with django_capture_on_commit_callbacks(execute=True):
                post()
        assert rung == ["callbacks.tasks.process_incoming"]

    @pytest.mark.django_db(transaction=True)
    def test_may_be_broken(self, settings: Any) -> None:
        settings.REDIS_URL = "redis://127.0.0.1:1/0"
        doorbell._valkey.cache_clear()
        try:
            assert post().status_code == 200
        finally:
            doorbell._valkey.cache_clear()
            doorbell._breaker.closed_after = 0.0
        assert IncomingCallback.objects.count() == 1


@pytest.mark.django_db(transaction=True)
class TestCommit:
    def test_comes_before_the_answer(self) -> None:
        """Another connection sees the row as soon as the answer is there."""
        post()
        seen: list[int] = []

        def look() -> None:
            seen.append(IncomingCallback.objects.count())
            connection.close()

        thread = threading.Thread(target=look)
        thread.start()
        thread.join()
        assert seen == [1]

    def test_of_a_whole_deposit_follows(self, address: Address) -> None:
        post(upstream.deposit(address), headers=upstream.headers(upstream.deposit(address)))
        assert incoming.process(now=address.taken_at) == 1  # type: ignore[arg-type]
