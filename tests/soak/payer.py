"""The scripted processor that is ordered to pay: a v2 server with a log of what it paid.

It is careless on purpose: it pays as often as an order reaches it, whichever foreign id that carries, so that
an order handed over twice is seen as money paid twice. How it answers each order is the destination's
`Behaviour`. Its log, `paid`, is what the oracle believes. It moves no coins and imports nothing of Bursar's
but how requests are signed.

    with listening(world, orders) as payer:
        ... payer.paid ... payer.received
"""

from __future__ import annotations

import json
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from decimal import ROUND_UP, Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from merchants import signing
from tests.soak import orders
from tests.soak.orders import Behaviour, Order
from tests.soak.upstream import _Line
from tests.soak.world import UPSTREAM_KEY, UPSTREAM_SECRET, World

API = "/api/v2/"
LATE_SECONDS = 12.0
"""More than the sender waits for an answer."""
TOLD_AFTER_SECONDS = 0.4
TELLS_FOR_SECONDS = 120.0
UNIT = Decimal("0.00000001")
_WRITTEN_DOWN = """
SELECT w.address FROM payments_withdrawal w WHERE w.state = 'sending' AND w.address = ANY(%s)
"""


@dataclass(frozen=True)
class Paid:
    """Money that left. at: by the monotonic clock."""

    foreign_id: str
    address: str
    currency: str
    amount: Decimal
    at: float


@dataclass
class Received:
    """An order as it came. number: what the processor calls it."""

    number: int
    foreign_id: str
    order: Order
    at: float
    status: str = "processing"


