"""Views that people save: filters of a list under a name, theirs alone, at one merchant.

They change nothing but what their owner sees, so they take no code and leave no audit record.
"""

from __future__ import annotations

from django.db import IntegrityError, transaction

from merchants.errors import Refusal
from merchants.models import Merchant, SavedView, SavedViewPage, User
from merchants.one_line import one_line

MOST = 20
LONGEST_NAME = 40
LONGEST_QUERY = 500


class NothingToSave(Refusal):
    """Set at least one filter first; a view of everything is the list itself."""


class ViewNameMissing(Refusal):
    """Give the view a name."""

    field = "name"


class ViewNameTaken(Refusal):
    """You have a view named “{name}” already."""

    field = "name"


class ViewNameTooLong(Refusal):
    """A name has at most {most} characters."""

    field = "name"


class TooManyViews(Refusal):
    """You have {most} views here already. Remove one first."""


def of(*, merchant: Merchant, user: User, page: SavedViewPage) -> list[SavedView]:
    """The person's own views of that list, by name."""
    return list(SavedView.objects.for_merchant(merchant).filter(user=user, page=page).order_by("name"))


@transaction.atomic
def save(*, merchant: Merchant, user: User, page: SavedViewPage, name: str, query: str) -> SavedView:
    """Keeps `query` (a URL's filters) under a name.

    Raises `NothingToSave`, `ViewNameMissing`, `ViewNameTooLong`, `ViewNameTaken`, `TooManyViews`.
    """
    chosen = one_line(name)
    if not query or len(query) > LONGEST_QUERY:
        raise NothingToSave
    if not chosen:
        raise ViewNameMissing
    if len(chosen) > LONGEST_NAME:
        raise ViewNameTooLong(most=LONGEST_NAME)
    User.objects.select_for_update(no_key=True).get(pk=user.pk)  # counted one after the other
    if len(of(merchant=merchant, user=user, page=page)) >= MOST:
        raise TooManyViews(most=MOST)
    try:
        with transaction.atomic():
            return SavedView.objects.create(merchant=merchant, user=user, page=page, name=chosen, query=query)
    except IntegrityError as error:
        raise ViewNameTaken(name=chosen) from error


def remove(*, merchant: Merchant, user: User, view_id: int) -> None:
    """Removes one of the person's own views. Raises `SavedView.DoesNotExist`."""
    found = SavedView.objects.for_merchant(merchant).filter(user=user, pk=view_id)
    if not found.delete()[0]:
        raise SavedView.DoesNotExist
