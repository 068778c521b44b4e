"""API keys: generated, activated with a secret that is told once, rotated, limited to addresses, ended.

A process may believe a key row for a second after reading it. What narrows a key (deactivating, changing
its addresses) therefore commits and then waits that second out, so that it is true in every process by the
time the verb returns. All acts on one merchant's keys run one after the other.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Unpack

from django.db import transaction

from merchants import audit
from merchants.errors import Refusal
from merchants.models import AllowlistEntry, ApiKey, KeyState, Merchant, User
from merchants.models.api_key import CACHE_SECONDS, LONGEST_OVERLAP
from merchants.networks import Network, parse_network
from merchants.secrets import new_api_secret, new_public_key

MOST_GENERATED = 10
MOST_ENTRIES = 256
Pause = Callable[[float], None]


class NoSuchKey(Refusal):
    """There is no such API key."""


class TooManyGenerated(Refusal):
    """{most} keys wait for activation already. Activate or deactivate one of them first."""


class AnotherKeyIsActive(Refusal):
    """Another key is active. Rotate it, or deactivate it first."""


class AlreadyActive(Refusal):
    """This key is active already; its secret was shown then and cannot be shown again."""


class Deactivated(Refusal):
    """This key was deactivated, which is final."""


class NotActive(Refusal):
    """Only an active key can be rotated."""


class RotationUnderWay(Refusal):
    """A rotation is under way: deactivate the older key, or wait until it ends."""


class BadOverlap(Refusal):
    """Both keys can work side by side for up to 7 days, and for more than no time."""

    field = "overlap"


class TooManyEntries(Refusal):
    """At most {most} addresses and networks; these are {count}."""

    field = "ips"


class AllowsEverywhere(Refusal):
    """{network} allows requests from everywhere. Confirm it, or leave the list empty."""

    field = "ips"


class ChangedMeanwhile(Refusal):
    """The list was changed meanwhile. Look at what it is now, and change that."""

    field = "ips"


@dataclass(frozen=True)
class Activated:
    """A key that works from now on, and its secret, which exists in clear nowhere else."""

    key: ApiKey
    secret: str = field(repr=False)


@dataclass(frozen=True)
class SigningKey:
    """What callbacks are signed with."""

    public_key: str
    secret: str = field(repr=False)


@transaction.atomic
def generate(*, merchant: Merchant, by: User | None, now: datetime, **how: Unpack[audit.How]) -> ApiKey:
    """A new key that opens nothing until it is activated. Raises `TooManyGenerated`."""
    keys = _locked_keys(merchant)
    if sum(key.state == KeyState.GENERATED for key in keys) >= MOST_GENERATED:
        raise TooManyGenerated(most=MOST_GENERATED)
    key = ApiKey.objects.create(merchant=merchant, public_key=new_public_key(), generated_at=now)
    _audit("keys.generate", key, by, now, how)
    return key


@transaction.atomic
def activate(
    *,
    merchant: Merchant,
    key_id: int,
    allowlist: Iterable[str] = (),
    by: User | None,
    now: datetime,
    **how: Unpack[audit.How],
) -> Activated:
    """Makes a generated key work and tells its secret, this once.

    allowlist: as for `set_allowlist`. Raises `NoSuchKey`, `AlreadyActive`, `Deactivated`,
    `AnotherKeyIsActive`, and the allowlist's refusals.
    """
    keys = _locked_keys(merchant)
    key = _pick(keys, key_id)
    if key.is_active:
        raise AlreadyActive
    if key.state == KeyState.DEACTIVATED:
        raise Deactivated
    if _end_overdue(keys, now):
        raise AnotherKeyIsActive
    _replace_allowlist(key, read_allowlist(allowlist))
    return _activate(key, "keys.activate", by, now, how)


@transaction.atomic
def rotate(
    *,
    merchant: Merchant,
    key_id: int,
    overlap: timedelta,
    by: User | None,
    now: datetime,
    **how: Unpack[audit.How],
) -> Activated:
    """A second active key beside `key_id`, which stops working after `overlap`; it inherits the allowlist.

    Raises `NoSuchKey`, `NotActive`, `RotationUnderWay`, `BadOverlap`.
    """
    if not timedelta(0) < overlap <= LONGEST_OVERLAP:
        raise BadOverlap
    keys = _locked_keys(merchant)
    old = _pick(keys, key_id)
    active = _end_overdue(keys, now)
    if not old.is_active:
        raise NotActive
    if len(active) > 1 or old.is_retiring:
        raise RotationUnderWay
    old.retire(overlap=overlap, now=now)
    _audit("keys.retire", old, by, now, how)
    new = ApiKey.objects.create(merchant=merchant, public_key=new_public_key(), generated_at=now)
    _replace_allowlist(new, [entry.network for entry in old.allowlist.order_by("id")])
    return _activate(new, "keys.rotate", by, now, how)


def deactivate(
    *,
    merchant: Merchant,
    key_id: int,
    by: User | None,
    now: datetime,
    pause: Pause = time.sleep,
    **how: Unpack[audit.How],
) -> ApiKey:
    """Ends a key for good, in every process by the time this returns. Raises `NoSuchKey`, `Deactivated`."""
    with transaction.atomic():
        key = _pick(_locked_keys(merchant), key_id)
        if key.state == KeyState.DEACTIVATED:
            raise Deactivated
        before = key.facts()
        key.deactivate(now=now)
        _audit("keys.deactivate", key, by, now, how, before=before)
        _wait_out_caches(pause)
    return key


def set_allowlist(
    *,
    merchant: Merchant,
    key_id: int,
    entries: Iterable[str],
    everywhere_confirmed: bool = False,
    instead_of: Sequence[str] | None = None,
    by: User | None,
    now: datetime,
    pause: Pause = time.sleep,
    **how: Unpack[audit.How],
) -> list[Network]:
    """Limits a key to `entries` (IPv4, IPv6, CIDR); none means from anywhere. True everywhere on return.

    instead_of: the list that the person saw; another one by now is `ChangedMeanwhile`.
    Raises `NoSuchKey`, `Deactivated`, `TooManyEntries`, `AllowsEverywhere` unless confirmed, and, naming
    the entry, `networks.BadNetwork` and `networks.AddressInsideNetwork`.
    """
    networks = read_allowlist(entries, everywhere_confirmed=everywhere_confirmed)
    with transaction.atomic():
        key = _pick(_locked_keys(merchant), key_id)
        if key.state == KeyState.DEACTIVATED:
            raise Deactivated
        before = {"allowlist": allowlist_of(key)}
        if instead_of is not None and list(instead_of) != before["allowlist"]:
            raise ChangedMeanwhile
        _replace_allowlist(key, networks)
        _audit("keys.set_allowlist", key, by, now, how, before=before)
        _wait_out_caches(pause)
    return networks


@transaction.atomic
def end_overdue(*, now: datetime) -> int:
    """Deactivates every older key whose rotation is over; how many. Authentication refuses them already."""
    overdue = ApiKey.objects.active().filter(retires_at__lte=now).select_for_update(skip_locked=True)
    ended = list(overdue.select_related("merchant"))
    for key in ended:
        _end(key, now)
    return len(ended)


def signing_key_for(merchant: Merchant | int) -> SigningKey | None:
    """The key that signs the merchant's callbacks now; None when no key is active.

    During a rotation the older key signs until the newer one's first accepted request: receivers reject a
    key that they have not been told of.
    """
    active = list(ApiKey.objects.for_merchant(merchant).active().order_by("activated_at", "id"))
    if not active:
        return None
    newest = active[-1]
    signing = newest if newest.first_used_at else active[0]
    return SigningKey(signing.public_key, signing.secret())


def allowlist_of(key: ApiKey) -> list[str]:
    """The key's addresses and networks as people write them, in the order in which they were given."""
    return [str(entry) for entry in key.allowlist.order_by("id")]


