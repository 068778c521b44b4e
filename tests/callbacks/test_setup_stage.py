"""The set-up stage: each step is done when it is so, and open again when it is no more."""

from __future__ import annotations

import pytest

from callbacks import endpoints, setup_stage, trial
from callbacks.models import Health, OutgoingCallback
from callbacks.outgoing import queue
from callbacks.outgoing.queue import Try
from callbacks.setup_stage import Step
from merchants import keys
from merchants.models import ApiKey
from payments import terms
from tests import factories
from tests.factories import NOW

pytestmark = pytest.mark.django_db
NEEDED = [Step.CURRENCIES, Step.KEY, Step.ENDPOINT, Step.TRIAL]


@pytest.fixture
def shop():
    factories.processor()
    factories.terms("BTC")
    return factories.merchant()


def enable(shop):
    terms.enable(merchant=shop, currency="BTC", now=NOW)


def activate(shop):
    factories.active_key(shop)


def restrict(shop):
    key = ApiKey.objects.active().get(merchant=shop)
    keys.set_allowlist(
        merchant=shop, key_id=key.pk, entries=["192.0.2.1"], by=None, now=NOW, pause=lambda seconds: None
    )


def point(shop):
    endpoints.set_url(merchant=shop, url="http://127.0.0.1:9/", by=None, now=NOW)


def try_it(shop, status=200):
    trial.send(merchant=shop, by=None, now=NOW)
    (parcel,) = queue.claim(health=Health.HEALTHY, limit=1)
    queue.record(tries=[Try(parcel, status=status)])


TAKEN = {
    Step.CURRENCIES: enable,
    Step.KEY: activate,
    Step.ALLOWLIST: restrict,
    Step.ENDPOINT: point,
    Step.TRIAL: try_it,
}


def stage(shop):
    return setup_stage.of(merchant=shop, now=NOW)


class TestStage:
    def test_begins_with_nothing(self, shop):
        found = stage(shop)
        assert (found.done, found.following, found.is_over) == (frozenset(), Step.CURRENCIES, False)

    def test_leads_through_every_step(self, shop):
        led = []
        while step := stage(shop).following:
            led.append(step)
            TAKEN[step](shop)
        assert led == list(Step)
        assert stage(shop).is_over

    def test_is_over_without_what_is_only_recommended(self, shop):
        for step in NEEDED:
            TAKEN[step](shop)
        assert stage(shop).is_over
        assert stage(shop).following is None

    def test_passes_over_what_is_only_recommended(self, shop):
        for step in (Step.CURRENCIES, Step.KEY, Step.ENDPOINT):
            TAKEN[step](shop)
        assert stage(shop).following is Step.TRIAL

    def test_names_a_key_that_waits(self, shop):
        key = keys.generate(merchant=shop, by=None, now=NOW)
        found = stage(shop)
        assert (found.waiting_key, found.active_key, Step.KEY in found.done) == (key.public_key, "", False)

    def test_opens_again_what_is_no_more(self, shop):
        for step in NEEDED:
            TAKEN[step](shop)
        terms.disable(merchant=shop, currency="BTC", now=NOW)
        endpoints.set_url(merchant=shop, url="", by=None, now=NOW)
        key = ApiKey.objects.active().get(merchant=shop)
        keys.deactivate(merchant=shop, key_id=key.pk, by=None, now=NOW, pause=lambda seconds: None)
        assert stage(shop).done == {Step.TRIAL}

    def test_believes_no_test_that_failed(self, shop):
        for step in (Step.CURRENCIES, Step.KEY, Step.ENDPOINT):
            TAKEN[step](shop)
        try_it(shop, status=500)
        assert OutgoingCallback.objects.count() == 1
        assert not stage(shop).is_over

    def test_takes_nothing_of_another_merchant(self, shop):
        other = factories.merchant()
        for step in Step:
            TAKEN[step](other)
        assert stage(shop).done == frozenset()

    def test_asks_two_questions(self, shop, django_assert_num_queries):
        with django_assert_num_queries(2):
            stage(shop)
