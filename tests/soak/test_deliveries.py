"""The proof of deliveries bites: its oracle by made-up runs, its receiver over real sockets."""

from __future__ import annotations

import http.client
import json
from dataclasses import replace

import pytest

from merchants import signing
from tests.soak.delivery_oracle import Callback, Turn, alive, downtimes, judge
from tests.soak.sink import FOLLOWED, HANG, Arrival, Script, listening

START = 1_000_000.0
SECRET = "receivers-secret"
MINUTE, SKIPPED = 60.0, 59.0


def arrival(sha: str, wall: float, answer: str = "200", **other: object) -> Arrival:
    made = Arrival(0.0, wall, "/a", True, answer, 1, 0, sha, "{}")
    return made._replace(**other)


def turn(number: int, at: float, status: int | None = 200, *, skipped: float = 0.0, **other: object) -> Turn:
    made = Turn(number, at - 0.01, at + 0.01, skipped, is_noted=True, lost=False, status=status)
    return replace(made, **other)


def callback(*turns: Turn, state: str = "delivered", version: int = 1, sha: str = "s") -> Callback:
    return Callback(
        version, 1, 1, version, "2026", sha, START - 1.0, state, attempts=len(turns), turns=list(turns)
    )


def retried(gap: float) -> tuple[list[Callback], list[Arrival]]:
    """Failed once, taken `gap` seconds later, of which all but the last were skipped."""
    second = START + gap - SKIPPED
    one = callback(turn(1, START, 500, skipped=SKIPPED), turn(2, second))
    return [one], [arrival("s", START, "500"), arrival("s", second)]


class TestTheOracle:
    def test_finds_nothing_in_a_run_on_schedule(self):
        found = judge(*retried(MINUTE + 0.5), lag=0.0)
        assert found.broken == []
        assert found.first == [1.0]
        assert found.late == [pytest.approx(0.5 / MINUTE, abs=1e-6)]

    @pytest.mark.parametrize(("gap", "word"), [(59.9, "early"), (66.1, "late")])
    def test_finds_a_gap_that_is_not_the_schedules(self, gap, word):
        (broken,) = judge(*retried(gap), lag=0.0).broken
        assert word in broken

    def test_does_not_count_the_time_in_which_nothing_could_be_sent(self):
        dead = [(START + 1.0, START + 11.0)]
        assert judge(*retried(MINUTE + 10), lag=0.0, down=dead).broken == []
        assert judge(*retried(MINUTE + 10), lag=0.0, down=[]).broken != []

    def test_finds_a_wrong_signature(self):
        came = [arrival("s", START, is_signed=False)]
        assert judge([callback(turn(1, START))], came, lag=0.0).broken == ["a wrong signature at /a: {}"]

    def test_finds_a_third_request_at_once(self):
        came = [arrival("s", START, at_once=3)]
        assert judge([callback(turn(1, START))], came, lag=0.0).broken == ["3 at once at /a"]

    def test_finds_a_followed_redirect(self):
        came = [arrival("s", START), arrival("other", START, path=FOLLOWED)]
        (broken,) = judge([callback(turn(1, START))], came, lag=0.0).broken
        assert FOLLOWED in broken

    def test_finds_a_request_that_no_lease_covers(self):
        came = [arrival("s", START), arrival("s", START + 5)]
        (broken,) = judge([callback(turn(1, START))], came, lag=0.0).broken
        assert broken == "callback 1 was sent 1 times while nobody held it"

    def test_finds_an_answer_that_the_books_do_not_know(self):
        (broken,) = judge([callback(turn(1, START))], [arrival("s", START, "cut")], lag=0.0).broken
        assert broken == "callback 1, try 1 was answered cut, and the books say 200"

    def test_finds_one_that_was_never_tried_and_one_that_is_never_finished(self):
        never = callback(state="due", sha="t", version=2)
        left = callback(turn(1, START, 500), state="due")
        broken = judge([left, never], [arrival("s", START, "500")], lag=0.0).broken
        assert "callback 2 was never tried" in broken
        assert "callback 1 is still due after 1 tries" in broken

    def test_finds_the_old_after_the_new(self):
        old = callback(turn(1, START, 500), turn(2, START + MINUTE + 1), sha="old")
        new = callback(turn(1, START + 2), sha="new", version=2)
        old.subject = new.subject = 9
        came = [
            arrival("old", START, "500"),
            arrival("new", START + 2),
            arrival("old", START + MINUTE + 1),
        ]
        assert judge([old, new], came, lag=0.0).broken == ["subject 9 was told in the order [1, 2, 1]"]

    @pytest.mark.parametrize(("held", "is_right"), [(25.5, True), (3.0, False), (60.0, False)])
    def test_allows_a_dead_workers_lease_and_no_more(self, held, is_right):
        lost = turn(1, START, None, lost=True, settled=START - 0.01 + held)
        again = START + held + 0.5
        one = replace(callback(lost, turn(2, again)), created=again - 1.0)
        broken = judge([one], [arrival("s", again)], lag=0.0).broken
        assert (broken == []) is is_right

    @pytest.mark.parametrize(("hands", "is_right"), [(2, True), (1, False)])
    def test_waits_after_a_lost_try_for_a_hand_that_is_free(self, hands, is_right):
        lost = turn(1, START, None, lost=True, settled=START + 25)
        again = START + 34
        one = replace(callback(lost, turn(2, again)), created=again - 1.0)
        hanging = [
            callback(
                turn(1, START + 25, None, claimed=START + 24, settled=START + 33),
                state="exhausted",
                version=2 + hand,
                sha=f"{hand}",
            )
            for hand in range(hands)
        ]
        came = [arrival("s", again), *(arrival(f"{hand}", START + 24.5, "hang") for hand in range(hands))]
        late = [text for text in judge([one, *hanging], came, lag=0.0).broken if "at once" in text]
        assert (late == []) is is_right

    def test_gives_an_endpoint_the_time_in_which_the_dead_hold_both_hands(self):
        def lost(at: float) -> Turn:
            return turn(1, at, None, lost=True, claimed=at, settled=at + 25)

        one, two = callback(lost(START)), callback(lost(START + 5), version=2)
        spans = downtimes([one, two], [(START + 28.0, START + 30.0)])[1]
        assert spans == [(START + 5, START + 25), (START + 28, START + 30)]
        assert alive(START, START + 40, spans) == 40 - 20 - 2


