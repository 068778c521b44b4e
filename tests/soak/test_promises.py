"""Every scenario at its small size, through the command that people run; one installation serves them all."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.soak.defects import broken
from tests.soak.defects.registry import DEFECTS
from tests.soak.scenarios import SCENARIOS

ROOT = Path(__file__).parents[2]
PROMISES = (*SCENARIOS, "R8")


@pytest.fixture(scope="module")
def rows() -> dict[str, dict[str, Any]]:
    command = [sys.executable, "-m", "tests.soak", "--json", "--seed", "5"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.stdout, done.stderr
    return {row["promise"]: row for row in json.loads(done.stdout)["rows"]}


@pytest.mark.flow
class TestThePromise:
    @pytest.mark.parametrize("name", PROMISES)
    def test_is_held(self, rows, name):
        assert rows[name]["broken"] == []
        assert rows[name]["measured"]


class TestDefects:
    @pytest.mark.parametrize("name", DEFECTS)
    def test_break_what_is_tried(self, name):
        assert set(DEFECTS[name].breaks) <= set(PROMISES)
        assert DEFECTS[name].modules or DEFECTS[name].sql
        assert all(callable(getattr(broken, what)) for what in DEFECTS[name].modules.values())

    @pytest.mark.parametrize("promise", PROMISES)
    def test_are_there_for_every_promise(self, promise):
        assert any(promise in defect.breaks for defect in DEFECTS.values())
