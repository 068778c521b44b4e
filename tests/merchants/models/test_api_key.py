"""API keys as rows: the legal moves, and every rule past Python."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import IntegrityError, transaction

from merchants import keys
from merchants.models import ApiKey, KeyState
from merchants.models.api_key import LEGAL_MOVES, IllegalMove
from tests import constraints
from tests.factories import NOW

HOUR = timedelta(hours=1)


@pytest.fixture
def generated(merchant):
    return keys.generate(merchant=merchant, by=None, now=NOW)


@pytest.fixture
def active(merchant, generated):
    return keys.activate(merchant=merchant, key_id=generated.pk, by=None, now=NOW)


@pytest.fixture
def rotated(merchant, active):
    return keys.rotate(merchant=merchant, key_id=active.key.pk, overlap=HOUR, by=None, now=NOW)


class TestApiKey:
    def test_moves_along_the_table_alone(self, generated):
        assert LEGAL_MOVES[KeyState.DEACTIVATED] == frozenset()
        generated.deactivate(now=NOW)
        with pytest.raises(IllegalMove) as caught:
            generated.activate(secret="s", now=NOW)
        assert str(caught.value) == "A key that is deactivated cannot become active."
        assert ApiKey.objects.get(pk=generated.pk).state == "deactivated"

    @pytest.mark.parametrize("state", KeyState)
    @pytest.mark.parametrize("wanted", KeyState)
    def test_has_one_table_of_moves_in_python_and_in_the_database(self, merchant, state, wanted):
        dates = {"activated_at": NOW, "deactivated_at": NOW, "secret_ciphertext": "x"}
        known = {
            KeyState.GENERATED: {},
            KeyState.ACTIVE: {"activated_at": NOW, "secret_ciphertext": "x"},
            KeyState.DEACTIVATED: dates,
        }
        key = ApiKey.objects.create(
            merchant=merchant, public_key="k", generated_at=NOW, state=state, **known[state]
        )
        change = ApiKey.objects.filter(pk=key.pk)
        if wanted in LEGAL_MOVES[state] or wanted == state:
            change.update(state=wanted, **known[state] | known[wanted])
            assert ApiKey.objects.get().state == wanted
        else:
            with pytest.raises(IntegrityError), transaction.atomic():
                change.update(state=wanted, **known[state] | known[wanted])
            assert ApiKey.objects.get().state == state

    def test_shows_no_more_than_the_beginning_of_its_name(self, active):
        assert str(active.key) == active.key.public_key[:12] + "…"
        assert set(active.key.facts()) == {"public_key", "state", "retires_at"}


class TestTheDatabase:
    @pytest.mark.parametrize(
        ("change", "constraint"),
        [
            ("state = 'generated', activated_at = NULL", "api_key_"),
            ("state = 'rubbish'", "api_key_state_moves_legally"),
            ("public_key = 'other'", "api_key_keeps_its_identity"),
            ("merchant_id = merchant_id + 1", "api_key_keeps_its_identity"),
            ("activated_at = now()", "api_key_keeps_its_identity"),
            ("secret_ciphertext = ''", "api_key_keeps_its_identity"),
            ("deactivated_at = now()", "api_key_dates_follow_its_state"),
            ("state = 'deactivated'", "api_key_dates_follow_its_state"),
            ("retires_at = now()", "api_key_overlap_is_at_most_seven_days"),
            ("rotated_at = now(), retires_at = now()", "api_key_overlap_is_at_most_seven_days"),
            (
                "rotated_at = now(), retires_at = now() + interval '7 days 1 second'",
                "api_key_overlap_is_at_most_seven_days",
            ),
        ],
    )
    def test_refuses_an_illegal_change_of_an_active_key(self, active, change, constraint):
        constraints.refused(constraint, f"UPDATE merchants_apikey SET {change} WHERE id = {active.key.pk}")

    def test_refuses_to_wake_a_deactivated_key(self, merchant, active):
        keys.deactivate(merchant=merchant, key_id=active.key.pk, by=None, now=NOW)
        constraints.refused(
            "api_key_",
            f"UPDATE merchants_apikey SET state = 'active', deactivated_at = NULL WHERE id = {active.key.pk}",
        )
        constraints.refused(
            "api_key_state_moves_legally",
            f"UPDATE merchants_apikey SET state = 'active' WHERE id = {active.key.pk}",
        )

    def test_refuses_to_remove_a_key(self, generated):
        constraints.refused(
            "api_key_is_never_removed", f"DELETE FROM merchants_apikey WHERE id = {generated.pk}"
        )

    def test_refuses_to_forget_when_a_key_was_first_used(self, active):
        ApiKey.objects.filter(pk=active.key.pk).update(first_used_at=NOW)
        constraints.refused(
            "api_key_keeps_its_identity",
            f"UPDATE merchants_apikey SET first_used_at = NULL WHERE id = {active.key.pk}",
        )

    def insert(self, merchant, state="active", sealed="x", activated="now()", retiring="NULL, NULL"):
        return f"""
            INSERT INTO merchants_apikey (merchant_id, public_key, secret_ciphertext, state, generated_at,
                                          activated_at, rotated_at, retires_at)
            VALUES ({merchant.pk}, gen_random_uuid(), '{sealed}', '{state}', now(), {activated}, {retiring})
        """

    def test_refuses_two_active_keys_outside_a_rotation(self, merchant, active):
        constraints.refused("api_key_one_active_per_merchant", self.insert(merchant))

    def test_refuses_two_retiring_keys(self, merchant, rotated):
        retiring = "now(), now() + interval '1 day'"
        constraints.refused("api_key_one_retiring_per_merchant", self.insert(merchant, retiring=retiring))

    def test_refuses_an_active_key_without_a_secret(self, merchant):
        constraints.refused("api_key_has_a_secret_once_active", self.insert(merchant, sealed=""))

    def test_refuses_a_secret_before_activation(self, merchant):
        constraints.refused(
            "api_key_has_a_secret_once_active", self.insert(merchant, state="generated", activated="NULL")
        )

    def test_refuses_an_active_key_without_its_date(self, merchant):
        constraints.refused("api_key_dates_follow_its_state", self.insert(merchant, activated="NULL"))

    def test_refuses_the_same_public_key_twice(self, generated, merchant):
        with pytest.raises(IntegrityError, match="public_key"), transaction.atomic():
            ApiKey.objects.create(merchant=merchant, public_key=generated.public_key, generated_at=NOW)

    def test_refuses_the_same_entry_twice(self, generated):
        constraints.refused(
            "allowlist_entry_stands_once",
            *[f"INSERT INTO merchants_allowlistentry (key_id, network) VALUES ({generated.pk}, '10.0.0.0/8')"]
            * 2,
        )
