"""What an installation keeps between two runs."""

from __future__ import annotations

import base64

import pytest

from launcher import state
from launcher.state import Home, LauncherRefusal, Ports


class TestPorts:
    def test_are_counted_from_the_port_of_the_web(self):
        assert Ports(8000).all == {"web": 8000, "intake": 8001, "sandbox": 8010, "shop": 8020}

    def test_of_two_are_apart_with_one_shop_and_one_sandbox(self):
        assert Ports(8000).of_both == {
            "web": 8000,
            "intake": 8001,
            "shop": 8020,
            "upstream web": 8030,
            "upstream intake": 8031,
            "sandbox": 8040,
        }


class TestHome:
    def test_of_each_installation_is_its_own(self):
        homes = (state.HOME, state.FRONT, state.UPSTREAM)
        files = {path for home in homes for path in (home.demo, home.secrets, home.migrated)}
        assert len(files) == 9

    def test_is_removed_with_the_rest(self):
        assert state.FRONT.directory.parent == state.UPSTREAM.directory.parent == state.VAR


class TestWritePrivate:
    def test_is_readable_by_its_owner_alone(self, tmp_path):
        path = tmp_path / "deep" / "facts.json"
        state.write_private(path, {"a": 1})
        assert path.stat().st_mode & 0o777 == 0o600
        assert state.read(path) == {"a": 1}

    def test_replaces_the_whole_file_and_leaves_no_other(self, tmp_path):
        path = tmp_path / "facts.json"
        state.write_private(path, {"a": "x" * 100})
        state.write_private(path, {"b": 2})
        assert state.read(path) == {"b": 2}
        assert [each.name for each in tmp_path.iterdir()] == ["facts.json"]


class TestRead:
    def test_finds_nothing_where_no_file_is(self, tmp_path):
        assert state.read(tmp_path / "none.json") == {}

    def test_refuses_a_damaged_file_in_one_line(self, tmp_path):
        path = tmp_path / "facts.json"
        path.write_text("{")
        with pytest.raises(LauncherRefusal, match=r"is damaged; .* starts anew"):
            state.read(path)


class TestInstallationSecrets:
    @pytest.fixture
    def home(self, var):
        return Home(var)

    def test_are_made_once(self, home):
        assert state.installation_secrets(home) == state.installation_secrets(home)

    def test_are_private_and_long_enough(self, home):
        secrets = state.installation_secrets(home)
        assert home.secrets.stat().st_mode & 0o777 == 0o600
        kid, _, encoded = secrets["encryption_keys"].partition(":")
        assert kid == "k1"
        assert len(base64.b64decode(encoded)) == 32
        assert len(secrets["sandbox_secret"]) == 64
        assert len(secrets["secret_key"]) >= 50

    def test_are_another_installations_never(self, home, tmp_path):
        first = state.installation_secrets(home)
        second = state.installation_secrets(Home(tmp_path / "another"))
        assert not set(first.values()) & set(second.values())


class TestAlone:
    def test_refuses_a_second_one_on_the_same_directory(self, var):
        with (
            state.alone(),
            pytest.raises(LauncherRefusal, match=r"bursar up. runs already on"),
            state.alone(),
        ):
            pass

    def test_leaves_the_directory_free(self, var):
        with state.alone():
            pass
        with state.alone():
            pass

    def test_forgets_what_a_killed_one_left(self, var):
        var.mkdir()
        (var / "up.json").write_text("{}")
        with state.alone():
            assert not (var / "up.json").exists()


class TestRunning:
    def test_finds_what_the_running_one_wrote(self, var):
        with state.alone():
            state.write_private(state.RUNNING, {"pid": 7})
            assert state.running() == {"pid": 7}

    def test_finds_nothing_once_it_has_ended(self, var):
        with state.alone():
            state.write_private(state.RUNNING, {"pid": 7})
        assert state.running() == {}

    def test_takes_what_a_killed_one_left_for_nothing(self, var):
        state.write_private(state.RUNNING, {"pid": 7})
        assert state.running() == {}


class TestMigrationsStamp:
    def test_changes_with_a_migration(self, tmp_path, monkeypatch):
        migrations = tmp_path / "payments" / "migrations"
        migrations.mkdir(parents=True)
        monkeypatch.setattr(state, "ROOT", tmp_path)
        (migrations / "0001_initial.py").write_text("a")
        first = state.migrations_stamp()
        assert state.migrations_stamp() == first
        (migrations / "rules.sql").write_text("b")
        assert state.migrations_stamp() != first
