"""How one installation stands alone, and two one behind the other."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from launcher import prepared, state
from launcher.backing import Backing
from launcher.roles import Installation
from launcher.state import Home, LauncherRefusal, Ports, write_private


@pytest.fixture
def homes(var, monkeypatch) -> dict[str, Home]:
    homes = {"HOME": Home(var), "FRONT": Home(var / "front"), "UPSTREAM": Home(var / "upstream")}
    for name, home in homes.items():
        monkeypatch.setattr(prepared, name, home)
    return homes


@pytest.fixture
def ran(homes, monkeypatch) -> list[tuple[dict[str, str], tuple[str, ...]]]:
    """The commands that were run, each with its environment; a seeded demo has a key."""
    ran: list[tuple[dict[str, str], tuple[str, ...]]] = []

    def manage(environment: dict[str, str], *arguments: str) -> None:
        ran.append((environment, arguments))
        if arguments[0] == "seed_demo":
            home = Home(Path(environment["BURSAR_VAR"]))
            name = home.directory.name
            facts = {"api_key": f"key-of-{name}", "api_secret": f"secret-of-{name}"}
            write_private(home.demo, facts | {"callback_url": arguments[arguments.index("--shop-url") + 1]})

    monkeypatch.setattr(prepared, "_manage", manage)
    return ran


@pytest.fixture
def given(monkeypatch) -> dict[str, Any]:
    """What both arrangements are made from: services that are not ours."""
    monkeypatch.setenv("DATABASE_URL", "postgresql://admin@db.example/bursar")
    backing = Backing(None, "redis://valkey.example/0")
    return {"host": "127.0.0.1", "ports": Ports(9000), "backing": backing, "block_every": 5.0}


class TestOne:
    def test_has_the_sandbox_and_the_shop(self, ran, given):
        (only,) = prepared.one(**given)
        assert (only.processor, only.merchant) == ("sandbox", "shop")
        assert (only.block_every, only.valkey) == (5.0, "redis://valkey.example/0")
        assert only.database("bursar_owner") == "postgresql://admin@db.example/bursar"

    def test_is_migrated_and_then_seeded_each_by_its_own_user(self, ran, given):
        prepared.one(**given)
        (owner, migrate), (app, seed) = ran
        assert (migrate[0], owner["DATABASE_URL"]) == ("migrate", "postgresql://admin@db.example/bursar")
        assert seed[0] == "seed_demo"
        assert app["DATABASE_URL"].endswith("?options=-c%20role%3Dbursar_app")
        assert seed[-5:] == ("--processor", "sandbox", "--banked", "--merchant", "shop")


class TestTwo:
    def test_are_started_from_behind(self, ran, given):
        behind, front = prepared.two(**given)
        assert (behind.processor, behind.merchant) == ("sandbox", "bursar")
        assert (front.processor, front.merchant) == ("upstream", "shop")

    def test_share_nothing_but_the_servers(self, ran, given):
        behind, front = prepared.two(**given)
        assert behind.database("bursar_owner") == "postgresql://admin@db.example/bursar_upstream"
        assert front.database("bursar_owner") == "postgresql://admin@db.example/bursar_front"
        assert (behind.valkey, front.valkey) == ("redis://valkey.example/1", "redis://valkey.example/0")
        assert not set(behind.secrets.values()) & set(front.secrets.values())
        assert not set(behind.ports.all.values()) & set(front.ports.all.values())
        assert behind.home != front.home

    def test_are_joined_by_a_key_of_the_one_behind_and_its_merchants_address(self, ran, given):
        behind, front = prepared.two(**given)
        assert front.upstream is not None
        assert (front.upstream.url, front.upstream.key) == ("http://127.0.0.1:9030", "key-of-upstream")
        assert front.upstream.secret == "secret-of-upstream"
        assert behind.merchant_url == front.intake_url == "http://127.0.0.1:9001/callbacks/upstream/"
        seeds = [arguments for _, arguments in ran if arguments[0] == "seed_demo"]
        assert [seed[-4:] for seed in seeds] == [
            ("sandbox", "--banked", "--merchant", "bursar"),
            ("upstream", "--banked", "--merchant", "shop"),
        ]

    @pytest.mark.parametrize(("host", "other"), [("127.0.0.1", "localhost"), ("localhost", "127.0.0.1")])
    def test_are_two_hosts_to_a_browser(self, ran, given, host, other):
        """Cookies know no port."""
        behind, front = prepared.two(**given | {"host": host})
        assert (front.public_url, behind.public_url) == (f"http://{host}:9000", f"http://{other}:9030")


class TestMigrate:
    @pytest.fixture
    def embedded(self, ran, homes, monkeypatch) -> Installation:
        monkeypatch.delenv("DATABASE_URL", raising=False)
        secrets = state.installation_secrets(homes["HOME"])
        return Installation(
            "127.0.0.1", Ports(9000), lambda user: f"db-{user}", "redis://v", secrets, home=homes["HOME"]
        )

    def test_is_done_once_for_the_same_migrations(self, embedded, ran):
        prepared.migrate(embedded)
        prepared.migrate(embedded)
        assert [arguments[0] for _, arguments in ran] == ["migrate"]

    def test_is_done_again_for_another_database(self, embedded, ran):
        prepared.migrate(embedded)
        prepared.migrate(replace(embedded, database=lambda user: f"other-{user}"))
        assert [arguments[0] for _, arguments in ran] == ["migrate", "migrate"]


class TestSeed:
    @pytest.fixture
    def only(self, ran, given) -> Installation:
        (only,) = prepared.one(**given)
        ran.clear()
        return only

    def test_is_done_once(self, only, ran):
        prepared.seed(only)
        assert ran == []

    def test_is_told_when_the_merchant_has_moved(self, only, ran):
        moved = replace(only, ports=Ports(9500))
        prepared.seed(moved)
        ((_, seed),) = ran
        assert seed[seed.index("--shop-url") + 1] == "http://127.0.0.1:9520/callbacks"

    def test_refuses_when_the_keys_are_gone(self, only, monkeypatch):
        only.home.demo.unlink()
        monkeypatch.setattr(prepared, "_manage", lambda *_: None)
        with pytest.raises(LauncherRefusal, match=r"the demo is in the database but .*demo.json is gone"):
            prepared.seed(only)
