"""A merchant's person at the back-office, as tests play them: with both factors and fresh codes."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Any

from django.test import Client
from django.utils import timezone
from django_otp import DEVICE_ID_SESSION_KEY
from django_otp.oath import totp

from merchants import accounts, sessions, team
from merchants.models import Door, Merchant, SignedInSession, TotpDevice, User
from merchants.roles import Role

_numbers = itertools.count(1)


def person(merchant: Merchant | None = None, role: Role = Role.OWNER, *, email: str = "") -> User:
    """Somebody with an authenticator, on the merchant's team and settled there."""
    now = timezone.now()
    made = accounts.create(
        email=email or f"person{next(_numbers)}@shop.test", password="correct horse battery", now=now
    )
    if merchant:
        team.add(merchant=merchant, user=made.user, role=role, now=now, settled=True)
    return made.user


def device_of(user: User) -> TotpDevice:
    return TotpDevice.objects.get(user=user)


def code_of(user: User, *, steps: int = 0) -> str:
    """The code that the person reads now, or `steps` codes later."""
    device = device_of(user)
    return f"{totp(device.seed(), step=device.step, t0=-steps * device.step):06d}"


def sign_in(client: Client, user: User, *, second_factor: bool = True) -> Client:
    client.force_login(user)
    if second_factor:
        session = client.session
        session[DEVICE_ID_SESSION_KEY] = device_of(user).persistent_id
        sessions.begin(session, SignedInSession.objects.create(user=user, door=Door.BACKOFFICE))
        session.save()
    return client


@dataclass
class Desk:
    """A person's browser at one merchant. `post` adds a fresh code unless told otherwise."""

    client: Client
    user: User
    merchant: Merchant

    def url(self, path: str) -> str:
        return f"/m/{self.merchant.wire_id}/{path}"

    def get(self, path: str) -> Any:
        return self.client.get(self.url(path))

    def post(self, path: str, *, code: str | None = None, **data: Any) -> Any:
        given = code_of(self.user) if code is None else code
        return self.client.post(self.url(path), {**data, "code": given})


def desk(merchant: Merchant, role: Role = Role.OWNER) -> Desk:
    """A signed-in person of `role`, at the back-office of `merchant`."""
    user = person(merchant, role)
    return Desk(sign_in(Client(), user), user, merchant)
