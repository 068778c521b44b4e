"""IP addresses and networks as people and proxies write them, read strictly; plain values.

An IPv4 address that arrives in IPv6 clothes (`::ffff:192.0.2.7`) is the IPv4 address.
"""

from __future__ import annotations

from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from merchants.errors import Refusal

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

_MAPPED = IPv6Network("::ffff:0:0/96")
_LONGEST_ECHO = 50


class BadNetwork(Refusal):
    """{entry} is not an IPv4 or IPv6 address or network."""

    field = "ips"


class AddressInsideNetwork(Refusal):
    """{entry} is an address inside {network}: write the network, or the address alone."""

    field = "ips"


@lru_cache(1024)  # every request names one, mostly the same few
def parse_address(text: str) -> Address:
    """A single address. Raises `ValueError`."""
    if "%" in text:
        raise ValueError("an address with a zone means nothing elsewhere")
    return unmapped(ip_address(text))


def parse_network(text: str) -> Network:
    """An address or network in CIDR form. Raises `BadNetwork` or `AddressInsideNetwork`, naming `text`."""
    entry = text.strip()
    try:
        if "%" in entry:
            raise ValueError("zone")
        network = ip_network(entry, strict=False)
    except ValueError:
        raise BadNetwork(entry=_echo(entry)) from None
    if "/" in entry and ip_address(entry.split("/")[0]) != network.network_address:
        raise AddressInsideNetwork(entry=_echo(entry), network=shown(_unmapped_network(network)))
    return _unmapped_network(network)


def unmapped(address: Address) -> Address:
    """The IPv4 address inside an IPv4-mapped IPv6 one; any other as it is."""
    return getattr(address, "ipv4_mapped", None) or address


def shown(network: Network) -> str:
    """As people write it: a single address without its `/32` or `/128`."""
    return str(network.network_address) if network.prefixlen == network.max_prefixlen else str(network)


def _unmapped_network(network: Network) -> Network:
    if isinstance(network, IPv6Network) and network.subnet_of(_MAPPED):
        return IPv4Network((unmapped(network.network_address), network.prefixlen - _MAPPED.prefixlen))
    return network


def _echo(entry: str) -> str:
    """What was typed, short and printable enough to be shown back."""
    text = "".join(letter if letter.isprintable() else "?" for letter in entry)
    return f"“{text if len(text) <= _LONGEST_ECHO else text[:_LONGEST_ECHO] + '…'}”"
