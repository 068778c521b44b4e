"""Callbacks' tests: an upstream whose secret intake holds, and no connection kept between two tests."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from callbacks import connector
from payments.models import Address
from tests import factories
from tests.callbacks import upstream


@pytest.fixture(autouse=True)
def _no_connection_outlives_its_test() -> Iterator[None]:
    yield
    connector.idle.close()


@pytest.fixture
def intake(settings: Any) -> None:
    """This process holds the upstream's secret, as the intake does."""
    settings.PROCESSORS = upstream.PROCESSORS


@pytest.fixture
def address(db: None) -> Address:
    """An address that a merchant's program took, with terms in force."""
    factories.terms()
    return factories.address(factories.merchant())
