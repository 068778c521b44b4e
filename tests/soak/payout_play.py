"""What scenarios of payouts are made of: merchants with money, a scripted processor, and who lifts stops."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import psycopg

from tests.soak import orders, payer, payout_clock, payout_held, payout_oracle
from tests.soak.orders import Order
from tests.soak.payer import Payer
from tests.soak.scenario import Trial, Verdict
from tests.soak.shops import Shop

NUMBERS_PER_TRIAL = 10_000_000
ASKED_TIMES = 3
"""How often a question must have stayed open before its end counts as open."""
_LIFT = """
UPDATE payments_stop SET lifted_by = 'soak', lift_reason = 'looked into',
       lifted_at = now() + COALESCE((SELECT "offset" FROM merchants_clockoffset), interval '0')
 WHERE lifted_at IS NULL AND stopped_by_id IS NULL RETURNING reason
"""
_STANDING = """
SELECT o.foreign_id, w.state, w.asks
  FROM payments_withdrawal w JOIN payments_operation o ON o.id = w.operation_id
 WHERE w.merchant_id = ANY(%s)
"""


@dataclass
class PayoutPlay:
    """answers: (status, sentence) of each request, by the order's place in what was asked."""

    trial: Trial
    verdict: Verdict
    name: str
    count: int
    funds: Mapping[str, str]
    taken: list[Order] = field(default_factory=list)
    answers: Counter[str] = field(default_factory=Counter)
    trips: list[str] = field(default_factory=list)
    """Why the breaker stopped everything, each time that it did."""

    def __post_init__(self) -> None:
        self.world = self.trial.world
        wanted = orders.shops_for(f"{self.name} shop {self.trial.number}", count=self.count, funds=self.funds)
        self.shops: list[Shop] = self.world.stage(wanted)
        self._lock = threading.Lock()

    @property
    def ids(self) -> list[int]:
        return [shop.id for shop in self.shops]

    @contextmanager
    def paying(
        self, asked: Sequence[Order], *, slow: float = 0.0, wait: float = 1.0, hangs_for: float = 60.0
    ) -> Iterator[Payer]:
        """The processor listens, waits are shortened, and whoever looks after the breaker lifts its stops."""
        with ExitStack() as stack:
            first = self.trial.number * NUMBERS_PER_TRIAL + 5_000_001
            one = stack.enter_context(
                payer.listening(self.world, asked, first_number=first, slow=slow, hangs_for=hangs_for)
            )
            stack.enter_context(payout_clock.shortened(self.world, self.shops, wait=wait))
            stack.enter_context(self._lifting())
            yield one

    # --- what merchants do ---

    def ask(self, asked: Sequence[Order], *, at_once: int = 8) -> None:
        """Every order by a signed request, so many at once; returns when all are answered."""
        with ThreadPoolExecutor(at_once) as pool:
            list(pool.map(self._ask, asked))

    def ask_together(self, asked: Sequence[Order]) -> None:
        """Every order by a request of its own, all of them let go in the same moment."""
        start = threading.Barrier(len(asked))

        def ask(order: Order) -> None:
            start.wait()
            self._ask(order)

        threads = [threading.Thread(target=ask, args=(order,), daemon=True) for order in asked]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def _ask(self, order: Order) -> None:
        try:
            answer = self.world.call(self.shops[order.shop], "withdrawal/crypto", order.body, timeout=180)
            status, shown = answer.status_code, answer.text
        except OSError as error:  # requests' errors are
            status, shown = 0, type(error).__name__
        with self._lock:
            if status == 201:
                self.taken.append(order)
            self.answers["201" if status == 201 else f"{status} {shown[:200]}"] += 1

    # --- what is waited for ---

    def until(self, holds: Callable[[], bool], seconds: float) -> bool:
        """Whether it held within so many seconds."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            try:
                if holds():
                    return True
            except psycopg.OperationalError:
                pass
            time.sleep(0.25)
        return False

    def standing(self) -> dict[str, tuple[str, int]]:
        """(state, how often it was asked about), by the merchant's number."""
        return {row[0]: (row[1], row[2]) for row in self.world.ask(_STANDING, [self.ids])}

    def has_ended(self, ends: Mapping[str, str]) -> bool:
        """Whether every order came to where it ends; an open one once it was asked about for a while."""
        standing = self.standing()
        for foreign_id, end in ends.items():
            state, asks = standing.get(foreign_id, ("", 0))
            if state != payout_held.STATES[end] or (end == orders.HELD and asks < ASKED_TIMES):
                return False
        return True

    # --- what is judged ---

    def judge(
        self, one: Payer, ends: Mapping[str, str], *, paid_by_people: frozenset[str] = frozenset()
    ) -> None:
        """At most one payment each, nothing given back that was paid, and the books as the oracle says."""
        paid = [payment.address for payment in one.paid]
        named = {order.address: order for order in self.taken}
        doubles = payout_oracle.twice(paid)
        self.verdict.broken += [
            f"{named[address].foreign_id if address in named else address}"
            f" was paid {paid.count(address)} times"
            for address in doubles[: payout_held.SHOWN]
        ]
        self.verdict.demand(
            len(doubles) <= payout_held.SHOWN, f"… {len(doubles)} destinations were paid more than once"
        )
        stray = [address for address in set(paid) if address not in named]
        self.verdict.demand(not stray, f"{len(stray)} payments for orders that were never accepted")
        real = payout_held.ends(self.world, self.shops)
        wrong = payout_oracle.contradictions(self.taken, paid, real)
        self.verdict.broken += [*wrong[: payout_held.SHOWN], *one.strange[: payout_held.SHOWN]]
        expected = payout_oracle.expect(self.taken, ends, self._funds(), paid_by_people=paid_by_people)
        self._demand_balance(expected)
        payout_held.compare(self.verdict, self.world, expected, self.shops, self.taken)

    def _funds(self) -> dict[tuple[int, str], Decimal]:
        return {
            (shop, code): Decimal(amount)
            for shop in range(len(self.shops))
            for code, amount in self.funds.items()
        }

    def _demand_balance(self, expected: payout_oracle.Expected) -> None:
        """The oracle itself: what merchants began with is somewhere."""
        began: Counter[str] = Counter()
        for (_, code), amount in self._funds().items():
            began[code] += amount  # type: ignore[assignment]  # exact decimals in a counter
        for code, total in expected.sums().items():
            self.verdict.demand(total == began[code], f"the oracle does not balance in {code}")

    @contextmanager
    def _lifting(self) -> Iterator[None]:
        """The breaker stops everything after a few unknown outcomes; here somebody looks and lifts it."""
        over = threading.Event()

        def lift() -> None:
            while not over.wait(0.2):
                try:
                    self.trips += [reason for (reason,) in self.world.ask(_LIFT)]
                except psycopg.OperationalError:
                    continue

        lifter = threading.Thread(target=lift, name="lifter", daemon=True)
        lifter.start()
        try:
            yield
        finally:
            over.set()
            lifter.join()


def ends_of(asked: Sequence[Order]) -> dict[str, str]:
    """How each order must end, by what the processor was scripted to do."""
    return {order.foreign_id: order.behaviour.end for order in asked}


def counted(ends: Mapping[str, Any]) -> str:
    words = Counter(str(end if isinstance(end, str) else end[0]) for end in ends.values())
    return ", ".join(f"{count} {word}" for word, count in sorted(words.items()))
