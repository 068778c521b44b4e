"""The parts of `./bursar up` that decide something, and the whole of it once."""

from __future__ import annotations

import json
import os
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, ClassVar

import psycopg
import pytest

from launcher import up
from launcher.demo import Mismatch, Player
from launcher.roles import Installation, Upstream
from launcher.state import Home, LauncherRefusal, Ports, read, write_private
from tests.launcher.test_services import ROOT, is_alive

RFC_6238_SECRET = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"


class TestCodeNow:
    @pytest.mark.parametrize(
        ("seconds", "code"),
        [(59, "287082"), (1111111109, "081804"), (1234567890, "005924"), (20000000000, "353130")],
    )
    def test_is_the_standards(self, monkeypatch, seconds, code):
        """RFC 6238, appendix B, SHA-1, the last six digits."""
        monkeypatch.setattr(up.time, "time", lambda: seconds)
        assert up.code_now(RFC_6238_SECRET) == code

    def test_takes_a_secret_without_its_padding(self):
        assert len(up.code_now("GEZDGNBVGY")) == 6


class TestDemandFree:
    def test_accepts_ports_that_are_free(self):
        up.demand_free("127.0.0.1", Ports(up.free_base()))

    @pytest.mark.parametrize(("distance", "name"), [(0, "web"), (1, "intake"), (10, "sandbox"), (20, "shop")])
    def test_names_the_one_that_is_taken(self, distance, name):
        base = up.free_base()
        taken = socket.create_server(("127.0.0.1", base + distance))
        with taken, pytest.raises(LauncherRefusal, match=rf"127.0.0.1:{base + distance} \({name}\) is not"):
            up.demand_free("127.0.0.1", Ports(base))

    @pytest.mark.parametrize(
        ("distance", "name"), [(20, "shop"), (30, "upstream web"), (31, "upstream intake"), (40, "sandbox")]
    )
    def test_names_the_one_of_two_installations_that_is_taken(self, distance, name):
        base = up.free_base(upstream=True)
        taken = socket.create_server(("127.0.0.1", base + distance))
        with taken, pytest.raises(LauncherRefusal, match=rf"127.0.0.1:{base + distance} \({name}\) is not"):
            up.demand_free("127.0.0.1", Ports(base), upstream=True)

    @pytest.mark.parametrize("port", [0, -1, 65_530, 70_000])
    def test_refuses_what_is_no_port(self, port):
        with pytest.raises(LauncherRefusal, match="is no port; choose another with --port"):
            up.demand_free("127.0.0.1", Ports(port))

    def test_refuses_an_address_that_is_not_ours(self):
        with pytest.raises(LauncherRefusal, match=r"203.0.113.1:\d+ \(web\) is not free"):
            up.demand_free("203.0.113.1", Ports(up.free_base()))


class TestTable:
    PERSON: ClassVar = {"email": "a@b.test", "password": "pass-word", "totp_secret": RFC_6238_SECRET}

    def facts(self, host: str) -> dict[str, Any]:
        facts: dict[str, Any] = dict.fromkeys(up.PEOPLE, self.PERSON)
        facts |= {"api_key": "the-key", "api_secret": "the-secret", "api_url": f"http://{host}/api/v2"}
        urls = {"backoffice_url": f"http://{host}/", "operator_url": f"http://{host}/operator/"}
        return facts | urls | {"shop_url": "http://s"}

    @pytest.fixture
    def here(self, tmp_path):
        write_private(tmp_path / "demo.json", self.facts("h"))
        return {"demo": str(tmp_path / "demo.json")}

    def test_shows_how_to_get_in(self, here):
        shown = up.table(here)
        for value in ("http://h/api/v2", "http://h/operator/", "http://s", "the-key", "the-secret"):
            assert value in shown
        assert shown.count(f"authenticator {RFC_6238_SECRET}, now ") == 4

    def test_shows_how_to_get_into_the_one_behind(self, here, tmp_path):
        write_private(tmp_path / "behind.json", self.facts("behind"))
        shown = up.table(here | {"upstream": {"demo": str(tmp_path / "behind.json")}})
        assert "http://behind/operator/" in shown
        assert shown.count(f"authenticator {RFC_6238_SECRET}, now ") == 6


