"""Where a request comes from: the peer, or what a trusted proxy says of its own peer.

A header counts only as far as the proxies that wrote it are ours (`BURSAR_TRUSTED_PROXIES`): the chain is
read from the right, over trusted networks, to the first address that is not one of ours.
"""

from __future__ import annotations

from django.conf import settings
from django.http import HttpRequest

from merchants.networks import Address, parse_address

MOST_HOPS = 32


def of(request: HttpRequest) -> Address | None:
    """The client's address; None when what should name it is malformed, which callers refuse."""
    try:
        return _read(request)
    except ValueError:
        return None


def text_of(request: HttpRequest) -> str | None:
    """The same as text, for the audit."""
    address = of(request)
    return None if address is None else str(address)


def _read(request: HttpRequest) -> Address:
    address = parse_address(request.META.get("REMOTE_ADDR", ""))
    forwarded = request.META.get("HTTP_X_FORWARDED_FOR")
    if forwarded is None or not _is_trusted(address):
        return address
    hops = forwarded.split(",")
    if len(hops) > MOST_HOPS:
        raise ValueError("more hops than any chain of proxies has")
    for hop in reversed(hops):
        address = parse_address(hop.strip())
        if not _is_trusted(address):
            break
    return address


def _is_trusted(address: Address) -> bool:
    return any(address in network for network in settings.TRUSTED_PROXIES)
