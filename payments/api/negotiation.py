"""One representation for programs, whatever their Accept header or a `format` parameter asks for."""

from __future__ import annotations

from typing import Any

from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.request import Request


class JsonWhateverIsAsked(BaseContentNegotiation):
    """There is one representation; an odd Accept header is no reason to refuse."""

    def select_parser(self, request: Request, parsers: Any) -> Any:
        return None

    def select_renderer(self, request: Request, renderers: Any, format_suffix: Any = None) -> Any:
        return renderers[0], renderers[0].media_type
