"""The wire's guard and writer: what is refused, what is read, and PHP's bytes to the last one."""

from __future__ import annotations

import json
from decimal import Decimal, Inexact
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from payments import wire
from payments.errors import NotBoolean, NotText, Required, TooLong
from payments.wire import BadAmount, BadContent, TooManyDecimals

JSON = "application/json"
VECTORS = json.loads((Path(__file__).parents[1] / "vectors.json").read_text("utf-8"))
CALLBACKS = {callback["name"]: callback for callback in VECTORS["callbacks"]}

TEXT = st.text(st.characters(exclude_categories=["Cs"]))
KEYS = TEXT.filter(lambda key: not key.removeprefix("-").isdigit())
SCALARS = st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | TEXT
VALUES: st.SearchStrategy[Any] = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, min_size=1, max_size=4),
    max_leaves=20,
)


def parse(raw: bytes, content_type: str = JSON) -> dict[str, Any]:
    return wire.parse_body(raw, content_type)


def refused(raw: bytes, content_type: str = JSON) -> None:
    with pytest.raises(BadContent, match=r"^Bad content format$"):
        wire.parse_body(raw, content_type)


def nested(levels: int) -> bytes:
    """An object whose deepest bracket stands at `levels`."""
    return b'{"a":' + b"[" * (levels - 1) + b"]" * (levels - 1) + b"}"


class TestNoParameters:
    @pytest.mark.parametrize("raw", [b"{}", b"[]", b"null", b" {} ", b"\n[ ]\n", b""])
    def test_have_four_spellings(self, raw: bytes) -> None:
        assert parse(raw) == {}

    @pytest.mark.parametrize("content_type", ["", "text/plain", "application/x-www-form-urlencoded"])
    def test_need_no_content_type_when_there_are_no_bytes(self, content_type: str) -> None:
        assert parse(b"", content_type) == {}

    @pytest.mark.parametrize(
        "raw", [b" ", b"[1]", b"[[]]", b"[{}]", b'""', b'"a"', b"0", b"1", b"true", b"false"]
    )
    def test_are_no_other_value(self, raw: bytes) -> None:
        refused(raw)


class TestContentType:
    @pytest.mark.parametrize(
        "content_type",
        [
            JSON,
            "Application/JSON",
            "application/json; charset=utf-8",
            "application/json;charset=UTF-8",
            'application/json; charset="utf-8"',
        ],
    )
    def test_is_json_in_utf_8(self, content_type: str) -> None:
        assert parse(b'{"a":1}', content_type) == {"a": 1}

    @pytest.mark.parametrize(
        "content_type",
        [
            "",
            "text/plain",
            "application/x-www-form-urlencoded",
            "application/json; charset=latin-1",
            "application/json, text/plain",
            "application/jsonp",
            "multipart/form-data; boundary=x",
        ],
    )
    def test_is_nothing_else(self, content_type: str) -> None:
        refused(b"{}", content_type)


class TestSize:
    def test_reaches_64_kilobytes(self) -> None:
        filler = b"x" * (64 * 1024 - len(b'{"a":""}'))
        assert parse(b'{"a":"' + filler + b'"}') == {"a": filler.decode()}
        refused(b'{"a":"x' + filler + b'"}')

    def test_refuses_before_it_looks(self) -> None:
        refused(b"{" * 70_000)


class TestDepth:
    def test_reaches_32_levels(self) -> None:
        assert list(parse(nested(32))) == ["a"]
        refused(nested(33))

    @pytest.mark.parametrize("raw", [b"[" * 65_000, b'{"a":' * 12_000, b"[{" * 30_000, b"]" * 65_000])
    def test_refuses_the_deep_and_the_unbalanced(self, raw: bytes) -> None:
        refused(raw)

    def test_does_not_count_brackets_in_text(self) -> None:
        text = '[{"\\' * 50
        assert parse(json.dumps({text: text}).encode()) == {text: text}

    @pytest.mark.parametrize("raw", [b'{"a":"' + b'\\"' * 32_000, b'"' * 65_000, b'{"' + b"\\" * 65_000])
    def test_refuses_text_that_never_ends(self, raw: bytes) -> None:
        refused(raw)

    @given(value=st.recursive(st.text('[]{}"\\'), lambda inner: st.lists(inner, max_size=3), max_leaves=30))
    def test_is_that_of_the_parsed_value(self, value: Any) -> None:
        wrapped: Any = value
        for _ in range(28):
            wrapped = [wrapped]
        raw = json.dumps({"a": wrapped}).encode()
        if 29 + _levels(value) <= 32:
            assert parse(raw) == {"a": wrapped}
        else:
            refused(raw)


