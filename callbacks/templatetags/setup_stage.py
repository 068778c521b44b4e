"""The set-up stage on pages: all steps on the first one, the next step on those that it leads through."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django import template
from django.template import Context
from django.urls import reverse

from callbacks import setup_stage
from callbacks.setup_stage import Stage, Step

register = template.Library()

_ON_THE_WAY = {"currencies", "keys", "settings"}
"""The tabs whose pages name the next step."""
_PERMISSION = "keys.generate"
"""Who takes the steps; nobody else is shown them."""
_TEXTS = {
    Step.CURRENCIES: ("Enable the currencies you want to be paid in", "Add currencies"),
    Step.KEY: ("Make an API key for your program", "Generate a key"),
    Step.ALLOWLIST: ("List the IPs your program calls from (recommended)", "List IPs"),
    Step.ENDPOINT: ("Say where your program is called back", "Set the address"),
    Step.TRIAL: ("Send a test callback, and see your server answer it", "Send the test"),
}


@dataclass(frozen=True, slots=True)
class Line:
    """A step as it is shown. url: empty while an earlier step is missing."""

    words: str
    act: str
    url: str
    is_done: bool
    is_next: bool


@register.inclusion_tag("backoffice/_setup_steps.html", takes_context=True)
def setup_steps(context: Context) -> dict[str, Any]:
    """Every step with its state, until all that are needed are done."""
    stage = _stage(context)
    lines = [_line(step, stage, context["client_id"]) for step in Step] if stage else []
    return {"lines": lines, "done": sum(line.is_done for line in lines)}


@register.inclusion_tag("backoffice/_setup_next.html", takes_context=True)
def setup_next(context: Context) -> dict[str, Any]:
    """The next step, on the pages that the set-up leads through."""
    if context.get("tab") not in _ON_THE_WAY:
        return {"line": None}
    stage = _stage(context)
    if stage is None or stage.following is None:
        return {"line": None}
    line = _line(stage.following, stage, context["client_id"])
    is_here = context["request"].path == line.url
    return {
        "line": None if is_here else line,
        "number": list(Step).index(stage.following) + 1,
        "steps": len(Step),
    }


def _stage(context: Context) -> Stage | None:
    """None once the stage is over, and for whoever has no part in it."""
    if not context["membership"].may(_PERMISSION):
        return None
    stage = setup_stage.of(merchant=context["merchant"], now=context["now"])
    return None if stage.is_over else stage


def _line(step: Step, stage: Stage, client_id: int) -> Line:
    words, act = _TEXTS[step]
    name, more = _target(step, stage)
    if name == "key_activate":
        act = "Activate the key"
    url = reverse(name, kwargs={"client_id": client_id, **more}) if name else ""
    return Line(words, act, url, is_done=step in stage.done, is_next=step is stage.following)


def _target(step: Step, stage: Stage) -> tuple[str, dict[str, str]]:
    """The page where the step is taken: its name and what it needs besides the merchant."""
    if step is Step.CURRENCIES:
        return "currencies_add", {}
    if step is Step.KEY:
        key = stage.waiting_key
        return ("key_activate", {"public_key": key}) if key else ("key_generate", {})
    if step is Step.ALLOWLIST:
        key = stage.active_key
        return ("key_allowlist", {"public_key": key}) if key else ("", {})
    if step is Step.ENDPOINT:
        return "settings_endpoint", {}
    return ("test_send", {}) if {Step.KEY, Step.ENDPOINT} <= stage.done else ("", {})
