"""Signatures: the wire's published vectors, and nothing that looks like a signature and is not one."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from merchants import signing
from tests.vectors import VECTORS

SECRET = "demo-secret-9mXk41"
BODY = b'{"currency":"BTC"}'
RIGHT = signing.sign(SECRET, BODY)

ODD = [
    "",
    " ",
    RIGHT[:-1],
    RIGHT + "0",
    RIGHT + "\n",
    "\n" + RIGHT,
    " " + RIGHT,
    RIGHT + " ",
    "0x" + RIGHT[2:],
    "0x" + RIGHT,
    RIGHT[:64],
    RIGHT * 2,
    RIGHT[:-1] + "g",
    RIGHT[:-1] + "٣",
    RIGHT[:-1] + "３",
    RIGHT[:-1] + "é",
    RIGHT[:-1] + "\x00",
    RIGHT[:-1] + "\ud800",
    "\x00" * 128,
    "é" * 128,
    "０" * 128,
    "g" * 128,
    "-" * 128,
    "0" * 127,
    "0" * 129,
    "0" * 64 + " " + "0" * 63,
    "0" * 64 + "\t" + "0" * 63,
    RIGHT[:64] + "," + RIGHT[65:],
    RIGHT[:64] + ";" + RIGHT[65:],
    RIGHT + "," + RIGHT,
    "sha512=" + RIGHT,
    "HMAC " + RIGHT,
    base64.b64encode(bytes.fromhex(RIGHT)).decode(),
    base64.urlsafe_b64encode(bytes.fromhex(RIGHT)).decode(),
    bytes.fromhex(RIGHT).decode("latin-1"),
    "null",
    "None",
    "undefined",
    "[]",
    "{}",
    "true",
    "0",
    "1e128",
    "+" + RIGHT[1:],
    "_" + RIGHT[1:],
    RIGHT[:2] + "_" + RIGHT[3:],
    '"' + RIGHT[1:-1] + '"',
    "%30" * 43,
    RIGHT.replace(RIGHT[0], "\u200b", 1),
    "0" * 128,
    "f" * 128,
    RIGHT[::-1],
    RIGHT[1:] + RIGHT[0],
    "0" * 100_000,
]


class TestSign:
    @pytest.mark.parametrize("vector", VECTORS["signature_vectors"], ids=lambda vector: vector["name"])
    def test_gives_the_published_signature(self, vector):
        body = bytes.fromhex(vector["body_hex"])
        assert len(body) == vector["body_len"]
        assert signing.sign(vector["secret"], body) == vector["signature"]
        assert signing.verify(vector["secret"], body, vector["signature"])

    @pytest.mark.parametrize("vector", VECTORS["terminal_vectors"], ids=lambda vector: vector["base64"])
    def test_signs_a_terminal_links_json_and_not_its_base64(self, vector):
        assert signing.sign(vector["secret"], vector["json"].encode()) == vector["signature"]
        assert signing.sign(vector["secret"], vector["data"].encode()) != vector["signature"]

    @pytest.mark.parametrize("vector", VECTORS["callbacks"], ids=lambda vector: vector["name"])
    def test_gives_the_signature_of_each_published_callback(self, vector):
        secret = vector.get("secret", SECRET)
        assert signing.sign(secret, vector["raw"].encode()) == vector["signature"]

    def test_takes_the_secrets_utf8_bytes(self):
        assert signing.verify("clé", b"", signing.sign("clé", b""))
        assert signing.sign("clé", b"") != signing.sign("cle", b"")


class TestVerify:
    def test_accepts_upper_case(self):
        assert signing.verify(SECRET, BODY, RIGHT.upper())
        assert signing.verify(SECRET, BODY, RIGHT[:64].upper() + RIGHT[64:])

    @pytest.mark.parametrize("signature", ODD, ids=lambda text: ascii(text)[:24])
    def test_refuses_what_is_not_the_signature_without_raising(self, signature):
        assert signing.verify(SECRET, BODY, signature) is False

    @pytest.mark.parametrize("signature", [None, 1, b"0" * 128, ["0"], RIGHT.encode()])
    def test_refuses_what_is_not_text(self, signature):
        assert signing.verify(SECRET, BODY, signature) is False

    @given(secret=st.text(st.characters(codec="utf-8")), body=st.binary())
    def test_accepts_what_sign_made(self, secret, body):
        assert signing.verify(secret, body, signing.sign(secret, body))

    @given(body=st.binary(), other=st.binary())
    def test_refuses_the_signature_of_another_body(self, body, other):
        assert signing.verify(SECRET, body, signing.sign(SECRET, other)) is (body == other)

    @given(place=st.integers(0, 127), digit=st.sampled_from("0123456789abcdef"))
    def test_refuses_a_changed_digit(self, place, digit):
        changed = RIGHT[:place] + digit + RIGHT[place + 1 :]
        assert signing.verify(SECRET, BODY, changed) is (changed == RIGHT)

    @given(st.text())
    def test_never_raises(self, text):
        assert signing.verify(SECRET, BODY, text) is False
