"""`./bursar up --upstream` itself: two installations from one command, used, looked at, killed, stopped."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from launcher import up
from tests.launcher.test_services import ROOT
from tests.launcher.test_up import ended, of_installation, until, until_up

pytestmark = [pytest.mark.flow, pytest.mark.long]

Bursar = Callable[..., subprocess.Popen[str]]


@pytest.fixture(scope="module")
def var(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory: Path = tmp_path_factory.mktemp("two") / "var"
    return directory


@pytest.fixture(scope="module")
def bursar(var: Path) -> Bursar:
    names = ("PATH", "HOME", "LANG", "BURSAR_VENV")
    environment = {name: os.environ[name] for name in names if name in os.environ}
    environment["BURSAR_VAR"] = str(var)

    def start(*arguments: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "launcher", *arguments],
            cwd=ROOT,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    return start


@pytest.fixture(scope="module")
def running(bursar: Bursar, var: Path) -> Iterator[subprocess.Popen[str]]:
    base = up.free_base(upstream=True)
    process = bursar("up", "--upstream", "--port", str(base), "--block-every", "0")
    try:
        until_up(process)
        yield process
    finally:
        process.kill()
        process.wait()
        process.stdout.close()  # type: ignore[union-attr] # it is a pipe
        until(lambda: not of_installation(var))


def read(path: Path) -> dict[str, Any]:
    facts: dict[str, Any] = json.loads(path.read_text())
    return facts


class TestUpWithUpstream:
    def test_keeps_the_two_apart(self, running, var):
        front, behind = read(var / "front" / "demo.json"), read(var / "upstream" / "demo.json")
        assert behind["callback_url"].endswith("/callbacks/upstream/")
        assert "shop_url" not in behind
        assert not {front["api_key"], front["api_secret"]} & {behind["api_key"], behind["api_secret"]}
        assert not set(read(var / "front" / "secrets.json").values()) & set(
            read(var / "upstream" / "secrets.json").values()
        )
        assert not (var / "demo.json").exists()

    def test_plays_both_ways(self, running, bursar):
        played, answer = ended(bursar("demo", "--upstream", "--json"))
        facts = json.loads(answer)
        assert (played, facts["error"]) == (0, None)
        assert facts["ok"] is True
        assert [step["step"] for step in facts["steps"]][-1].startswith("behind: ")

    def test_plays_the_main_job_as_well(self, running, bursar):
        played, answer = ended(bursar("demo", "--json"))
        assert played == 0, answer

    def test_moves_the_clock_of_both(self, running, bursar, var):
        code, answer = ended(bursar("sandbox", "wait", "90s"))
        assert code == 0, answer
        assert answer.count("The clock is 0:01:30 ahead") == 2

    def test_lets_no_program_of_the_one_into_the_database_of_the_other(self, running, var):
        here = read(var / "up.json")
        owner = here["owner_environment"]["DATABASE_URL"].replace("bursar_owner", "bursar_super")
        with psycopg.connect(owner) as connection:
            databases = connection.execute(
                "SELECT DISTINCT datname FROM pg_stat_activity WHERE application_name LIKE 'bursar-%'"
            ).fetchall()
        assert {name for (name,) in databases} == {"bursar_front", "bursar_upstream"}
        for line in of_installation(var):
            assert here["environment"]["BURSAR_SECRET_KEY"] not in line

    def test_refuses_a_second_one_with_or_without(self, running, bursar):
        for more in ([], ["--upstream"]):
            code, answer = ended(bursar("up", "--port", str(up.free_base(upstream=True)), *more))
            assert code == 2
            assert answer.startswith("bursar: `./bursar up` runs already on")
            assert answer.count("\n") == 1

    def test_survives_a_kill_moves_to_other_ports_and_leaves_no_process(self, running, bursar, var):
        running.kill()
        running.wait()
        until(lambda: not of_installation(var))
        again = bursar("up", "--upstream", "--port", str(up.free_base(upstream=True)), "--block-every", "0")
        until_up(again)
        played, answer = ended(bursar("demo", "--upstream", "--json"))
        assert played == 0, answer
        again.send_signal(signal.SIGTERM)
        assert ended(again)[0] == 0
        assert of_installation(var) == []
        assert not (var / "up.json").exists()
