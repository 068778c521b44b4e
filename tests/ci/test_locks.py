"""A lock that holds a version known to be bad is refused."""

from __future__ import annotations

import pytest

from tests.ci.programs import ROOT, program

locks = program("locks.py")


class TestBelowFloor:
    def test_names_the_package_and_its_floor(self):
        text = "django==5.2.18 \\\n    --hash=sha256:00\nrequests[socks]==2.9 \\\nurllib3==2.10.0 \\\n"
        assert locks.below_floor("a.lock", text) == [
            "a.lock: django is below its floor 5.2.19",
            "a.lock: requests is below its floor 2.33",
        ]

    @pytest.mark.parametrize("name", locks.LOCKS)
    def test_is_nothing_of_what_is_locked(self, name):
        assert locks.below_floor(name, (ROOT / name).read_text()) == []


class TestFloors:
    def test_are_numbers_for_packages_that_are_locked(self):
        locked = {name for lock in locks.LOCKS for name in locks.pins((ROOT / lock).read_text())}
        assert set(locks.floors()) <= locked
        assert locks.floors()["cryptography"] == (50, 0, 0)
