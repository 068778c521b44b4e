"""How ten minutes of asking are tried in seconds: waits are shortened in the soak's own database alone.

Bursar's code runs as it is. A trigger notes how long each wait would have been, and lets it be over after
`wait` seconds; what was written down and may have been handed over keeps at least `lease` seconds, which is
more than any exchange takes. Business time is moved by its own offset.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta

from tests.soak.shops import Shop
from tests.soak.world import World

LEASE_SECONDS = 13.0
_SHORTEN = """
CREATE TABLE IF NOT EXISTS soak_wait (
    number bigint GENERATED ALWAYS AS IDENTITY, operation_id bigint, state text, intended interval,
    at timestamptz);
CREATE OR REPLACE FUNCTION soak_shorten() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
  IF NEW.next_ask_at > clock_timestamp() AND NEW.next_ask_at IS DISTINCT FROM OLD.next_ask_at
     AND NEW.merchant_id = ANY(ARRAY[{merchants}]::bigint[]) THEN
    INSERT INTO soak_wait (operation_id, state, intended, at)
    VALUES (NEW.operation_id, NEW.state, NEW.next_ask_at - clock_timestamp(), clock_timestamp());
    NEW.next_ask_at := clock_timestamp() + CASE
      WHEN OLD.state = 'approved' AND NEW.state = 'sending' THEN interval '{lease} s'
      ELSE interval '{wait} s' END;
  END IF;
  RETURN NEW;
END $$;
CREATE OR REPLACE TRIGGER soak_shorten BEFORE UPDATE ON payments_withdrawal
  FOR EACH ROW EXECUTE FUNCTION soak_shorten();
"""
_WAITED = """
SELECT o.foreign_id, COALESCE(sum(w.intended), interval '0')
  FROM payments_operation o LEFT JOIN soak_wait w ON w.operation_id = o.id AND w.state <> 'sending'
       AND w.number < (SELECT max(number) FROM soak_wait WHERE operation_id = o.id)
 WHERE o.merchant_id = ANY(%s) GROUP BY 1
"""
"""A question notes the wait until the next one before it is asked: the last wait never came about."""


@contextmanager
def shortened(world: World, shops: Sequence[Shop], *, wait: float) -> Iterator[None]:
    """The waits of these merchants' withdrawals."""
    merchants = ", ".join(str(shop.id) for shop in shops)
    world.ask(_SHORTEN.format(merchants=merchants, lease=LEASE_SECONDS, wait=wait))
    try:
        yield
    finally:
        world.ask("DROP TRIGGER IF EXISTS soak_shorten ON payments_withdrawal")


def waited(world: World, shops: Sequence[Shop]) -> dict[str, timedelta]:
    """By its merchant's number, how long each would have waited in all, until it was last asked about."""
    return dict(world.ask(_WAITED, [[shop.id for shop in shops]]))


def move(world: World, by: timedelta) -> None:
    """Business time goes on by so much at once."""
    world.ask(
        'INSERT INTO merchants_clockoffset AS c (id, "offset") VALUES (1, %s)'
        ' ON CONFLICT (id) DO UPDATE SET "offset" = c."offset" + excluded."offset"',
        [by],
    )