def _levels(value: Any) -> int:
    return 1 + max(map(_levels, value), default=0) if isinstance(value, list) else 0


class TestText:
    def test_is_strict_utf_8(self) -> None:
        assert parse('{"title":"Café №5 😀"}'.encode()) == {"title": "Café №5 😀"}
        refused(b'{"a":"\xff"}')
        refused(b'{"a":"\xc0\xaf"}')
        refused(b'{"a":"\xed\xa0\x80"}')
        refused('{"a":"é"}'.encode("utf-16"))
        refused(b"\xef\xbb\xbf{}")

    @pytest.mark.parametrize(
        "raw",
        [
            rb'{"a":"\u0000"}',
            rb'{"a\u0000":1}',
            rb'{"a":[{"b":"x\u0000"}]}',
            rb'{"a":"\ud83d"}',
            rb'{"a":"\ude00\ud83d"}',
            rb'{"\udc00":1}',
            b'{"a":"\x00"}',
        ],
    )
    def test_holds_neither_nul_nor_half_a_surrogate_pair(self, raw: bytes) -> None:
        refused(raw)

    def test_takes_a_whole_pair_and_other_escapes(self) -> None:
        assert parse(rb'{"a":"\ud83d\ude00\u00e9\/\t"}') == {"a": "😀é/\t"}

    def test_of_a_query_is_judged_by_the_same_rule(self) -> None:
        assert wire.is_storable("Café 😀")
        assert not wire.is_storable("a\x00")
        assert not wire.is_storable("a\udcff")


class TestKeys:
    @pytest.mark.parametrize("raw", [b'{"a":1,"a":1}', rb'{"a":1,"\u0061":2}', b'{"x":{"a":1,"b":2,"a":3}}'])
    def test_never_come_twice(self, raw: bytes) -> None:
        refused(raw)

    def test_may_come_again_elsewhere(self) -> None:
        assert parse(b'{"a":{"a":1},"b":[{"a":1},{"a":2}]}') == {"a": {"a": 1}, "b": [{"a": 1}, {"a": 2}]}


class TestNumbers:
    def test_keep_their_digits(self) -> None:
        parsed = parse(b'{"a":0.10,"b":1e-8,"c":120,"d":0.1234567890123456789,"e":1E2}')
        assert {key: str(number) for key, number in parsed.items()} == {
            "a": "0.10",
            "b": "1E-8",
            "c": "120",
            "d": "0.1234567890123456789",
            "e": "1E+2",
        }
        assert not any(isinstance(number, float) for number in parsed.values())

    @pytest.mark.parametrize(
        "literal", [b"NaN", b"Infinity", b"-Infinity", b"nan", b"1_000", b"01", b".5", b"+1"]
    )
    def test_are_json_numbers(self, literal: bytes) -> None:
        refused(b'{"a":' + literal + b"}")

    @pytest.mark.parametrize(
        "literal",
        [b"9" * 256, b"9" * 5_000, b"0." + b"1" * 254, b"1e999999999", b"1e-99999", b"1E+" + b"9" * 40],
    )
    def test_are_bounded(self, literal: bytes) -> None:
        refused(b'{"a":' + literal + b"}")

    def test_may_be_as_long_as_a_foreign_id(self) -> None:
        assert parse(b'{"a":' + b"9" * 255 + b"}") == {"a": int("9" * 255)}


