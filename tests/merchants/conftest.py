"""What merchants' tests share: a merchant, an Owner, and a clean memory of keys and counters."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django_otp.oath import totp

from merchants import accounts, authentication, team, traffic
from merchants.models import Merchant, TotpDevice, User
from merchants.roles import Role
from tests import factories
from tests.factories import NOW


@pytest.fixture(autouse=True)
def _nothing_remembered() -> Iterator[None]:
    authentication.keys.forget()
    traffic._counters.take()
    yield
    authentication.keys.forget()
    traffic._counters.take()


@pytest.fixture
def merchant(db: None) -> Merchant:
    return factories.merchant()


@pytest.fixture
def owner(merchant: Merchant) -> User:
    made = accounts.create(email="owner@shop.test", password="correct horse battery", now=NOW)
    team.add(merchant=merchant, user=made.user, role=Role.OWNER, now=NOW, settled=True)
    return made.user


def code_of(device: TotpDevice, *, steps: int = 0) -> str:
    """The code that the device's owner reads now, or `steps` codes later."""
    return f"{totp(device.seed(), step=device.step, t0=-steps * device.step):06d}"
