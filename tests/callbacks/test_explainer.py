"""The signature explainer: each common mistake is named, a right signature is said to be right."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json

import pytest

from callbacks.explainer import MATCHES, UNKNOWN, Candidate, explain_body, explain_signature
from merchants import signing

BODY = (
    b'{"id":1,"url":"https:\\/\\/shop.test","name":"Z\\u00fcrich","tag":null,'
    b'"amount":"0.01500000","fees":[{"type":"fee","amount":"0.00012000"}]}'
)
PARSED = json.loads(BODY)
SECRET, OTHER = "secret-of-the-key", "secret-of-another-key"
KEYS = [Candidate("key-1", SECRET, is_signing=True), Candidate("key-2", OTHER, is_signing=False)]


def signed(body, secret=SECRET):
    return signing.sign(secret, body)


def explained(pasted):
    return explain_signature(body=BODY, pasted=pasted, candidates=KEYS)


class TestExplainSignature:
    @pytest.mark.parametrize(
        "write", [str, str.upper, lambda text: f"  {text}\n", lambda text: f"sha512={text}"]
    )
    def test_says_that_a_right_one_is_right(self, write):
        assert explained(write(signed(BODY))) == MATCHES

    @pytest.mark.parametrize(
        ("made_of", "what"),
        [
            (BODY + b"\n", "given a trailing newline"),
            (b"", "empty"),
            (BODY.replace(b"\\/", b"/"), "slashes unescaped"),
            (json.dumps(PARSED, separators=(",", ":")).encode(), "slashes unescaped"),
            (json.dumps(PARSED).encode(), "with spaces after commas and colons"),
            (json.dumps(PARSED, indent=4).encode(), "pretty-printed"),
            (json.dumps(PARSED, indent=2, ensure_ascii=False).encode(), "pretty-printed"),
            (json.dumps(PARSED, sort_keys=True, separators=(",", ":")).encode(), "re-ordered by its keys"),
            (
                json.dumps(PARSED, separators=(",", ":"), ensure_ascii=False).encode(),
                "non-ASCII letters unescaped",
            ),
            (
                json.dumps(
                    {**PARSED, "amount": 0.015, "fees": [{"type": "fee", "amount": 0.00012}]}
                ).encode(),
                "amounts as numbers",
            ),
            (
                json.dumps(
                    {k: v for k, v in PARSED.items() if v is not None}, separators=(",", ":")
                ).encode(),
                "stripped of its null fields",
            ),
        ],
    )
    def test_names_what_was_done_to_the_body(self, made_of, what):
        finding = explained(signed(made_of))
        assert not finding.matches
        assert what in finding.what
        assert "raw bytes" in finding.advice

    def test_names_another_keys_secret(self):
        finding = explained(signed(BODY, OTHER))
        assert "another key's secret (key-2)" in finding.what

    def test_names_base64(self):
        raw = hmac.new(SECRET.encode(), BODY, "sha512").digest()
        for text in (base64.b64encode(raw), base64.urlsafe_b64encode(raw)):
            assert "base64 instead of hexadecimal" in explained(text.decode()).what

    def test_names_another_hash(self):
        assert "SHA-256" in explained(hmac.new(SECRET.encode(), BODY, "sha256").hexdigest()).what
        assert "plain SHA-512" in explained(hashlib.sha512(SECRET.encode() + BODY).hexdigest()).what

    def test_names_the_key_used_as_secret(self):
        assert "made with the API key itself" in explained(signed(BODY, "key-1")).what

    @pytest.mark.parametrize("pasted", ["", "nonsense", "ü" * 128, "0" * 128, "\u202e" + "a" * 127])
    def test_admits_when_nothing_common_explains_it(self, pasted):
        assert explained(pasted) == UNKNOWN

    def test_never_shows_a_secret(self):
        shown = repr([explained(signed(BODY, secret)) for secret in (SECRET, OTHER, "key-1")])
        assert SECRET not in shown
        assert OTHER not in shown


class TestExplainBody:
    def test_says_that_the_very_bytes_are_right(self):
        assert explain_body(body=BODY, pasted=BODY.decode()).matches

    def test_names_a_common_rewriting(self):
        finding = explain_body(body=BODY, pasted=json.dumps(PARSED, indent=4).replace("\n", "\r\n"))
        assert "pretty-printed" in finding.what

    def test_says_where_another_writing_of_the_same_parts(self):
        shuffled = json.dumps(dict(reversed(PARSED.items())))
        finding = explain_body(body=BODY, pasted=shuffled)
        assert "means the same but was written differently" in finding.what
        assert "from byte 2" in finding.what

    def test_says_where_another_text_parts(self):
        finding = explain_body(body=BODY, pasted=BODY.decode().replace("0.015", "0.016"))
        assert finding.what.startswith("The text differs, from byte")

    @pytest.mark.parametrize("pasted", ["{", "\ud800", "[" * 5000])
    def test_survives_what_is_no_json(self, pasted):
        assert not explain_body(body=BODY, pasted=pasted).matches
