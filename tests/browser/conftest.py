"""A real browser at a real installation: every role as a process, Chromium, a merchant's receiver.

Skipped where there is no Chromium, unless they are demanded, as in CI. Authenticators are set to steps of
four seconds, so that nobody waits half a minute for the next code; nothing else is written to the database.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from playwright.sync_api import Browser, expect, sync_playwright

from launcher.services import Valkey
from tests.browser.visitor import Visitor, visiting
from tests.flows.installation import Installation, installed

NAMES = ("chromium", "chromium-browser", "google-chrome")
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@pytest.fixture(scope="session")
def program() -> str:
    """Where the browser is."""
    found = next(filter(None, map(shutil.which, NAMES)), None)
    if found is None and os.environ.get("BURSAR_BROWSER_TESTS") == "demanded":
        pytest.fail("the browser tests were demanded, and there is no Chromium")
    if found is None:
        pytest.skip("no Chromium on this machine")
    return found


@pytest.fixture(scope="module")
def chromium(program: str) -> Iterator[Browser]:
    """Ended with each file: its loop runs in this very process, and the ORM refuses to work beside one."""
    expect.set_options(timeout=30_000)  # a busy machine is no fault of a page
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture(scope="package")
def place(tmp_path_factory: pytest.TempPathFactory, program: str) -> Iterator[Installation]:
    """An installation with the demo merchant and one deposit, confirmed and called back."""
    directory: Path = tmp_path_factory.mktemp("browser")
    valkey = Valkey(directory / "valkey")  # its own: doorbells of two installations must not mix
    try:
        with installed(directory, valkey=valkey.start()) as installation:
            installation.start("web", "intake", "worker", "deliver", "deliver_slow", "sender", "beat")
            quicken(installation)
            yield installation
    finally:
        valkey.stop()


def quicken(installation: Installation) -> None:
    """Codes that change every four seconds; phones show them for half a minute."""
    with psycopg.connect(installation._url()) as connection:
        connection.execute("UPDATE merchants_totpdevice SET step = 4")


@pytest.fixture
def owner(chromium: Browser, place: Installation) -> Iterator[Visitor]:
    with visiting(chromium, place, "owner") as visitor:
        visitor.sign_in()
        yield visitor


@pytest.fixture
def viewer(chromium: Browser, place: Installation) -> Iterator[Visitor]:
    with visiting(chromium, place, "viewer") as visitor:
        visitor.sign_in()
        yield visitor
