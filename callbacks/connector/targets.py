"""Which URLs may be called, and which addresses may be dialled.

A merchant's URL is hostile input: it may name our own network by a number, a name, or a name that changes
its answer. So the URL is parsed once, the name is looked up once, every answer must be public, and what is
dialled is the checked answer itself. Private networks are reached only where the installation lists them.
"""

from __future__ import annotations

import re
import socket
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)

from urllib3.exceptions import LocationParseError
from urllib3.util import parse_url

from merchants.errors import Refusal

LONGEST_URL = 2000

Network = IPv4Network | IPv6Network
Networks = Sequence[Network]
Look = Callable[[str, int], list[str]]
"""Looks a host up: (host, port) to the addresses, most preferred first. Raises OSError."""

# Not for the public internet (IANA special-purpose registries, RFC 6890 and successors). Kept here because
# `ipaddress.is_global` passes translated forms of private addresses on some of our Python versions.
_NOT_PUBLIC_4 = [
    ip_network(text)
    for text in (
        "0.0.0.0/8",
        "10.0.0.0/8",
        "100.64.0.0/10",
        "127.0.0.0/8",
        "169.254.0.0/16",
        "172.16.0.0/12",
        "192.0.0.0/24",
        "192.0.2.0/24",
        "192.88.99.0/24",
        "192.168.0.0/16",
        "198.18.0.0/15",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "224.0.0.0/3",
    )
]
_PUBLIC_6 = IPv6Network("2000::/3")
_NOT_PUBLIC_6 = [ip_network(text) for text in ("2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20")]
_TRANSLATED = IPv6Network("64:ff9b::/96")
"""NAT64's well-known prefix (RFC 6052): the last 32 bits are the IPv4 address that is really reached."""

_AUTHORITY_ENDS = re.compile("[/?#]")


class UrlRefused(Refusal):
    """The URL cannot be called back."""

    field = "url"


class NotAUrl(UrlRefused):
    """The URL must be complete, such as https://shop.example/callback."""


class UrlTooLong(UrlRefused):
    """The URL may not be longer than {longest} characters."""


class NotHttp(UrlRefused):
    """The URL must begin with https:// or http://."""


class HasUserinfo(UrlRefused):
    """The URL must not contain a user name or password."""


class UnknownHost(UrlRefused):
    """The host {host} cannot be found."""


class PrivateTarget(UrlRefused):
    """The host {host} leads to {address}, which is not a public address."""


@dataclass(frozen=True, slots=True)
class Target:
    """A URL as the connector dials it. host: ASCII, without brackets. path: with its query, encoded."""

    scheme: str
    host: str
    port: int
    path: str

    @property
    def authority(self) -> str:
        """What the `Host` header says."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        usual = 443 if self.scheme == "https" else 80
        return host if self.port == usual else f"{host}:{self.port}"


@lru_cache(maxsize=1024)
def parse(url: str) -> Target:
    """The one reading of a merchant's URL. Raises `UrlRefused`."""
    if len(url) > LONGEST_URL:
        raise UrlTooLong(longest=LONGEST_URL)
    if any(character <= " " or character in "\\\x7f" for character in url):
        raise NotAUrl
    try:
        parts = parse_url(url)
    except LocationParseError:
        raise NotAUrl from None
    if parts.scheme not in {"http", "https"}:
        raise NotAUrl if "://" not in url else NotHttp
    if "@" in _AUTHORITY_ENDS.split(url.partition("://")[2], maxsplit=1)[0]:
        raise HasUserinfo
    if not parts.host or parts.port == 0:
        raise NotAUrl
    port = parts.port or (443 if parts.scheme == "https" else 80)
    return Target(parts.scheme, parts.host.strip("[]"), port, parts.request_uri)


def look_up(host: str, port: int) -> list[str]:
    """The system's own look-up, each address once."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(answer[4][0]) for answer in found))


def look_up_within(seconds: float, look: Look, host: str, port: int) -> list[str]:
    """`look`, given up after `seconds`, since the system's resolver knows no deadline.

    Raises OSError, and TimeoutError among them.
    """
    answer: list[list[str] | OSError | UnicodeError] = []

    def ask() -> None:
        try:
            answer.append(look(host, port))
        except (OSError, UnicodeError) as error:
            answer.append(error)

    asking = threading.Thread(target=ask, name="look-up", daemon=True)
    asking.start()
    asking.join(seconds)
    if not answer:
        raise TimeoutError(f"{host} was not found in time")
    match answer[0]:
        case list() as addresses:
            return addresses
        case UnicodeError():
            raise OSError(f"{host!r} is no host name")
        case error:
            raise error


def demand_allowed(host: str, addresses: Sequence[str], private_targets: Networks) -> None:
    """Raises `UrlRefused` unless there are addresses and each of them may be dialled."""
    if not addresses:
        raise UnknownHost(host=host)
    for address in addresses:
        if not is_allowed(address, private_targets):
            raise PrivateTarget(host=host, address=address)


def is_allowed(address: str, private_targets: Networks) -> bool:
    """Whether an address is public, or in one of the networks that the installation lists."""
    try:
        reached = _reached(address)
    except ValueError:
        return False
    if any(reached in network for network in private_targets):
        return True
    if isinstance(reached, IPv4Address):
        return not any(reached in network for network in _NOT_PUBLIC_4)
    return reached in _PUBLIC_6 and not any(reached in network for network in _NOT_PUBLIC_6)


def _reached(address: str) -> IPv4Address | IPv6Address:
    """The address that is really reached: mapped and translated forms become the IPv4 address inside.

    Raises ValueError for anything that is no address, and for one bound to an interface.
    """
    given = ip_address(address)
    if isinstance(given, IPv4Address):
        return given
    if given.scope_id is not None:
        raise ValueError("bound to an interface")
    if given.ipv4_mapped is not None:
        return given.ipv4_mapped
    if given in _TRANSLATED:
        return IPv4Address(int(given) & 0xFFFFFFFF)
    return given