class TestParseBody:
    @pytest.mark.parametrize(
        "raw", [b"{", b"}", b'{"a"}', b"{'a':1}", b'{"a":1,}', b'{"a":1}x', b"{}{}", b"nul"]
    )
    def test_refuses_what_is_no_json(self, raw: bytes) -> None:
        refused(raw)

    def test_names_its_code(self) -> None:
        assert BadContent.code == "bad_content_format"
        assert {"error": str(BadContent()), "code": BadContent.code} in [
            e["body"] for e in VECTORS["auth_errors"]
        ]

    @given(raw=st.binary(max_size=200) | st.text('{}[]":,\\0e-.ntu \u00e9', max_size=80).map(str.encode))
    def test_answers_or_refuses_whatever_comes(self, raw: bytes) -> None:
        try:
            assert isinstance(parse(raw), dict)
        except BadContent:
            return

    @pytest.mark.parametrize("vector", VECTORS["signature_vectors"], ids=lambda vector: vector["name"])
    def test_reads_every_body_that_clients_sign(self, vector: dict[str, Any]) -> None:
        raw = bytes.fromhex(vector["body_hex"])
        assert parse(raw) == (json.loads(raw or b"null") or {})

    @given(value=st.dictionaries(KEYS, VALUES, max_size=4))
    def test_reads_back_what_any_client_encodes(self, value: dict[str, Any]) -> None:
        raw = json.dumps(value, ensure_ascii=False).encode()
        if "\\u0000" in raw.decode().replace("\\\\", ""):
            refused(raw)
        else:
            assert parse(raw) == value


class TestParseAmount:
    @pytest.mark.parametrize(
        ("sent", "amount"),
        [
            ("0", "0.00000000"),
            ("120.5", "120.50000000"),
            ("0.00000001", "0.00000001"),
            ("99999999999999999.99999999", "99999999999999999.99999999"),
            ("0.010000000000000000", "0.01000000"),
            (0, "0.00000000"),
            (7, "7.00000000"),
            (Decimal("1e-8"), "0.00000001"),
            (Decimal("1.5e2"), "150.00000000"),
            (Decimal("1e16"), "10000000000000000.00000000"),
            (Decimal("0.10"), "0.10000000"),
        ],
    )
    def test_reads_the_exact_amount(self, sent: object, amount: str) -> None:
        read = wire.parse_amount(sent, places=8)
        assert str(read.as_tuple().exponent) == "-8"
        assert f"{read:f}" == amount

    @pytest.mark.parametrize(
        "sent",
        [
            "",
            " 5 ",
            "5\n",
            "１２",
            "٣",
            "1_000",
            "1,5",
            "-0",
            "-1",
            "+1",
            "1e-8",
            "1E+2",
            ".5",
            "5.",
            "01",
            "0x10",
            "NaN",
            "Infinity",
            "0.1234567890123456789",
            "123456789012345678",
            True,
            False,
            None,
            -1,
            10**17,
            [],
            ["1"],
            {"amount": "1"},
            1.5,
            b"1",
            Decimal("-0.0"),
            Decimal("-1e-8"),
            Decimal("1e17"),
            Decimal("1e19"),
            Decimal("0e19"),
            Decimal("1e-37"),
            Decimal("NaN"),
            Decimal("Infinity"),
        ],
    )
    def test_refuses_what_is_no_number(self, sent: object) -> None:
        with pytest.raises(BadAmount, match=r"^The amount must be a number\.$") as refusal:
            wire.parse_amount(sent, places=8)
        assert not isinstance(refusal.value, TooManyDecimals)
        assert refusal.value.field == "amount"

    @pytest.mark.parametrize("sent", ["0.000000001", "1.123456789", Decimal("1e-9"), Decimal("1.5e-8")])
    def test_refuses_more_decimals_rather_than_round(self, sent: object) -> None:
        with pytest.raises(TooManyDecimals, match=r"^The amount may not have more than 8 decimal places\.$"):
            wire.parse_amount(sent, places=8)

    def test_takes_the_places_that_it_is_given(self) -> None:
        assert wire.parse_amount("1.23", places=2) == Decimal("1.23")
        with pytest.raises(TooManyDecimals, match="more than 2 decimal places"):
            wire.parse_amount("1.234", places=2)

    def test_stands_at_the_field_that_it_is_given(self) -> None:
        with pytest.raises(BadAmount, match=r"^The sender amount must be a number\.$") as refusal:
            wire.parse_amount("x", places=8, field="sender_amount")
        assert refusal.value.field == "sender_amount"

    @given(amount=st.decimals(0, Decimal("9e16"), places=8))
    def test_reads_what_amount_text_wrote_and_what_json_carried(self, amount: Decimal) -> None:
        text = wire.amount_text(amount)
        assert wire.parse_amount(text, places=8) == amount
        assert wire.parse_amount(parse(f'{{"a":{text}}}'.encode())["a"], places=8) == amount

    @given(text=st.text(max_size=12) | st.text("0123456789.eE+-_ １", max_size=24))
    def test_reads_or_refuses_any_text(self, text: str) -> None:
        try:
            read = wire.parse_amount(text, places=8)
        except BadAmount:
            return
        assert set(text) <= set("0123456789.")
        assert read == Decimal(text)


