"""CI's own programs, loaded from where they lie: `.ci` is a folder of programs, not a package."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

ROOT = Path(__file__).parents[2]


def program(path: str) -> ModuleType:
    """The program at `path` under `.ci`, not run; what it imports beside itself is found."""
    name = f"ci_{path.removesuffix('.py').replace('/', '_')}"
    if name not in sys.modules:
        file = ROOT / ".ci" / path
        spec = importlib.util.spec_from_file_location(name, file)
        assert spec
        assert spec.loader
        made = importlib.util.module_from_spec(spec)
        sys.modules[name] = made
        sys.path.insert(0, str(file.parent))
        try:
            spec.loader.exec_module(made)
        finally:
            sys.path.remove(str(file.parent))
    return sys.modules[name]
