"""What we ask of a v2 upstream: addresses, prices, balances, payouts and conversions.

An order is made into exact bytes by `prepare`, stored by the caller, and submitted as stored. Only a 400
that names a field, and none that could mean "I have this order already", is a refusal; whatever else is not
a readable acceptance leaves the outcome open.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from decimal import ROUND_HALF_EVEN, Context, Decimal

from payments.fees import fee_for
from payments.money import Money
from payments.processors.base import (
    Accepted,
    CannotTell,
    Capabilities,
    Conversion,
    ConversionNotice,
    DepositNotice,
    Fee,
    Issued,
    NotFound,
    Notice,
    Observed,
    Pair,
    Payout,
    PayoutNotice,
    PayoutStatus,
    Prepared,
    ProcessorError,
    Quote,
    Refused,
    Unreachable,
    Unreadable,
)
from payments.processors.gateway import fields
from payments.processors.gateway.fields import Fields
from payments.processors.gateway.inbound import read_notice
from payments.processors.gateway.transport import DEADLINE_SECONDS, MOST_BYTES, Answer, Transport
from payments.wire import amount_text, php_json

PRICE_PLACES = 18
_PRICING = Context(prec=60, rounding=ROUND_HALF_EVEN)

WITHDRAW = "withdrawal/crypto"
EXCHANGE_FIXED = "exchange/fixed"
EXCHANGE_NOW = "exchange/now"
_NOTICE_OF = {WITHDRAW: PayoutNotice, EXCHANGE_FIXED: ConversionNotice, EXCHANGE_NOW: ConversionNotice}
_KNOWN_ALREADY = ("taken", "already", "exist", "duplicate", "unique")
"""Words of an error that may mean that the order was taken before."""


class GatewayOutbound:
    """One upstream's API.

    Repeating an order never pays twice, as the upstream takes a foreign id once. It still is not safe to
    resubmit: a repeated order may be refused for a balance that its first try has used up, which proves
    nothing about the first. For the same reason a missing order may yet be on its way.
    """

    capabilities = Capabilities(
        pools=True,
        converts=True,
        pushes=True,
        watches=False,
        resubmit_is_safe=False,
        not_found_is_final=False,
        needs_customer=False,
    )

    def __init__(self, *, url: str, key: str, secret: str, deadline: float = DEADLINE_SECONDS) -> None:
        """deadline: seconds that a whole exchange may take. Raises `ProcessorError` for an unusable url."""
        self._transport = Transport(url=url, key=key, secret=secret, deadline=deadline)

    # --- addresses ---

    def issue(self, *, currency: str, convert_to: str | None, references: Sequence[str]) -> list[Issued]:
        """One address for each reference; the same one when a reference is asked for again.

        Raises `Refused`, `Unreachable`, `Unreadable`.
        """
        return [self._take(currency, convert_to, reference) for reference in references]

    def _take(self, currency: str, convert_to: str | None, reference: str) -> Issued:
        params = {"foreign_id": reference, "currency": currency} | _given("convert_to", convert_to)
        data = fields.mapping(self._ask("addresses/take", params), "data")
        issued = Issued(
            reference=fields.text(data, "foreign_id"),
            currency=fields.currency(data),
            convert_to=fields.optional_text(data, "convert_to"),
            address=fields.text(data, "address"),
            tag=fields.optional_text(data, "tag"),
            external_id=fields.identity(data),
        )
        if (issued.reference, issued.currency, issued.convert_to) != (reference, currency, convert_to):
            raise Unreadable(f"asked for an address of {reference}, got another's")
        return issued

    # --- prices and balances ---

    def quotes(self, pairs: Sequence[Pair] = ()) -> list[Quote]:
        """The present prices of these pairs, or of all; a pair without a price is left out.

        Raises `Unreachable`, `Unreadable`.
        """
        wanted = set(pairs)
        found = []
        for line in fields.lines(self._ask("currencies/rates", {}), "data"):
            source, target = fields.mapping(line, "currency_from"), fields.mapping(line, "currency_to")
            pair = Pair(str(source.get("currency")), str(target.get("currency")))
            price = None if wanted and pair not in wanted else _price(line, source, target)
            if price is not None:
                found.append(Quote(pair, price, *_minima(source)))
        return found

    def balances(self) -> list[Money]:
        """Our accounts there; one may be negative. Raises `Unreachable`, `Unreadable`."""
        return [
            Money(fields.balance(line.get("balance"), "balance"), fields.currency(line))
            for line in fields.lines(self._ask("accounts/list", {}), "data")
        ]

    def estimate(self, order: Payout | Conversion) -> Fee:
        """What the upstream would take for an order, without the network's share, which it does not say.

        Raises `Refused`, `Unreachable`, `Unreadable`.
        """
        if isinstance(order, Conversion):
            return self._calculate(order.source, order.target, order.amount, order.amount_to)
        if order.convert_to:
            amount = None if order.amount_to else order.amount
            return self._calculate(order.amount.currency, order.convert_to, amount, order.amount_to)
        percent = self._withdrawal_percent(order.amount.currency)
        return Fee(processing=fee_for(order.amount, percent=percent, minimum=Decimal(0)))

    def _calculate(self, source: str, target: str, amount: Money | None, amount_to: Money | None) -> Fee:
        params = {"sender_currency": source, "receiver_currency": target}
        params |= _given("sender_amount", _text(amount)) | _given("receiver_amount", _text(amount_to))
        data = fields.mapping(self._ask("exchange/calculate", params), "data")
        fee = fields.amount(data.get("fee_amount"), "fee_amount")
        return Fee(processing=Money(fee, fields.currency(data, "fee_currency")))

    def _withdrawal_percent(self, currency: str) -> Decimal:
        for line in fields.lines(self._ask("currencies/list", {}), "data"):
            if line.get("currency") == currency:
                percent = line.get("withdrawal_fee_percent")
                return fields.amount(percent, "withdrawal_fee_percent", places=PRICE_PLACES)
        raise Refused("The selected currency is invalid.", "currency")

    # --- orders ---

    def prepare(self, order: Payout | Conversion) -> Prepared:
        """The exact bytes of an order: the endpoint's path, a line feed, the request's body."""
        path, params = _payout(order) if isinstance(order, Payout) else _conversion(order)
        return Prepared(our_id=order.our_id, blob=path.encode("ascii") + b"\n" + php_json(params))

    def submit(self, prepared: Prepared) -> Accepted:
        """Sends the stored bytes. Raises `Refused` (definitely not done) or `Unreachable` (nobody knows)."""
        path, body = _unpacked(prepared)
        answer = self._transport.exchange(path, body)
        if answer.status in {200, 201}:
            return _accepted(answer, prepared.our_id)
        errors = _errors(answer)
        if errors and not _may_be_known(errors):
            raise Refused("; ".join(errors.values()), next(iter(errors)))
        raise Unreachable(f"{path}: {answer.status} {' '.join(errors.values())}".rstrip())

    def find(self, prepared: Prepared) -> Notice | NotFound | CannotTell:
        """Asks what became of an order, by the id that we gave it."""
        path, _ = _unpacked(prepared)
        try:
            answer = self._transport.exchange(
                "transactions/info", php_json({"foreign_id": prepared.our_id}), method="GET"
            )
        except Unreachable as error:
            return CannotTell(str(error))
        if answer.status == 404 and "foreign_id" in _errors(answer, status=404):
            return NotFound()
        if answer.status != 200:
            return CannotTell(f"transactions/info: {answer.status}")
        return _found(answer, prepared.our_id, _NOTICE_OF[path])

    def observe(self, cursor: str, watched: Sequence[str]) -> Observed:
        """Nothing: this upstream calls back."""
        del watched
        return Observed(cursor=cursor, bodies=(), more=False)

    def _ask(self, path: str, params: Mapping[str, object]) -> Fields:
        """A question's answer. Raises `Refused` for named fields, `Unreachable`, `Unreadable`."""
        answer = self._transport.exchange(path, php_json(params) if params else b"{}")
        if answer.status in {200, 201}:
            return fields.parsed(answer.body, longest=MOST_BYTES)
        errors = _errors(answer)
        if errors:
            raise Refused("; ".join(errors.values()), next(iter(errors)))
        raise Unreachable(f"{path}: {answer.status}")


