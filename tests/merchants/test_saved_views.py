"""Saved views: a person's own names for filters, at one merchant."""

from __future__ import annotations

import pytest

from merchants import saved_views
from merchants.models import SavedView, SavedViewPage
from tests import constraints, desk, factories

pytestmark = pytest.mark.django_db
PAGE = SavedViewPage.TRANSACTIONS


@pytest.fixture
def shop():
    return factories.merchant()


@pytest.fixture
def ann(shop):
    return desk.person(shop)


def save(shop, user, name="Open", query="status=not_confirmed"):
    return saved_views.save(merchant=shop, user=user, page=PAGE, name=name, query=query)


class TestSave:
    def test_keeps_filters_under_a_name(self, shop, ann):
        save(shop, ann, name="  Open\u202e ones ")
        (view,) = saved_views.of(merchant=shop, user=ann, page=PAGE)
        assert (view.name, view.query) == ("Open ones", "status=not_confirmed")

    def test_is_for_that_person_at_that_merchant_alone(self, shop, ann):
        save(shop, ann)
        other = factories.merchant()
        assert saved_views.of(merchant=shop, user=desk.person(shop), page=PAGE) == []
        assert saved_views.of(merchant=other, user=ann, page=PAGE) == []
        save(other, ann)
        save(shop, desk.person(shop))
        assert SavedView.objects.count() == 3

    @pytest.mark.parametrize(
        ("given", "refusal"),
        [
            ({"query": ""}, saved_views.NothingToSave),
            ({"query": "q=" + "x" * 500}, saved_views.NothingToSave),
            ({"name": " \u200b"}, saved_views.ViewNameMissing),
            ({"name": "x" * 41}, saved_views.ViewNameTooLong),
            ({"name": "Taken"}, saved_views.ViewNameTaken),
        ],
    )
    def test_refuses_what_is_no_view(self, shop, ann, given, refusal):
        save(shop, ann, name="Taken")
        with pytest.raises(refusal):
            save(shop, ann, **given)
        assert SavedView.objects.count() == 1

    def test_refuses_more_than_fit_above_a_list(self, shop, ann, monkeypatch):
        monkeypatch.setattr(saved_views, "MOST", 2)
        for name in ("One", "Two"):
            save(shop, ann, name=name)
        with pytest.raises(saved_views.TooManyViews, match="You have 2 views here already"):
            save(shop, ann, name="Three")
        assert SavedView.objects.count() == 2


class TestRemove:
    def test_takes_away_ones_own(self, shop, ann):
        view = save(shop, ann)
        saved_views.remove(merchant=shop, user=ann, view_id=view.pk)
        assert not SavedView.objects.exists()

    def test_leaves_everybody_elses(self, shop, ann):
        view = save(shop, ann)
        for merchant, user in ((shop, desk.person(shop)), (factories.merchant(), ann)):
            with pytest.raises(SavedView.DoesNotExist):
                saved_views.remove(merchant=merchant, user=user, view_id=view.pk)
        assert SavedView.objects.count() == 1


class TestTable:
    @pytest.mark.parametrize(
        ("constraint", "change"),
        [
            ("saved_view_is_named_and_filters", "name = ''"),
            ("saved_view_is_named_and_filters", "query = ''"),
            ("saved_view_page_is_known", "page = 'elsewhere'"),
        ],
    )
    def test_takes_nothing_that_is_no_view(self, shop, ann, constraint, change):
        save(shop, ann)
        constraints.refused(constraint, f"UPDATE merchants_savedview SET {change}")

    def test_takes_no_name_twice(self, shop, ann):
        save(shop, ann)
        constraints.refused(
            "saved_view_has_its_own_name",
            "INSERT INTO merchants_savedview (merchant_id, user_id, page, name, query)"
            " SELECT merchant_id, user_id, page, name, query FROM merchants_savedview",
        )
