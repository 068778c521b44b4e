"""Secrets are found in the tree and in what was once committed; what is known with a reason is not told."""

from __future__ import annotations

import subprocess

import pytest

from merchants.secrets import new_api_secret
from tests.ci.programs import program

leaks = program("leaks.py")


def mix(*parts: str) -> str:
    """A text that is whole only while the test runs."""
    return "".join(parts)


AWS = mix("AKIA", "QX7PLM3ZK9R2TW5D")
TOKEN = mix("ghp_", "wWPw5k4aXcaT4fNP0UcnZwJUVFk6LO0pINUx")
RANDOM = mix("9f8Kq2Lx", "7Rb4VtYzW1mNcE5h", "G3sJdPaUo6Qi")
PEM = mix("-----BEGIN RSA ", "PRIVATE KEY-----")


@pytest.fixture
def repository(tmp_path):
    run(tmp_path, "init", "-q")
    commit(tmp_path, "README.md", "Nothing here.\n")
    return tmp_path


def run(root, *arguments):
    who = ["-c", "user.name=a", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false"]
    subprocess.run(["git", *who, *arguments], cwd=root, check=True, capture_output=True)


def write(root, path, text):
    (root / path).parent.mkdir(parents=True, exist_ok=True)
    (root / path).write_text(text)


def commit(root, path, text):
    write(root, path, text)
    run(root, "add", "-A")
    run(root, "commit", "-q", "-m", "Change")


def told(root, capsys):
    return leaks.main([str(root)]), capsys.readouterr().out


class TestMain:
    def test_is_content_with_a_tree_without_secrets(self, repository, capsys):
        assert told(repository, capsys) == (0, "no secret in the tree nor in the last 1 commits\n")

    @pytest.mark.parametrize(
        ("path", "text"),
        [
            ("config/a.py", f'KEY = "{AWS}"'),
            ("config/a.py", f'token = "{TOKEN}"'),
            ("config/a.py", f'password = "{RANDOM}"'),
            ("deploy/key.pem", PEM),
            ("docs/a.md", f"curl -u merchant:{RANDOM} https://merchant:{RANDOM}@pay.example.org"),
            ("tests/a.py", f'TOKEN = "{TOKEN}"'),
            ("tests/a.py", f'SIGNED_BY = "{RANDOM}{RANDOM}"'),
            pytest.param("tests/a.py", f"# {new_api_secret()}", id="a secret of ours"),
        ],
    )
    def test_tells_of_one_that_was_planted_and_never_shows_it(self, repository, capsys, path, text):
        write(repository, path, f"{text}\n")
        code, said = told(repository, capsys)
        assert code == 1
        assert f"{path} (working tree): " in said
        assert not any(secret in said for secret in (AWS, TOKEN, RANDOM, "bsk_"))

    def test_tells_of_one_that_was_taken_out_again(self, repository, capsys):
        commit(repository, "config/a.py", f'KEY = "{AWS}"\n')
        commit(repository, "config/a.py", "KEY = env.str('KEY')\n")
        code, said = told(repository, capsys)
        assert code == 1
        assert said.startswith("config/a.py (")
        assert "working tree" not in said

    def test_tells_of_one_in_a_file_that_is_gone(self, repository, capsys):
        commit(repository, "config/a.py", f'KEY = "{AWS}"\n')
        (repository / "config/a.py").unlink()
        commit(repository, "README.md", "Nothing here any more.\n")
        assert told(repository, capsys)[0] == 1

    def test_leaves_a_tests_passwords_alone(self, repository, capsys):
        write(repository, "tests/a.py", 'password = "correct horse battery"\n')
        assert told(repository, capsys)[0] == 0

    def test_believes_what_is_listed_for_that_file(self, repository, capsys):
        write(repository, "config/a.py", f'KEY = "{AWS}"\n')
        _, said = told(repository, capsys)
        sha1 = said.rsplit("sha1 ", 1)[1].strip()
        entry = f'[[known]]\nwhere = "config/a.py"\nwhy = "a key of a closed account"\nsha1 = ["{sha1}"]\n'
        write(repository, ".ci/known-secrets.toml", entry)
        assert told(repository, capsys)[0] == 0
        write(repository, "config/b.py", f'KEY = "{AWS}"\n')
        assert told(repository, capsys)[0] == 1


class TestKnown:
    @pytest.mark.parametrize("entry", ['where = "a"\nsha1 = []', 'where = "a"\nsha1 = []\nwhy = "because"'])
    def test_has_a_reason(self, entry):
        with pytest.raises(ValueError, match="what is known has where, why and sha1"):
            leaks.known(f"[[known]]\n{entry}\n")
