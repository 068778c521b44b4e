"""The merchants of a scenario: what is wanted of `stage`, and what it made."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any


@dataclass(frozen=True)
class Place:
    """An address that a customer has. convert_to: empty for none."""

    currency: str
    convert_to: str = ""
    address: str = ""
    tag: str | None = None
    foreign_id: str = ""


@dataclass(frozen=True)
class NewShop:
    """A merchant that a scenario wants. terms: columns of `Terms` by currency, all of them said outright.

    url: where it is called back; spare: further free Bitcoin addresses for the pool; funds: what it begins
    with, by currency.
    """

    name: str
    terms: dict[str, dict[str, str]]
    places: tuple[Place, ...] = ()
    url: str = ""
    spare: int = 0
    funds: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Shop:
    """A merchant as it was made. id: in the database; client_id: on the wire; email, password: its Owner."""

    name: str
    id: int
    client_id: int
    key: str
    secret: str = field(repr=False)
    email: str
    password: str = field(repr=False)
    totp_secret: str = field(repr=False)
    terms: dict[str, dict[str, str]]
    places: tuple[Place, ...]
    url: str


def wish(shop: NewShop) -> dict[str, Any]:
    """The merchant's wish as the stage reads it; its Owner comes along."""
    return {
        "name": shop.name,
        "terms": shop.terms,
        "url": shop.url,
        "spare": shop.spare,
        "funds": dict(shop.funds),
        "addresses": [{"currency": place.currency, "convert_to": place.convert_to} for place in shop.places],
        "email": f"{shop.name.lower().replace(' ', '.')}@soak.test",
        "password": secrets.token_urlsafe(16),
    }


def made_of(shop: NewShop, wanted: dict[str, Any], made: dict[str, Any]) -> Shop:
    places = tuple(
        replace(place, address=taken["address"], tag=taken["tag"], foreign_id=taken["foreign_id"])
        for place, taken in zip(shop.places, made["addresses"], strict=True)
    )
    facts = {name: made[name] for name in ("id", "client_id", "key", "secret", "totp_secret")}
    owner = {name: wanted[name] for name in ("email", "password")}
    return Shop(name=shop.name, terms=shop.terms, places=places, url=shop.url, **facts, **owner)