class TestTransfer:
    """The bank transfers behind the demo's top-ups."""

    class Waiting:
        """In the place of the supervisor; is_stopping: told to stop while it waited."""

        is_stopping = False
        waited = 0

        def wait_until_ready(self) -> None:
            self.waited += 1

    @pytest.fixture
    def supervisor(self) -> Any:
        return self.Waiting()

    @pytest.fixture
    def installation(self, tmp_path):
        home = Home(tmp_path)
        write_private(home.demo, {"api_key": "the-key"})
        secrets = {"control_token": "the-token"}
        return Installation("127.0.0.1", Ports(9000), str, "redis://v", secrets, home=home)

    @pytest.fixture
    def funded(self, monkeypatch):
        funded: list[tuple[str, str]] = []

        def simulate(player: Player, control: str, **given: str) -> dict[str, Any]:
            assert (control, player.running["control_url"]) == ("fund", "http://127.0.0.1:9010")
            funded.append((given["currency"], given["amount"]))
            return {}

        monkeypatch.setattr(Player, "simulate", simulate)
        return funded

    def test_are_made_once_the_sandbox_is_there(self, installation, supervisor, funded):
        up._transfer(installation, supervisor)
        up._transfer(installation, supervisor)
        assert funded == [("EUR", "10000"), ("USD", "10000")]
        assert supervisor.waited == 1
        assert read(installation.home.demo) == {"api_key": "the-key", "transferred": True}

    def test_are_not_repeated_for_a_demo_that_was_funded_before(self, installation, supervisor, funded):
        write_private(installation.home.demo, {"funded": True})
        up._transfer(installation, supervisor)
        assert (funded, supervisor.waited) == ([], 0)

    def test_are_left_when_it_is_told_to_stop(self, installation, supervisor, funded):
        supervisor.is_stopping = True
        up._transfer(installation, supervisor)
        assert funded == []
        assert read(installation.home.demo) == {"api_key": "the-key"}

    def test_refuse_in_one_line(self, installation, supervisor, monkeypatch):
        def refuse(player: Player, control: str, **given: str) -> dict[str, Any]:
            raise Mismatch("sandbox fund: expected 200, found 403")

        monkeypatch.setattr(Player, "simulate", refuse)
        with pytest.raises(LauncherRefusal, match="bank transfers failed: sandbox fund: expected 200"):
            up._transfer(installation, supervisor)
        assert read(installation.home.demo) == {"api_key": "the-key"}


class TestAnnounce:
    def test_tells_of_both_under_one_sandbox(self, tmp_path, monkeypatch):
        monkeypatch.setattr(up, "RUNNING", tmp_path / "up.json")
        behind = Installation(
            *("localhost", Ports(9030), lambda user: f"behind-{user}", "redis://v/1"),
            {"secret_key": "b", "encryption_keys": "b", "control_token": "the-sandboxes"}
            | {"sandbox_key": "b", "sandbox_secret": "b"},
            home=Home(tmp_path / "behind"),
            called_back="http://127.0.0.1:9001/callbacks/upstream/",
        )
        front = Installation(
            *("127.0.0.1", Ports(9000), lambda user: f"front-{user}", "redis://v/0"),
            {"secret_key": "f", "encryption_keys": "f", "control_token": "unused"},
            home=Home(tmp_path / "front"),
            upstream=Upstream("http://127.0.0.1:9030", "the-key", "the-secret"),
        )
        here = up._announce([behind, front])
        assert here == read(tmp_path / "up.json")
        assert (here["api_url"], here["shop_url"]) == (
            "http://127.0.0.1:9000/api/v2",
            "http://127.0.0.1:9020",
        )
        assert (here["control_url"], here["control_token"]) == ("http://127.0.0.1:9040", "the-sandboxes")
        assert here["environment"]["DATABASE_URL"] == "front-bursar_app"
        assert here["upstream"]["environment"]["DATABASE_URL"] == "behind-bursar_app"
        assert here["upstream"]["api_url"] == "http://localhost:9030/api/v2"
        told = read(tmp_path / "behind" / "demo.json")
        assert told["callback_url"] == "http://127.0.0.1:9001/callbacks/upstream/"
        assert "shop_url" not in told


