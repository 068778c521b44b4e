"""The client's address: the peer, or what trusted proxies say, from the right; else nobody's."""

from __future__ import annotations

from ipaddress import ip_network

import pytest
from django.test import RequestFactory

from merchants import client_address

PROXIES = [ip_network("10.0.0.0/8"), ip_network("2001:db8:f::/48")]


@pytest.fixture(autouse=True)
def _proxies(settings):
    settings.TRUSTED_PROXIES = PROXIES


def seen(peer, forwarded=None):
    headers = {} if forwarded is None else {"X-Forwarded-For": forwarded}
    return client_address.text_of(RequestFactory().get("/", REMOTE_ADDR=peer, headers=headers))


class TestOf:
    @pytest.mark.parametrize(
        ("peer", "forwarded", "address"),
        [
            ("203.0.113.7", None, "203.0.113.7"),
            ("::ffff:203.0.113.7", None, "203.0.113.7"),
            ("2001:db8::7", None, "2001:db8::7"),
            ("203.0.113.7", "198.51.100.1", "203.0.113.7"),
            ("10.0.0.1", None, "10.0.0.1"),
            ("10.0.0.1", "198.51.100.1", "198.51.100.1"),
            ("::ffff:10.0.0.1", "198.51.100.1", "198.51.100.1"),
            ("10.0.0.1", "::ffff:198.51.100.1", "198.51.100.1"),
            ("10.0.0.1", "198.51.100.1, 10.0.0.2", "198.51.100.1"),
            ("10.0.0.1", "6.6.6.6, 198.51.100.1,10.0.0.2", "198.51.100.1"),
            ("10.0.0.1", "rubbish, 198.51.100.1", "198.51.100.1"),
            ("10.0.0.1", "10.0.0.3, 10.0.0.2", "10.0.0.3"),
            ("2001:db8:f::1", "2001:db8::7", "2001:db8::7"),
        ],
    )
    def test_reads_the_chain_from_the_right(self, peer, forwarded, address):
        assert seen(peer, forwarded) == address

    @pytest.mark.parametrize(
        ("peer", "forwarded"),
        [
            ("", None),
            ("unix:", None),
            ("10.0.0.1", ""),
            ("10.0.0.1", "unknown"),
            ("10.0.0.1", "198.51.100.1:443"),
            ("10.0.0.1", "198.51.100.1, "),
            ("10.0.0.1", "198.51.100.1, rubbish, 10.0.0.2"),
            ("10.0.0.1", "[2001:db8::7]"),
            ("10.0.0.1", "fe80::1%eth0"),
            ("10.0.0.1", ", ".join(["10.0.0.2"] * 33)),
        ],
    )
    def test_is_nobody_where_the_chain_is_malformed(self, peer, forwarded):
        assert seen(peer, forwarded) is None

    def test_believes_no_header_without_proxies(self, settings):
        settings.TRUSTED_PROXIES = []
        assert seen("10.0.0.1", "198.51.100.1") == "10.0.0.1"