@dataclass
class Payer:
    """kill: what ends the sender at once. slow: seconds that each order takes before anything happens."""

    world: World
    script: Mapping[str, Order]
    kill: Callable[[], None]
    first_number: int
    slow: float = 0.0
    hangs_for: float = 60.0
    paid: list[Paid] = field(default_factory=list)
    received: list[Received] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    """Foreign ids that `transactions/info` was asked about."""
    strange: list[str] = field(default_factory=list)
    """What nobody should send: bad signatures, unknown destinations, another amount than was ordered."""
    told: int = 0
    silent_first: int = 0
    """How many questions about each order go unanswered before it says anything."""

    def __post_init__(self) -> None:
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._spared = {
            order.address for order in self.script.values() if order.behaviour.answer == orders.DIES_BEFORE
        }
        self._tellers: list[threading.Thread] = []

    # --- what it is asked for ---

    def interrupts(self) -> bool:
        """Whether a connection that was just opened is for an order before whose write the sender dies."""
        with self._lock:
            spared = list(self._spared)
        hit = {address for (address,) in self.world.ask(_WRITTEN_DOWN, [spared])} if spared else set()
        if not hit:
            return False
        with self._lock:
            self._spared -= hit
        self.kill()
        return True

    def order(self, body: Mapping[str, Any]) -> Received | None:
        """Takes an order, and pays it at once if it pays."""
        scripted = self.script.get(str(body.get("address")))
        foreign_id = str(body.get("foreign_id"))
        if scripted is None:
            self._note(f"an order to a destination that nobody asked for: {body}")
            return None
        asked_for = (scripted.currency, f"{scripted.amount:f}")
        if (body.get("currency"), str(Decimal(str(body.get("amount", 0))).normalize())) != (
            asked_for[0],
            str(scripted.amount.normalize()),
        ):
            self._note(f"an order of {body.get('amount')} {body.get('currency')}, not of {asked_for}")
        self._over.wait(self.slow)
        with self._lock:
            one = Received(self.first_number + len(self.received), foreign_id, scripted, time.monotonic())
            self.received.append(one)
            if scripted.behaviour.pays:
                self.paid.append(
                    Paid(foreign_id, scripted.address, scripted.currency, scripted.amount, one.at)
                )
        if scripted.behaviour.calls == orders.BEFORE:
            self._tell(one)
        return one

    def follow(self, one: Received) -> None:
        """What happens after the answer."""
        calls = one.order.behaviour.calls
        if calls in {orders.AFTER, orders.CANCELS}:
            teller = threading.Thread(target=self._tell_later, args=(one,), daemon=True)
            teller.start()
            self._tellers.append(teller)  # begun before it is listed: who ends joins whatever is listed

    def about(self, foreign_id: str) -> dict[str, Any] | None:
        """The operation of that id as it is now; None where nothing is known of it. Raises when silent."""
        with self._lock:
            self.asked.append(foreign_id)
            found = next((one for one in self.received if one.foreign_id == foreign_id), None)
        info = found.order.behaviour.info if found else orders.FORGETS
        if info == orders.SILENT or self.asked.count(foreign_id) <= self.silent_first:
            raise Silent
        if found is None or info == orders.FORGETS:
            return None
        return self._body(found)

    # --- what it says by itself ---

    def _tell_later(self, one: Received) -> None:
        self._over.wait(TOLD_AFTER_SECONDS)
        self._tell(one)

    def _tell(self, one: Received) -> None:
        """Calls back, twice, until it is answered with 200."""
        one.status = "cancelled" if one.order.behaviour.calls == orders.CANCELS else "confirmed"
        raw = json.dumps(self._body(one), separators=(",", ":")).encode()
        line, end = _Line(self.world.intake), time.monotonic() + TELLS_FOR_SECONDS
        for _ in range(2):
            while line.post(raw) != 200 and time.monotonic() < end:
                time.sleep(0.2)
        line.close()
        with self._lock:
            self.told += 1

    def _body(self, one: Received) -> dict[str, Any]:
        order, done = one.order, one.status == "confirmed" or one.order.behaviour.pays
        money = {"currency": order.currency, "amount": f"{order.amount:f}"}
        leg = {"id": 2 * one.number, "currency": order.currency, "transaction_type": "blockchain"}
        leg |= {"type": "withdrawal", "address": order.address, "tag": None, "amount": f"{order.amount:f}"}
        status = "confirmed" if done else one.status
        if status == "confirmed":
            leg["txid"] = f"{one.number:064x}"
        fees = upstream_fees(order) if status == "confirmed" else {}
        sent = {} if status == "cancelled" else {"currency_sent": money, "currency_received": money}
        return {
            "id": one.number,
            "foreign_id": one.foreign_id,
            "type": "withdrawal",
            "crypto_address": {"id": 1, "currency": order.currency, "address": order.address, "tag": None},
            **sent,
            "transactions": [leg | {"confirmations": "0"}],
            "fees": [
                {"type": kind, "currency": order.currency, "amount": f"{fee:f}"} for kind, fee in fees.items()
            ],
            "error": "The node did not take it" if status == "cancelled" else "",
            "status": status,
        }

    def accepted(self, one: Received, foreign_id: str) -> dict[str, Any]:
        order = one.order
        amount = f"{order.amount:.8f}"
        return {
            "data": {
                "id": one.number,
                "foreign_id": foreign_id,
                "type": "withdrawal",
                "status": "processing",
                "amount": amount,
                "sender_amount": amount,
                "sender_currency": order.currency,
                "receiver_amount": amount,
                "receiver_currency": order.currency,
            }
        }

    def wait(self, seconds: float) -> None:
        self._over.wait(seconds)

    def close(self) -> None:
        self._over.set()
        for teller in self._tellers:
            teller.join()

    def _note(self, what: str) -> None:
        with self._lock:
            self.strange.append(what)


class Silent(Exception):
    """The processor does not say."""


