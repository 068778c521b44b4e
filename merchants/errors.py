"""The base of every anticipated "no".

A `Refusal` is a business answer, not a fault: its docstring is the sentence shown to the person or
program that asked, and `field` names the input it stands at. One place turns refusals into the API's
error shape and one into form errors; nothing else catches them.
"""

from __future__ import annotations

import inspect


class Refusal(Exception):
    """The request was refused."""

    field: str = "error"

    def __init__(self, *, field: str | None = None, **values: object) -> None:
        self.values = values
        if field is not None:
            self.field = field
        super().__init__(self.sentence.format(**values))

    @property
    def sentence(self) -> str:
        """The sentence before its values are filled in: the class's own docstring, first paragraph."""
        return inspect.cleandoc(type(self).__doc__ or Refusal.__doc__ or "").split("\n\n")[0]
