"""The demo shop over real HTTP."""

from __future__ import annotations

import json
import threading
from collections import deque
from http.server import ThreadingHTTPServer
from typing import Any

import pytest
import requests

from launcher import shop, state
from merchants import signing

BODY = b'{"id":1,"type":"deposit","status":"confirmed","crypto_address":{"foreign_id":"<b>u-1<\\/b>"}}'


SECRET = "the-secret"


@pytest.fixture
def url(var, monkeypatch):
    home = state.Home(var)
    state.write_private(home.demo, {"api_key": "the-key", "api_secret": SECRET})
    monkeypatch.setattr(shop, "HOME", home)
    monkeypatch.setattr(shop.Shop, "received", deque(maxlen=shop.KEPT))
    monkeypatch.setattr(shop.Shop, "counts", {"received": 0, "refused": 0})
    monkeypatch.setattr(shop.Shop, "mode", "off")
    server = ThreadingHTTPServer(("127.0.0.1", 0), shop.Shop)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


def tell(url: str, body: bytes = BODY, *, key: str = "the-key", secret: str = SECRET) -> int:
    headers = {signing.KEY_HEADER: key, signing.SIGNATURE_HEADER: signing.sign(secret, body)}
    return requests.post(f"{url}/callbacks", data=body, headers=headers, timeout=10).status_code


def shown(url: str) -> dict[str, Any]:
    facts: dict[str, Any] = requests.get(f"{url}/callbacks.json", timeout=10).json()
    return facts


class TestCallbacks:
    def test_keeps_what_is_signed(self, url):
        assert tell(url) == 200
        kept = shown(url)
        assert (kept["received"], kept["refused"]) == (1, 0)
        assert kept["callbacks"][0]["body"] == json.loads(BODY)

    def test_refuses_another_secret(self, url):
        assert tell(url, secret="another") == 403
        assert shown(url) == {"received": 0, "refused": 1, "callbacks": []}

    def test_refuses_another_key(self, url):
        assert tell(url, key="another") == 403
        assert shown(url) == {"received": 0, "refused": 1, "callbacks": []}

    def test_refuses_what_carries_no_signature(self, url):
        assert requests.post(f"{url}/callbacks", data=BODY, timeout=10).status_code == 403

    def test_refuses_everything_before_the_demo_is_there(self, url):
        shop.HOME.demo.unlink()
        assert tell(url, key="", secret="") == 403

    def test_refuses_a_body_that_is_too_large(self, url):
        assert tell(url, b"x" * (shop.LARGEST_BODY + 1)) == 413
        assert shown(url)["received"] == 0

    def test_keeps_the_last_fifty(self, url):
        for number in range(52):
            tell(url, json.dumps({"id": number}).encode())
        kept = [item["body"]["id"] for item in shown(url)["callbacks"]]
        assert kept == list(range(2, 52))


class TestFail:
    def test_answers_500_until_it_is_told_to_stop(self, url):
        requests.post(f"{url}/fail?mode=error", timeout=10)
        assert tell(url) == 500
        requests.post(f"{url}/fail?mode=off", timeout=10)
        assert tell(url) == 200
        assert shown(url)["received"] == 1


class TestPage:
    def test_shows_a_callback_as_text_never_as_markup(self, url):
        tell(url)
        page = requests.get(url, timeout=10)
        assert page.headers["Content-Type"] == "text/html; charset=utf-8"
        assert "deposit 1: confirmed" in page.text
        assert "&lt;b&gt;u-1&lt;/b&gt;" in page.text
        assert "<b>" not in page.text

    def test_says_that_nothing_came_yet(self, url):
        assert "Nothing yet." in requests.get(url, timeout=10).text

    def test_has_no_other_page(self, url):
        assert requests.get(f"{url}/else", timeout=10).status_code == 404
