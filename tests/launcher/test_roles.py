"""What each role runs, and what it may know."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from config.celery import app
from launcher.roles import Installation, Upstream, as_role, intake_url
from launcher.state import HOME, UPSTREAM, Ports
from payments import doorbell

SECRETS = {
    "secret_key": "the-secret-key",
    "encryption_keys": "k1:the-encryption-key",
    "sandbox_key": "the-sandbox-key",
    "sandbox_secret": "the-sandbox-secret",
    "control_token": "the-control-token",
}
EVERYTHING = [
    *("sandbox", "shop", "web", "intake"),
    *("worker", "deliver", "deliver_slow", "sender", "beat"),
]


@pytest.fixture
def installation() -> Installation:
    return Installation("127.0.0.1", Ports(9000), lambda user: f"db-as-{user}", "redis://valkey", SECRETS)


@pytest.fixture
def programs(installation):
    return {program.name: program for program in installation.programs()}


@pytest.fixture
def front(installation) -> Installation:
    """One whose processor is another Bursar."""
    return replace(installation, upstream=Upstream("http://127.0.0.1:9030", "the-key", "the-upstream-secret"))


@pytest.fixture
def behind(installation, front) -> Installation:
    """That other one."""
    return replace(installation, ports=Ports(9030), home=UPSTREAM, called_back=front.intake_url, hands=1)


class TestPrograms:
    def test_are_every_role_with_the_sandbox_and_the_shop(self, programs):
        assert list(programs) == EVERYTHING

    def test_serve_at_their_own_ports(self, programs):
        bound = {name: programs[name].command for name in ("web", "intake", "sandbox", "shop")}
        assert "127.0.0.1:9000" in bound["web"]
        assert "127.0.0.1:9001" in bound["intake"]
        assert bound["sandbox"][bound["sandbox"].index("--port") + 1] == "9010"
        assert bound["shop"][bound["shop"].index("--port") + 1] == "9020"

    @pytest.mark.parametrize(
        ("role", "queues"),
        {
            "worker": "work,tick",
            "deliver": "deliver,tick",
            "deliver_slow": "deliver_slow,tick",
            "sender": "sender",
        }.items(),
    )
    def test_work_their_queue_and_all_but_the_sender_the_tick(self, programs, role, queues):
        command = programs[role].command
        assert command[command.index("-Q") + 1] == queues

    def test_work_every_queue_that_a_bell_or_the_tick_uses(self, programs):
        app.loader.import_default_modules()  # where the bells are
        worked = {
            queue
            for program in programs.values()
            if "-Q" in program.command
            for queue in program.command[program.command.index("-Q") + 1].split(",")
        }
        ticks = {entry["options"]["queue"] for entry in app.conf.beat_schedule.values()}
        assert {bell.queue for bell in doorbell.BELLS} | ticks == worked

    def test_show_no_secret_on_a_command_line(self, programs):
        lines = " ".join(word for program in programs.values() for word in program.command)
        assert not [secret for secret in SECRETS.values() if secret in lines]

    def test_show_no_secret_when_printed(self, programs):
        shown = repr(list(programs.values()))
        assert not [secret for secret in SECRETS.values() if secret in shown]


class TestProgramsOfTwo:
    def test_are_every_role_twice_with_one_shop_and_one_sandbox(self, front, behind):
        named = [program.name for each in (behind, front) for program in each.programs()]
        roles = [name for name in EVERYTHING if name not in {"sandbox", "shop"}]
        assert named == ["upstream-sandbox", *(f"upstream-{role}" for role in roles), "shop", *roles]

    def test_call_back_from_the_sandbox_over_the_one_behind_to_the_one_in_front(self, front, behind):
        sandbox = behind.programs()[0].command
        assert sandbox[sandbox.index("--callback-url") + 1] == "http://127.0.0.1:9031/callbacks/sandbox/"
        assert behind.merchant_url == "http://127.0.0.1:9001/callbacks/upstream/"
        assert front.merchant_url == "http://127.0.0.1:9020/callbacks"

    def test_keep_their_files_apart(self, front, behind):
        (beat,) = [program for program in behind.programs() if program.name == "upstream-beat"]
        assert str(UPSTREAM.directory / "beat-schedule") in beat.command
        kept = {program.environment["BURSAR_VAR"] for program in behind.programs()}
        assert kept == {str(UPSTREAM.directory)}
        assert {program.environment["BURSAR_VAR"] for program in front.programs()} == {str(HOME.directory)}

    def test_of_the_one_behind_are_a_process_each(self, behind):
        commands = {program.name: program.command for program in behind.programs()}
        assert commands["upstream-web"][commands["upstream-web"].index("-w") + 1] == "1"
        assert commands["upstream-worker"][commands["upstream-worker"].index("-c") + 1] == "1"


class TestEnvironmentOfTwo:
    def test_names_the_one_behind_as_the_processor_of_the_one_in_front(self, front):
        assert json.loads(front.environment("intake")["BURSAR_PROCESSORS"]) == {
            "upstream": {
                "connector": "gateway",
                "url": "http://127.0.0.1:9030",
                "key": "the-key",
                "secret": "the-upstream-secret",
            }
        }

    def test_gives_its_secret_to_intake_and_sender_alone(self, front, behind):
        programs = [*behind.programs(), *front.programs()]
        holding = {each.name for each in programs if "the-upstream-secret" in str(each.environment)}
        assert holding == {"intake", "sender"}

    def test_tells_the_sandbox_to_the_one_behind_alone(self, front, behind):
        assert behind.environment("manage")["BURSAR_SANDBOX_CONTROL_URL"] == "http://127.0.0.1:9040"
        for name in ("BURSAR_SANDBOX_CONTROL_URL", "BURSAR_SANDBOX_CONTROL_TOKEN"):
            assert name not in front.environment("manage")
        assert "the-sandbox-secret" not in str([each.environment for each in front.programs()])

    def test_shows_no_secret_of_the_one_behind(self, front):
        assert "the-upstream-secret" not in repr(front.upstream)
        assert "the-upstream-secret" not in repr(front.programs())


class TestIntakeUrl:
    def test_is_the_doors_own_of_each_processor(self):
        assert intake_url(Ports(9000), "upstream") == "http://127.0.0.1:9001/callbacks/upstream/"


class TestEnvironment:
    def test_gives_the_processors_secrets_to_intake_and_sender_alone(self, programs):
        holding = {name for name, each in programs.items() if "the-sandbox-secret" in str(each.environment)}
        assert holding == {"sandbox", "intake", "sender"}

    def test_names_the_processor_as_the_sandbox(self, installation):
        upstream = json.loads(installation.environment("sender")["BURSAR_PROCESSORS"])
        assert upstream == {
            "sandbox": {
                "connector": "gateway",
                "url": "http://127.0.0.1:9010",
                "key": "the-sandbox-key",
                "secret": "the-sandbox-secret",
            }
        }

    def test_lets_each_role_into_the_database_as_its_own_user(self, programs):
        users = {name: each.environment.get("DATABASE_URL") for name, each in programs.items()}
        expected = dict.fromkeys(EVERYTHING, "db-as-bursar_app")
        expected |= {"sender": "db-as-bursar_sender", "sandbox": None, "shop": None}
        assert users == expected

    def test_gives_the_shop_and_the_sandbox_nothing_of_bursar(self, programs):
        for name in ("shop", "sandbox"):
            assert "BURSAR_SECRET_KEY" not in programs[name].environment
            assert "BURSAR_ENCRYPTION_KEYS" not in programs[name].environment

    def test_takes_nothing_of_bursar_over_from_the_caller(self, installation, monkeypatch):
        monkeypatch.setenv("BURSAR_ENV", "production")
        monkeypatch.setenv("BURSAR_PROCESSORS", "{}")
        environment = installation.environment("web")
        assert environment["BURSAR_ENV"] == "sandbox"
        assert "BURSAR_PROCESSORS" not in environment

    def test_lets_bytecode_be_cached(self, installation, monkeypatch):
        monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
        assert "PYTHONDONTWRITEBYTECODE" not in installation.environment("web")


class TestAsRole:
    def test_adds_the_role_to_an_address_without_options(self):
        assert (
            as_role("postgresql://a@h/db", "bursar_app")
            == "postgresql://a@h/db?options=-c%20role%3Dbursar_app"
        )

    def test_adds_the_role_to_an_address_with_options(self):
        assert (
            as_role("postgresql://a@/db?host=/run", "bursar_app")
            == "postgresql://a@/db?host=/run&options=-c%20role%3Dbursar_app"
        )

    def test_leaves_an_address_without_a_host_as_it_is(self):
        assert as_role("postgresql:///db", "bursar_app") == "postgresql:///db?options=-c%20role%3Dbursar_app"
