"""What an order to pay out must be, and what it comes to: read from the present terms and prices.

All that is wrong is told at once, one sentence for each field. Nothing is written here.

An amount is what is debited, fees apart; with a conversion the merchant may fix what arrives instead, and
the other side is reckoned at the present price. The fee is the terms' percentage of what is debited, at
least their minimum; the mining fee is the terms' quote. Both are in the currency debited.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import ROUND_CEILING, Context, Decimal

from merchants.errors import Refusal
from merchants.models import Merchant
from payments import destinations, fees, rates, terms, transfers
from payments.currencies import PRECISION, Currency
from payments.errors import BelowMinimum, FieldRefusal, Required, SelectedIsInvalid
from payments.models import FixedSide, Processor, Rate, Route
from payments.models.route import RouteOperation
from payments.money import Money
from payments.processors.base import Pair
from payments.terms import Offer
from payments.wire import BadAmount, TooManyDecimals

_PRICING = Context(prec=60, rounding=ROUND_CEILING)
_LARGEST = Decimal(10) ** 17
"""As the wire reads amounts: 17 digits before the point."""
_SMALLEST = Decimal(1).scaleb(-PRECISION)


class Wrong(Refusal):
    """{sentence}"""

    def __init__(self, sentences: Mapping[str, str]) -> None:
        """sentences: by field; the first one speaks where only one is shown."""
        self.sentences = dict(sentences)
        first, sentence = next(iter(self.sentences.items()))
        super().__init__(field=first, sentence=sentence)


class OneAmountOnly(FieldRefusal):
    """Only one of amount and amount_to can be given."""

    field = "amount"


class NotPositive(FieldRefusal):
    """The {attr} must be greater than 0."""


class OwnAddress(FieldRefusal):
    """The {attr} is one of your own deposit addresses: nothing would be paid."""

    field = "address"


@dataclass(frozen=True, slots=True)
class Order:
    """What is asked for. foreign_id: None lets staff's get a number of its own (`bo-…`).

    amount: debited, fees apart, in `currency`; amount_to: to arrive, in `convert_to`; one of the two.
    parties: compliance data, kept as given and passed on. unread: by field, what the door could not read;
    it is told together with what is wrong here.
    """

    foreign_id: str | None
    currency: str
    address: str
    amount: Decimal | None = None
    amount_to: Decimal | None = None
    convert_to: str = ""
    tag: str | None = None
    end_user_reference: str | None = None
    note: str = ""
    parties: Mapping[str, object] | None = None
    unread: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Checked:
    """An order that may be taken. money: debited, fees apart; pays: what arrives. lookup: of the address."""

    offer: Offer
    processor: Processor
    money: Money
    pays: Money
    fixed_side: FixedSide
    fee: Money
    mining_fee: Money
    address: str
    lookup: str
    tag: str | None
    is_internal: bool
    rate: Rate | None

    @property
    def held(self) -> Money:
        return self.money + self.fee + self.mining_fee

    @property
    def convert_to(self) -> str:
        return self.pays.currency if self.rate else ""


def check(*, merchant: Merchant, order: Order, now: datetime) -> Checked:
    """What the order comes to. Raises `Wrong` with everything that is wrong."""
    return _Check(merchant, order, now).judged()


class _Check:
    """One order being read; `faults` is by field and keeps the first sentence of each."""

    def __init__(self, merchant: Merchant, order: Order, now: datetime) -> None:
        self.merchant, self.order, self.now = merchant, order, now
        self.faults: dict[str, str] = dict(order.unread)
        named = [code for code in (order.currency, order.convert_to) if code]
        self.offers = terms.enabled(merchant_id=merchant.pk, now=now, among=named)

    def judged(self) -> Checked:
        order = self.order
        source = self._currency("currency", crypto_only=not order.convert_to and self._can("convert_to"))
        target = self._currency("convert_to", crypto_only=True) if order.convert_to else None
        rate = self._rate(source, target) if target else None
        processor = self._processor(source)
        sends = target or (None if order.convert_to else source)
        place = self._place(sends.currency if sends else None)
        inside = self._inside(source, target, processor, place) if place else None
        sides = self._sides(source, rate)
        if sides and sends:
            self._demand_minimum(sends, sides, rate, inside)
        if self.faults:
            raise Wrong(self.faults)
        if not (source and processor and place and sides):
            raise RuntimeError("an order without a fault has all its parts")
        money, pays = sides
        return Checked(
            offer=source,
            processor=processor,
            money=money,
            pays=pays,
            fixed_side=FixedSide.RECEIVED if order.amount is None else FixedSide.SENT,
            fee=_fee(source, money, converts=target is not None),
            mining_fee=Money(Decimal(0) if inside else source.terms.withdrawal_mining_fee, money.currency),
            address=place.address,
            lookup=place.lookup,
            tag=place.tag,
            is_internal=inside is not None,
            rate=rate,
        )

    # --- currencies ---

    def _currency(self, name: str, *, crypto_only: bool) -> Offer | None:
        code = getattr(self.order, name)
        if not self._can(name):
            return None
        if not code:
            self._refuse(Required(field=name))
            return None
        offer = self.offers.get(code)
        if offer is None or (crypto_only and not offer.currency.is_crypto):
            self._refuse(SelectedIsInvalid(field=name))
            return None
        return offer

    def _rate(self, source: Offer | None, target: Offer) -> Rate | None:
        """The present price of the pair; without a fresh one it is not available."""
        if source is None:
            return None
        pair = Pair(source.currency.code, target.currency.code)
        rate = rates.current(merchant=self.merchant, now=self.now).get(pair)
        if rate is None or pair.source == pair.target:
            self._refuse(SelectedIsInvalid(field="convert_to"))
            return None
        return rate

    def _processor(self, source: Offer | None) -> Processor | None:
        if source is None:
            return None
        processor = Route.objects.choose(
            merchant=self.merchant,
            currency=source.currency.code,
            operation=RouteOperation.WITHDRAWAL,
            now=self.now,
        )
        if processor is None:
            self._refuse(SelectedIsInvalid(field="currency"))
        return processor

    # --- where to ---

    def _place(self, currency: Currency | None) -> destinations.Destination | None:
        """The address and tag; each is refused for itself. Without a network only their absence shows."""
        order = self.order
        if not self._can("address"):
            return None
        if currency is None:
            if not order.address:
                self._refuse(Required(field="address"))
            return None
        if self._can("tag"):
            self._try(lambda: destinations.read_tag(currency, order.tag))
        self._try(lambda: destinations.read_address(currency, order.address))
        if not self._can("address", "tag"):
            return None
        return destinations.read(currency, order.address, order.tag)

    def _inside(
        self,
        source: Offer | None,
        target: Offer | None,
        processor: Processor | None,
        place: destinations.Destination,
    ) -> transfers.Receiver | None:
        """Who gets it without a chain; one's own address is refused."""
        if source is None or processor is None:
            return None
        owned = transfers.owned(processor_id=processor.pk, lookup=place.lookup, tag=place.tag)
        if owned is not None and owned.merchant_id == self.merchant.pk:
            self._refuse(OwnAddress())
            return None
        if owned is None or target is not None:
            return None
        return transfers.receiver(owned, currency=source.currency.code, now=self.now)

    # --- how much ---

    def _sides(self, source: Offer | None, rate: Rate | None) -> tuple[Money, Money] | None:
        """(debited, arrives), of which one is given; a price rounds to the merchant's disadvantage."""
        order = self.order
        if order.amount is not None and order.amount_to is not None:
            self._refuse(OneAmountOnly())
        if order.amount_to is not None and not order.convert_to and self._can("convert_to"):
            self._refuse(Required(field="convert_to"))
        name = "amount" if order.amount_to is None else "amount_to"
        if not self._can("amount", "amount_to"):
            return None
        given = getattr(order, name)
        if given is None:
            self._refuse(Required(field="amount"))
            return None
        self._try(lambda: _demand_amount(name, given))
        if source is None or not self._can(name, "convert_to"):
            return None
        if rate is None:
            money = Money(given, source.currency.code)
            return None if order.convert_to else (money, money)
        sides = _converted(name, given, rate)
        if max(side.amount for side in sides) >= _LARGEST:
            self._refuse(BadAmount(field=name))
            return None
        return sides

    def _demand_minimum(
        self,
        sends: Offer,
        sides: tuple[Money, Money],
        rate: Rate | None,
        inside: transfers.Receiver | None,
    ) -> None:
        least = sends.terms.withdrawal_minimum
        if inside:
            least = max(least, inside.least)
        name, given = "amount", sides[0]
        if rate is not None:
            exchanged = rate.minimum or Decimal(0)
            least = max(least, _SMALLEST)
            least_debited = max(exchanged, _PRICING.divide(least, rate.price))
            least_arrived = max(least, _PRICING.multiply(exchanged, rate.price))
            fixes_arrival = self.order.amount is None
            least = least_arrived if fixes_arrival else least_debited
            name, given = ("amount_to", sides[1]) if fixes_arrival else ("amount", sides[0])
        wanted = Money(least, given.currency).rounded_up(PRECISION)
        if given < wanted:
            self._refuse(BelowMinimum(field=name, minimum=f"{wanted.amount.normalize():f}"))

    # --- faults ---

    def _can(self, *names: str) -> bool:
        """Whether nothing is wrong with these yet."""
        return not any(name in self.faults for name in names)

    def _refuse(self, refusal: Refusal) -> None:
        self.faults.setdefault(refusal.field, str(refusal))

    def _try(self, reading: Callable[[], object]) -> None:
        try:
            reading()
        except Refusal as refusal:
            self._refuse(refusal)


def _demand_amount(name: str, amount: Decimal) -> None:
    if not amount.is_finite() or abs(amount) >= _LARGEST:
        raise BadAmount(field=name)
    if amount <= 0:
        raise NotPositive(field=name)
    if int(amount.normalize().as_tuple().exponent) < -PRECISION:
        raise TooManyDecimals(field=name, places=PRECISION)


def _converted(name: str, given: Decimal, rate: Rate) -> tuple[Money, Money]:
    if name == "amount":
        money = Money(given, rate.source)
        return money, Money(money.times(rate.price).amount, rate.target).rounded_down()
    debited = Money(_PRICING.divide(given, rate.price), rate.source).rounded_up()
    return debited, Money(given, rate.target)


def _fee(offer: Offer, money: Money, *, converts: bool) -> Money:
    agreed = offer.terms
    percent = agreed.withdrawal_exchange_fee_percent if converts else agreed.withdrawal_fee_percent
    return fees.fee_for(money, percent=percent, minimum=agreed.withdrawal_minimum_fee)
