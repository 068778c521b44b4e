"""The requests of a trial, each made from the seed, its door and its number alone.

60 of 100 are signed correctly, whatever became of their body, path or headers; 20 prove nothing (no key,
another's, a wrong signature); 20 are bytes that no HTTP client writes (`broken`).
"""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from random import Random

from merchants import signing
from tests.fuzz import bodies, mutations, stage
from tests.fuzz.bodies import Recorded
from tests.fuzz.broken import broken
from tests.fuzz.wire import Door, Due, Part, Request

MOUNT = {Door.API: "/api/v2/", Door.INTAKE: "/callbacks/"}
WORKING = {
    Door.API: (stage.KEY, stage.SECRET),
    Door.INTAKE: (stage.UPSTREAM_KEY, stage.UPSTREAM_SECRET),
}
METHODS = ("GET", "HEAD", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT", "POST", "PROPFIND", "X")
CONTENT_TYPES = (
    "",
    "application/json; charset=utf-8",
    "application/json;charset=UTF-8",
    "application/json; charset=utf-16",
    "application/json; charset=none-such",
    "application/x-www-form-urlencoded",
    "multipart/form-data",
    "multipart/form-data; boundary=x",
    "multipart/form-data; boundary=" + "x" * 300,
    "text/plain",
    "application/xml",
    "*/*",
    ";;;",
    "application/json" * 100,
    "application/json; charset=\xe9",
    "application/json\t; boundary=\x80",
)
QUERIES = (
    "currency_from=BTC",
    "currency_from=XXX&currency_to=EUR",
    "currency_from=BTC&currency_from=ETH",
    "currency_to=%00",
    "currency_to=%ff%fe",
    "currency_to=%ed%a0%80",
    "%00=%00",
    "a=" + "x" * 3_000,
    "&".join(f"k{n}={n}" for n in range(900)),
    "&".join(f"k{n}={n}" for n in range(1_400)),
    "format=xml",
    "visible",
    "=&=&;;",
    "%",
    "%zz",
    "currency_from[]=BTC",
    "_method=DELETE",
)
PATHS = (
    "",
    "ping/",
    "ping//",
    "currencies",
    "currencies/list/",
    "currencies/list/..",
    "../v2/currencies/list",
    "addresses/take%2f",
    "addresses%2ftake",
    "addresses/take%00",
    "addresses/take%0a",
    "addresses/take;x=1",
    "transactions/info",
    "withdrawal/crypto",
    "exchange/now",
    "%e2%82%ac",
    "%ff%fe",
    "%ed%a0%80",
    "%c3%28/x",
    "sandbox",
    "sandbox/x/",
    "sandbox%00/",
    "none-such/",
    "..%2f..%2fetc%2fpasswd",
    "x" * 3_000,
    "a/" * 900,
    "//evil.test/",
    "%25%25%25",
    "<script>",
    "'\"",
    "\u202e".encode().decode("latin-1"),
)
HEADERS = (
    ("Accept", "text/html;q=0.9,*/*;q=0.1"),
    ("Accept", "application/xml"),
    ("Accept", ";;;,,,=" * 50),
    ("Accept-Language", "xx-" + "y" * 300),
    ("Accept-Language", "../../etc/passwd"),
    ("Accept-Encoding", "gzip;q=nan, *;q=2"),
    ("Cookie", "sessionid=" + "a" * 500 + "; csrftoken=\xff"),
    ("Cookie", "=;;=; messages=%00"),
    ("Authorization", "Basic \xff\xfe"),
    ("Authorization", "Bearer " + "x" * 2_000),
    ("X-Forwarded-For", "1.2.3.4, ::1, not-an-address"),
    ("X-Forwarded-For", ",".join(["10.0.0.1"] * 100)),
    ("X-Forwarded-Proto", "https"),
    ("X-Forwarded-Host", "evil.test"),
    ("Host", "evil.test"),
    ("Host", "127.0.0.1:99999999"),
    ("Host", "[::1"),
    ("Host", ""),
    ("Host", "\xe9.test"),
    ("Origin", "null"),
    ("Referer", "http://\x80/"),
    ("X-HTTP-Method-Override", "DELETE"),
    ("If-Modified-Since", "Thu, 99 Foo 99999 99:99:99 GMT"),
    ("If-None-Match", '"' * 99),
    ("Range", "bytes=0-,5-1"),
    ("Content-Encoding", "gzip"),
    ("Content-Language", "\xff"),
    ("Expect", "100-continue"),
    ("Upgrade", "h2c"),
    ("X-Odd", "é".encode().decode("latin-1") * 100),
)


@dataclass
class Draft:
    """A readable HTTP request while it is being made; `headers` keep their order and may repeat."""

    door: Door
    method: str
    path: str
    body: bytes
    query: str = ""
    version: str = "1.1"
    key: str | None = None
    signature: str | None = None
    content_type: str = "application/json"
    more: list[tuple[str, str]] = field(default_factory=list)
    host: str = "127.0.0.1"
    door_path: str = ""  # elsewhere than at the door's own mount

    def sign(self, secret: str) -> None:
        self.signature = signing.sign(secret, self.body)

    @property
    def target(self) -> str:
        where = self.door_path or f"{MOUNT[self.door]}{self.path}"
        return where + (f"?{self.query}" if self.query else "")

    def headers(self) -> Iterator[tuple[str, str]]:
        if not any(name == "Host" for name, _ in self.more):
            yield "Host", self.host
        if self.key is not None:
            yield signing.KEY_HEADER, self.key
        if self.signature is not None:
            yield signing.SIGNATURE_HEADER, self.signature
        if self.content_type:
            yield "Content-Type", self.content_type
        yield from self.more

    def head(self, *length: tuple[str, str]) -> bytes:
        lines = [f"{self.method} {self.target} HTTP/{self.version}"]
        lines += [f"{name}: {value}" for name, value in (*self.headers(), *length)]
        return "\r\n".join([*lines, "", ""]).encode("latin-1", "replace")

    def raw(self) -> bytes:
        return self.head(("Content-Length", str(len(self.body)))) + self.body


@dataclass(frozen=True)
class Maker:
    """Makes the requests of one door; `make(n)` is always the same request."""

    seed: int
    door: Door

    def make(self, number: int) -> Request:
        rng = Random(f"{self.seed}:{self.door}:{number}")
        draft = self.valid(rng)
        group = number % 5  # three of five, one of five, one of five, in whatever order they are sent
        if group == 3:
            return _unproven(number, draft, rng)
        if group == 4:
            return broken(number, draft, WORKING[self.door][1], rng)
        return _signed(number, draft, rng)

    def valid(self, rng: Random) -> Draft:
        """A recorded call, with its key and without its signature."""
        recorded: Recorded = rng.choice(bodies.API if self.door is Door.API else bodies.INTAKE)
        key, _ = WORKING[self.door]
        return Draft(self.door, recorded.method, recorded.path, recorded.raw, key=key)

    def untouched(self, number: int) -> Request:
        """A recorded call as it is, signed."""
        draft = self.valid(Random(f"{self.seed}:{self.door}:valid:{number}"))
        draft.sign(WORKING[self.door][1])
        return finished(number, "valid", draft)


def finished(number: int, kind: str, draft: Draft, due: Due = Due.ANY) -> Request:
    return Request(
        number=number,
        door=draft.door,
        kind=kind,
        parts=(Part(draft.raw()),),
        due=due,
        method=draft.method,
        path=draft.target,
        bodies=(draft.body,),
    )


# --- signed ---


def _signed(number: int, draft: Draft, rng: Random) -> Request:
    kind = rng.choices(("structure", "bytes", "request", "valid"), (50, 20, 25, 5))[0]
    if kind == "structure":
        draft.body = bodies.dumped(mutations.structure(bodies.loaded(draft.body), rng), rng)
    elif kind == "bytes":
        draft.body = mutations.bytewise(draft.body, rng)
    elif kind == "request":
        for _ in range(rng.choice((1, 1, 2, 3))):
            _alter(draft, rng)
    draft.sign(WORKING[draft.door][1])
    if rng.random() < 0.05:
        draft.signature = (draft.signature or "").upper()
    request = finished(number, f"signed: {kind}", draft)
    return _chunked(request, draft, rng) if rng.random() < 0.03 else request


def _alter(draft: Draft, rng: Random) -> None:
    what = rng.randrange(7)
    if what == 0:
        draft.method = rng.choice(METHODS)
    elif what == 1:
        draft.path = rng.choice(PATHS)
    elif what == 2:
        draft.content_type = rng.choice(CONTENT_TYPES)
    elif what == 3:
        draft.query = rng.choice(QUERIES)
    elif what == 4:
        draft.body = draft.body.decode("utf-8", "replace").encode(rng.choice(("utf-16", "utf-32", "utf-7")))
    elif what == 5:
        draft.more += rng.sample(HEADERS, rng.choice((1, 2)))
    else:
        draft.body, draft.more = gzip.compress(draft.body, mtime=0), [("Content-Encoding", "gzip")]


def _chunked(request: Request, draft: Draft, rng: Random) -> Request:
    """The same body in chunks, as a client does that does not know its length yet."""
    size = rng.choice((1, 7, 1_000))
    body = draft.body if size > 1 else draft.body[:2_000]
    draft.body = body
    draft.sign(WORKING[draft.door][1])
    chunks = [body[at : at + size] for at in range(0, len(body), size)]
    coded = b"".join(b"%x\r\n%s\r\n" % (len(chunk), chunk) for chunk in chunks)
    head = draft.head(("Transfer-Encoding", "chunked"))
    return replace(
        request, kind="signed: chunked", parts=(Part(head + coded + b"0\r\n\r\n"),), bodies=(body,)
    )


# --- proving nothing ---


def _unproven(number: int, draft: Draft, rng: Random) -> Request:
    """Every way of not being the one who holds the secret."""
    if draft.path == "ping":
        draft.path, draft.method = "accounts/list", "POST"  # ping alone asks for no proof
    if rng.random() < 0.3:
        draft.body = mutations.bytewise(draft.body, rng)
    if rng.random() < 0.15:
        draft.more = rng.sample([header for header in HEADERS if header[0] != "Host"], 2)
    secret = WORKING[draft.door][1]
    right = signing.sign(secret, draft.body)
    draft.signature = right
    _spoil(draft, right, rng)
    return finished(number, "unproven", draft, Due.REFUSED)


def _spoil(draft: Draft, right: str, rng: Random) -> None:
    keys = (
        None,
        "",
        " ",
        "bpk_nobody",
        stage.ENDED_KEY,
        "x" * 129,
        "x" * 6_000,
        "k\xe9y",
        "' OR '1'='1",
        "../..",
        f"{draft.key}\t{draft.key}",
        (draft.key or "").swapcase(),
    )
    signatures = (
        None,
        "",
        "0" * 128,
        right[:-1],
        right + "0",
        right[::-1],
        "g" * 128,
        "\xe9" * 128,
        "f" * 6_000,
        f"{right},{right}",
        f"0x{right[2:]}",
        signing.sign("another secret", draft.body),
        signing.sign(WORKING[draft.door][1], draft.body + b" "),
    )
    what = rng.randrange(5)
    if what in {0, 1}:
        draft.key = rng.choice(keys)
    if what in {1, 2, 3}:
        draft.signature = rng.choice(signatures)
    if what == 4:
        _pretend(draft, right, rng)


def _pretend(draft: Draft, right: str, rng: Random) -> None:
    """Another key's secret, another place, both headers twice or the wrong way round."""
    what = rng.randrange(4)
    if what == 0:
        draft.key = stage.ELSEWHERE_KEY
        draft.signature = signing.sign(stage.ELSEWHERE_SECRET, draft.body)
        draft.more = [("X-Forwarded-For", "192.0.2.1")]
    elif what == 1:
        draft.key, draft.signature = right, draft.key
    elif what == 2:
        draft.more = [(signing.KEY_HEADER, draft.key or ""), (signing.SIGNATURE_HEADER, right)]
    else:
        draft.key = stage.ENDED_KEY
        draft.signature = signing.sign(stage.ENDED_SECRET, draft.body)
