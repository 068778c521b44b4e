"""No secret lies in the tree or in its recent history: `python .ci/leaks.py [repository]`.

Every line that the last commits added, and every line of the working tree, is looked at by detect-secrets
and by Bursar's own mark (prefix and checksum of keys and secrets). What was once committed is leaked even
after it was taken out, so the answer to a true finding is to make that secret worthless first. What is no
secret is named in `known-secrets.toml` by the SHA-1 of its text, with a reason. Findings are told by place
and hash; the text itself is never printed.
"""

from __future__ import annotations

import hashlib
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from detect_secrets.core.plugins.util import get_mapping_from_secret_type_to_class
from detect_secrets.core.scan import scan_file
from detect_secrets.settings import transient_settings

ROOT = Path(__file__).resolve().parent.parent
COMMITS = 400
TRIALS = ("tests/", "bench/")
NEVER_IN_TESTS = {"KeywordDetector", "BasicAuthDetector"}
"""A test's passwords and URLs with a password in them are there to be refused; keys and tokens are not."""
FILTERS = ("is_sequential_string", "is_potential_uuid", "is_templated_secret", "is_prefixed_with_dollar_sign")
FILTERS += ("is_indirect_reference", "is_likely_id_string", "is_not_alphanumeric_string")
UNREAD = {".png", ".jpg", ".ico", ".woff2", ".mo", ".pyc", ".svg", ".lock"}
"""Nothing that a person types; lock files are made of hashes."""
LISTED = ".ci/known-secrets.toml"
FINGERPRINTS = {LISTED, ".ci/landed-migrations.toml"}
OWN_MARK = re.compile(r"b[ps]k_[A-Za-z0-9_-]{50}")


@dataclass(frozen=True, order=True)
class Leak:
    """path: where it stands, or stood; since: the commit that brought it, or the working tree."""

    path: str
    since: str
    kind: str
    sha1: str

    def __str__(self) -> str:
        return f"{self.path} ({self.since}): {self.kind}, sha1 {self.sha1}"


Lines = dict[str, dict[str, str]]
"""By path, each distinct line with what brought it."""


def git(root: Path, *arguments: str) -> str:
    command = [shutil.which("git") or "git", *arguments]
    done = subprocess.run(command, cwd=root, check=True, capture_output=True)
    return done.stdout.decode(errors="replace")


def added(root: Path, commits: int) -> Lines:
    """The lines that the last commits added, oldest first, so that the first commit is named."""
    lines: Lines = {}
    path = commit = ""
    log = (
        "log",
        f"-{commits}",
        "--reverse",
        "-p",
        "-U0",
        "--no-color",
        "--no-ext-diff",
        "--no-renames",
        "-m",
    )
    for line in git(root, *log, "--format=commit %h").split("\n"):
        if line.startswith("commit "):
            commit = line[7:]
        elif line.startswith("+++ "):
            path = line[6:] if line.startswith("+++ b/") else ""
        elif line.startswith("+") and path:
            lines.setdefault(path, {}).setdefault(line[1:], commit)
    return lines


def with_tree(root: Path, lines: Lines) -> Lines:
    """Adds what lies in the working tree, tracked or about to be."""
    for path in git(root, "ls-files", "-z", "--cached", "--others", "--exclude-standard").split("\0"):
        if path and (root / path).is_file() and not is_unread(path):
            for line in (root / path).read_text(errors="replace").split("\n"):
                lines.setdefault(path, {}).setdefault(line, "working tree")
    return lines


def is_unread(path: str) -> bool:
    return PurePosixPath(path).suffix in UNREAD or path in FINGERPRINTS


def own_marks(path: str, lines: dict[str, str]) -> Iterator[Leak]:
    """Keys and secrets that an installation of Bursar made: their checksum is right."""
    sys.path.insert(0, str(ROOT))
    from merchants.secrets import is_well_formed

    for line, since in lines.items():
        for token in OWN_MARK.findall(line):
            if is_well_formed(token):
                yield Leak(path, since, "Bursar key or secret", hashlib.sha1(token.encode()).hexdigest())  # noqa: S324 - a name for it, as detect-secrets makes it


def found(lines: Lines) -> Iterator[Leak]:
    """Everything that looks like a secret. Each path's lines are scanned as one file of that name."""
    plugins = {kind.__name__ for kind in get_mapping_from_secret_type_to_class().values()}
    filters = [{"path": f"detect_secrets.filters.heuristic.{name}"} for name in FILTERS]
    with tempfile.TemporaryDirectory() as directory:
        for is_test in (False, True):
            used = sorted(plugins - (NEVER_IN_TESTS if is_test else set()))
            with transient_settings({"plugins_used": [{"name": n} for n in used], "filters_used": filters}):
                for path, texts in lines.items():
                    if path.startswith(TRIALS) == is_test and not is_unread(path):
                        yield from own_marks(path, texts)
                        yield from scanned(Path(directory), path, texts)


def scanned(directory: Path, path: str, texts: dict[str, str]) -> Iterator[Leak]:
    copy = directory / path
    copy.parent.mkdir(parents=True, exist_ok=True)
    numbered = list(texts)
    copy.write_text("\n".join(numbered))
    for secret in scan_file(str(copy)):
        line = numbered[min(secret.line_number, len(numbered)) - 1]
        yield Leak(path, texts[line], secret.type, secret.secret_hash)


def known(text: str) -> list[tuple[str, set[str]]]:
    """What is no secret: where, and the hashes. Raises ValueError for an entry without a reason."""
    entries = tomllib.loads(text).get("known", [])
    for entry in entries:
        if set(entry) != {"where", "why", "sha1"} or len(entry["why"]) < 15:
            raise ValueError(f"what is known has where, why and sha1, not {sorted(entry)}")
    return [(entry["where"], set(entry["sha1"])) for entry in entries]


def unknown(leaks: Iterable[Leak], entries: list[tuple[str, set[str]]]) -> list[Leak]:
    return sorted(
        {leak for leak in leaks if not any(leak.path == path and leak.sha1 in sha1 for path, sha1 in entries)}
    )


def main(arguments: list[str]) -> int:
    root = Path(arguments[0]) if arguments else ROOT
    listed = root / LISTED
    entries = known(listed.read_text()) if listed.exists() else []
    leaks = unknown(found(with_tree(root, added(root, COMMITS))), entries)
    seen = min(COMMITS, int(git(root, "rev-list", "--count", "HEAD")))
    print("\n".join(map(str, leaks)) or f"no secret in the tree nor in the last {seen} commits")
    return 1 if leaks else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
