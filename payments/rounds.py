"""Batches in rounds: what is worked set by set must not hold one subject twice."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator
from typing import TypeVar

_Item = TypeVar("_Item")


def rounds(items: Iterable[_Item], *, of: Callable[[_Item], Hashable]) -> Iterator[list[_Item]]:
    """The items in their order, split so that no two of one round are `of` the same."""
    waiting = list(items)
    while waiting:
        seen: set[Hashable] = set()
        distinct: list[_Item] = []
        later: list[_Item] = []
        for item in waiting:
            (later if of(item) in seen else distinct).append(item)
            seen.add(of(item))
        yield distinct
        waiting = later
