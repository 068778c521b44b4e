"""Deliberate defects, for seeing that the proofs bite: `./bursar soak --defect NAME`.

A defect breaks a module as it is imported (`sitecustomize` in this directory, which only a broken
installation's roles have on their path), or the database after it was migrated, or both. Nothing of Bursar
knows of it. A new one is a line in `DEFECTS`.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Defect:
    """modules: what is broken where, as {module: function of `broken.py`}; sql: run after the migrations."""

    what: str
    modules: dict[str, str]
    sql: str = ""


DEFECTS: dict[str, Defect] = {}
