"""What the defects do: each function gets the module that it breaks, just loaded."""

from __future__ import annotations

import dataclasses
import json
import threading
import time
from collections.abc import Sequence
from datetime import datetime
from types import ModuleType, SimpleNamespace
from typing import Any


def forgets_what_is_booked(operation: ModuleType) -> None:
    operation.Operation.is_booked = property(lambda self: False)


def leases_for_ever(incoming: ModuleType) -> None:
    incoming.LEASE_SECONDS = 10**9


def stores_whatever_comes(incoming: ModuleType) -> None:
    def receive(*, processor_code: str, request: Any) -> bool:
        incoming.registry.inbound(processor_code).verify(request)
        incoming.IncomingCallback.objects.create(
            processor=processor_code,
            sha256=incoming.hashlib.sha256(request.body).digest(),
            raw=request.body,
            headers={},
        )
        return True

    incoming.receive = receive


def stores_after_the_answer(incoming: ModuleType) -> None:
    receive = incoming.receive

    def store(options: dict[str, Any]) -> None:
        time.sleep(0.3)
        try:
            receive(**options)
        finally:
            incoming.connection.close()

    def carelessly(**options: Any) -> bool:
        incoming.registry.inbound(options["processor_code"]).verify(options["request"])
        threading.Thread(target=store, args=(options,)).start()
        return True

    incoming.receive = carelessly


def marks_before_it_books(incoming: ModuleType) -> None:
    apply_at_once = incoming._apply

    def apply(readings: Sequence[Any], now: datetime) -> None:
        claims = [reading.claim for reading in readings]
        marked = incoming._mark_applied(claims)
        time.sleep(0.05)
        mark, incoming._mark_applied = incoming._mark_applied, lambda claims: marked
        try:
            apply_at_once(readings, now)
        finally:
            incoming._mark_applied = mark

    incoming._apply = apply


def notes_another_balance(posting: ModuleType) -> None:
    insert = posting._insert_postings

    def insert_wrongly(ids: Sequence[int], rows: Sequence[Any]) -> None:
        insert(ids, [row._replace(balance_after=row.balance_after and row.amount) for row in rows])

    posting._insert_postings = insert_wrongly


def needs_the_broker(doorbell: ModuleType) -> None:
    def ring(bell: Any) -> bool:
        if not doorbell._valkey().set(doorbell._key(bell), 1, nx=True, ex=1):
            return False
        doorbell.current_app.send_task(bell.task, queue=bell.queue, expires=30, retry=False)
        return True

    doorbell.ring = ring


def lets_codes_be_guessed(device: ModuleType) -> None:
    device.TotpDevice.get_throttle_factor = lambda self: 0


def lets_tries_be_repeated(throttle: ModuleType) -> None:
    throttle.LIMITS = dict.fromkeys(throttle.LIMITS, throttle.Limit(free=1_000_000, longest=1))


def waits_before_it_connects_again(base: ModuleType) -> None:
    connect, until = base.DatabaseWrapper.get_new_connection, [0.0]

    def sulkily(self: Any, parameters: Any) -> Any:
        if time.monotonic() < until[0]:
            raise base.Database.OperationalError("not now")
        try:
            return connect(self, parameters)
        except base.Database.OperationalError:
            until[0] = time.monotonic() + 100
            raise

    base.DatabaseWrapper.get_new_connection = sulkily


def gives_short_leases(queue: ModuleType) -> None:
    """Others believe after a moment that the worker is dead; it believes that it has time."""
    queue.LEASE_SECONDS = 0.05
    queue.Parcel.lease_left = property(lambda self: 25.0)


def never_finds_the_lost(queue: ModuleType) -> None:
    queue.recover = lambda: 0


def signs_what_it_writes_again(courier: ModuleType) -> None:
    sign = courier.signing.sign
    courier.signing = SimpleNamespace(
        KEY_HEADER=courier.signing.KEY_HEADER,
        SIGNATURE_HEADER=courier.signing.SIGNATURE_HEADER,
        sign=lambda secret, body: sign(secret, json.dumps(json.loads(body)).encode()),
    )


def serves_whoever_has_most(queue: ModuleType) -> None:
    queue._READY = queue._READY.replace(f"< {queue.AT_ONCE_PER_ENDPOINT}", "< 1000")
    queue.AT_ONCE_PER_ENDPOINT = 1000
    queue._follow_health = lambda one: None


def skips_the_first_minute(schedule: ModuleType) -> None:
    next_delay = schedule.next_delay
    schedule.next_delay = lambda preset, attempts: next_delay(preset, attempts + 1)


def sends_the_old_after_the_new(queue: ModuleType) -> None:
    queue._ITS_TURN = "true"
    queue._RECORD = queue._RECORD.replace("n.version > c.version", "false").replace(
        "o.version < s.version", "false"
    )


def locks_no_balance(posting: ModuleType) -> None:
    posting._LOCK = posting._FIND + " WHERE a.kept"


def orders_again_after_silence(outbound: ModuleType) -> None:
    submit = outbound.GatewayOutbound.submit

    def insist(self: Any, prepared: Any) -> Any:
        try:
            return submit(self, prepared)
        except outbound.Unreachable:
            return submit(self, prepared)

    outbound.GatewayOutbound.submit = insist


def takes_silence_for_a_no(outbound: ModuleType) -> None:
    submit = outbound.GatewayOutbound.submit

    def despair(self: Any, prepared: Any) -> Any:
        try:
            return submit(self, prepared)
        except outbound.Unreachable as error:
            raise outbound.Refused(str(error)) from None

    outbound.GatewayOutbound.submit = despair


def takes_not_found_for_a_no(outbound: ModuleType) -> None:
    known = outbound.GatewayOutbound.capabilities
    outbound.GatewayOutbound.capabilities = dataclasses.replace(known, not_found_is_final=True)


def hands_over_before_it_commits(sending: ModuleType) -> None:
    """What the processor answered is put before the sender once the order is written down."""

    def send_due(*, processor: Any, outbound: Any, now: datetime) -> int:
        found = sending._next(processor)
        if found is None:
            return 0
        prepared = outbound.prepare(sending.payouts.order_of(found))
        try:
            accepted = outbound.submit(prepared)
            answered = SimpleNamespace(submit=lambda _prepared: accepted)
        except Exception as error:  # noqa: BLE001 - whatever it was is raised again
            answered = SimpleNamespace(submit=_raising(error))
        if sending._begin(found, prepared, now):
            sending._hand_over(found.operation_id, prepared, answered, now)
        return 1

    sending.send_due = send_due


def _raising(error: Exception) -> Any:
    def submit(_prepared: Any) -> Any:
        raise error

    return submit


def asks_nobody(sending: ModuleType) -> None:
    sending.ask_due = lambda **_options: 0


def tells_nobody(outcomes: ModuleType) -> None:
    outcomes.tell_stuck = lambda **_options: 0


def sees_no_stop(controls: ModuleType) -> None:
    controls.is_stopped = lambda _merchant_id: False


def looks_past_stops(sending: ModuleType) -> None:
    for name in ("_NEXT", "SEND_DUE_SQL"):
        text = getattr(sending, name)
        start = text.index("AND NOT EXISTS (SELECT 1 FROM payments_stop")
        end = text.index("w.merchant_id))", start) + len("w.merchant_id))")
        setattr(sending, name, text[:start] + text[end:])
