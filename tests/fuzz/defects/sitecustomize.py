"""Deliberate defects, for seeing that the fuzz notices them: `./bursar fuzz --defect NAME`.

With this directory on PYTHONPATH every Python of the installation imports this module first. It waits for
the module that the named defect breaks, and breaks it once that is loaded. Nothing of Bursar knows of it.
"""

from __future__ import annotations

import os
import sys
import time
from dataclasses import replace
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType
from typing import Any


def lets_an_error_through(wire: ModuleType) -> None:
    """The guard forgets that bytes may be no UTF-8 and text no JSON."""

    def parse_body(raw: bytes, content_type: str, **_: Any) -> Any:
        import json

        return json.loads(raw.decode()) if raw else {}

    wire.parse_body = parse_body


def forgets_deep_nesting(wire: ModuleType) -> None:
    """Nothing counts brackets before the recursive parser meets them."""
    wire._refuse_depth = lambda raw: None


def sleeps(terms: ModuleType) -> None:
    """A view that waits for something outside."""
    enabled = terms.enabled

    def slowly(**options: Any) -> Any:
        time.sleep(1.2)
        return enabled(**options)

    terms.enabled = slowly


def leaks(signing: ModuleType) -> None:
    """Every body is remembered, for ever."""
    verify, kept = signing.verify, []

    def remembering(secret: str, body: bytes, signature: str) -> bool:
        kept.append(bytearray(body) + bytearray(64_000))
        return bool(verify(secret, body, signature))

    signing.verify = remembering


def believes_every_signature(signing: ModuleType) -> None:
    """Comparing is left out."""
    signing.verify = lambda secret, body, signature: True


def acknowledges_before_storing(incoming: ModuleType) -> None:
    """200 first; what does not fit is dropped afterwards."""
    receive = incoming.receive

    def carelessly(*, processor_code: str, request: Any) -> bool:
        return (
            bool(receive(processor_code=processor_code, request=request)) if len(request.body) < 900 else True
        )

    incoming.receive = carelessly


def answers_errors_as_lists(errors: ModuleType) -> None:
    """REST framework's own shape."""
    errors.flat = dict


def dies(wire: ModuleType) -> None:
    """One input takes its worker with it."""
    parse_body = wire.parse_body

    def fatally(raw: bytes, content_type: str, **options: Any) -> Any:
        if len(raw) > 9_000:
            os.kill(os.getpid(), 9)
        return parse_body(raw, content_type, **options)

    wire.parse_body = fatally


def takes_twice(addresses: ModuleType) -> None:
    """Every taking takes one address more, which no answer names."""
    claim = addresses._claim

    def greedily(merchant: Any, pool: Any, order: Any, now: Any, tries: int = 5) -> Any:
        claim(merchant, pool, replace(order, foreign_id=f"{order.foreign_id[:200]} again"), now)
        return claim(merchant, pool, order, now, tries)

    addresses._claim = greedily


def stores_what_it_refuses(incoming: ModuleType) -> None:
    """The row first, the signature after."""
    receive = incoming.receive

    def eagerly(*, processor_code: str, request: Any) -> bool:
        try:
            return bool(receive(processor_code=processor_code, request=request))
        except Exception:
            with incoming.connection.cursor() as cursor:
                cursor.execute(
                    "INSERT INTO callbacks_incomingcallback"
                    " (processor, sha256, raw, headers, state, attempts, failures, unfinished, error)"
                    " VALUES (%s, sha256(%s), %s, '{}', 'received', 0, 0, 0, '')"
                    " ON CONFLICT DO NOTHING",
                    [processor_code, request.body, request.body],
                )
            raise

    incoming.receive = eagerly


def lets_gunicorn_answer(base: ModuleType) -> None:
    """What is no HTTP request gets gunicorn's own words, because our settings are not read."""
    base.Application.load_config_from_module_name_or_filename = lambda self, location: {}


DEFECTS = {
    "error": ("payments.wire", lets_an_error_through),
    "depth": ("payments.wire", forgets_deep_nesting),
    "sleep": ("payments.terms", sleeps),
    "leak": ("merchants.signing", leaks),
    "unsigned": ("merchants.signing", believes_every_signature),
    "lost": ("callbacks.incoming", acknowledges_before_storing),
    "eager": ("callbacks.incoming", stores_what_it_refuses),
    "server": ("gunicorn.app.base", lets_gunicorn_answer),
    "lists": ("payments.api.errors", answers_errors_as_lists),
    "death": ("payments.wire", dies),
    "twice": ("payments.addresses", takes_twice),
}


class Breaker(Loader):
    """Loads a module as its own loader does, and breaks it."""

    def __init__(self, loader: Any, break_it: Any) -> None:
        self._loader, self._break = loader, break_it

    def create_module(self, spec: ModuleSpec) -> Any:
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        self._loader.exec_module(module)
        self._break(module)


class Finder(MetaPathFinder):
    """Finds the one module that is to be broken."""

    def __init__(self, name: str, break_it: Any) -> None:
        self._name, self._break = name, break_it

    def find_spec(self, fullname: str, path: Any, target: Any = None) -> ModuleSpec | None:
        if fullname != self._name:
            return None
        spec = PathFinder.find_spec(fullname, path, target)
        if spec is not None:
            spec.loader = Breaker(spec.loader, self._break)
        return spec


if os.environ.get("BURSAR_FUZZ_DEFECT"):
    sys.meta_path.insert(0, Finder(*DEFECTS[os.environ["BURSAR_FUZZ_DEFECT"]]))