@pytest.fixture(scope="module")
def var(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory: Path = tmp_path_factory.mktemp("installation") / "var"
    return directory


@pytest.fixture(scope="module")
def bursar(var: Path) -> Callable[..., subprocess.Popen[str]]:
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
def port() -> int:
    return up.free_base()


@pytest.fixture(scope="module")
def running(bursar: Callable[..., Any], var: Path, port: int) -> Iterator[subprocess.Popen[str]]:
    process = bursar("up", "--port", str(port), "--block-every", "0")
    try:
        until_up(process)
        yield process
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
        until(lambda: not of_installation(var))


@pytest.mark.flow
class TestUp:
    """One installation for all: started, used, looked at, killed, started again, stopped."""

    def test_writes_everything_for_its_owner_alone(self, running, var, port):
        demo = json.loads((var / "demo.json").read_text())
        assert stat.S_IMODE((var / "demo.json").stat().st_mode) == 0o600
        assert stat.S_IMODE((var / "secrets.json").stat().st_mode) == 0o600
        assert demo["base_url"] == f"http://127.0.0.1:{port}"
        assert demo["api_url"] == f"http://127.0.0.1:{port}/api/v2"
        assert demo["shop_url"] == f"http://127.0.0.1:{port + 20}"
        for person in ("owner", "second_owner", "viewer", "operator"):
            assert set(demo[person]) == {"email", "password", "totp_secret"}

    def test_plays_the_main_job(self, running, bursar):
        played, answer = ended(bursar("demo", "--json"))
        assert played == 0, answer
        assert json.loads(answer)["ok"] is True
        assert [step["step"] for step in json.loads(answer)["steps"]][-1].startswith("the ledger has it")

    def test_runs_each_role_as_its_own_database_user(self, running, var):
        environment = json.loads((var / "up.json").read_text())["owner_environment"]
        with psycopg.connect(
            environment["DATABASE_URL"].replace("bursar_owner", "bursar_super")
        ) as connection:
            rows = connection.execute(
                "SELECT DISTINCT application_name, usename FROM pg_stat_activity"
                " WHERE application_name LIKE 'bursar-%'"
            ).fetchall()
        users = dict(rows)
        assert users.pop("bursar-sender", "bursar_sender") == "bursar_sender"
        assert users
        assert set(users.values()) == {"bursar_app"}

    def test_refuses_a_second_one_on_the_same_data(self, running, bursar):
        code, answer = ended(bursar("up", "--port", str(up.free_base())))
        assert code == 2
        assert answer.startswith("bursar: `./bursar up` runs already on")
        assert answer.count("\n") == 1

    def test_refuses_to_reset_while_it_runs(self, running, bursar, var):
        code, answer = ended(bursar("reset", "--yes"))
        assert (code, answer.count("\n")) == (2, 1)
        assert (var / "demo.json").exists()

    def test_is_managed_by_commands(self, running, bursar):
        code, answer = ended(bursar("manage", "showmigrations", "--plan"))
        assert code == 0, answer
        assert "[ ]" not in answer
        code, answer = ended(bursar("sandbox", "wait", "90s"))
        assert code == 0, answer
        assert "The clock is 0:01:30 ahead" in answer

    def test_survives_a_kill_moves_to_other_ports_and_leaves_no_process(self, running, bursar, var):
        running.kill()
        running.wait()
        until(lambda: not of_installation(var))
        again = bursar("up", "--port", str(up.free_base()), "--block-every", "0")
        until_up(again)
        assert json.loads(ended(bursar("demo", "--json"))[1])["ok"] is True
        again.send_signal(signal.SIGTERM)
        assert ended(again)[0] == 0
        assert of_installation(var) == []
        assert not (var / "up.json").exists()


def until(condition: Callable[[], object], seconds: float = 60.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.1)


def until_up(process: subprocess.Popen[str]) -> None:
    """Reads what it says until it says that it is up."""
    said = []
    for line in process.stdout or ():
        said.append(line)
        if "[bursar] up in" in line:
            return
    raise AssertionError("".join(said))


def ended(process: subprocess.Popen[str]) -> tuple[int, str]:
    answer, _ = process.communicate(timeout=120)
    return process.returncode, answer


def of_installation(var: Path) -> list[str]:
    """The command lines of all living processes that carry this directory in arguments or environment."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid() and is_alive(int(entry.name)):
            try:
                known = (entry / "cmdline").read_bytes() + (entry / "environ").read_bytes()
            except OSError:
                continue
            if str(var).encode() in known:
                found.append((entry / "cmdline").read_text().replace("\0", " "))
    return found