class TestTheReceiver:
    BODY = json.dumps({"id": 1}).encode()

    def post(self, port: int, path: str, secret: str = SECRET, body: bytes = BODY) -> int | str:
        line = http.client.HTTPConnection("127.0.0.1", port, timeout=2)
        headers = {signing.KEY_HEADER: "key", signing.SIGNATURE_HEADER: signing.sign(secret, body)}
        try:
            line.request("POST", path, body, headers)
            answer = line.getresponse()
            answer.read()
        except (OSError, http.client.HTTPException) as error:
            return type(error).__name__
        finally:
            line.close()
        return answer.status

    def test_fails_as_often_as_its_script_says_and_then_takes(self, tmp_path):
        script = Script(seed=2, most=6)
        with listening(tmp_path) as sink:
            sink.open("/a", "key", SECRET, script)
            answers = [self.post(sink.port, "/a") for _ in range(8)]
            came = sink.arrivals()
        failures = script.failures(came[0].sha)
        assert 0 < failures <= 6
        assert answers.index(200) == failures
        assert set(answers[failures:]) == {200}
        assert [one.told for one in came] == list(range(8))
        assert all(one.is_signed and one.body.encode() == self.BODY for one in came)
        assert [one.wall for one in came] == sorted(one.wall for one in came)

    def test_sees_another_secret_and_an_unknown_path(self, tmp_path):
        with listening(tmp_path) as sink:
            sink.open("/a", "key", SECRET, Script())
            assert self.post(sink.port, "/a", secret="other") == 200
            assert self.post(sink.port, FOLLOWED) == 404
            wrong, stray = sink.arrivals()
        assert (wrong.is_signed, wrong.path) == (False, "/a")
        assert (stray.answer, stray.path) == ("stray", FOLLOWED)

    def test_never_answers_where_it_is_dead(self, tmp_path):
        with listening(tmp_path) as sink:
            sink.open("/a", "key", SECRET, Script(dead=True))
            assert self.post(sink.port, "/a") == "TimeoutError"
            assert [one.answer for one in sink.arrivals()] == [HANG]
