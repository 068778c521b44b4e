"""A day's schedule in minutes: the wait for a retry is shortened, and how much of it was skipped is noted.

Bursar's code runs as it is. It computes when a callback is due next and writes that down; a trigger, in the
soak's own database alone, notes the moment and lets all but the last seconds of the wait be over at once.
Arrival, next arrival and the skipped time together are the gap that the merchant would have seen. The
trigger also notes when each lease was taken and given back, by the database's clock.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from tests.soak.delivery_oracle import Callback, Turn
from tests.soak.world import World

_MAKE = """
CREATE SCHEMA soak;
CREATE TABLE soak.turn (
    callback bigint, number int, claimed timestamptz NOT NULL, settled timestamptz,
    skipped interval NOT NULL DEFAULT '0', PRIMARY KEY (callback, number));
CREATE FUNCTION soak.note() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE
    wait interval := NEW.next_attempt_at - clock_timestamp();
BEGIN
    IF NEW.leased_until IS NOT NULL THEN
        INSERT INTO soak.turn (callback, number, claimed) VALUES (NEW.id, NEW.attempts, clock_timestamp())
        ON CONFLICT (callback, number) DO UPDATE SET claimed = excluded.claimed, settled = NULL;
        RETURN NEW;
    END IF;
    IF NEW.state = 'due' AND wait > interval '1 second' * {real} THEN
        wait := wait - interval '1 second' * {real};
        NEW.next_attempt_at := NEW.next_attempt_at - wait;
    ELSE
        wait := '0';
    END IF;
    UPDATE soak.turn SET settled = clock_timestamp(), skipped = wait
     WHERE callback = NEW.id AND number = OLD.attempts;
    RETURN NEW;
END $$;
CREATE TRIGGER soak_note BEFORE UPDATE ON callbacks_outgoingcallback
    FOR EACH ROW WHEN ((OLD.leased_until IS NULL) <> (NEW.leased_until IS NULL)
                       AND NEW.merchant_id = ANY('{merchants}'))
    EXECUTE FUNCTION soak.note();
"""
_UNMAKE = "DROP TRIGGER soak_note ON callbacks_outgoingcallback; DROP SCHEMA soak CASCADE"
_CALLBACKS = """
SELECT c.id, c.endpoint_id, c.subject_id, c.version, e.preset, encode(sha256(c.body), 'hex'),
       extract(epoch FROM c.created_at)::float8, c.state, c.attempts
  FROM callbacks_outgoingcallback c JOIN callbacks_endpoint e ON e.id = c.endpoint_id
 WHERE c.merchant_id = ANY(%s) ORDER BY c.id
"""
_TURNS = """
SELECT s.callback, s.number, extract(epoch FROM s.claimed)::float8, extract(epoch FROM s.settled)::float8,
       extract(epoch FROM s.skipped)::float8, a.id IS NOT NULL,
       COALESCE(a.error LIKE 'The worker stopped%%', false), a.status
  FROM soak.turn s JOIN callbacks_outgoingcallback c ON c.id = s.callback
  LEFT JOIN callbacks_deliveryattempt a ON a.callback_id = s.callback AND a.number = s.number
 WHERE c.merchant_id = ANY(%s) ORDER BY s.callback, s.number
"""


@contextmanager
def shortened(world: World, merchants: Sequence[int], *, real: float) -> Iterator[None]:
    """Only the last `real` seconds of each wait are waited for."""
    of = "{" + ",".join(str(one) for one in merchants) + "}"
    world.ask(_MAKE.replace("{real}", str(float(real))).replace("{merchants}", of))
    try:
        yield
    finally:
        world.ask(_UNMAKE)


def callbacks(world: World, merchants: Sequence[int]) -> list[Callback]:
    """The books of these merchants' callbacks, with every lease; while the wait is shortened."""
    found = {row[0]: Callback(*row) for row in world.ask(_CALLBACKS, [list(merchants)])}
    for callback, *facts in world.ask(_TURNS, [list(merchants)]):
        found[callback].turns.append(Turn(*facts))
    return list(found.values())
