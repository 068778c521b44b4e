"""The wire's published vectors: signatures, refusals, and callback bodies byte for byte."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

VECTORS: dict[str, Any] = json.loads((Path(__file__).parent / "vectors.json").read_text())


def callbacks(*types: str) -> list[dict[str, Any]]:
    """The callback vectors of the given types, each with `name`, `payload`, `raw` and `signature`."""
    return [vector for vector in VECTORS["callbacks"] if vector["type"] in types]
