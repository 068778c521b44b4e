"""Connections kept open between two callbacks to the same origin."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Hashable

from callbacks.connector.line import Line

MOST_PER_ORIGIN = 2
MOST = 200


class Idle:
    """Idle lines by origin; any thread may take one, and then it is that thread's alone."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._lines: OrderedDict[Hashable, list[Line]] = OrderedDict()

    def take(self, origin: Hashable) -> Line | None:
        """A line that still seems alive, or None."""
        while line := self._pop(origin):
            if line.is_fresh:
                return line
            line.close()
        return None

    def keep(self, origin: Hashable, line: Line) -> None:
        """Keeps the line, and lets go of the origin that was idle longest when there are too many."""
        with self._lock:
            lines = self._lines.setdefault(origin, [])
            lines.append(line)
            self._lines.move_to_end(origin)
            spare = [lines.pop(0)] if len(lines) > MOST_PER_ORIGIN else []
            if len(self._lines) > MOST:
                spare += self._lines.popitem(last=False)[1]
        for old in spare:
            old.close()

    def close(self) -> None:
        """Closes them all."""
        with self._lock:
            lines = [line for kept in self._lines.values() for line in kept]
            self._lines.clear()
        for line in lines:
            line.close()

    def _pop(self, origin: Hashable) -> Line | None:
        with self._lock:
            lines = self._lines.get(origin)
            if not lines:
                return None
            line = lines.pop()
            if not lines:
                del self._lines[origin]
            return line
