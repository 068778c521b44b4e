"""The refusals that stand at one input field, in the wire's wording.

`attr` in a sentence is the field's name with its underscores as spaces. Who raises one names the field;
the door collects what failed and answers with one sentence per field.
"""

from __future__ import annotations

from merchants.errors import Refusal


class FieldRefusal(Refusal):
    """The {attr} is invalid."""

    def __init__(self, *, field: str | None = None, **values: object) -> None:
        named = field or self.field
        super().__init__(field=named, attr=named.replace("_", " "), **values)


class Required(FieldRefusal):
    """The {attr} field is required."""


class SelectedIsInvalid(FieldRefusal):
    """The selected {attr} is invalid."""


class BelowMinimum(FieldRefusal):
    """The {attr} must be at least {minimum}."""


class TooLong(FieldRefusal):
    """The {attr} may not be greater than {longest} characters."""


class WrongFormat(FieldRefusal):
    """The {attr} format is invalid."""


class NotText(FieldRefusal):
    """The {attr} must be a string."""


class NotEmail(FieldRefusal):
    """The {attr} must be a valid email address."""


class NotBoolean(FieldRefusal):
    """The {attr} field must be true or false."""


class NotAnObject(FieldRefusal):
    """The {attr} must be an object."""
