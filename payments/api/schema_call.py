"""What describes one call of the API."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from rest_framework.serializers import Serializer
from rest_framework.views import APIView

from payments.api.schema_answers import Schema


@dataclass(frozen=True)
class Call:
    """One call. takes: the serializer of its parameters; gives: its successful answer.

    path: below the mount; `{name}` is a part that the caller fills in, described by `in_path`.
    """

    path: str
    view: type[APIView]
    summary: str
    description: str
    gives: tuple[int, Schema | None]
    takes: type[Serializer[Any]] | None = None
    given: dict[str, Any] = field(default_factory=dict)  # an example of its parameters
    got: Any = None  # an example of its answer
    query: tuple[str, ...] = ()  # parameters that are also read from the query
    in_path: dict[str, str] = field(default_factory=dict)
    refuses: dict[int, Schema] = field(default_factory=dict)  # beside what every call may refuse
    is_bare: bool = False  # the answer has no `data` around it
    method: str = ""  # which one is described, where several are served

    @property
    def answers_json(self) -> bool:
        return self.gives[1] is not None

    @property
    def media(self) -> str:
        return "application/json" if self.answers_json else "text/plain"
