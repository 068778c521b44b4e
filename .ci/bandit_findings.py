"""What bandit finds in the product and ruff does not know of: `python .ci/bandit_findings.py [paths]`.

Both judge by the same numbers (B608 is S608). A line that ruff was told to leave alone with a reason, or a
file that pyproject.toml excuses from that rule, is answered for bandit too, so that nothing is explained
twice. Whatever else bandit finds fails.
"""

from __future__ import annotations

import re
import sys
import tomllib
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from bandit.core.config import BanditConfig
from bandit.core.issue import Issue
from bandit.core.manager import BanditManager

ROOT = Path(__file__).resolve().parent.parent
PRODUCT = ("bursar", "merchants", "payments", "callbacks", "config", "launcher", "sandbox")


def found(paths: Sequence[str]) -> list[Issue]:
    config = BanditConfig(str(ROOT / "pyproject.toml"))
    manager = BanditManager(config, "file", profile={"exclude": set(config.get_option("skips") or ())})
    manager.discover_files(list(paths), recursive=True)
    manager.run_tests()
    if manager.skipped:
        raise SystemExit(f"bandit could not read {manager.skipped}")
    issues: list[Issue] = manager.get_issue_list()
    return issues


def is_answered(issue: Issue, excused: dict[str, list[str]]) -> bool:
    """Whether ruff was told why this is right here."""
    code = f"S{issue.test_id[1:]}"
    path = Path(issue.fname).resolve()
    relative = PurePosixPath(path.relative_to(ROOT)) if path.is_relative_to(ROOT) else PurePosixPath(path)
    if any(code in codes and matches(relative, glob) for glob, codes in excused.items()):
        return True
    lines = path.read_text().splitlines()[min(issue.linerange) - 1 : max(issue.linerange)]
    return any(re.search(rf"# noqa: .*\b{code}\b.* [-#] \S", line) for line in lines)


def matches(path: PurePosixPath, glob: str) -> bool:
    if glob.endswith("/**"):
        return any(parent.match(glob[:-3]) for parent in path.parents)
    return path.match(glob)


def excuses() -> dict[str, list[str]]:
    """The files that pyproject.toml excuses from rules of ruff."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())
    rules: dict[str, list[str]] = settings["tool"]["ruff"]["lint"]["per-file-ignores"]
    return rules


def main(arguments: list[str]) -> int:
    excused = excuses()
    open_ones = [issue for issue in found(arguments or PRODUCT) if not is_answered(issue, excused)]
    for issue in open_ones:
        print(f"{issue.fname}:{issue.lineno}: {issue.test_id} {issue.text}")
    if not open_ones:
        print("bandit finds nothing that is not explained")
    return 1 if open_ones else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
