"""Every scenario at its small size, through the command that people run; one installation serves them all."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
NAMES = ("R1", "R2", "R8", "R10", "R11")


@pytest.fixture(scope="module")
def rows() -> dict[str, dict[str, Any]]:
    command = [sys.executable, "-m", "tests.soak", "--json", "--seed", "5"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.stdout, done.stderr
    return {row["promise"]: row for row in json.loads(done.stdout)["rows"]}


@pytest.mark.flow
class TestThePromise:
    @pytest.mark.parametrize("name", NAMES)
    def test_is_held(self, rows, name):
        assert rows[name]["broken"] == []
        assert rows[name]["measured"]

    def test_is_one_of_those_that_are_tried_here(self, rows):
        assert set(NAMES) <= rows.keys()
        assert [name for name, row in rows.items() if not row["held"]] == []
