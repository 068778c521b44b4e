"""The small size of the fuzz, and that it bites: both through the command that people run."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from pathlib import Path
from random import Random
from typing import Any

import pytest

from tests.fuzz import bodies
from tests.fuzz.cases import Maker
from tests.fuzz.verdict import breaches
from tests.fuzz.wire import Answer, Door, Due, Exchange, Part, Request, read_kept

ROOT = Path(__file__).parents[2]
PATIENCE = "10"  # tests judge what is answered, not how fast a shared machine is


def fuzz(*arguments: str) -> tuple[int, dict[str, Any]]:
    command = [sys.executable, "-m", "tests.fuzz", "--json", "--seconds", PATIENCE, *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.stdout, done.stderr
    return done.returncode, json.loads(done.stdout)


@pytest.mark.flow
class TestThePromise:
    def test_is_held_by_both_doors(self):
        code, result = fuzz("--requests", "2000", "--seed", "7", "--described", "200")
        assert (result["broken"], result["findings"], code) == ([], [], 0)
        sent = [(row["class"].partition(":")[0], row["sent"]) for row in result["rows"]]
        assert sum(count for kind, count in sent if kind != "described") == 2000
        assert sum(count for kind, count in sent if kind == "described") >= 100

    def test_is_seen_to_be_broken(self):
        code, result = fuzz("--requests", "200", "--door", "api", "--described", "0", "--defect", "error")
        assert code == 1
        assert any(finding["why"] == "status 500" for finding in result["findings"])


class TestRequests:
    @pytest.mark.parametrize("door", Door)
    def test_are_made_by_the_seed_alone(self, door):
        def digest(seed: int) -> str:
            made = [Maker(seed, door).make(number).kept() for number in range(200)]
            return hashlib.sha256(json.dumps(made).encode()).hexdigest()

        assert digest(1) == digest(1)
        assert digest(1) != digest(2)

    @pytest.mark.parametrize("door", Door)
    def test_are_three_parts_signed_one_unproven_one_raw(self, door):
        kinds = [Maker(1, door).make(number).kind.partition(":")[0] for number in range(500)]
        assert [kinds.count(kind) for kind in ("signed", "unproven", "raw")] == [300, 100, 100]

    def test_come_back_from_a_file_byte_for_byte(self, tmp_path):
        for number in range(50):
            request = Maker(3, Door.API).make(number)
            (tmp_path / "kept.json").write_text(json.dumps(request.kept()))
            assert read_kept(tmp_path / "kept.json") == request

    @pytest.mark.parametrize("recorded", [*bodies.API, *bodies.INTAKE], ids=lambda call: call.path)
    def test_leave_a_body_as_it_is_unless_they_mean_to(self, recorded):
        rng = Random(1)
        written = bodies.dumped(bodies.loaded(recorded.raw), rng)
        assert json.loads(written) == json.loads(recorded.raw or b"{}")


class TestVerdict:
    def judge(self, status: int, body: bytes, *, due: Due = Due.ANY, path: str = "/api/v2/x", **how: Any):
        request = Request(1, Door.API, "signed", (Part(b""),), due=due, path=path)
        headers = {"content-type": how.pop("content_type", "application/json")}
        return breaches(request, Exchange([Answer(status, headers, body)], **how), seconds=1.0)

    @pytest.mark.parametrize(
        ("status", "body"),
        [
            (200, b'{"data":[]}'),
            (201, b'{"data":{"id":1}}'),
            (400, b'{"errors":{"currency":"The selected currency is invalid."}}'),
            (400, b'{"error":"Bad content format","code":"bad_content_format"}'),
            (403, b'{"error":"Bad key header","code":"bad_header_key"}'),
            (404, b'{"error":"Not found","code":"not_found"}'),
            (405, b'{"error":"Method not allowed","code":"method_not_allowed"}'),
        ],
    )
    def test_takes_what_the_contract_says(self, status, body):
        assert self.judge(status, body) == []

    @pytest.mark.parametrize(
        ("status", "body"),
        [
            (500, b'{"error":"Internal server error","code":"internal_error"}'),
            (503, b""),
            (401, b'{"error":"x","code":"bad_header_key"}'),
            (422, b'{"errors":{"a":"b"}}'),
            (302, b""),
            (400, b'{"errors":{}}'),
            (400, b'{"errors":{"currency":["a list"]}}'),
            (400, b'{"errors":{"a":{"b":"c"}}}'),
            (400, b'{"detail":"x"}'),
            (403, b'{"error":"x","code":"of_our_own"}'),
            (200, b"[]"),
            (200, b""),
        ],
    )
    def test_takes_nothing_else(self, status, body):
        assert self.judge(status, body) != []

    def test_takes_no_page_from_a_door_of_programs(self):
        assert self.judge(404, b"<html>", content_type="text/html") != []
        assert self.judge(404, b"<html>", content_type="text/html", path="/elsewhere") == []

    def test_takes_no_success_for_what_proves_nothing(self):
        assert self.judge(200, b'{"data":[]}', due=Due.REFUSED) != []

    def test_takes_no_late_answer(self):
        assert self.judge(200, b'{"data":[]}', seconds=1.2) == ["answered after 1.20 s"]

    def test_takes_no_silence(self):
        request = Request(1, Door.API, "signed", (Part(b""),))
        assert breaches(request, Exchange(ended="silent"), seconds=1.0) != []
        assert breaches(request, Exchange(ended="reset"), seconds=1.0) != []
