"""The house's mechanical rules, noticed by a tool rather than by a reviewer."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("config", "merchants", "payments", "callbacks", "sandbox", "launcher")
LONGEST_FILE, LONGEST_FUNCTION = 350, 60
NAMELESS = {"utils", "helpers", "common", "misc", "manager", "service", "services", "handler", "selectors"}
MAY_BE_CALLED_SERVICES = {ROOT / "launcher" / "services.py"}  # PostgreSQL and Valkey are just that
MONEY = (
    *("money.py", "fees.py", "wire.py", "deposits.py", "deposit_rules.py", "rates.py", "adjustments.py"),
    *("withdrawals.py", "withdrawal_rules.py", "limits.py", "closings.py", "payouts.py", "transfers.py"),
)


def modules(*packages: str) -> list[Path]:
    found = [path for package in packages for path in sorted((ROOT / package).rglob("*.py"))]
    return [path for path in found if "migrations" not in path.parts]


PRODUCT = modules(*PACKAGES)


def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


def calls(path: Path, name: str) -> Iterator[ast.Call]:
    """Calls of a plain name or of an attribute with that name."""
    for node in ast.walk(parsed(path)):
        if isinstance(node, ast.Call):
            called = node.func
            if getattr(called, "id", None) == name or getattr(called, "attr", None) == name:
                yield node


@pytest.mark.parametrize("path", PRODUCT, ids=lambda path: str(path.relative_to(ROOT)))
class TestModule:
    def test_is_short(self, path):
        assert path.read_text().count("\n") <= LONGEST_FILE

    def test_says_what_it_owns(self, path):
        text = path.read_text().strip()
        assert not text or ast.get_docstring(parsed(path))

    def test_has_short_functions(self, path):
        functions = [node for node in ast.walk(parsed(path)) if isinstance(node, ast.FunctionDef)]
        longest = max((node.end_lineno - node.lineno + 1 for node in functions), default=0)
        assert longest <= LONGEST_FUNCTION

    def test_has_a_name_for_what_it_owns(self, path):
        assert path.stem not in NAMELESS or path in MAY_BE_CALLED_SERVICES

    def test_sets_no_timer_in_the_broker(self, path):
        timed = [
            word.arg
            for node in ast.walk(parsed(path))
            if isinstance(node, ast.Call)
            for word in node.keywords
        ]
        assert not {"countdown", "eta"} & set(timed)

    def test_sends_no_task_but_through_the_doorbell(self, path):
        sent = [*calls(path, "delay"), *calls(path, "apply_async"), *calls(path, "send_task")]
        assert not sent or path == ROOT / "payments" / "doorbell.py"

    def test_names_no_place_of_this_machine(self, path):
        assert not re.search(r"/(work|root|home)/", path.read_text())


class TestMoney:
    @pytest.mark.parametrize("name", MONEY)
    def test_is_never_a_float(self, name):
        assert not list(calls(ROOT / "payments" / name, "float"))
        assert not re.search(r":\s*float\b|-> float\b", (ROOT / "payments" / name).read_text())

    def test_moves_in_the_ledger_only(self):
        writers = [path for path in PRODUCT if "payments_posting" in path.read_text()]
        assert {path.parent.name for path in writers} <= {"ledger"}


class TestSignals:
    def test_are_the_ports_alone(self):
        made = {path for path in PRODUCT for _ in calls(path, "Signal")}
        assert made == {ROOT / "payments" / "events.py"}


class TestCsrf:
    def test_is_off_only_at_the_doors_of_programs(self):
        exempt = [path.relative_to(ROOT) for path in PRODUCT if "csrf_exempt" in path.read_text()]
        assert exempt == []


class TestSecrets:
    def test_are_of_this_installation_only(self):
        tracked = [ROOT / name for name in ("config/settings.py", "launcher/state.py")]
        assert not any(re.search(r"b[ps]k_[A-Za-z0-9]{20,}", path.read_text()) for path in tracked)
