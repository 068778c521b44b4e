"""bandit's findings are told unless ruff was told why the line is right."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.ci.programs import ROOT


def told(tmp_path, text):
    """Its exit code and words; in a process of its own, because bandit's libraries warn of themselves."""
    path = tmp_path / "a.py"
    path.write_text(text)
    command = [sys.executable, ROOT / ".ci" / "bandit_findings.py", path]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout


class TestMain:
    @pytest.mark.parametrize(
        ("line", "code"),
        [
            ("import hashlib; hashlib.md5(b'')", "B324"),
            ("import ssl; ssl._create_unverified_context()", "B323"),
            ("import subprocess; subprocess.run('ls', shell=True)", "B602"),
            ("import requests; requests.get('https://a.example', verify=False, timeout=1)", "B501"),
            ('def f(c, t): c.execute(f"SELECT * FROM {t} WHERE a = 1")', "B608"),
        ],
    )
    def test_tells_what_nobody_explained(self, tmp_path, capsys, line, code):
        status, said = told(tmp_path, f"{line}\n")
        assert status == 1
        assert f"a.py:1: {code} " in said

    def test_takes_an_explanation_given_to_ruff(self, tmp_path):
        line = 'def f(c, t): c.execute(f"SELECT * FROM {t} WHERE a = 1")  # noqa: S608'
        assert told(tmp_path, f"{line} - one of two names\n")[0] == 0
        assert told(tmp_path, f"{line}\n")[0] == 1

    def test_is_content_with_what_is_skipped_in_the_whole_tree(self, tmp_path):
        assert told(tmp_path, "import subprocess\nassert subprocess\n")[0] == 0
