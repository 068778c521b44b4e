"""The pinned outbound connection: the only way from Bursar to a merchant's server.

`post` sends bytes to a URL that a merchant chose and keeps four promises: it reaches public addresses only
(or networks that the installation lists), it reaches the very address that was checked, it ends within the
deadline whatever the receiver does, and it reports what happened instead of acting on it: no redirect is
followed, nothing is tried again. Connections are kept for a while per URL origin; one that the receiver had
closed meanwhile is replaced without a word.
"""

from __future__ import annotations

import http.client
import ssl
import time
from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from ipaddress import ip_address

from callbacks.connector import targets
from callbacks.connector.idle import Idle
from callbacks.connector.line import CutOff, Deadline, Line, dial
from callbacks.connector.targets import Look, Networks, Target, UnknownHost, UrlRefused

__all__ = [
    "Answer",
    "Forbidden",
    "Insecure",
    "Lost",
    "NotDelivered",
    "NotHttpAnswer",
    "TooSlow",
    "Unreachable",
    "UrlRefused",
    "check_url",
    "idle",
    "post",
]

SECONDS = 10.0
"""The whole exchange, from the look-up to the last byte (gateway contract, callbacks)."""
MOST_ADDRESSES = 3
USER_AGENT = "Bursar"

idle = Idle()
"""The process's kept connections."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What the receiver answered, whatever the status.

    body: its first 64 kB. ms: from the look-up to the end. address: who was dialled. sent_at: when the
    request had been written, by the monotonic clock.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes
    ms: int
    address: str
    sent_at: float


class NotDelivered(Exception):
    """There was no answer. The text says why, for the merchant to read.

    sent_at: when the request had been written, or None when it never was, whole.
    """

    def __init__(self, reason: str, *, ms: int, address: str | None, sent_at: float | None) -> None:
        super().__init__(reason)
        self.ms, self.address, self.sent_at = ms, address, sent_at


class Forbidden(NotDelivered):
    """The URL may not be called: not http(s), or not public."""


class Unreachable(NotDelivered):
    """The host was not found, or nothing accepted the connection."""


class Insecure(NotDelivered):
    """TLS failed, or the certificate is not the host's."""


class TooSlow(NotDelivered):
    """The deadline passed before the answer was complete."""


class Lost(NotDelivered):
    """The connection broke before the answer was complete."""


class NotHttpAnswer(NotDelivered):
    """What came back was not HTTP."""


def check_url(url: str, *, private_targets: Networks, look: Look = targets.look_up) -> None:
    """Raises `UrlRefused` with the reason when `url` could not be called now."""
    target = targets.parse(url)
    try:
        _addresses(target, private_targets, look, Deadline(SECONDS))
    except TimeoutError:
        raise UnknownHost(host=target.host) from None


def post(
    *,
    url: str,
    body: bytes,
    headers: Mapping[str, str],
    private_targets: Networks,
    seconds: float = SECONDS,
    look: Look = targets.look_up,
) -> Answer:
    """Sends `body` with exactly `headers` and those that HTTP itself needs. Raises `NotDelivered`."""
    call = _Call(url, body, headers, private_targets, look, Deadline(seconds))
    try:
        return call.made()
    except UnknownHost as error:
        raise call.failed(Unreachable, str(error)) from error
    except UrlRefused as error:
        raise call.failed(Forbidden, str(error)) from error
    except TimeoutError as error:
        raise call.failed(TooSlow, f"No complete answer within {seconds:g} s") from error
    except ssl.SSLCertVerificationError as error:
        raise call.failed(Insecure, f"The certificate was refused: {error.verify_message}") from error
    except ssl.SSLError as error:
        raise call.failed(Insecure, f"TLS failed: {error.reason or error}") from error
    except (ConnectionError, CutOff, http.client.IncompleteRead) as error:
        raise call.failed(Lost if call.sent_at else Unreachable, f"Connection lost: {error}") from error
    except http.client.HTTPException as error:
        raise call.failed(NotHttpAnswer, f"Not an HTTP answer: {error!r}") from error
    except OSError as error:
        raise call.failed(Unreachable, f"No connection: {error.strerror or error}") from error


@dataclass
class _Call:
    """One exchange, and how far it got."""

    url: str
    body: bytes
    headers: Mapping[str, str]
    private_targets: Networks
    look: Look
    deadline: Deadline
    address: str | None = None
    sent_at: float | None = None

    def made(self) -> Answer:
        target = targets.parse(self.url)
        line = idle.take(self._origin(target))
        answer = self._over_kept(line, target) if line else None
        return answer or self._over(self._dialled(target), target)

    def failed(self, kind: type[NotDelivered], reason: str) -> NotDelivered:
        return kind(reason, ms=self.deadline.ms, address=self.address, sent_at=self.sent_at)

    def _origin(self, target: Target) -> Hashable:
        return target.scheme, target.host, target.port, tuple(self.private_targets)

    def _over_kept(self, line: Line, target: Target) -> Answer | None:
        """None when the other side had hung up meanwhile and nothing was heard: a new line is dialled."""
        try:
            return self._over(line, target)
        except (ConnectionError, ssl.SSLEOFError):
            if line.heard:
                raise
            self.sent_at = None
            return None

    def _over(self, line: Line, target: Target) -> Answer:
        self.address = line.address
        try:
            line.send(self._request(target), self.deadline)
            self.sent_at = sent_at = time.monotonic()
            reply = line.receive(self.deadline)
        except BaseException:
            line.close()
            raise
        if reply.reusable:
            idle.keep(self._origin(target), line)
        else:
            line.close()
        return Answer(reply.status, reply.headers, reply.body, self.deadline.ms, line.address, sent_at)

    def _dialled(self, target: Target) -> Line:
        addresses = _addresses(target, self.private_targets, self.look, self.deadline)
        self.address = addresses[0]
        return dial(target, addresses[:MOST_ADDRESSES], self.deadline)

    def _request(self, target: Target) -> bytes:
        """Head and body in one piece, so that they leave in one packet."""
        lines = {
            "Host": target.authority,
            "User-Agent": USER_AGENT,
            "Accept": "*/*",
            **self.headers,
            "Content-Length": str(len(self.body)),
        }
        head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
        return f"POST {target.path} HTTP/1.1\r\n{head}\r\n".encode("ascii") + self.body


def _addresses(target: Target, private_targets: Networks, look: Look, deadline: Deadline) -> list[str]:
    """The host's addresses, every one of them checked. Raises `UrlRefused`, TimeoutError."""
    try:
        addresses = [str(ip_address(target.host))]
    except ValueError:
        try:
            addresses = targets.look_up_within(deadline.left(), look, target.host, target.port)
        except TimeoutError:
            raise
        except OSError as error:
            raise UnknownHost(host=target.host) from error
    targets.demand_allowed(target.host, addresses, private_targets)
    return addresses
