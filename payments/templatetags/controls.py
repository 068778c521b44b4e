"""Above every page of a merchant: a stop, alerts for those who can act; and how much waits for approval."""

from __future__ import annotations

from typing import Any

from django import template
from django.template import Context

from payments import alerts, approvals, controls

register = template.Library()

MOST_SHOWN = 20


@register.inclusion_tag("backoffice/stops/_banner.html", takes_context=True)
def banners(context: Context) -> dict[str, Any]:
    """A stop is shown to everybody on the team, an alert to who may approve withdrawals.

    The alert that a stop itself raised is left out: its banner says more.
    """
    merchant, membership = context["merchant"], context["membership"]
    found = []
    if membership.may("withdrawals.approve"):
        found = list(alerts.open_for(merchant).exclude(kind="stop")[: MOST_SHOWN + 1])
    return {
        "stops": controls.open_stops(merchant),
        "alerts": found[:MOST_SHOWN],
        "more_alerts": len(found) > MOST_SHOWN,
        "client_id": merchant.wire_id,
    }


@register.simple_tag(takes_context=True)
def waiting_count(context: Context) -> int:
    """How many withdrawals wait for an Owner's decision; 0 for who may not decide."""
    merchant, membership = context.get("merchant"), context.get("membership")
    if merchant is None or membership is None or not membership.may("withdrawals.approve"):
        return 0
    return approvals.waiting(merchant).count()
