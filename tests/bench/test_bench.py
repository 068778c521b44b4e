"""The benchmarks run and say what they must; what they measured is nobody's business here."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from bench import load, measure
from bench.measure import Sample
from bench.plot import draw
from bench.registry import Row

ROOT = Path(__file__).parents[2]
NAMESPACE = "{http://www.w3.org/2000/svg}"


def bench(*arguments: str) -> subprocess.CompletedProcess[str]:
    bare = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    command = [sys.executable, "-m", "bench", *arguments]
    return subprocess.run(command, cwd=ROOT, env=bare, capture_output=True, text=True, check=False)


class TestBench:
    @pytest.mark.flow
    def test_measures_the_signed_api_beside_a_bare_view(self):
        done = bench("api", "--quick", "--json")
        assert done.returncode == 0, done.stderr
        (run,) = json.loads(done.stdout)
        assert run["name"] == "api"
        assert [row["what"] for row in run["rows"]] == [
            "signed ping, both headers",
            "accounts/list, 10 accounts",
            "addresses/take, new from the pool",
            "withdrawal/crypto, held",
        ]
        assert all(row["measured"] > 0 and row["baseline"] > 0 for row in run["rows"])
        assert [row["goal"] for row in run["rows"]] == ["≥ 0.7 x", "≥ 0.4 x", "≥ 0.2 x", "≥ 0.2 x"]
        assert "SQL statements each" in run["rows"][-1]["note"]

    def test_names_what_there_is_when_asked_for_another(self):
        done = bench("speed")
        assert done.returncode == 2
        assert "no speed; there are api, ingest, path" in done.stderr


class TestRow:
    def test_is_judged_by_its_ratio_where_it_has_a_baseline(self):
        row = Row("a", 30.0, baseline=100.0, ratio=0.3, at_least=0.35)
        assert (row.held, row.goal) == (False, "≥ 0.35 x")

    def test_is_judged_by_what_was_measured_where_it_has_none(self):
        row = Row("a", 40.0, "ms", at_most=50.0)
        assert (row.held, row.margin, row.goal) == (True, 1.25, "≤ 50 ms")

    def test_holds_and_misses_nothing_without_a_goal(self):
        assert Row("a", 40.0).held is None


class TestMeasure:
    def test_takes_the_median_of_the_rounds_ratios_not_the_ratio_of_medians(self):
        ours = [Sample(10, 1.0), Sample(50, 1.0), Sample(90, 1.0)]
        theirs = [Sample(100, 1.0), Sample(100, 1.0), Sample(100, 1.0)]
        assert measure.ratio(ours, theirs) == 0.5

    def test_turns_the_order_around_from_round_to_round(self):
        order: list[str] = []

        def turn(name: str) -> measure.Turn:
            return lambda: order.append(name) or Sample(1, 1.0)

        measure.interleaved({"a": turn("a"), "b": turn("b")}, rounds=2)
        assert order == ["a", "b", "b", "a"]

    def test_finds_the_percentile_among_what_was_measured(self):
        assert measure.percentile(range(1, 101), 99) == 100
        assert measure.percentile([3.0, 1.0, 2.0], 50) == 2.0

    def test_counts_the_processor_time_of_this_process(self):
        before = measure.cpu_seconds([os.getpid()])
        sum(number * number for number in range(2_000_000))
        assert measure.cpu_seconds([os.getpid()]) > before


class TestLoad:
    def test_refuses_figures_of_requests_that_failed(self):
        outcome = load.Outcome(1.0, latencies=[1.0, 1.0])
        outcome.statuses.update({200: 1, 500: 1})
        with pytest.raises(RuntimeError, match="expected 200 only"):
            outcome.sample()


class TestPlot:
    def test_draws_a_bar_for_each_row_that_has_a_goal(self):
        rows = [
            Row("fast & good", 70.0, ratio=0.7, at_least=0.35),
            Row("slow", 99.0, "ms", at_most=50.0),
            Row("told", 1.0),
        ]
        drawn = ET.fromstring(draw(rows))  # noqa: S314 - our own text
        bars = [each.get("class") for each in drawn.iter(f"{NAMESPACE}rect")]
        assert bars == ["paper", "held", "missed"]
        assert "fast & good" in [each.text for each in drawn.iter(f"{NAMESPACE}text")]
