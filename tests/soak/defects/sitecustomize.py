"""Loaded first by every Python that has this directory on its path: breaks the named defect's modules.

It waits for each module that the defect breaks, and breaks it once that is loaded.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType
from typing import Any

Breaking = Callable[[ModuleType], None]


class Breaker(Loader):
    """Loads a module as its own loader does, and breaks it."""

    def __init__(self, loader: Any, break_it: Breaking) -> None:
        self._loader, self._break = loader, break_it

    def create_module(self, spec: ModuleSpec) -> Any:
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        self._loader.exec_module(module)
        self._break(module)


class Finder(MetaPathFinder):
    """Finds the modules that are to be broken."""

    def __init__(self, breakings: dict[str, Breaking]) -> None:
        self._breakings = breakings

    def find_spec(self, fullname: str, path: Any, target: Any = None) -> ModuleSpec | None:
        if fullname not in self._breakings:
            return None
        spec = PathFinder.find_spec(fullname, path, target)
        if spec is not None:
            spec.loader = Breaker(spec.loader, self._breakings[fullname])
        return spec


def break_things(name: str) -> None:
    # By the names that they have on this very path; `tests` is not importable yet.
    import broken
    from registry import DEFECTS

    modules = DEFECTS[name].modules
    sys.meta_path.insert(0, Finder({module: getattr(broken, what) for module, what in modules.items()}))


if os.environ.get("BURSAR_SOAK_DEFECT"):
    break_things(os.environ["BURSAR_SOAK_DEFECT"])
