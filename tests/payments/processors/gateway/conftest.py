"""A scripted upstream."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.payments.processors.gateway.scripted import ScriptedUpstream, scripted


@pytest.fixture
def upstream() -> Iterator[ScriptedUpstream]:
    with scripted() as upstream:
        yield upstream
