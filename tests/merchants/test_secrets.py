"""Secrets: opened where they belong and nowhere else; made long enough, never printed."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from merchants import secrets
from merchants.secrets import CannotOpen, KeyRing

OLD, NEW = b"o" * 32, b"n" * 32
RING = KeyRing({"2026": NEW, "2025": OLD})
PLACE = secrets.context(table="merchants_apikey", row=17, column="secret_ciphertext")


class TestKeyRing:
    @given(plain=st.text(st.characters(codec="utf-8")), context=st.text(st.characters(codec="utf-8")))
    def test_opens_what_it_sealed(self, plain, context):
        assert RING.decrypt(RING.encrypt(plain, context=context), context=context) == plain

    def test_seals_with_the_first_key_and_names_it(self):
        assert secrets.key_id(RING.encrypt("x", context=PLACE)) == RING.current == "2026"

    def test_opens_what_an_older_key_sealed(self):
        sealed = KeyRing({"2025": OLD}).encrypt("x", context=PLACE)
        assert RING.decrypt(sealed, context=PLACE) == "x"

    def test_never_seals_the_same_text_the_same_way(self):
        assert RING.encrypt("x", context=PLACE) != RING.encrypt("x", context=PLACE)

    @pytest.mark.parametrize(
        "elsewhere",
        [
            secrets.context(table="merchants_apikey", row=18, column="secret_ciphertext"),
            secrets.context(table="merchants_totpdevice", row=17, column="secret_ciphertext"),
            secrets.context(table="merchants_apikey", row=17, column="seed_ciphertext"),
            secrets.context(table="merchants_apikey", row=17, column="secret_ciphertext", version=2),
            "",
        ],
    )
    def test_refuses_a_text_that_was_moved(self, elsewhere):
        sealed = RING.encrypt("x", context=PLACE)
        with pytest.raises(CannotOpen):
            RING.decrypt(sealed, context=elsewhere)

    def test_refuses_a_key_that_is_not_in_the_ring(self):
        sealed = KeyRing({"2024": OLD}).encrypt("x", context=PLACE)
        with pytest.raises(CannotOpen):
            RING.decrypt(sealed, context=PLACE)

    def test_refuses_a_text_that_names_another_key_of_the_ring(self):
        sealed = RING.encrypt("x", context=PLACE)
        with pytest.raises(CannotOpen):
            RING.decrypt(sealed.replace(".2026.", ".2025."), context=PLACE)

    def test_refuses_another_key_of_the_same_name(self):
        sealed = RING.encrypt("x", context=PLACE)
        with pytest.raises(CannotOpen):
            KeyRing({"2026": OLD}).decrypt(sealed, context=PLACE)

    @given(place=st.integers(0), bit=st.integers(0, 7))
    def test_refuses_a_flipped_bit(self, place, bit):
        head, _, encoded = RING.encrypt("a secret", context=PLACE).rpartition(".")
        blob = bytearray(base64.urlsafe_b64decode(encoded))
        blob[place % len(blob)] ^= 1 << bit
        with pytest.raises(CannotOpen):
            RING.decrypt(f"{head}.{base64.urlsafe_b64encode(blob).decode()}", context=PLACE)

    @given(st.text())
    def test_refuses_any_other_text_without_another_error(self, text):
        with pytest.raises(CannotOpen):
            RING.decrypt(text, context=PLACE)

    @pytest.mark.parametrize(
        "text", ["", "v1", "v1.", "v1.2026.", "v1.2026.AAAA", "v2.2026.AAAA", "v1..AAAA", "v1.2026.!!!!"]
    )
    def test_refuses_what_has_not_the_form(self, text):
        with pytest.raises(CannotOpen):
            RING.decrypt(text, context=PLACE)

    def test_prints_no_key(self):
        assert "n" * 8 not in repr(RING)
        assert repr(RING) == "KeyRing()"


class TestNewKeys:
    @pytest.mark.parametrize(
        ("make", "prefix"), [(secrets.new_public_key, "bpk_"), (secrets.new_api_secret, "bsk_")]
    )
    def test_are_264_random_bits_between_prefix_and_checksum(self, make, prefix):
        made = make()
        assert made.startswith(prefix)
        assert len(base64.urlsafe_b64decode(made[4:-6])) == 33
        assert secrets.is_well_formed(made)
        assert make() != made

    @given(place=st.integers(4, 53), letter=st.sampled_from("abcXYZ019_-"))
    def test_have_a_checksum_that_shows_a_typing_error(self, place, letter):
        key = "bpk_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
        key += secrets._checksum(key)
        changed = key[:place] + letter + key[place + 1 :]
        assert secrets.is_well_formed(changed) is (changed == key)

    @pytest.mark.parametrize("text", ["", "bpk_", "abc", "xyz_"])
    def test_are_told_from_other_texts(self, text):
        assert not secrets.is_well_formed(text)
