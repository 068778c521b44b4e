"""Several processes at once, for real: each thread has its own connection and commits."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable
from datetime import timedelta

import pytest
from django.db import connection

from merchants import (
    accounts,
    audit,
    authentication,
    invitations,
    keys,
    mail,
    recovery,
    second_factor,
    team,
)
from merchants.models import ApiKey, AuditRecord, Membership, TotpDevice
from merchants.roles import Role
from tests import factories
from tests.factories import NOW
from tests.merchants.conftest import code_of

pytestmark = pytest.mark.django_db(transaction=True)


def at_once(*acts: Callable[[], object]) -> list[object]:
    """Runs the acts side by side; what each returned or raised, in their order."""
    answers: list[object] = [None] * len(acts)
    barrier = threading.Barrier(len(acts))

    def run(place: int, act: Callable[[], object]) -> None:
        try:
            barrier.wait(timeout=10)
            answers[place] = act()
        except Exception as error:  # noqa: BLE001 - the answer of an act may be any exception
            answers[place] = error
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=pair) for pair in enumerate(acts)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=30)
    return answers


class TestTheAudit:
    def test_stays_one_chain_without_gaps(self):
        def write():
            for _ in range(10):
                audit.record(act="test.act", now=NOW)

        assert at_once(write, write, write, write) == [None] * 4
        assert list(AuditRecord.objects.order_by("number").values_list("number", flat=True)) == list(
            range(1, 41)
        )
        assert audit.verify() is None


class TestACode:
    def test_is_accepted_once(self, owner):
        code = code_of(TotpDevice.objects.get(user=owner))

        def confirm():
            return second_factor.confirm(user=owner, code=code, now=NOW)

        answers = at_once(confirm, confirm, confirm, confirm)
        assert sorted(type(answer).__name__ for answer in answers) == ["TotpDevice"] + ["UsedCode"] * 3


class TestKeys:
    def test_are_activated_one_at_a_time(self, merchant):
        first, second = (keys.generate(merchant=merchant, by=None, now=NOW).pk for _ in range(2))
        answers = at_once(
            *[
                lambda pk=pk: keys.activate(merchant=merchant, key_id=pk, by=None, now=NOW)
                for pk in (first, second)
            ]
        )
        assert sorted(type(answer).__name__ for answer in answers) == ["Activated", "AnotherKeyIsActive"]
        assert ApiKey.objects.active().count() == 1

    def test_are_rotated_once(self, merchant):
        factories.active_key(merchant)
        key_id = ApiKey.objects.get().pk

        def rotate():
            return keys.rotate(merchant=merchant, key_id=key_id, overlap=timedelta(days=1), by=None, now=NOW)

        answers = at_once(rotate, rotate, rotate)
        assert sorted(type(answer).__name__ for answer in answers) == [
            "Activated",
            "RotationUnderWay",
            "RotationUnderWay",
        ]
        assert ApiKey.objects.active().count() == 2


class TestDeactivating:
    def test_is_true_in_every_process_when_it_answers(self, merchant):
        public_key, _ = factories.active_key(merchant)
        elsewhere = authentication._Keys()
        assert elsewhere.find(public_key) is not None
        started = time.monotonic()
        keys.deactivate(merchant=merchant, key_id=ApiKey.objects.get().pk, by=None, now=NOW)
        assert elsewhere.find(public_key) is None
        assert time.monotonic() - started >= 1.0

    def test_is_true_for_an_allowlist_too(self, merchant):
        public_key, _ = factories.active_key(merchant)
        elsewhere = authentication._Keys()
        assert elsewhere.find(public_key).allowlist == ()
        key_id = ApiKey.objects.get().pk
        keys.set_allowlist(merchant=merchant, key_id=key_id, entries=["192.0.2.7"], by=None, now=NOW)
        assert [str(network) for network in elsewhere.find(public_key).allowlist] == ["192.0.2.7/32"]


class TestTries:
    def test_side_by_side_are_counted_before_they_are_judged(self, owner):
        def guess():
            return accounts.sign_in(
                email="owner@shop.test", password="wrong", code="", ip="203.0.113.7", now=NOW
            )

        answers = [type(answer).__name__ for answer in at_once(*[guess] * 12)]
        assert answers.count("NotRight") == 5
        assert answers.count("TooManyTries") == 7

    def test_of_one_recovery_code_let_one_in(self, owner):
        code = recovery.renew(user=owner, now=NOW)[0]
        answers = at_once(*[lambda: recovery.spend(user=owner, code=code, now=NOW)] * 4)
        assert sorted(answers) == [False, False, False, True]


class TestAnInvitation:
    def test_followed_twice_at_once_opens_one_account(self, merchant, owner):
        invitations.invite(merchant=merchant, email="ann@shop.test", role=Role.VIEW, by=owner, now=NOW)
        token = re.search(r"/invitation/([\w-]{43})/", mail.recent(now=NOW)[0].text)[1]
        answers = at_once(
            *[lambda: invitations.accept(token=token, password="correct horse battery", now=NOW)] * 3
        )
        assert sorted(type(answer).__name__ for answer in answers) == [
            "NoSuchInvitation",
            "NoSuchInvitation",
            "User",
        ]


class TestTheLastOwner:
    def test_stays_when_two_owners_leave_at_once(self, merchant, owner):
        second = factories.operator("second@shop.test")
        team.add(merchant=merchant, user=second, role=Role.OWNER, now=NOW)
        members = list(Membership.objects.values_list("pk", flat=True))
        answers = at_once(
            *[lambda pk=pk: team.remove(membership_id=pk, as_operator=True, now=NOW) for pk in members]
        )
        assert sorted(type(answer).__name__ for answer in answers) == ["LastOwner", "NoneType"]
        assert Membership.objects.filter(role="owner").count() == 1
