"""The locked requirements are what pyproject.toml asks for, and nothing in them is known to be bad."""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
COMPILE = (
    "--universal",
    "--generate-hashes",
    "--no-header",
    "--no-strip-extras",
    "--quiet",
    "--python-version",
    "3.11",
)
LOCKS = {
    "requirements.lock": ("pyproject.toml",),
    "requirements-dev.lock": ("--group", "dev", "pyproject.toml", "-c", "requirements.lock"),
}


def recompiled(name: str, sources: tuple[str, ...]) -> str:
    """The lock made anew, starting from the committed pins, so that only a real change shows."""
    with tempfile.TemporaryDirectory() as directory:
        fresh = Path(directory) / name
        fresh.write_text((ROOT / name).read_text())
        command = [Path(sys.executable).with_name("uv"), "pip", "compile", *COMPILE, *sources, "-o", fresh]
        subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
        return fresh.read_text()


def without_comments(text: str) -> list[str]:
    return [line for line in text.splitlines() if line.strip() and not line.strip().startswith("#")]


def pins(text: str) -> dict[str, tuple[int, ...]]:
    """Each package's version, as numbers as far as it consists of them."""
    found = re.findall(r"^([A-Za-z0-9_.-]+)(?:\[[^\]]*\])?==([0-9.]+)", text, re.MULTILINE)
    return {name.lower(): version(number) for name, number in found}


def version(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.strip(".").split("."))


def floors() -> dict[str, tuple[int, ...]]:
    """The lowest version of each package that is not known to be bad."""
    lines = without_comments((ROOT / ".ci" / "floors.txt").read_text())
    parts = (line.partition("#")[0].partition(">=") for line in lines)
    return {name.strip(): version(number.strip()) for name, _, number in parts}


def below_floor(lock: str, text: str) -> list[str]:
    """The pins of a lock file's text that are known to be bad."""
    locked = pins(text)
    return [
        f"{lock}: {package} is below its floor {'.'.join(map(str, floor))}"
        for package, floor in floors().items()
        if package in locked and locked[package] < floor
    ]


def main() -> int:
    faults = []
    for name, sources in LOCKS.items():
        committed = (ROOT / name).read_text()
        if without_comments(recompiled(name, sources)) != without_comments(committed):
            faults.append(f"{name} is not what pyproject.toml asks for; run `make lock`")
        faults += below_floor(name, committed)
    print("\n".join(faults) or "locks are current, and no pin is below its floor")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
