"""The field refusals: the wire's sentence, standing at the field that was asked."""

from __future__ import annotations

import pytest

from merchants.errors import Refusal
from payments import errors
from payments.errors import FieldRefusal


class TestFieldRefusal:
    @pytest.mark.parametrize(
        ("refusal", "sentence"),
        [
            (errors.Required(field="foreign_id"), "The foreign id field is required."),
            (errors.SelectedIsInvalid(field="convert_to"), "The selected convert to is invalid."),
            (errors.BelowMinimum(field="amount", minimum="0.001"), "The amount must be at least 0.001."),
            (
                errors.TooLong(field="end_user_reference", longest=255),
                "The end user reference may not be greater than 255 characters.",
            ),
            (errors.NotText(field="currency"), "The currency must be a string."),
            (errors.NotBoolean(field="visible"), "The visible field must be true or false."),
            (errors.NotAnObject(field="sender_data"), "The sender data must be an object."),
            (errors.FieldRefusal(field="address"), "The address is invalid."),
        ],
        ids=lambda value: type(value).__name__ if isinstance(value, Refusal) else "",
    )
    def test_says_the_wires_sentence(self, refusal: FieldRefusal, sentence: str) -> None:
        assert str(refusal) == sentence

    def test_stands_at_its_field(self) -> None:
        assert errors.Required(field="foreign_id").field == "foreign_id"

    def test_every_sentence_is_fit_for_the_wire_as_it_is(self) -> None:
        own = [kind for kind in FieldRefusal.__subclasses__() if kind.__module__ == errors.__name__]
        assert own
        for kind in own:
            sentence = str(kind(field="amount", minimum="1", longest=255, places=8))
            assert sentence.isascii()
            assert "/" not in sentence
