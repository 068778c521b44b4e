"""The threat model names tests and rules that exist, and says of every threat what stands in its way."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

from tests.ci.programs import ROOT, program

TEXT = (ROOT / "docs" / "threat-model.md").read_text()
BEFORE_THE_THREATS = {"What is worth taking", "Who might try", "Where trust changes"}
SECTIONS = dict(re.findall(r"^## (.+?)\n(.*?)(?=^## |\Z)", TEXT, re.MULTILINE | re.DOTALL))
THREATS = {title: body for title, body in SECTIONS.items() if title not in BEFORE_THE_THREATS}
NAMED = re.compile(r"`(tests/[\w/]+\.py(?:::\w+)+)`")
RULES = re.compile(r"\b[Rr]ules? ((?:`[a-z-]+`(?:,\s+|\s+and\s+)?)+)")


@cache
def written_in(path: Path) -> frozenset[str]:
    """`TestX::test_y` of every test in a file, inherited ones left out."""
    return frozenset(
        f"{made.name}::{inner.name}"
        for made in ast.parse(path.read_text()).body
        if isinstance(made, ast.ClassDef)
        for inner in made.body
        if isinstance(inner, ast.FunctionDef) and inner.name.startswith("test_")
    )


def missing(text: str) -> list[str]:
    """The named tests that do not exist."""
    gone = []
    for name in NAMED.findall(text):
        path, _, inside = name.partition("::")
        if not (ROOT / path).is_file() or inside not in written_in(ROOT / path):
            gone.append(name)
    return gone


def rules_in(text: str) -> set[str]:
    return {name for group in RULES.findall(text) for name in re.findall(r"`([a-z-]+)`", group)}


class TestThreatModel:
    def test_names_tests_that_exist(self):
        assert missing(TEXT) == []

    def test_would_notice_a_test_that_does_not(self):
        text = "`tests/ci/test_threat_model.py::TestThreatModel::test_gone` `tests/gone.py::TestX::test_y`"
        assert len(missing(text)) == 2

    def test_names_tests_whole(self):
        assert TEXT.count("tests/") == len(NAMED.findall(TEXT)) + TEXT.count(
            "`tests/ci/test_threat_model.py`"
        )

    def test_names_rules_that_exist(self):
        rules = program("rules/__main__.py")
        assert rules_in(TEXT) == {*rules.RULES, rules.TEMPLATE_RULE} - {"one-clock"}

    @pytest.mark.parametrize("title", sorted(THREATS))
    def test_says_of_every_threat_what_stands_in_its_way(self, title):
        for item in re.split(r"^- ", THREATS[title], flags=re.MULTILINE)[1:]:
            assert item.startswith("**Open:**") or NAMED.search(item) or rules_in(item)
        assert NAMED.search(THREATS[title])

    def test_covers_what_was_asked(self):
        assert len(THREATS) == 19
