"""The demo shop: a merchant's server that verifies each callback and shows the last ones on a page.

It reads its key and secret from the demo's file at each request, as a shop reads its configuration. What is
not signed with them is refused. `POST /fail?mode=error|hang|off` rehearses a shop that is in trouble.
"""

from __future__ import annotations

import argparse
import html
import json
import time
from collections import deque
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar
from urllib.parse import parse_qs, urlsplit

from launcher.state import HOME, read
from merchants import signing

KEPT = 50
HANG_SECONDS = 30
LARGEST_BODY = 65536

_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="refresh" content="5"><title>Demo shop</title><link rel="icon" href="data:,"><style>
:root {{ color-scheme: light dark; --paper: #fff; --ground: #f6f7f9; --ink: #16202e;
 --quiet: #55617a; --line: #dfe4ec }}
@media (prefers-color-scheme: dark) {{ :root {{ --paper: #18202b; --ground: #10151d; --ink: #e7ecf4;
 --quiet: #9aa7bd; --line: #2a3545 }} }}
* {{ box-sizing: border-box }} body {{ margin: 0; background: var(--ground); color: var(--ink);
 font: 1rem/1.5 system-ui, sans-serif }}
main {{ max-width: 60rem; margin: 0 auto; padding: 2rem 1rem }} h1 {{ margin: 0 }} p {{ color: var(--quiet) }}
article {{ background: var(--paper); border: 1px solid var(--line); border-radius: .6rem; padding: 1rem;
 margin: 1rem 0 }}
h2 {{ font-size: 1rem; margin: 0 }} time {{ color: var(--quiet); font-size: .875rem }}
pre {{ overflow-x: auto; font-size: .8125rem; margin: .75rem 0 0 }}
</style></head><body><main><h1>Demo shop</h1>
<p>Callbacks whose signature was right, the newest first. Refused: {refused}. Mode: {mode}.</p>
{articles}</main></body></html>"""


class Shop(BaseHTTPRequestHandler):
    """Receives callbacks."""

    protocol_version = "HTTP/1.1"
    received: ClassVar[deque[dict[str, Any]]] = deque(maxlen=KEPT)
    counts: ClassVar[dict[str, int]] = {"received": 0, "refused": 0}
    mode: ClassVar[str] = "off"

    def do_POST(self) -> None:
        url = urlsplit(self.path)
        if url.path == "/fail":
            type(self).mode = parse_qs(url.query).get("mode", ["off"])[0]
            self._answer(200, json.dumps({"mode": self.mode}))
        elif url.path == "/callbacks":
            self._callback()
        else:
            self._answer(404, "no such page", "text/plain")

    def do_GET(self) -> None:
        path = urlsplit(self.path).path
        if path == "/callbacks.json":
            self._answer(200, json.dumps({**self.counts, "callbacks": list(self.received)}))
        elif path == "/healthz":
            self._answer(200, "{}")
        elif path == "/":
            self._answer(200, self._page(), "text/html; charset=utf-8")
        else:
            self._answer(404, "no such page", "text/plain")

    def _callback(self) -> None:
        length = self.headers.get("Content-Length", "")
        if not length.isdecimal() or int(length) > LARGEST_BODY:
            self.close_connection = True  # what is left unread would be taken for the next request
            self._answer(413, "too large", "text/plain")
            return
        raw = self.rfile.read(int(length))
        if self.mode == "hang":
            time.sleep(HANG_SECONDS)
        if self.mode != "off":
            self._answer(500, "rehearsing trouble", "text/plain")
            return
        demo = read(HOME.demo)
        key, signature = (
            self.headers.get(name, "") for name in (signing.KEY_HEADER, signing.SIGNATURE_HEADER)
        )
        if key != demo.get("api_key") or not signing.verify(demo.get("api_secret", ""), raw, signature):
            self.counts["refused"] += 1
            self._answer(403, "bad signature", "text/plain")
            return
        self.counts["received"] += 1
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        self.received.append({"at": now, "body": json.loads(raw)})
        self._answer(200, "OK", "text/plain")

    def _page(self) -> str:
        articles = [_article(item) for item in reversed(self.received)] or ["<p>Nothing yet.</p>"]
        return _PAGE.format(
            refused=self.counts["refused"], mode=html.escape(self.mode), articles="\n".join(articles)
        )

    def _answer(self, status: int, text: str, content_type: str = "application/json") -> None:
        raw = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(raw)))
        self.end_headers()
        self.wfile.write(raw)

    def log_message(self, format: str, *arguments: Any) -> None:
        """The page is the log."""


def _article(item: dict[str, Any]) -> str:
    body = item["body"]
    title = html.escape(f"{body.get('type')} {body.get('id')}: {body.get('status')}")
    shown = html.escape(json.dumps(body, indent=2, ensure_ascii=False))
    return f"<article><h2>{title}</h2><time>{item['at']}</time><pre>{shown}</pre></article>"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m launcher.shop", description="The demo shop.")
    parser.add_argument("--port", type=int, required=True)
    port = parser.parse_args().port
    ThreadingHTTPServer(("127.0.0.1", port), Shop).serve_forever()


if __name__ == "__main__":
    main()
