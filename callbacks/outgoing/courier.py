"""The courier: claims, signs, posts several at once outside any transaction, and records.

The claiming thread alone talks to the database; the posts run in threads of the courier's own and touch
nothing but sockets. A courier never holds more than it is posting, so no lease waits in a line.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from types import TracebackType
from typing import Self

from django.conf import settings
from django.db import DatabaseError, InterfaceError, OperationalError, connection

from callbacks import connector
from callbacks.connector import Answer, NotDelivered
from callbacks.models import Health
from callbacks.outgoing import queue
from callbacks.outgoing.queue import Parcel, Try
from merchants import keys, signing
from merchants.keys import SigningKey
from merchants.models.api_key import CACHE_SECONDS

log = logging.getLogger(__name__)

AT_ONCE = 8
TIMELY_SECONDS = 5.0
"""What a lease must outlive a whole try by, or the parcel is left to whoever claims it next."""
LOOK_SECONDS = 0.25
"""How often a courier with free hands looks for more while it waits for answers."""
GATHER_SECONDS = 0.004
"""After one answer, how long others are waited for, to be recorded in the same statement."""
PATIENCE_SECONDS, PAUSE_SECONDS = 10.0, 0.5
"""How long, and how often, a database that is away is tried before answers are given up."""
MOST_BODY = 64 * 1024
MOST_BODY_OF_A_DELIVERY = 4 * 1024
MOST_HEADERS = 50


class Courier:
    """Delivers to endpoints of one health. Used as a context; leaving it waits for what is on its way."""

    def __init__(self, *, health: Health, at_once: int = AT_ONCE) -> None:
        self._health, self._at_once = health, at_once
        self._threads = ThreadPoolExecutor(at_once, thread_name_prefix="courier")
        self._on_their_way: set[Future[Try | None]] = set()
        self._signers = _Signers()

    def __enter__(self) -> Self:
        queue.recover()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        try:
            while self._on_their_way:
                self._record()
        finally:
            self._threads.shutdown()

    def step(self) -> int:
        """Sends what may be sent now and records what was answered; 0 when nothing is left to do."""
        started = self._start()
        return started + self._record() or len(self._on_their_way)

    def _start(self) -> int:
        free = self._at_once - len(self._on_their_way)
        parcels = queue.claim(health=self._health, limit=free) if free else []
        signers = {merchant: self._signers.of(merchant) for merchant in {one.merchant_id for one in parcels}}
        unsigned = [parcel for parcel in parcels if signers[parcel.merchant_id] is None]
        if unsigned:
            queue.give_back(parcels=unsigned)
        for parcel in parcels:
            if key := signers[parcel.merchant_id]:
                self._on_their_way.add(self._threads.submit(_deliver, parcel, key))
        return len(parcels) - len(unsigned)

    def _record(self) -> int:
        """Waits for an answer, gathers the others that come with it, and records them."""
        if not self._on_their_way:
            return 0
        wait(self._on_their_way, timeout=LOOK_SECONDS, return_when=FIRST_COMPLETED)
        done, self._on_their_way = wait(self._on_their_way, timeout=GATHER_SECONDS)
        tries = [one for future in done if (one := future.result())]
        if tries:
            _note(tries)
        return len(done)


def _note(tries: list[Try]) -> None:
    """Records, and waits a while for a database that is away: what receivers answered cannot be asked again.

    Recording the same try twice is harmless, so an unanswered COMMIT is no reason to stop.
    """
    until = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            return queue.record(tries=tries)
        except (OperationalError, InterfaceError) as error:
            if connection.in_atomic_block or time.monotonic() > until:
                raise
            log.warning("%s answers not recorded yet: %s", len(tries), error)
            connection.close()
            time.sleep(PAUSE_SECONDS)


class _Signers:
    """Merchants' keys, each believed for as long as a process may believe a key row."""

    def __init__(self) -> None:
        self._read: dict[int, tuple[float, SigningKey]] = {}

    def of(self, merchant: int) -> SigningKey | None:
        """The key that signs for the merchant; a missing one is asked for anew each time."""
        now = time.monotonic()
        read_at, key = self._read.get(merchant, (0.0, None))
        if key is None or now - read_at >= CACHE_SECONDS:
            self._read.pop(merchant, None)
            key = _signer(merchant)
            if key:
                self._read[merchant] = now, key
        return key


def _signer(merchant: int) -> SigningKey | None:
    """The merchant's key; None also when it cannot be read, which must not cost the merchant its tries."""
    try:
        return keys.signing_key_for(merchant)
    except DatabaseError:
        raise
    except Exception:
        log.exception("the signing key of merchant %s cannot be read", merchant)
        return None


def _deliver(parcel: Parcel, key: SigningKey) -> Try | None:
    """One POST of the stored bytes. None when it was too late: this process was stopped for a while."""
    if parcel.lease_left < connector.SECONDS + TIMELY_SECONDS:
        return None
    headers = {
        signing.KEY_HEADER: key.public_key,
        signing.SIGNATURE_HEADER: signing.sign(key.secret, parcel.body),
        "Content-Type": "application/json",
    }
    try:
        answer = connector.post(
            url=parcel.url, body=parcel.body, headers=headers, private_targets=settings.PRIVATE_TARGETS
        )
    except NotDelivered as error:
        return _failed(parcel, headers, error)
    except Exception as error:
        log.exception("callback %s: the connector failed", parcel.id)
        return Try(parcel, headers, error=f"Failed on our side: {type(error).__name__}")
    return _answered(parcel, headers, answer)


def _answered(parcel: Parcel, headers: Mapping[str, str], answer: Answer) -> Try:
    kept = MOST_BODY_OF_A_DELIVERY if answer.status == 200 else MOST_BODY
    return Try(
        parcel,
        headers,
        status=answer.status,
        response_headers={
            _storable(name): _storable(value) for name, value in list(answer.headers.items())[:MOST_HEADERS]
        },
        response_body=answer.body[:kept],
        ms=answer.ms,
        age=time.monotonic() - answer.sent_at,
        address=answer.address,
    )


def _failed(parcel: Parcel, headers: Mapping[str, str], error: NotDelivered) -> Try:
    return Try(
        parcel,
        headers,
        ms=error.ms,
        age=time.monotonic() - error.sent_at if error.sent_at else 0.0,
        address=error.address,
        error=_storable(str(error)),
    )


def _storable(text: str) -> str:
    """PostgreSQL's text holds no NUL, and a receiver may send anything."""
    return text.replace("\x00", "\\x00")[:2000]