def _locked_keys(merchant: Merchant) -> list[ApiKey]:
    """The merchant's keys; until the transaction ends nobody else acts on them."""
    Merchant.objects.select_for_update(no_key=True).get(pk=merchant.pk)
    return list(ApiKey.objects.for_merchant(merchant).order_by("id"))


def _pick(keys: list[ApiKey], key_id: int) -> ApiKey:
    for key in keys:
        if key.pk == key_id:
            return key
    raise NoSuchKey


def _end_overdue(keys: list[ApiKey], now: datetime) -> list[ApiKey]:
    """Ends those of `keys` whose rotation is over; the ones that stay active."""
    for key in keys:
        if key.is_active and key.retires_at is not None and key.retires_at <= now:
            _end(key, now)
    return [key for key in keys if key.is_active]


def _end(key: ApiKey, now: datetime) -> None:
    before = key.facts()
    key.deactivate(now=now)
    _audit("keys.deactivate", key, None, now, {}, before=before)


def _activate(key: ApiKey, act: str, by: User | None, now: datetime, how: audit.How) -> Activated:
    secret = new_api_secret()
    key.activate(secret=secret, now=now)
    _audit(act, key, by, now, how)
    return Activated(key, secret)


def read_allowlist(entries: Iterable[str], *, everywhere_confirmed: bool = False) -> list[Network]:
    """`entries` as networks, each once, in their order. Raises what `set_allowlist` says of entries."""
    texts = [entry for entry in entries if entry.strip()]
    if len(texts) > MOST_ENTRIES:
        raise TooManyEntries(most=MOST_ENTRIES, count=len(texts))
    networks = list(dict.fromkeys(parse_network(text) for text in texts))
    for network in networks:
        if network.prefixlen == 0 and not everywhere_confirmed:
            raise AllowsEverywhere(network=network)
    return networks


def _replace_allowlist(key: ApiKey, networks: Iterable[Network]) -> None:
    key.allowlist.all().delete()
    AllowlistEntry.objects.bulk_create(AllowlistEntry(key=key, network=network) for network in networks)


def _audit(
    act: str, key: ApiKey, by: User | None, now: datetime, how: audit.How, before: audit.Facts | None = None
) -> None:
    after = key.facts() | {"allowlist": allowlist_of(key)}
    audit.record(
        actor=by,
        act=act,
        merchant=key.merchant,
        subject=key.subject,
        before=before,
        after=after,
        now=now,
        **how,
    )


def _wait_out_caches(pause: Pause) -> None:
    """After the commit, also that of a surrounding transaction, and before the caller answers."""
    transaction.on_commit(lambda: pause(CACHE_SECONDS))
