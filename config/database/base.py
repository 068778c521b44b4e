"""PostgreSQL, which is asked at most once a second, not at every request, whether a kept connection works.

The question was a fifth of a signed request. A server that was stopped leaves connections that fail in any
case; one that broke within the last second answers one request with an error, as it would have a moment
before, and is replaced.
"""

from __future__ import annotations

import time

from django.db.backends.postgresql import base

TRUSTED_SECONDS = 1.0


class DatabaseWrapper(base.DatabaseWrapper):
    _worked_at = float("-inf")

    def connect(self) -> None:
        super().connect()
        self._worked_at = time.monotonic()

    def is_usable(self) -> bool:
        usable: bool = super().is_usable()
        if usable:
            self._worked_at = time.monotonic()
        return usable

    def close_if_health_check_failed(self) -> None:
        """Decided once a request, at its beginning.

        Django looks again when a transaction ends; asked then, the question would begin another transaction,
        and what is committed would be answered as if it had failed.
        """
        if time.monotonic() - self._worked_at >= TRUSTED_SECONDS:
            super().close_if_health_check_failed()
        else:
            self.health_check_done = True
