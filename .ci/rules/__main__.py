"""The house's own security rules over the tree: `python .ci/rules`. Nothing is fetched, nothing is sent.

An exception is an entry of `allowed.toml` with its reason. An entry that nothing needs any longer is a
fault too, so that the list says what is true. `tests/ci/test_rules.py` shows each rule that it can fire.
"""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from collections.abc import Iterator, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(Path(__file__).parent))

from judged import RULES  # noqa: E402 - the folder is a program, not a package
from source import Finding, Source, Tenants, last, matches  # noqa: E402

PACKAGES = ("merchants", "payments", "callbacks", "config", "sandbox", "launcher")
UNSAFE = re.compile(r"\|\s*safe(seq)?\b|\{%\s*autoescape\s+off|\|\s*json_script:None|<script(?![^>]*\bsrc=)")
TEMPLATE_RULE = "templates-escape"
TEMPLATE_WHY = "A template never switches escaping off, and carries no inline script."


def python_files(root: Path) -> Iterator[Path]:
    for package in PACKAGES:
        found = sorted((root / package).rglob("*.py"))
        yield from (path for path in found if "migrations" not in path.parts)


def templates(root: Path) -> Iterator[Path]:
    for folder in (root, *(root / package for package in PACKAGES)):
        yield from sorted((folder / "templates").rglob("*.html"))


def tenants(sources: Sequence[Source]) -> Tenants:
    """Models of a merchant, and those that hang on one: read from the code, so that a new one is guarded."""
    points = {
        node.name: {target for _, target in _points(node)} | {f"by {column}" for column, _ in _points(node)}
        for source in sources
        if source.lies_in("*/models/**", "*/models.py")
        for node in ast.walk(source.tree)
        if isinstance(node, ast.ClassDef)
    }
    owned = {name for name, to in points.items() if {"Merchant", "by merchant"} <= to}
    hanging = {"Merchant"}
    while more := {n for n, to in points.items() if to & (owned | hanging)} - owned - hanging:
        hanging |= more
    return Tenants(frozenset(owned), frozenset(hanging))


def _points(made: ast.ClassDef) -> Iterator[tuple[str, str]]:
    for node in made.body:
        match node:
            case ast.Assign(targets=[ast.Name(id=column)], value=ast.Call(func=kind, args=[target, *_])):
                if last(kind) in {"ForeignKey", "OneToOneField"}:
                    yield column, last(target) or getattr(target, "value", "")


def judge(source: Source, names: Sequence[str] = ()) -> Iterator[Finding]:
    """What the rules (or those named) find in a file; each line once per rule."""
    for name, (rule, where) in RULES.items():
        if (name in names) if names else source.lies_in(*where):
            places = {node.lineno: source.place(node) for node in rule(source)}  # type: ignore[attr-defined]
            yield from (Finding(name, source.path, line, place) for line, place in sorted(places.items()))


def judge_template(path: str, text: str) -> Iterator[Finding]:
    for number, line in enumerate(text.splitlines(), start=1):
        if UNSAFE.search(line):
            yield Finding(TEMPLATE_RULE, path, number)


def findings(root: Path) -> list[Finding]:
    sources = [Source(str(path.relative_to(root)), path.read_text()) for path in python_files(root)]
    known = tenants(sources)
    found: list[Finding] = []
    for source in sources:
        source.tenants = known
        found += judge(source)
    for path in templates(root):
        found += judge_template(str(path.relative_to(root)), path.read_text())
    return found


def allowed(text: str) -> list[dict[str, str]]:
    """The exceptions. Raises ValueError for one without a reason or for a rule that does not exist."""
    entries: list[dict[str, str]] = tomllib.loads(text).get("allowed", [])
    for entry in entries:
        if set(entry) != {"rule", "where", "why"} or len(entry["why"]) < 15:
            raise ValueError(f"an exception has rule, where and why, not {entry}")
        if entry["rule"] not in {*RULES, TEMPLATE_RULE}:
            raise ValueError(f"there is no rule {entry['rule']}")
    return entries


def covers(entry: dict[str, str], finding: Finding) -> bool:
    path, _, place = entry["where"].partition("::")
    same = entry["rule"] == finding.rule and matches(finding.path, path)
    return same and (not place or finding.place == place or finding.place.startswith(f"{place}."))


def verdict(found: Sequence[Finding], entries: Sequence[dict[str, str]]) -> list[str]:
    """What to say: findings that nothing allows, with why they matter, and entries that allow nothing."""
    why = {name: (rule.__doc__ or "").splitlines()[0] for name, (rule, _) in RULES.items()} | {
        TEMPLATE_RULE: TEMPLATE_WHY
    }
    open_ones = [one for one in found if not any(covers(entry, one) for entry in entries)]
    idle = [entry for entry in entries if not any(covers(entry, one) for one in found)]
    return [f"{one}\n    {why[one.rule]}" for one in open_ones] + [
        f"allowed.toml: nothing breaks {entry['rule']} at {entry['where']} any longer; take it out"
        for entry in idle
    ]


def main() -> int:
    entries = allowed((Path(__file__).parent / "allowed.toml").read_text())
    faults = verdict(findings(ROOT), entries)
    print("\n".join(faults) or f"{len(RULES) + 1} rules hold, with {len(entries)} exceptions")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