def _payout(order: Payout) -> tuple[str, Mapping[str, object]]:
    amount = {"amount_to": _text(order.amount_to)} if order.amount_to else {"amount": _text(order.amount)}
    params: dict[str, object] = {"foreign_id": order.our_id, **amount, "currency": order.amount.currency}
    params |= _given("convert_to", order.convert_to) | {"address": order.address}
    params |= _given("tag", order.tag) | _given("end_user_reference", order.end_user_reference)
    return WITHDRAW, {**params, **{key: value for key, value in order.extra.items() if key not in params}}


def _conversion(order: Conversion) -> tuple[str, Mapping[str, object]]:
    if (order.amount is None) == (order.amount_to is None):
        raise ProcessorError("a conversion has exactly one of its amounts")
    params = {
        "foreign_id": order.our_id,
        "sender_currency": order.source,
        "receiver_currency": order.target,
    }
    params |= _given("sender_amount", _text(order.amount)) | _given("receiver_amount", _text(order.amount_to))
    if order.price is None:
        return EXCHANGE_NOW, params
    return EXCHANGE_FIXED, params | {"price": f"{order.price:f}"}


def _unpacked(prepared: Prepared) -> tuple[str, bytes]:
    path, _, body = prepared.blob.partition(b"\n")
    name = path.decode("ascii", errors="replace")
    if name not in _NOTICE_OF or not body:
        raise ProcessorError(f"the stored bytes of {prepared.our_id} are no order of a v2 upstream")
    return name, body