class TestAmountText:
    @pytest.mark.parametrize(
        ("amount", "text"),
        [
            ("0.015", "0.01500000"),
            ("0", "0.00000000"),
            ("-0", "0.00000000"),
            ("1E+3", "1000.00000000"),
            ("1e-8", "0.00000001"),
            ("-1.5", "-1.50000000"),
            ("0.0150000000000", "0.01500000"),
            ("1234567890123456789012345678.9", "1234567890123456789012345678.90000000"),
        ],
    )
    def test_has_8_decimals_and_never_an_exponent(self, amount: str, text: str) -> None:
        assert wire.amount_text(Decimal(amount)) == text

    def test_refuses_to_round(self) -> None:
        with pytest.raises(Inexact):
            wire.amount_text(Decimal("0.000000001"))


class TestParseBoolean:
    @pytest.mark.parametrize("sent", [True, 1, "1", "true"])
    def test_reads_yes(self, sent: object) -> None:
        assert wire.parse_boolean(sent, field="visible") is True

    @pytest.mark.parametrize("sent", [False, 0, "0", "false"])
    def test_reads_no(self, sent: object) -> None:
        assert wire.parse_boolean(sent, field="visible") is False

    @pytest.mark.parametrize("sent", ["", "yes", "True", "on", 2, -1, Decimal("1.0"), None, [], {}, [True]])
    def test_refuses_anything_else(self, sent: object) -> None:
        with pytest.raises(NotBoolean, match=r"^The visible field must be true or false\.$") as refusal:
            wire.parse_boolean(sent, field="visible")
        assert refusal.value.field == "visible"


class TestParseText:
    @pytest.mark.parametrize(
        ("sent", "text"),
        [("u-77", "u-77"), (77, "77"), (0, "0"), (-5, "-5"), ("é" * 255, "é" * 255), (10**254, str(10**254))],
    )
    def test_takes_text_and_integers_of_up_to_255_characters(self, sent: object, text: str) -> None:
        assert wire.parse_text(sent, field="foreign_id") == text

    @pytest.mark.parametrize("sent", [None, ""])
    def test_requires_something(self, sent: object) -> None:
        with pytest.raises(Required, match=r"^The foreign id field is required\.$"):
            wire.parse_text(sent, field="foreign_id")

    @pytest.mark.parametrize("sent", ["x" * 256, 10**255])
    def test_refuses_more(self, sent: object) -> None:
        with pytest.raises(TooLong, match=r"^The foreign id may not be greater than 255 characters\.$"):
            wire.parse_text(sent, field="foreign_id")

    @pytest.mark.parametrize("sent", [True, False, Decimal("1.5"), Decimal("1e3"), [], {"a": 1}])
    def test_refuses_other_types(self, sent: object) -> None:
        with pytest.raises(NotText, match=r"^The foreign id must be a string\.$") as refusal:
            wire.parse_text(sent, field="foreign_id")
        assert refusal.value.field == "foreign_id"