def upstream_fees(order: Order) -> dict[str, Decimal]:
    """What the processor itself takes for a payment."""
    percent = (order.amount * orders.UPSTREAM_PERCENT).quantize(UNIT, ROUND_UP)
    return {"mining": orders.UPSTREAM_MINING, "withdrawal": percent}


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128
    payer: Payer

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A peer that went away is part of the play."""


class _Request(BaseHTTPRequestHandler):
    """One connection: Bursar's sender uses each for one exchange."""

    protocol_version = "HTTP/1.1"
    server: _Server

    def setup(self) -> None:
        super().setup()
        self.is_cut = self.server.payer.interrupts()

    def handle(self) -> None:
        if not self.is_cut:
            super().handle()

    def do_GET(self) -> None:
        self._serve()

    def do_POST(self) -> None:
        self._serve()

    def log_message(self, *_arguments: Any) -> None:
        """The log is the payer's."""

    def _serve(self) -> None:
        payer = self.server.payer
        raw = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        parts = urlsplit(self.path)
        path = parts.path.removeprefix(API)
        if path == "ping":
            return self._answer(200, b"OK")
        wanted = signing.sign(UPSTREAM_SECRET, raw)
        if (self.headers.get(signing.KEY_HEADER), self.headers.get(signing.SIGNATURE_HEADER)) != (
            UPSTREAM_KEY,
            wanted,
        ):
            payer._note(f"a request to {path} with a wrong signature")
            return self._json(403, {"errors": {"error": "Bad signature", "code": "bad_signature"}})
        body = json.loads(raw or b"{}") | {key: values[0] for key, values in parse_qs(parts.query).items()}
        if path == "withdrawal/crypto":
            return self._take(payer, body)
        if path == "transactions/info":
            return self._inform(payer, str(body.get("foreign_id")))
        if path == "currencies/rates":
            return self._json(200, {"data": []})
        return self._answer(503, b"not now")  # balances, addresses: nothing that this processor tells

    def _take(self, payer: Payer, body: Mapping[str, Any]) -> None:
        one = payer.order(body)
        if one is None:
            return self._json(400, {"errors": {"address": "The address is invalid."}})
        try:
            self._answer_order(payer, one, one.order.behaviour)
        finally:
            payer.follow(one)

    def _answer_order(self, payer: Payer, one: Received, behaviour: Behaviour) -> None:
        answer, accepted = behaviour.answer, payer.accepted(one, one.foreign_id)
        readable = {
            orders.ACCEPTS: (201, accepted),
            orders.ANOTHERS: (201, payer.accepted(one, f"{one.foreign_id}-of-another")),
            orders.REFUSES: (400, {"errors": {"address": "The address is invalid."}}),
            orders.USED: (400, {"errors": {"foreign_id": "The foreign id has already been taken."}}),
        }
        unreadable = {orders.RUBBISH: 200, orders.BAD_GATEWAY: 502, orders.TOO_MANY: 429}
        unreadable |= {orders.UNAUTHORISED: 401}
        if answer in readable:
            self._json(*readable[answer])
        elif answer in unreadable:
            self._answer(unreadable[answer], b"<html>Maintenance</html>")
        elif answer == orders.TRUNCATES:
            raw = json.dumps(accepted).encode()
            self._answer(201, raw[: len(raw) // 2], length=len(raw))
        elif answer == orders.LATE:
            payer.wait(LATE_SECONDS)
            self._json(201, accepted)
        else:
            self._break_off(payer, answer)

    def _break_off(self, payer: Payer, answer: str) -> None:
        if answer == orders.HANGS:
            payer.wait(payer.hangs_for)
        elif answer == orders.DIES:
            payer.kill()
        self._reset()

    def _inform(self, payer: Payer, foreign_id: str) -> None:
        try:
            body = payer.about(foreign_id)
        except Silent:
            return self._answer(503, b"not now")
        if body is None:
            return self._json(404, {"errors": {"foreign_id": "Transaction not found."}})
        return self._json(200, body)

    def _json(self, status: int, body: Mapping[str, Any]) -> None:
        self._answer(status, json.dumps(body).encode())

    def _answer(self, status: int, raw: bytes, length: int | None = None) -> None:
        """length: how many bytes are promised, where fewer come."""
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(raw) if length is None else length))
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(raw)
        self.close_connection = True

    def _reset(self) -> None:
        """RST instead of an answer."""
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()  # sooner than the server would say farewell
        self.close_connection = True


@contextmanager
def listening(
    world: World, asked: Sequence[Order], *, first_number: int, slow: float = 0.0, hangs_for: float = 60.0
) -> Iterator[Payer]:
    """The processor at the address where the installation expects its own."""
    payer = Payer(
        world,
        orders.by_address(asked),
        lambda: world.kill("sender"),
        first_number,
        slow=slow,
        hangs_for=hangs_for,
    )
    server = _Server(("127.0.0.1", world.installation.ports.sandbox), _Request)
    server.payer = payer
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.1}, daemon=True).start()
    try:
        yield payer
    finally:
        payer.close()
        server.shutdown()
        server.server_close()