def _accepted(answer: Answer, our_id: str) -> Accepted:
    """Anything but a readable acceptance of this very order leaves its outcome open."""
    try:
        data = fields.mapping(fields.parsed(answer.body), "data")
        accepted = Accepted(fields.identity(data), fields.member(PayoutStatus, data, "status"))
        theirs = fields.text(data, "foreign_id")
    except Unreadable as error:
        raise Unreachable(f"{answer.status}, but {error}") from None
    if theirs != our_id:
        raise Unreachable(f"{answer.status}, but for {theirs}")
    return accepted


def _errors(answer: Answer, *, status: int = 400) -> dict[str, str]:
    """The fields that were refused with their sentences; empty when the answer has not exactly that shape."""
    if answer.status != status:
        return {}
    try:
        errors = fields.mapping(fields.parsed(answer.body), "errors")
    except Unreadable:
        return {}
    return dict(errors) if all(isinstance(text, str) for text in errors.values()) else {}


def _may_be_known(errors: Mapping[str, str]) -> bool:
    sentences = " ".join(errors.values()).lower()
    return "foreign_id" in errors or any(word in sentences for word in _KNOWN_ALREADY)


def _found(answer: Answer, our_id: str, kind: type[PayoutNotice | ConversionNotice]) -> Notice | CannotTell:
    try:
        notice = read_notice(fields.parsed(answer.body))
    except Unreadable as error:
        return CannotTell(f"transactions/info: {error}")
    if isinstance(notice, DepositNotice) or not isinstance(notice, kind):
        return CannotTell("transactions/info: another kind of operation has this id")
    named = replace(notice, our_id=notice.our_id or our_id)
    if named.our_id != our_id:
        return CannotTell(f"transactions/info: asked for {our_id}, got {named.our_id}")
    return named


def _price(line: Fields, source: Fields, target: Fields) -> Decimal | None:
    """Units of target for one of source; None for none.

    From fiat to crypto the protocol shows the price of the crypto, the inverse of what it is.
    """
    parts = [fields.amount(line.get(name), name, places=PRICE_PLACES) for name in ("rate_from", "rate_to")]
    if source.get("type") == "fiat" and target.get("type") == "crypto":
        parts.reverse()
    if not all(parts):
        return None
    price = _PRICING.divide(parts[1], parts[0]).quantize(Decimal(1).scaleb(-PRICE_PLACES), context=_PRICING)
    return price or None


def _minima(source: Fields) -> tuple[Decimal | None, Decimal | None]:
    """Least amount to exchange, least deposit to convert on arrival."""
    names = ("min_amount", "min_amount_deposit_with_exchange")
    values = [None if source.get(name) is None else fields.amount(source[name], name) for name in names]
    return values[0], values[1]


def _text(money: Money | None) -> str | None:
    return None if money is None else amount_text(money.amount)


def _given(key: str, value: str | None) -> dict[str, str]:
    return {} if value is None else {key: value}
