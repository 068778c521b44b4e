"""One seed makes one run: the same bytes, in the same order, and the same harm."""

from __future__ import annotations

import random
from collections import Counter
from itertools import islice

from tests.soak import story
from tests.soak.nemesis import Plan, flush_valkey, kill_valkey
from tests.soak.shops import NewShop, Place, Shop


def shops() -> list[Shop]:
    new: NewShop = story.shops_for("S", count=1)[0]
    places = tuple(
        Place(place.currency, place.convert_to, f"a{number}", None, "")
        for number, place in enumerate(new.places)
    )
    return [Shop("S", 1, 11, "", "", "", "", "", new.terms, places, "")]


def told(seed: int, count: int = 600) -> list[story.Said]:
    return story.tell(random.Random(seed), shops(), callbacks=count, first_id=1, growing=True)


class TestStories:
    def test_are_made_by_the_seed_alone(self):
        assert [said.raw for said in told(1)] == [said.raw for said in told(1)]
        assert [said.raw for said in told(1)] != [said.raw for said in told(2)]

    def test_never_tell_two_callbacks_in_the_same_bytes(self):
        made = told(3)
        assert len({said.sha256 for said in made}) == len(made)

    def test_are_of_every_kind(self):
        made = told(4)
        assert {said.status for said in made} == {story.NOT_CONFIRMED, story.CONFIRMED, story.CANCELLED}
        assert {said.act for said in made} == {0, 1, 2}
        assert any(said.shop is None for said in made)
        assert any(said.place.convert_to for said in made)


class TestDisorder:
    def test_repeats_a_share_and_stays_within_its_windows(self):
        made = told(5, 1000)
        line = story.disorder(random.Random(5), made)
        assert len(line) == len(made) + round(len(made) * 0.05)
        assert set(Counter(said.sha256 for said in line).values()) == {1, 2}
        place = {said.sha256: number for number, said in enumerate(made)}
        moved = {said: [] for said in made}
        for number, one in enumerate(line):
            moved[one].append(abs(place[one.sha256] - number))
        assert 0 < max(min(distances) for distances in moved.values()) < 200 + 50
        assert max(max(distances) for distances in moved.values()) > 500  # some are told again much later


class TestPlan:
    def test_is_drawn_from_the_seed_alone(self):
        plan = Plan(2.0, [(flush_valkey, 1.0), (kill_valkey, 1.0)])
        steps = [list(islice(plan.steps(random.Random(seed)), 50)) for seed in (1, 1, 2)]
        assert steps[0] == steps[1] != steps[2]
        assert [moment for moment, _, _ in steps[0][:3]] == [2.0, 4.0, 6.0]
        assert {deed for _, deed, _ in steps[0]} == {flush_valkey, kill_valkey}
