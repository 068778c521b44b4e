"""A merchant's callback settings: where it is called back, on which schedule, and of what it is told.

A URL is checked when it is saved, as the connector will check it at every call: it must be http(s), found,
and public (or in a network that the installation lists). Every change is audited.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Unpack

from django.conf import settings
from django.db import transaction

from callbacks import connector
from callbacks.models import Endpoint, Preset
from merchants import audit
from merchants.errors import Refusal
from merchants.models import Merchant, User

SWITCHES = ("below_minimum", "cross_currency", "staff_operations", "sender_address")


class UnknownSwitch(Refusal):
    """There is no callback setting {name}."""


class UnknownPreset(Refusal):
    """There is no retry list {name}."""

    field = "preset"


def of(merchant: Merchant) -> Endpoint:
    """The merchant's settings; unsaved defaults while it has none."""
    return Endpoint.objects.for_merchant(merchant).first() or Endpoint(merchant=merchant)


def set_url(
    *, merchant: Merchant, url: str, by: User | None, now: datetime, **how: Unpack[audit.How]
) -> Endpoint:
    """Calls the merchant back at `url`; at nowhere when it is empty. Raises `connector.UrlRefused`."""
    if url:
        connector.check_url(url, private_targets=settings.PRIVATE_TARGETS)
    return _change(merchant, "set_url", lambda endpoint: endpoint.point_to(url), by, now, how)


def switch(
    *,
    merchant: Merchant,
    switches: Mapping[str, bool],
    by: User | None,
    now: datetime,
    **how: Unpack[audit.How],
) -> Endpoint:
    """Turns some of `SWITCHES` on or off. Raises `UnknownSwitch`."""
    for name in switches:
        if name not in SWITCHES:
            raise UnknownSwitch(name=name)
    return _change(merchant, "switch", lambda endpoint: endpoint.switch(switches), by, now, how)


def follow(
    *, merchant: Merchant, preset: str, by: User | None, now: datetime, **how: Unpack[audit.How]
) -> Endpoint:
    """Retries by another published list from each callback's next failure on. Raises `UnknownPreset`."""
    if preset not in Preset.values:
        raise UnknownPreset(name=preset)
    return _change(merchant, "follow", lambda endpoint: endpoint.follow(Preset(preset)), by, now, how)


def change(
    *,
    merchant: Merchant,
    url: str,
    preset: str,
    switches: Mapping[str, bool],
    by: User | None,
    now: datetime,
    **how: Unpack[audit.How],
) -> Endpoint:
    """All of it at once, as a form saves it. Raises what `set_url`, `follow` and `switch` raise."""
    if url:
        connector.check_url(url, private_targets=settings.PRIVATE_TARGETS)
    if preset not in Preset.values:
        raise UnknownPreset(name=preset)

    def all_of_it(endpoint: Endpoint) -> None:
        if url != endpoint.url:
            endpoint.point_to(url)
        endpoint.follow(Preset(preset))
        endpoint.switch({name: switches[name] for name in SWITCHES})

    return _change(merchant, "set_endpoint", all_of_it, by, now, how)


@transaction.atomic
def _change(
    merchant: Merchant,
    act: str,
    change: Callable[[Endpoint], None],
    by: User | None,
    now: datetime,
    how: audit.How,
) -> Endpoint:
    Endpoint.objects.get_or_create(merchant=merchant)
    endpoint = Endpoint.objects.for_merchant(merchant).select_for_update(no_key=True).get()
    before = _facts(endpoint)
    change(endpoint)
    audit.record(
        actor=by,
        act=f"callbacks.{act}",
        merchant=merchant,
        subject=endpoint.subject,
        before=before,
        after=_facts(endpoint),
        now=now,
        **how,
    )
    return endpoint


def _facts(endpoint: Endpoint) -> audit.Facts:
    return {
        "url": endpoint.url,
        "preset": str(endpoint.preset),
        **{name: getattr(endpoint, name) for name in SWITCHES},
    }
