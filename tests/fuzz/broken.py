"""Bytes that no HTTP client writes: broken lines, contradicting lengths, games with chunks, half bodies.

What is well-formed in them is signed correctly, so that whatever a server makes of it goes on behind the
signature. Slow ones are slow within bounds: fractions of a second, a few parts.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from random import Random
from typing import TYPE_CHECKING

from merchants import signing
from tests.fuzz.wire import Due, Ending, Part, Request

if TYPE_CHECKING:
    from tests.fuzz.cases import Draft

Kind = tuple[str, Callable[["Draft", Random], list[Part]]]


def broken(number: int, draft: Draft, secret: str, rng: Random) -> Request:
    draft.signature = signing.sign(secret, draft.body)
    name, make = rng.choice(_KINDS)
    parts = make(draft, rng)
    pipelined = name == "pipelined"
    ending = rng.choices((Ending.HALF, Ending.CLOSE), (85, 15))[0]
    return Request(
        number=number,
        door=draft.door,
        kind=f"raw: {name}",
        parts=tuple(parts),
        due=Due.MAYBE,
        ending=Ending.HALF if pipelined else ending,
        answers=len(parts[0].data.split(b"HTTP/1.1\r\n")) - 1 if pipelined else 1,
        method="GET" if pipelined else draft.method,
        path=draft.target,
        bodies=(draft.body,) if not pipelined else (draft.body,) * 8,
    )


def _line(draft: Draft, rng: Random) -> list[Part]:
    """A request line that is none."""
    head = draft.raw().split(b"\r\n", 1)[1]
    target = draft.target.encode("latin-1", "replace")
    lines = (
        b"",
        b"\x00",
        b"GET",
        b"GET /",
        b"GET  / HTTP/1.1",
        b"POST " + target,
        b"POST " + target + b" HTTP/9.9",
        b"POST " + target + b" HTTP/1.1 extra",
        b"POST " + target + b" HTTP/2.0",
        b"POST " + target + b" ICY",
        b"post " + target + b" HTTP/1.1",
        b"P\x00ST " + target + b" HTTP/1.1",
        b"POST " + target + b"\x00\xff HTTP/1.1",
        b"POST http://evil.test" + target + b" HTTP/1.1",
        b"POST //" + target + b" HTTP/1.1",
        b"POST * HTTP/1.1",
        b"POST " + target + b"#frag?x HTTP/1.1",
        b"POST " + target + b" x HTTP/1.1",
        b"CONNECT 127.0.0.1:22 HTTP/1.1",
        b"POST /" + b"a" * rng.choice((3_000, 5_000, 20_000)) + b" HTTP/1.1",
        b"A" * rng.choice((100, 9_000)) + b" / HTTP/1.1",
        b"PRI * HTTP/2.0\r\n\r\nSM",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"\xff\xfe\xfd " + target + b" HTTP/1.1",
        b"POST\t" + target + b"\tHTTP/1.1",
        b"POST http://[::1 HTTP/1.1",
        b"POST ///\\\\ HTTP/1.1",
    )
    return [Part(rng.choice(lines) + b"\r\n" + head)]


def _header(draft: Draft, rng: Random) -> list[Part]:
    """One header more, which no parser should like."""
    odd = (
        b"NoColon",
        b": empty",
        b"X Space: 1",
        b"X-Nul: a\x00b",
        b"X-Cr: a\rb",
        b"X-Lf: a\nb: c",
        b" folded: 1",
        b"X-Fold: a\r\n b",
        b"X\xff: \xff",
        b"X_Processing_Key: x",
        b"X-Processing-Key : x",
        b"Host: a\r\nHost: b",
        b"Content-Type: a\r\nContent-Type: b",
        b"X-Long: " + b"x" * rng.choice((7_000, 9_000, 100_000)),
        b"\r\n".join(b"X-%d: 1" % n for n in range(rng.choice((90, 150, 2_000)))),
        b"Expect: 200-ok",
        b"Connection: upgrade, x\r\nUpgrade: websocket",
        b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA",
        b"X-Forwarded-Proto: https\r\nX-Forwarded-Proto: http",
        b"X-Forwarded-Proto: https\r\nX-Forwarded-SSL: off",
        b"Proxy: http://evil.test",
        b"Script-Name: /api",
        b"SCRIPT_NAME: /x\r\nPATH_INFO: /y",
        b"Transfer-Encoding:",
        b"Cookie: " + b"a=b;" * 1_500,
    )
    head, _, body = draft.raw().partition(b"\r\n\r\n")
    first, _, rest = head.partition(b"\r\n")
    return [Part(b"\r\n".join([first, rng.choice(odd), rest]) + b"\r\n\r\n" + body)]


def _length(draft: Draft, rng: Random) -> list[Part]:
    """A Content-Length that the body contradicts, or that is no number."""
    size = len(draft.body)
    lengths = (
        str(size + rng.choice((1, 10, 5_000))),
        str(max(0, size - rng.choice((1, 5)))),
        "0",
        "-1",
        "+5",
        "5_0",
        "0x10",
        "1e3",
        "five",
        "",
        "５",
        str(2**31),
        str(2**63),
        "9" * 60,
        "9" * 5_000,
        f"{size}, {size}",
        f"{size}\r\nContent-Length: {size + 1}",
        f"{size}\r\nContent-Length: {size}",
        f" {size}",
        f"{size};x",
    )
    return [Part(draft.head(("Content-Length", rng.choice(lengths))) + draft.body)]


def _chunks(draft: Draft, rng: Random) -> list[Part]:
    """Chunks that do not add up, and codings that nobody speaks."""
    body = draft.body or b"{}"
    coded = b"%x\r\n%s\r\n" % (len(body), body)
    bodies = (
        b"%x\r\n%s" % (len(body) + 9, body),
        b"%x\r\n%s0\r\n\r\n" % (len(body), body),
        b"%x;ext=%s\r\n%s\r\n0\r\n\r\n" % (len(body), b"x" * 2_000, body),
        b"zz\r\n%s\r\n0\r\n\r\n" % body,
        b"-1\r\n%s\r\n0\r\n\r\n" % body,
        b"\r\n\r\n",
        b"0x%x\r\n%s\r\n0\r\n\r\n" % (len(body), body),
        b"%s\r\nx\r\n" % (b"f" * 40),
        b"ffffffffffffffff\r\nx",
        b"1_0\r\n%s\r\n0\r\n\r\n" % body,
        coded,
        coded + b"0\r\n",
        coded + b"0\r\nX-Trailer: \x00\r\n\r\n",
        coded + b"0\r\nX-Processing-Key: other\r\n\r\n",
        coded + b"0\r\n" + b"X: y\r\n" * 3_000 + b"\r\n",
        coded + b"0\r\n\r\nGET /api/v2/ping HTTP/1.1\r\nHost: x\r\n\r\n",
        b"\n".join((b"%x" % len(body), body, b"0", b"", b"")),
        b"0\r\n\r\n",
        b"1\r\nx\r\n" * 3_000,
    )
    coding = rng.choice(
        (
            "chunked",
            "Chunked",
            "chunked, chunked",
            "gzip, chunked",
            "gzip",
            "identity",
            "x",
            "chunked\x0b",
            "",
        )
        + ("chunked",) * 8
    )
    length = [("Content-Length", str(len(body)))] if rng.random() < 0.15 else []
    return [Part(draft.head(("Transfer-Encoding", coding), *length) + rng.choice(bodies))]


def _breaking_off(draft: Draft, rng: Random) -> list[Part]:
    raw = draft.raw()
    return [Part(raw[: rng.randrange(len(raw))])]


def _slow(draft: Draft, rng: Random) -> list[Part]:
    """All of it, or nearly, in three to six pieces with pauses."""
    raw = draft.raw()
    cuts = sorted(rng.randrange(1, len(raw)) for _ in range(rng.choice((2, 3, 5))))
    edges = [0, *cuts, len(raw) if rng.random() < 0.8 else cuts[-1]]
    pieces = [raw[start:end] for start, end in pairwise(edges)]
    return [Part(piece, rng.choice((0.0, 0.02, 0.1))) for piece in pieces if piece]


def _large(draft: Draft, rng: Random) -> list[Part]:
    """Bodies beyond every limit, signed like any other."""
    size = rng.choice((65_537, 200_000, 1_048_577, 3_000_000))
    draft.body = rng.choice((b"[" * size, b'"' + b"x" * size, b" " * size, b"\x00" * size))
    draft.signature = "0" * 128
    return [Part(draft.raw())]


def _garbage(draft: Draft, rng: Random) -> list[Part]:
    noise = (
        rng.randbytes(rng.choice((1, 40, 4_000))),
        b"\r\n" * rng.choice((1, 500)),
        b"\x00" * rng.choice((1, 5_000)),
        b"GET / HTTP/0.9\r\n\r\n",
        b"EHLO x\r\n",
        b"*1\r\n$4\r\nPING\r\n",
        b"PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\n" + draft.raw(),
        b"PROXY \xff\r\n" + draft.raw(),
        b"x" * 70_000,
        draft.raw().replace(b"\r\n", b"\n"),
        draft.raw().replace(b"\r\n", b"\r"),
        draft.raw().replace(b": ", b":"),
        b"\r\n\r\n" + draft.raw(),
    )
    return [Part(rng.choice(noise))]


def _bytes(draft: Draft, rng: Random) -> list[Part]:
    """A good request with a few bytes of it, anywhere, exchanged."""
    raw = bytearray(draft.raw())
    for _ in range(rng.choice((1, 2, 5))):
        raw[rng.randrange(len(raw))] = rng.choice((0, 10, 13, 32, 58, 127, 255, rng.randrange(256)))
    return [Part(bytes(raw))]


def _pipelined(draft: Draft, rng: Random) -> list[Part]:
    """Several requests at once, the last of them perhaps broken; without HEAD, whose answers lack bodies."""
    if draft.method == "HEAD":
        draft.method = "GET"
    raw = draft.raw()
    broken_last = rng.choice((b"", b"", b"GARBAGE\r\n\r\n", raw[: len(raw) // 2]))
    return [Part(raw * rng.choice((2, 3, 8)) + broken_last)]


PAGES = ("/", "/sign-in/", "/operator/", "/operator/login/?next=%00", "/static/bursar.css", "/healthz", "/x/")


def _page(draft: Draft, rng: Random) -> list[Part]:
    """A form for people, filled in by nobody: beside the promised doors, and reachable by strangers."""
    draft.door_path = rng.choice(PAGES)
    fields = (
        b"email=a%40b.test&password=x&csrfmiddlewaretoken=" + b"a" * 64,
        b"email=%00&password=%ff%fe&code=%ed%a0%80",
        b"email=" + b"x" * rng.choice((10_000, 1_100_000)),
        b"&".join(b"f%d=1" % n for n in range(rng.choice((900, 1_100)))),
        b"=&=&;;&%zz&%",
        rng.randbytes(300),
    )
    multipart = (
        b'--x\r\nContent-Disposition: form-data; name="email"\r\n\r\n\x00\xff\r\n--x--\r\n',
        b'--x\r\nContent-Disposition: form-data; name="a"; filename="../../x"\r\n\r\n1\r\n--x--\r\n',
        b"--x\r\nContent-Disposition: form-data\r\nContent-Transfer-Encoding: base64\r\n\r\n!!!\r\n--x--",
        b"--x" * 500,
        b"",
    )
    forms = rng.random() < 0.6
    draft.method = rng.choice(("POST", "POST", "GET", "HEAD", "PUT"))
    draft.body = rng.choice(fields if forms else multipart)
    draft.content_type = "application/x-www-form-urlencoded" if forms else "multipart/form-data; boundary=x"
    cookies = (
        "csrftoken=" + "a" * 32,
        "csrftoken=\xff; sessionid=\x80",
        "sessionid=../../x; messages=[[1]]",
        "a",
    )
    draft.more = [("Cookie", rng.choice(cookies)), ("Referer", rng.choice(("http://[", "null", "x")))]
    return [Part(draft.raw())]


_KINDS: tuple[Kind, ...] = (
    ("page", _page),
    ("request line", _line),
    ("request line", _line),
    ("header", _header),
    ("header", _header),
    ("length", _length),
    ("chunks", _chunks),
    ("chunks", _chunks),
    ("broken off", _breaking_off),
    ("slow", _slow),
    ("large", _large),
    ("garbage", _garbage),
    ("bytes", _bytes),
    ("bytes", _bytes),
    ("pipelined", _pipelined),
)
