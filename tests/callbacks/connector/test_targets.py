"""What may be called and dialled: the table of addresses that must never be reached, and the odd URLs."""

from __future__ import annotations

import time
from ipaddress import ip_network

import pytest

from callbacks import connector
from callbacks.connector import targets
from callbacks.connector.targets import (
    HasUserinfo,
    NotAUrl,
    NotHttp,
    PrivateTarget,
    Target,
    UnknownHost,
    UrlTooLong,
)

LOOPBACK = [ip_network("127.0.0.0/8"), ip_network("::1/128")]

NOT_PUBLIC = [
    "0.0.0.0",  # noqa: S104 - never bound, only judged
    "10.1.2.3",
    "100.64.0.1",
    "127.0.0.1",
    "127.255.255.254",
    "169.254.169.254",
    "172.16.0.1",
    "172.31.255.255",
    "192.0.0.8",
    "192.0.2.1",
    "192.88.99.1",
    "192.168.1.1",
    "198.18.0.1",
    "198.19.255.255",
    "198.51.100.7",
    "203.0.113.9",
    "224.0.0.1",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::7f00:1",
    "::ffff:127.0.0.1",
    "::ffff:10.0.0.1",
    "::ffff:169.254.169.254",
    "64:ff9b::7f00:1",
    "64:ff9b::a9fe:a9fe",
    "64:ff9b::10.0.0.1",
    "64:ff9b:1::1",
    "2002:7f00:1::",
    "2002:a00:1::1",
    "2001::1",
    "2001:db8::1",
    "3fff::1",
    "100::1",
    "fc00::1",
    "fd12:3456::1",
    "fe80::1",
    "fe80::1%lo",
    "2606:4700::1%eth0",
    "fec0::1",
    "ff02::1",
    "not an address",
    "",
]
PUBLIC = ["8.8.8.8", "172.32.0.1", "100.128.0.1", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808"]


class TestIsAllowed:
    @pytest.mark.parametrize("address", NOT_PUBLIC)
    def test_refuses_what_is_not_public(self, address: str) -> None:
        assert not targets.is_allowed(address, [])

    @pytest.mark.parametrize("address", PUBLIC)
    def test_allows_what_is_public(self, address: str) -> None:
        assert targets.is_allowed(address, [])

    @pytest.mark.parametrize("address", ["127.0.0.1", "::1", "::ffff:127.0.0.1", "64:ff9b::7f00:1"])
    def test_allows_a_listed_private_network_in_whatever_form(self, address: str) -> None:
        assert targets.is_allowed(address, LOOPBACK)

    @pytest.mark.parametrize("address", ["10.0.0.1", "169.254.169.254", "fe80::1", "2002:7f00:1::"])
    def test_a_listed_network_opens_no_other(self, address: str) -> None:
        assert not targets.is_allowed(address, LOOPBACK)


class TestParse:
    @pytest.mark.parametrize(
        ("url", "target"),
        [
            ("https://shop.example/cb", Target("https", "shop.example", 443, "/cb")),
            ("http://shop.example", Target("http", "shop.example", 80, "/")),
            ("HTTPS://Shop.Example:8443/a?b=c#d", Target("https", "shop.example", 8443, "/a?b=c")),
            ("https://[2606:4700::1111]:444/x", Target("https", "2606:4700::1111", 444, "/x")),
            ("https://shop.example/café", Target("https", "shop.example", 443, "/caf%C3%A9")),
            ("https://bücher.example/", Target("https", "xn--bcher-kva.example", 443, "/")),
        ],
    )
    def test_reads_a_url_once_for_all(self, url: str, target: Target) -> None:
        assert targets.parse(url) == target

    @pytest.mark.parametrize(
        ("url", "authority"),
        [
            ("https://shop.example:443/", "shop.example"),
            ("http://shop.example:8080/", "shop.example:8080"),
            ("https://[2606:4700::1111]/", "[2606:4700::1111]"),
            ("http://[2606:4700::1111]:443/", "[2606:4700::1111]:443"),
        ],
    )
    def test_names_the_host_as_the_header_does(self, url: str, authority: str) -> None:
        assert targets.parse(url).authority == authority

    @pytest.mark.parametrize(
        ("url", "refusal"),
        [
            ("", NotAUrl),
            ("shop.example/cb", NotAUrl),
            ("https://", NotAUrl),
            ("https:///cb", NotAUrl),
            ("https://shop.example:0/", NotAUrl),
            ("https://shop.example:99999/", NotAUrl),
            ("https://shop.example/a b", NotAUrl),
            ("https://shop.example/\r\nHost: other", NotAUrl),
            ("https://shop.example\\@10.0.0.1/", NotAUrl),
            ("ftp://shop.example/", NotHttp),
            ("file:///etc/passwd", NotHttp),
            ("gopher://127.0.0.1:6379/_", NotHttp),
            ("https://user:word@shop.example/", HasUserinfo),
            ("https://user@shop.example/", HasUserinfo),
            ("https://@shop.example/", HasUserinfo),
            ("https://shop.example/" + "x" * 2000, UrlTooLong),
        ],
    )
    def test_refuses_what_cannot_be_called(self, url: str, refusal: type[targets.UrlRefused]) -> None:
        with pytest.raises(refusal) as caught:
            targets.parse(url)
        assert type(caught.value) is refusal
        assert caught.value.field == "url"


class TestCheckUrl:
    @pytest.mark.parametrize(
        "url",
        [
            "http://127.0.0.1/",
            "http://[::1]/",
            "http://[::ffff:10.0.0.1]/",
            "http://localhost/",
            "http://127.1/",
            "http://2130706433/",
            "http://0x7f.0.0.1/",
            "http://0177.0.0.1/",
            "http://169.254.169.254/latest/meta-data/",
        ],
    )
    def test_refuses_every_spelling_of_a_private_address(self, url: str) -> None:
        with pytest.raises(PrivateTarget):
            connector.check_url(url, private_targets=[])

    def test_refuses_a_name_of_which_one_answer_is_private(self) -> None:
        with pytest.raises(PrivateTarget) as caught:
            connector.check_url(
                "https://shop.example/", private_targets=[], look=lambda *_: ["8.8.8.8", "10.0.0.1"]
            )
        assert str(caught.value) == "The host shop.example leads to 10.0.0.1, which is not a public address."

    def test_refuses_a_name_without_an_answer(self) -> None:
        with pytest.raises(UnknownHost) as caught:
            connector.check_url("https://shop.example/", private_targets=[], look=lambda *_: [])
        assert str(caught.value) == "The host shop.example cannot be found."

    def test_refuses_a_name_whose_look_up_fails(self) -> None:
        def fail(host: str, port: int) -> list[str]:
            raise OSError("no such name")

        with pytest.raises(UnknownHost):
            connector.check_url("https://shop.example/", private_targets=[], look=fail)

    def test_refuses_a_name_that_is_none(self) -> None:
        with pytest.raises(UnknownHost):
            connector.check_url(f"https://{'a' * 64}.example/", private_targets=[])

    def test_accepts_a_public_name(self) -> None:
        connector.check_url("https://shop.example/", private_targets=[], look=lambda *_: ["8.8.8.8"])

    def test_accepts_a_listed_private_address(self) -> None:
        connector.check_url("http://127.0.0.1:8000/", private_targets=LOOPBACK)


class TestLookUpWithin:
    def test_gives_up_on_a_resolver_that_hangs(self) -> None:
        def hang(host: str, port: int) -> list[str]:
            time.sleep(5)
            return ["8.8.8.8"]

        began = time.monotonic()
        with pytest.raises(TimeoutError):
            targets.look_up_within(0.1, hang, "shop.example", 443)
        assert time.monotonic() - began < 3

    def test_passes_on_what_the_resolver_raises(self) -> None:
        def fail(host: str, port: int) -> list[str]:
            raise OSError("no such name")

        with pytest.raises(OSError, match="no such name"):
            targets.look_up_within(5, fail, "shop.example", 443)
