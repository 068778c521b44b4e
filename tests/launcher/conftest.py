"""An empty `var/` for each test that looks at one."""

from __future__ import annotations

from pathlib import Path

import pytest

from launcher import state


@pytest.fixture
def var(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The launcher's directory of this test alone."""
    directory = tmp_path / "var"
    monkeypatch.setattr(state, "VAR", directory)
    monkeypatch.setattr(state, "RUNNING", directory / "up.json")
    return directory
