"""`./bursar` before there is an environment: it runs on python3 alone."""

from __future__ import annotations

import subprocess
import sys
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture
def bootstrap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The script as a module, over an environment directory and locks of the test's own."""
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    loader = SourceFileLoader("bursar_script", str(ROOT / "bursar"))
    module: Any = module_from_spec(spec_from_loader("bursar_script", loader))  # type: ignore[arg-type]
    loader.exec_module(module)
    module.VENV = tmp_path / "venv"
    module.PYTHON, module.STAMP = module.VENV / "bin" / "python", module.VENV / ".bursar-stamp"
    module.RUNTIME, module.DEVELOPMENT = tmp_path / "runtime.lock", tmp_path / "development.lock"
    module.RUNTIME.write_text("")
    module.DEVELOPMENT.write_text("# nothing more\n")
    return module


def pretend(module: Any, lock: Path) -> None:
    """An environment as if it had been made from `lock`."""
    module.PYTHON.parent.mkdir(parents=True)
    module.PYTHON.touch()
    (module.VENV / "pyvenv.cfg").touch()
    module.STAMP.write_text(module.stamp(lock))


class TestWanted:
    @pytest.mark.parametrize("command", ["test", "check"])
    def test_is_the_development_lock_for_tests(self, bootstrap, command):
        assert bootstrap.wanted(command) == bootstrap.DEVELOPMENT

    @pytest.mark.parametrize("command", ["up", "demo", "manage", "shell", "sandbox", "reset"])
    def test_is_the_lock_of_what_runs_for_everything_else(self, bootstrap, command):
        assert bootstrap.wanted(command) == bootstrap.RUNTIME


class TestIsReady:
    def test_is_not_without_an_environment(self, bootstrap):
        assert not bootstrap.is_ready(bootstrap.RUNTIME)

    def test_is_with_the_lock_that_it_was_made_from(self, bootstrap):
        pretend(bootstrap, bootstrap.RUNTIME)
        assert bootstrap.is_ready(bootstrap.RUNTIME)
        assert not bootstrap.is_ready(bootstrap.DEVELOPMENT)

    def test_is_for_both_when_it_holds_the_development_lock(self, bootstrap):
        pretend(bootstrap, bootstrap.DEVELOPMENT)
        assert bootstrap.is_ready(bootstrap.RUNTIME)
        assert bootstrap.is_ready(bootstrap.DEVELOPMENT)

    def test_is_not_after_the_lock_changed(self, bootstrap):
        pretend(bootstrap, bootstrap.RUNTIME)
        bootstrap.RUNTIME.write_text("another==1\n")
        assert not bootstrap.is_ready(bootstrap.RUNTIME)


class TestClear:
    def test_removes_an_environment(self, bootstrap):
        pretend(bootstrap, bootstrap.RUNTIME)
        bootstrap.clear()
        assert not bootstrap.VENV.exists()

    def test_leaves_what_is_none_alone(self, bootstrap):
        bootstrap.VENV.mkdir()
        (bootstrap.VENV / "letters").touch()
        with pytest.raises(SystemExit, match="is no virtual environment; it is left alone"):
            bootstrap.ensure(bootstrap.RUNTIME)
        assert (bootstrap.VENV / "letters").exists()


class TestEnsure:
    def test_makes_an_environment_once(self, bootstrap, monkeypatch, capsys):
        monkeypatch.setattr(bootstrap.shutil, "which", lambda name: None)
        bootstrap.ensure(bootstrap.RUNTIME)
        assert "environment made with pip in" in capsys.readouterr().out
        assert subprocess.run([bootstrap.PYTHON, "-c", ""], check=False).returncode == 0
        bootstrap.ensure(bootstrap.RUNTIME)
        assert capsys.readouterr().out == ""

    def test_does_without_ensurepip(self, bootstrap, monkeypatch):
        """Debian's python3: `venv` fails, and the system's pip installs from outside."""
        real = subprocess.run

        def without_ensurepip(command: list[str], **how: Any) -> subprocess.CompletedProcess[Any]:
            if "venv" in command and "--without-pip" not in command:
                return subprocess.CompletedProcess(command, 1)
            return real(command, **how)

        # An environment made by uv holds no pip; the python that it was made from may.
        base = str(Path(sys.base_prefix) / "bin" / "python3")
        if real([base, "-m", "pip", "--version"], capture_output=True, check=False).returncode:
            pytest.skip("this machine's python has no pip")
        monkeypatch.setattr(sys, "executable", base)
        monkeypatch.setattr(bootstrap.shutil, "which", lambda name: None)
        monkeypatch.setattr(bootstrap.subprocess, "run", without_ensurepip)
        bootstrap.ensure(bootstrap.RUNTIME)
        assert real([bootstrap.PYTHON, "-m", "pip"], capture_output=True, check=False).returncode == 1
        assert bootstrap.is_ready(bootstrap.RUNTIME)

    def test_grows_what_runs_into_what_tests_without_replacing_it(self, bootstrap, monkeypatch):
        monkeypatch.setattr(bootstrap.shutil, "which", lambda name: None)
        bootstrap.ensure(bootstrap.RUNTIME)
        (bootstrap.VENV / "still-here").touch()
        bootstrap.ensure(bootstrap.DEVELOPMENT)
        assert (bootstrap.VENV / "still-here").exists()
        assert bootstrap.is_ready(bootstrap.DEVELOPMENT)

    def test_is_not_ready_after_a_failed_installation(self, bootstrap, monkeypatch):
        monkeypatch.setattr(bootstrap.shutil, "which", lambda name: None)
        bootstrap.RUNTIME.write_text("not a requirement\n")
        with pytest.raises(SystemExit, match="failed with 1; see above"):
            bootstrap.ensure(bootstrap.RUNTIME)
        assert not bootstrap.is_ready(bootstrap.RUNTIME)


class TestScript:
    def test_helps_with_nothing_but_python(self):
        bare = [sys.executable, "-I", "-S", str(ROOT / "bursar")]
        for arguments in (["--help"], []):
            done = subprocess.run([*bare, *arguments], capture_output=True, text=True, check=False)
            assert (done.returncode, done.stderr) == (0, "")
            assert "usage: ./bursar" in done.stdout
