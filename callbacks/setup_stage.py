"""The set-up stage: what a merchant's Owner prepares before the first request, and how far they are.

Nothing here is remembered: each step is done when what it is for is so, and open again when it is no more.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from django.db.models import Exists, Subquery

from callbacks import trial
from callbacks.models import Endpoint, OutgoingState
from merchants.models import AllowlistEntry, ApiKey, KeyState, Merchant
from payments import terms


class Step(StrEnum):
    """The steps in the order in which they are taken."""

    CURRENCIES = "currencies"
    """At least one currency is enabled."""
    KEY = "key"
    """A key is active."""
    ALLOWLIST = "allowlist"
    """The active key works from listed addresses alone; recommended, not needed."""
    ENDPOINT = "endpoint"
    """There is an address to call back."""
    TRIAL = "trial"
    """A test callback was answered with 200."""


OPTIONAL = frozenset({Step.ALLOWLIST})


@dataclass(frozen=True, slots=True)
class Stage:
    """How far a merchant is. waiting_key: a generated key's public part; active_key: the active one's."""

    done: frozenset[Step]
    waiting_key: str
    active_key: str

    @property
    def is_over(self) -> bool:
        """Whether everything that is needed is done."""
        return frozenset(Step) - OPTIONAL <= self.done

    @property
    def following(self) -> Step | None:
        """The first step that is open; one that is not needed is passed over once a later one is done."""
        steps = list(Step)
        for place, step in enumerate(steps):
            is_passed = step in OPTIONAL and self.done.intersection(steps[place + 1 :])
            if step not in self.done and not is_passed:
                return step
        return None


def of(*, merchant: Merchant, now: datetime) -> Stage:
    """Where the merchant stands, in two queries."""
    keys = ApiKey.objects.for_merchant(merchant).order_by("-id")
    active, waiting = keys.active(), keys.filter(state=KeyState.GENERATED)
    found = (
        Merchant.objects.filter(pk=merchant.pk)
        .values(
            active_key=Subquery(active.values("public_key")[:1]),
            waiting_key=Subquery(waiting.values("public_key")[:1]),
            is_listed=Exists(AllowlistEntry.objects.filter(key__in=active.order_by())),
            url=Subquery(Endpoint.objects.for_merchant(merchant).values("url")[:1]),
            is_tried=Exists(trial.sent(merchant).filter(state=OutgoingState.DELIVERED)),
        )
        .get()
    )
    is_done = {
        Step.CURRENCIES: bool(terms.enabled(merchant_id=merchant.pk, now=now)),
        Step.KEY: bool(found["active_key"]),
        Step.ALLOWLIST: found["is_listed"],
        Step.ENDPOINT: bool(found["url"]),
        Step.TRIAL: found["is_tried"],
    }
    return Stage(
        done=frozenset(step for step, is_so in is_done.items() if is_so),
        waiting_key=found["waiting_key"] or "",
        active_key=found["active_key"] or "",
    )
