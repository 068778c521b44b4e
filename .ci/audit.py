"""The locked packages against a database of advisories: `BURSAR_ADVISORIES=PATH python .ci/audit.py`.

PATH is a folder or a zip of advisories in the OSV format, as the OSV project exports them for PyPI. Nothing
is fetched here. Without a database, or with one that is too old, it says NOT AUDITED and nothing else: the
floors in `floors.txt` are then all that was compared. A locked version that an advisory names fails.
"""

from __future__ import annotations

import json
import os
import re
import sys
import zipfile
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from packaging.version import InvalidVersion, Version

ROOT = Path(__file__).resolve().parent.parent
LOCKS = ("requirements.lock", "requirements-dev.lock")
OLDEST = timedelta(days=30)

Advisory = Mapping[str, Any]


def pins(text: str) -> dict[str, Version]:
    found = re.findall(r"^([A-Za-z0-9_.-]+)(?:\[[^\]]*\])?==(\S+)", text, re.MULTILINE)
    return {normal(name): Version(number) for name, number in found}


def normal(name: str) -> str:
    """The one spelling of a package's name (PyPA, name normalization)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def advisories(path: Path) -> Iterator[Advisory]:
    """Every advisory in a folder or a zip. Raises ValueError for a file that is none."""
    if path.is_dir():
        texts = (file.read_text() for file in sorted(path.rglob("*.json")))
    else:
        archive = zipfile.ZipFile(path)
        texts = (archive.read(name).decode() for name in archive.namelist() if name.endswith(".json"))
    for text in texts:
        yield json.loads(text)


def hits(advisory: Advisory, locked: Mapping[str, Version]) -> list[str]:
    """The locked packages that the advisory names at their locked version."""
    if advisory.get("withdrawn"):
        return []
    named = []
    for affected in advisory.get("affected", ()):
        package = affected.get("package", {})
        name = normal(package.get("name", ""))
        if package.get("ecosystem") == "PyPI" and name in locked and is_affected(affected, locked[name]):
            named.append(f"{name} {locked[name]}: {advisory['id']} {advisory.get('summary', '')}".strip())
    return named


def is_affected(affected: Mapping[str, Any], version: Version) -> bool:
    """By the list of versions or by one of the ranges (OSV schema, affected)."""
    if str(version) in affected.get("versions", ()):
        return True
    ranges = [one["events"] for one in affected.get("ranges", ()) if one.get("type") == "ECOSYSTEM"]
    return any(_lies_in(events, version) for events in ranges)


def _lies_in(events: list[Mapping[str, str]], version: Version) -> bool:
    inside = False
    for event in sorted(events, key=lambda event: _number(next(iter(event.values())))):
        (kind, text), *_ = event.items()
        number = _number(text)
        if kind == "introduced" and version >= number:
            inside = True
        elif (kind == "fixed" and version >= number) or (kind == "last_affected" and version > number):
            inside = False
    return inside


def _number(text: str) -> Version:
    try:
        return Version(text)
    except InvalidVersion:
        return Version("0")


def audit(path: Path, locked: Mapping[str, Version], now: datetime) -> tuple[int, str]:
    """The exit code and what to say."""
    known = [one for one in advisories(path) if one.get("affected")]
    if not known:
        return 0, f"NOT AUDITED: {path} holds no advisory"
    newest = max(datetime.fromisoformat(one["modified"]) for one in known)
    bad = sorted({hit for one in known for hit in hits(one, locked)})
    if bad:
        return 1, "\n".join(bad)
    if now - newest > OLDEST:
        return 0, f"NOT AUDITED: the newest of {len(known)} advisories is of {newest:%Y-%m-%d}"
    return 0, f"{len(locked)} packages against {len(known)} advisories up to {newest:%Y-%m-%d}: none named"


def main() -> int:
    given = os.environ.get("BURSAR_ADVISORIES", "")
    if not given or not Path(given).exists():
        print("NOT AUDITED: no database of advisories (BURSAR_ADVISORIES); only the floors were compared")
        return 0
    locked = {name: at for lock in LOCKS for name, at in pins((ROOT / lock).read_text()).items()}
    code, said = audit(Path(given), locked, datetime.now(UTC))
    print(said)
    return code


if __name__ == "__main__":
    sys.exit(main())