class TestTagForTake:
    @pytest.mark.parametrize(
        ("tag", "shown"),
        [
            (None, None),
            ("1234567890", 1234567890),
            ("0", 0),
            ("007", "007"),
            ("memo", "memo"),
            ("", ""),
            ("１", "１"),
            ("9" * 17, "9" * 17),
        ],
    )
    def test_is_an_integer_only_where_nothing_is_lost(self, tag: str | None, shown: object) -> None:
        assert wire.tag_for_take(tag, as_string=False) == shown
        assert wire.tag_for_take(tag, as_string=True) == tag


class TestPhpJson:
    @pytest.mark.parametrize("name", CALLBACKS)
    def test_writes_every_callback_byte_for_byte(self, name: str) -> None:
        assert wire.php_json(CALLBACKS[name]["payload"]) == CALLBACKS[name]["raw"].encode()

    def test_escapes_as_php_does(self) -> None:
        value = {"title": "Café №5", "url_success": "https://shop.example/ok"}
        signed = next(vector for vector in VECTORS["signature_vectors"] if vector["name"] == "utf8_php")
        assert wire.php_json(value) == bytes.fromhex(signed["body_hex"])

    @pytest.mark.parametrize(
        ("value", "raw"),
        [
            ("", rb'""'),
            ("</a>", rb'"<\/a>"'),
            ('"\\\b\f\n\r\t', rb'"\"\\\b\f\n\r\t"'),
            ("\x00\x1f\x7f", b'"\\u0000\\u001f\x7f"'),
            ("\\\x7f/", b'"\\\\\x7f\\/"'),
            ("\u2028\u00ff", rb'"\u2028\u00ff"'),
            ("😀", rb'"\ud83d\ude00"'),
            (None, b"null"),
            (True, b"true"),
            (False, b"false"),
            (-7, b"-7"),
            ([], b"[]"),
            ((1, "2"), b'[1,"2"]'),
            ({"b": [{"c": None}], "a": 1}, b'{"b":[{"c":null}],"a":1}'),
            ({"0.10000000": "1"}, b'{"0.10000000":"1"}'),
        ],
    )
    def test_writes_compactly_in_the_order_given(self, value: object, raw: bytes) -> None:
        assert wire.php_json(value) == raw

    @pytest.mark.parametrize("value", [{}, {"a": {}}, {"a": [{}]}])
    def test_refuses_an_empty_object(self, value: object) -> None:
        with pytest.raises(ValueError, match="empty object"):
            wire.php_json(value)

    @pytest.mark.parametrize("key", ["0", "7", "-7", "123"])
    def test_refuses_a_key_that_php_makes_a_number(self, key: str) -> None:
        with pytest.raises(ValueError, match="list index"):
            wire.php_json({key: "a"})

    @pytest.mark.parametrize(
        "value", [1.5, 1.0, float("nan"), Decimal("1.5"), b"raw", bytearray(b"raw"), {1}, object()]
    )
    def test_refuses_what_has_no_form(self, value: object) -> None:
        with pytest.raises(TypeError, match="has no form on the wire"):
            wire.php_json({"a": value})

    @pytest.mark.parametrize("value", ["\ud83d", "a\udc00b"])
    def test_refuses_half_a_surrogate_pair(self, value: str) -> None:
        with pytest.raises(ValueError, match="surrogate"):
            wire.php_json(value)

    @pytest.mark.parametrize("value", [2**53, -(2**53)])
    def test_refuses_integers_that_javascript_would_change(self, value: int) -> None:
        with pytest.raises(ValueError, match="2\\*\\*53"):
            wire.php_json(value)

    @given(value=VALUES)
    def test_means_the_same_and_holds_ascii_only(self, value: Any) -> None:
        raw = wire.php_json(value)
        assert raw.isascii()
        assert json.loads(raw) == value

    @given(value=VALUES)
    def test_is_unchanged_by_decoding_and_encoding_again(self, value: Any) -> None:
        raw = wire.php_json(value)
        assert wire.php_json(json.loads(raw)) == raw
