"""What installations stand on: the services that the environment names, or ours."""

from __future__ import annotations

import pytest

from launcher import backing
from launcher.backing import Backing
from launcher.services import Postgres
from launcher.state import LauncherRefusal


class TestGivenDatabase:
    URL = "postgresql://admin@db.example/bursar"

    def test_is_migrated_as_it_is_given(self):
        assert backing.given(self.URL, "bursar_owner") == self.URL

    def test_is_entered_under_each_role(self, monkeypatch):
        monkeypatch.delenv("DATABASE_URL_APP", raising=False)
        assert backing.given(self.URL, "bursar_app") == f"{self.URL}?options=-c%20role%3Dbursar_app"

    def test_is_entered_by_the_address_that_a_role_was_given(self, monkeypatch):
        monkeypatch.setenv("DATABASE_URL_SENDER", "postgresql://sender@db.example/bursar")
        assert backing.given(self.URL, "bursar_sender") == "postgresql://sender@db.example/bursar"

    def test_of_a_second_installation_is_the_one_beside_it(self, monkeypatch):
        monkeypatch.setenv("DATABASE_URL_SENDER", "postgresql://sender@db.example/bursar")
        owner = backing.given(self.URL, "bursar_owner", "upstream")
        assert owner == "postgresql://admin@db.example/bursar_upstream"
        sender = backing.given(self.URL, "bursar_sender", "upstream")
        assert sender == "postgresql://sender@db.example/bursar_upstream"
        assert backing.given("postgresql:///b?host=/run", "bursar_owner", "front") == (
            "postgresql:///b_front?host=/run"
        )

    def test_must_have_a_name_for_two_to_be_beside_each_other(self):
        assert backing.given("postgresql://db.example", "bursar_owner") == "postgresql://db.example"
        with pytest.raises(LauncherRefusal, match="DATABASE_URL must name its database"):
            backing.given("postgresql://db.example", "bursar_owner", "upstream")


class TestDatabase:
    def test_of_our_server_is_made_for_each_installation(self, monkeypatch, tmp_path):
        made: list[str] = []
        monkeypatch.setattr(Postgres, "prepare", lambda self, database: made.append(database))
        ours = Backing(Postgres(tmp_path / "postgres"), "redis://valkey/0")
        urls = [ours.database(beside)("bursar_app") for beside in ("", "front", "upstream")]
        assert made == ["bursar", "bursar_front", "bursar_upstream"]
        assert [url.split("?")[0] for url in urls] == [f"postgresql://bursar_app@/{name}" for name in made]

    def test_of_a_given_server_is_not(self, monkeypatch):
        monkeypatch.setenv("DATABASE_URL", "postgresql://admin@db.example/bursar")
        database = Backing(None, "redis://valkey/0").database("front")
        assert database("bursar_owner") == "postgresql://admin@db.example/bursar_front"


class TestBroker:
    @pytest.mark.parametrize(
        ("url", "second"),
        [
            ("redis://:secret@127.0.0.1:7000/0", "redis://:secret@127.0.0.1:7000/1"),
            ("redis://valkey.example", "redis://valkey.example/1"),
            ("redis://valkey.example/7", "redis://valkey.example/8"),
        ],
    )
    def test_is_a_number_for_each_installation(self, url, second):
        assert Backing(None, url).broker() == url
        assert Backing(None, url).broker(1) == second

    def test_must_be_a_number_for_two(self):
        assert Backing(None, "redis://valkey.example/main").broker() == "redis://valkey.example/main"
        with pytest.raises(LauncherRefusal, match="REDIS_URL must end in a database number"):
            Backing(None, "redis://valkey.example/main").broker(1)
