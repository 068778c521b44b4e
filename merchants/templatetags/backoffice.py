"""Small words of the back-office's templates: tabs, times, addresses in groups, form fields."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import segno
from django import template
from django.conf import settings
from django.forms import BoundField
from django.template import Context
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString, mark_safe

register = template.Library()

_STEPS = ((86_400, "d"), (3_600, "h"), (60, "min"))


@register.simple_tag(takes_context=True)
def tab(context: Context, url_name: str, label: str, permission: str, key: str = "") -> SafeString | str:
    """A tab of the merchant's pages, left out for a role that may not open it."""
    if not context["membership"].may(permission):
        return ""
    here = context.get("tab") == (key or url_name)
    url = reverse(url_name, kwargs={"client_id": context["client_id"]})
    marked = SafeString(' aria-current="page"') if here else ""
    return format_html('<li><a href="{}"{}>{}</a></li>', url, marked, label)


@register.simple_tag(takes_context=True)
def may(context: Context, permission: str) -> bool:
    """Whether the person's role has `permission`: for a button that the others need not see."""
    return bool(context["membership"].may(permission))


@register.simple_tag
def is_sandbox() -> bool:
    return bool(settings.SANDBOX)


@register.filter
def moment(at: datetime | None) -> SafeString | str:
    """A moment in UTC, which scripts re-write in the reader's own zone; a dash for never."""
    if at is None:
        return "–"
    return format_html(
        '<time datetime="{}" title="{} UTC">{} UTC</time>',
        at.strftime("%Y-%m-%dT%H:%M:%SZ"),
        at.strftime("%Y-%m-%d %H:%M:%S"),
        at.strftime("%d %b %Y, %H:%M"),
    )


@register.filter
def ago(at: datetime | None, now: datetime) -> str:
    """How long before `now`, in the largest unit: `3 min ago`."""
    if at is None:
        return "never"
    return f"{_span(now - at)} ago" if at <= now else f"in {_span(at - now)}"


@register.filter
def grouped(text: str) -> list[str]:
    """An address in groups of four, for comparing by eye."""
    return [text[start : start + 4] for start in range(0, len(text), 4)]


@register.filter
def qr(text: str) -> SafeString:
    """A QR code of `text` as inline SVG, drawn by segno; of the text itself nothing stands in it."""
    drawn = segno.make(text, error="m", micro=False)
    svg = drawn.svg_inline(border=2, omitsize=True)
    return mark_safe(svg)  # noqa: S308 - segno draws it; of the text itself nothing stands in it


@register.inclusion_tag("backoffice/_field.html")
def field(bound: BoundField, **options: Any) -> dict[str, Any]:
    """A form's field with label, help and errors, each tied to the input for screen readers."""
    return {"field": bound, **options}


def _span(length: timedelta) -> str:
    seconds = int(length.total_seconds())
    for size, unit in _STEPS:
        if seconds >= size:
            return f"{seconds // size} {unit}"
    return f"{seconds} s"
