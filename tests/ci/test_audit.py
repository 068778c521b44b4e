"""The audit names a locked version that an advisory names, and never calls silence an audit."""

from __future__ import annotations

import json
import zipfile
from datetime import UTC, datetime

import pytest
from packaging.version import Version

from tests.ci.programs import program

audit = program("audit.py")
NOW = datetime(2026, 11, 20, tzinfo=UTC)
LOCKED = audit.pins("Django==5.2.19 \\\nruamel.yaml==0.19.1 ; python_version > '3' \\\n")


def advisory(*events, name="django", **values):
    affected = {
        "package": {"ecosystem": "PyPI", "name": name},
        "ranges": [{"type": "ECOSYSTEM", "events": list(events)}],
    }
    common = {"id": "PYSEC-1", "summary": "It falls", "modified": "2026-11-01T00:00:00Z"}
    return common | {"affected": [affected | values.pop("affected", {})]} | values


def told(tmp_path, *known, now=NOW):
    for number, one in enumerate(known):
        (tmp_path / f"{number}.json").write_text(json.dumps(one))
    return audit.audit(tmp_path, LOCKED, now)


class TestAudit:
    @pytest.mark.parametrize(
        "one",
        [
            advisory({"introduced": "0"}),
            advisory({"introduced": "5.2"}, {"fixed": "5.2.20"}),
            advisory({"introduced": "0"}, {"fixed": "4.2.28"}, {"introduced": "5.2a1"}, {"fixed": "5.2.20"}),
            advisory({"introduced": "0"}, {"last_affected": "5.2.19"}),
            advisory({"introduced": "9"}, affected={"versions": ["5.2.18", "5.2.19"]}),
        ],
    )
    def test_names_a_locked_version(self, tmp_path, one):
        assert told(tmp_path, one) == (1, "django 5.2.19: PYSEC-1 It falls")

    def test_knows_a_package_by_any_spelling(self, tmp_path):
        one = advisory({"introduced": "0"}, name="Ruamel_YAML")
        assert told(tmp_path, one) == (1, "ruamel-yaml 0.19.1: PYSEC-1 It falls")

    @pytest.mark.parametrize(
        "one",
        [
            advisory({"introduced": "0"}, {"fixed": "5.2.19"}),
            advisory({"introduced": "5.2.20"}),
            advisory({"introduced": "0"}, {"last_affected": "5.2.18"}),
            advisory({"introduced": "0"}, name="flask"),
            advisory({"introduced": "0"}, withdrawn="2026-01-01T00:00:00Z"),
        ],
    )
    def test_says_how_much_it_compared(self, tmp_path, one):
        said = "2 packages against 1 advisories up to 2026-11-01: none named"
        assert told(tmp_path, one) == (0, said)

    def test_reads_a_zip(self, tmp_path):
        path = tmp_path / "all.zip"
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("PYSEC-1.json", json.dumps(advisory({"introduced": "0"})))
        assert audit.audit(path, LOCKED, NOW)[0] == 1

    def test_is_none_with_an_empty_or_an_old_database(self, tmp_path):
        assert told(tmp_path) == (0, f"NOT AUDITED: {tmp_path} holds no advisory")
        old = datetime(2027, 1, 1, tzinfo=UTC)
        said = "NOT AUDITED: the newest of 1 advisories is of 2026-11-01"
        assert told(tmp_path, advisory({"introduced": "9"}), now=old) == (0, said)

    def test_is_none_without_a_database(self, monkeypatch, capsys):
        monkeypatch.delenv("BURSAR_ADVISORIES", raising=False)
        assert audit.main() == 0
        assert capsys.readouterr().out.startswith("NOT AUDITED: no database of advisories")


class TestPins:
    def test_are_versions_by_name(self):
        assert {"django": Version("5.2.19"), "ruamel-yaml": Version("0.19.1")} == LOCKED
