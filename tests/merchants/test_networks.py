"""Networks as people write them: read strictly, told apart, named when they are wrong."""

from __future__ import annotations

from ipaddress import ip_address, ip_network

import pytest

from merchants import networks
from merchants.networks import AddressInsideNetwork, BadNetwork


class TestParseNetwork:
    @pytest.mark.parametrize(
        ("text", "network"),
        [
            ("18.202.102.115", "18.202.102.115/32"),
            (" 18.202.102.115 ", "18.202.102.115/32"),
            ("10.0.0.0/8", "10.0.0.0/8"),
            ("0.0.0.0/0", "0.0.0.0/0"),
            ("2001:db8::1", "2001:db8::1/128"),
            ("2001:DB8::/32", "2001:db8::/32"),
            ("::/0", "::/0"),
            ("::ffff:1.2.3.4", "1.2.3.4/32"),
            ("::ffff:1.2.3.0/120", "1.2.3.0/24"),
            ("::ffff:0:0/96", "0.0.0.0/0"),
        ],
    )
    def test_reads_addresses_and_networks(self, text, network):
        assert networks.parse_network(text) == ip_network(network)

    @pytest.mark.parametrize(
        "text",
        ["", "10.0.0.300", "10.0.0", "010.0.0.1", "1.2.3.4/33", "1.2.3.4/-1", "1.2.3.4/", "host.example",
         "fe80::1%eth0", "fe80::%1/64", "1.2.3.4:80", "[::1]", "１.2.3.4", "1.2.3.4,5.6.7.8", "\x00",
         "::/129"],
    )  # fmt: skip
    def test_refuses_what_is_none(self, text):
        with pytest.raises(BadNetwork):
            networks.parse_network(text)

    def test_names_what_it_refuses(self):
        with pytest.raises(BadNetwork) as refusal:
            networks.parse_network("10.0.0.300")
        assert str(refusal.value) == "“10.0.0.300” is not an IPv4 or IPv6 address or network."
        assert refusal.value.field == "ips"

    def test_shows_back_no_more_than_a_line_of_printable_text(self):
        with pytest.raises(BadNetwork) as refusal:
            networks.parse_network("\x1b" + "x" * 5000)
        assert str(refusal.value) == f"“?{'x' * 49}…” is not an IPv4 or IPv6 address or network."

    def test_refuses_an_address_inside_a_network_and_names_the_network(self):
        with pytest.raises(AddressInsideNetwork) as refusal:
            networks.parse_network("10.0.0.5/24")
        assert "“10.0.0.5/24” is an address inside 10.0.0.0/24" in str(refusal.value)


class TestParseAddress:
    def test_takes_the_ipv4_address_out_of_its_ipv6_clothes(self):
        assert networks.parse_address("::ffff:1.2.3.4") == ip_address("1.2.3.4")

    @pytest.mark.parametrize("text", ["", "1.2.3", "fe80::1%eth0", "1.2.3.4/32", "unknown"])
    def test_refuses_anything_else(self, text):
        with pytest.raises(ValueError, match="address"):
            networks.parse_address(text)


class TestShown:
    def test_leaves_out_the_length_of_a_single_address(self):
        assert networks.shown(ip_network("1.2.3.4/32")) == "1.2.3.4"
        assert networks.shown(ip_network("2001:db8::/128")) == "2001:db8::"
        assert networks.shown(ip_network("10.0.0.0/8")) == "10.0.0.0/8"
