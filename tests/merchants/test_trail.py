"""Reading the audit: only one's own merchant's, what changed, and a CSV that calculates nothing."""

from __future__ import annotations

import csv
import io
from datetime import timedelta

import pytest

from merchants import audit, trail
from merchants.trail import Change, Filters
from tests import factories
from tests.factories import NOW

pytestmark = pytest.mark.django_db


@pytest.fixture
def merchant():
    return factories.merchant()


def record(merchant, act="keys.generate", *, days=0, label="system", **facts):
    return audit.record(
        act=act, merchant=merchant, actor_label=label, now=NOW + timedelta(days=days), **facts
    )


def acts(merchant, **given):
    return [line.record.act for line in trail.page(merchant=merchant, filters=Filters(**given))]


class TestPage:
    def test_shows_the_newest_first_and_no_other_merchants(self, merchant):
        record(merchant, "keys.generate")
        record(merchant, "keys.activate")
        record(factories.merchant(), "keys.rotate")
        assert acts(merchant) == ["keys.activate", "keys.generate"]

    def test_narrows_by_act_actor_refusal_and_time(self, merchant):
        record(merchant, "keys.generate", label="anna@shop.test")
        record(merchant, "team.add", label="bert@shop.test", days=2)
        record(merchant, "team.add.refused", label="bert@shop.test", days=3)
        assert acts(merchant, act="keys.") == ["keys.generate"]
        assert acts(merchant, actor="BERT") == ["team.add.refused", "team.add"]
        assert acts(merchant, act="refused") == ["team.add.refused"]
        assert acts(merchant, since=NOW + timedelta(days=2), until=NOW + timedelta(days=3)) == ["team.add"]

    def test_goes_on_before_a_number(self, merchant, monkeypatch):
        monkeypatch.setattr(trail, "PAGE", 2)
        numbers = [record(merchant).number for _ in range(4)]
        first = trail.page(merchant=merchant, filters=Filters())
        assert [line.record.number for line in first] == numbers[:0:-1]
        rest = trail.page(merchant=merchant, filters=Filters(), older_than=first[1].record.number)
        assert [line.record.number for line in rest] == numbers[1::-1]

    def test_tells_what_changed_and_nothing_else(self, merchant):
        before = {"url": "https://a.test", "preset": "2026", "told": False}
        after = {"url": "https://b.test", "preset": "2026", "told": True, "ips": ["10.0.0.1", "10.0.0.2"]}
        record(merchant, before=before, after=after)
        (line,) = trail.page(merchant=merchant, filters=Filters())
        assert line.changes == [
            Change("told", "no", "yes"),
            Change("url", "https://a.test", "https://b.test"),
            Change("ips", None, "10.0.0.1, 10.0.0.2"),
        ]


class TestCsv:
    def test_holds_each_record_with_its_hash(self, merchant):
        made = record(merchant, label="=cmd()", after={"a": "x,y"})
        raw = b"".join(trail.as_csv(merchant=merchant, filters=Filters())).decode()
        (row,) = csv.DictReader(io.StringIO(raw, newline=""))
        assert (row["actor"], row["after"]) == ("'=cmd()", '{"a":"x,y"}')
        assert row["hash"] == bytes(made.hash).hex()
        assert raw.count("\r\n") == 2
