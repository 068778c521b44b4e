"""`python -m bench.posting requests|http COUNT URL`: what deliveries are compared with.

One thread that posts a body of a callback's size with a callback's headers over one kept connection, and
keeps no books. Writes one JSON object: how many, in how many seconds, for how many CPU seconds.
"""

from __future__ import annotations

import http.client
import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from urllib.parse import urlsplit

import requests

BODY = b'{"id":1,"type":"deposit"}'.ljust(900)
HEADERS = {
    "X-Processing-Key": "k" * 50,
    "X-Processing-Signature": "0" * 128,
    "Content-Type": "application/json",
}
_WARM_UP = 20
Post = Callable[[], int]
"""Posts once; the status."""


@contextmanager
def by_requests(url: str) -> Iterator[Post]:
    with requests.Session() as session:

        def post() -> int:
            answer = session.post(url, data=BODY, headers=HEADERS, timeout=10)
            return len(answer.content) and answer.status_code

        yield post


@contextmanager
def by_http(url: str) -> Iterator[Post]:
    parts = urlsplit(url)
    with closing(http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=10)) as connection:

        def post() -> int:
            connection.request("POST", parts.path or "/", BODY, HEADERS)
            answer = connection.getresponse()
            return len(answer.read()) and answer.status

        yield post


KINDS = {"requests": by_requests, "http": by_http}


def measure(kind: str, count: int, url: str) -> dict[str, float]:
    """Raises AssertionError when anything but 200 comes back."""
    with KINDS[kind](url) as post:
        for _ in range(_WARM_UP):
            assert post() == 200
        began, spent = time.perf_counter(), time.process_time()
        for _ in range(count):
            assert post() == 200
        return {
            "count": count,
            "seconds": time.perf_counter() - began,
            "cpu": time.process_time() - spent,
        }


if __name__ == "__main__":
    json.dump(measure(sys.argv[1], int(sys.argv[2]), sys.argv[3]), sys.stdout)
