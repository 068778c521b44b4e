"""Withdrawals: what is taken, what is refused, and that both leave the books exactly so."""

from __future__ import annotations

import threading
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection, connections
from django.urls import reverse

from merchants import links
from merchants.models import AuditRecord, MailMessage
from merchants.models.sealed import unseal
from merchants.models.user import SETTLING
from merchants.roles import Role
from payments import contacts, ledger, movers, withdrawals
from payments.ledger import AccountKind, InsufficientFunds
from payments.models import (
    Contact,
    Leg,
    Limit,
    LimitRecipient,
    Operation,
    OperationStatus,
    Origin,
    Withdrawal,
    WithdrawalState,
)
from payments.models.entry import Entry
from tests import factories, payouts
from tests.constraints import judge_now
from tests.factories import NOW, money
from tests.payouts import ELSEWHERE, address_of, ask, balance, booked, order, owner, refused_whole

pytestmark = pytest.mark.django_db


@pytest.fixture
def merchant():
    return payouts.merchant()


class TestRequest:
    def test_holds_the_amount_and_the_fees_of_the_terms(self, merchant):
        operation = ask(merchant, amount="0.1")
        judge_now()
        assert balance(merchant) == ledger.Balance("BTC", Decimal("0.8996"), Decimal("0.1004"), Decimal(0))
        row = operation.withdrawal
        assert (row.amount, row.fee, row.mining_fee, row.held) == (
            Decimal("0.1"),
            Decimal("0.0003"),
            Decimal("0.0001"),
            Decimal("0.1004"),
        )
        assert (operation.kind, operation.status, operation.version) == ("withdrawal", "processing", 1)
        assert (row.state, row.limit, row.expires_at) == ("approved", "", None)

    def test_keeps_the_terms_it_used_and_goes_the_route_of_withdrawals(self, merchant):
        operation = ask(merchant)
        assert operation.terms.merchant_id == merchant.pk
        assert operation.processor == factories.processor()

    def test_names_itself_to_the_processor_by_merchant_kind_and_number(self, merchant):
        operation = ask(merchant)
        assert operation.withdrawal.our_id.startswith(f"m{merchant.wire_id}-withdrawal-{operation.wire_id}-")

    def test_charges_at_least_the_minimum_fee(self, merchant):
        factories.terms(
            "BTC",
            merchant=merchant,
            withdrawal_fee_percent=Decimal("0.003"),
            withdrawal_minimum_fee=Decimal("0.0005"),
            valid_from=NOW,
        )
        assert ask(merchant, amount="0.1").withdrawal.fee == Decimal("0.0005")

    def test_stores_one_leg_to_the_address(self, merchant):
        operation = ask(merchant, amount="0.1")
        leg = Leg.objects.get(operation=operation)
        assert (leg.type, leg.transaction_type, leg.address, leg.amount, leg.txid) == (
            "withdrawal",
            "blockchain",
            ELSEWHERE["BTC"],
            Decimal("0.1"),
            "",
        )

    def test_keeps_what_the_merchant_said_of_sender_and_receiver(self, merchant):
        parties = {"receiver_type": "self"}
        assert ask(merchant, parties=parties).withdrawal.parties == parties

    def test_takes_exactly_what_is_there(self, merchant):
        ask(merchant, amount="0.99690926")  # 0.00299073 of fee and 0.0001 of mining fee beside it
        assert balance(merchant).available == Decimal("0.00000001")

    def test_refuses_what_fees_make_too_much(self, merchant):
        with refused_whole(merchant, InsufficientFunds, "Not enough money on balance"):
            ask(merchant, amount="0.997")

    def test_refuses_a_number_that_was_used_with_another_amount(self, merchant):
        ask(merchant, foreign_id="w-1", amount="0.1")
        sentence = "The foreign id has already been taken."
        with refused_whole(merchant, withdrawals.ForeignIdTaken, sentence):
            ask(merchant, foreign_id="w-1", amount="0.2")

    def test_says_that_the_number_is_taken_before_it_looks_at_the_balance(self, merchant):
        ask(merchant, foreign_id="w-1", amount="0.9")
        with refused_whole(merchant, withdrawals.ForeignIdTaken, "The foreign id has already been taken."):
            ask(merchant, foreign_id="w-1", amount="0.9")

    def test_takes_the_same_number_of_another_merchant(self, merchant):
        ask(merchant, foreign_id="w-1")
        ask(payouts.merchant(), foreign_id="w-1")
        assert Operation.objects.filter(foreign_id="w-1").count() == 2

    def test_gives_staffs_a_number_of_its_own(self, merchant):
        operation = ask(merchant, foreign_id=None, origin=Origin.STAFF, by=owner(merchant))
        assert operation.foreign_id == f"bo-{operation.wire_id}"

    def test_tries_another_number_when_the_sequence_has_come_round(self, merchant):
        taken = ask(merchant)
        with connection.cursor() as cursor:
            cursor.execute("SELECT setval('operation_wire_id', %s, false)", [taken.wire_id])
            cursor.execute("SELECT setval('leg_wire_id', %s, false)", [taken.legs.get().wire_id])
            number = taken.withdrawal.address_wire_id
            cursor.execute("SELECT setval('address_wire_id', %s, false)", [number])
        assert ask(merchant).wire_id > taken.wire_id

    def test_refuses_a_blocked_merchant(self, merchant):
        merchant.block()
        with refused_whole(merchant, movers.MerchantBlocked, "This merchant is blocked: nothing is sent."):
            ask(merchant)

    def test_refuses_while_the_merchant_owes(self, merchant):
        payouts.indebt(merchant, money("5", "EUR"))
        with refused_whole(merchant, movers.MerchantInDebt):
            ask(merchant)

    def test_is_not_audited_when_a_program_asks(self, merchant):
        ask(merchant)
        assert not AuditRecord.objects.filter(act="withdrawals.create").exists()


class TestRequestWhole:
    """Bad input: everything wrong at once, and nothing has moved."""

    CASES = (
        ({"currency": "XYZ", "convert_to": "BTC"}, {"currency": "The selected currency is invalid."}),
        ({"currency": "XYZ"}, {"currency": "The selected currency is invalid."}),
        ({"currency": "LTC"}, {"currency": "The selected currency is invalid."}),
        ({"currency": "EUR"}, {"currency": "The selected currency is invalid."}),
        ({"currency": ""}, {"currency": "The currency field is required."}),
        ({"address": ""}, {"address": "The address field is required."}),
        ({"address": ELSEWHERE["ETH"]}, {"address": "The address is invalid."}),
        ({"address": ELSEWHERE["BTC"][:-1] + "x"}, {"address": "The address is invalid."}),
        ({"address": "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4"}, {"address": "The address is invalid."}),
        ({"tag": "7"}, {"tag": "The tag must be left out: BTC is sent without one."}),
        ({"amount": "0.00009999"}, {"amount": "The amount must be at least 0.0001."}),
        ({"amount": "0"}, {"amount": "The amount must be greater than 0."}),
        ({"amount": "-1"}, {"amount": "The amount must be greater than 0."}),
        ({"amount": "NaN"}, {"amount": "The amount must be a number."}),
        ({"amount": "1e17"}, {"amount": "The amount must be a number."}),
        ({"amount": "0.100000001"}, {"amount": "The amount may not have more than 8 decimal places."}),
        ({"amount": None}, {"amount": "The amount field is required."}),
        (
            {"amount_to": "0.1"},
            {
                "amount": "Only one of amount and amount_to can be given.",
                "convert_to": "The convert to field is required.",
            },
        ),
        ({"amount": None, "amount_to": "0.1"}, {"convert_to": "The convert to field is required."}),
        ({"convert_to": "BTC"}, {"convert_to": "The selected convert to is invalid."}),
        ({"convert_to": "ETH"}, {"convert_to": "The selected convert to is invalid."}),
        ({"convert_to": "EUR"}, {"convert_to": "The selected convert to is invalid."}),
        (
            {"currency": "XYZ", "address": "", "amount": "0"},
            {
                "currency": "The selected currency is invalid.",
                "address": "The address field is required.",
                "amount": "The amount must be greater than 0.",
            },
        ),
        (
            {"address": "x", "tag": "7", "amount": "0.00001"},
            {
                "address": "The address is invalid.",
                "tag": "The tag must be left out: BTC is sent without one.",
                "amount": "The amount must be at least 0.0001.",
            },
        ),
    )

    @pytest.mark.parametrize(("given", "sentences"), CASES, ids=[str(given) for given, _ in CASES])
    def test_refuses_with_a_sentence_for_each_field(self, merchant, given, sentences):
        with refused_whole(merchant, withdrawals.Wrong) as caught:
            ask(merchant, **given)
        assert caught.value.sentences == sentences

    def test_tells_what_the_door_could_not_read_together_with_the_rest(self, merchant):
        unread = {"amount": "The amount must be a number."}
        with refused_whole(merchant, withdrawals.Wrong) as caught:
            ask(merchant, amount=None, address="x", unread=unread)
        assert caught.value.sentences == {**unread, "address": "The address is invalid."}

    def test_refuses_a_currency_that_nobody_carries(self, merchant):
        payouts.no_route()
        with refused_whole(merchant, withdrawals.Wrong) as caught:
            ask(merchant)
        assert caught.value.sentences == {"currency": "The selected currency is invalid."}

    @pytest.mark.parametrize("tag", ["4294967296", "-1", "memo", "1.5", "٣", "99999999999"])
    def test_refuses_a_tag_beyond_32_bits(self, merchant, tag):
        payouts.enable(merchant, "XRP", "100")
        with refused_whole(merchant, withdrawals.Wrong) as caught:
            ask(merchant, currency="XRP", amount="10", tag=tag)
        assert caught.value.sentences == {"tag": "The tag must be a number from 0 to 4294967295."}

    def test_demands_the_tag_that_completes_an_address(self, merchant):
        payouts.enable(merchant, "XRP", "100")
        with refused_whole(merchant, withdrawals.Wrong) as caught:
            ask(merchant, currency="XRP", amount="10")
        assert caught.value.sentences == {"tag": "The tag field is required."}

    def test_keeps_a_tag_in_canonical_digits(self, merchant):
        payouts.enable(merchant, "XRP", "100")
        assert ask(merchant, currency="XRP", amount="10", tag="0042").withdrawal.tag == "42"


class TestConversions:
    @pytest.fixture
    def merchant(self, merchant):
        payouts.enable(merchant, "EUR", "1000", withdrawal_exchange_fee_percent=Decimal("0.008"))
        payouts.price("EUR", "BTC", "0.00002", minimum="10")
        return merchant

    def test_takes_what_is_debited_and_reckons_what_arrives(self, merchant):
        operation = ask(merchant, currency="EUR", convert_to="BTC", amount="381")
        row = operation.withdrawal
        assert (operation.kind, row.fixed_side, row.amount_to) == (
            "withdrawal_exchange",
            "sent",
            Decimal("0.00762"),
        )
        assert (row.fee, row.held) == (Decimal("3.048"), Decimal("384.048"))
        assert operation.received == money("0.00762", "BTC")
        assert balance(merchant, "EUR").held == Decimal("384.048")

    def test_takes_what_arrives_and_reckons_what_is_debited(self, merchant):
        operation = ask(merchant, currency="EUR", convert_to="BTC", amount=None, amount_to="0.00632001")
        row = operation.withdrawal
        assert (row.fixed_side, row.amount, row.amount_to) == (
            "received",
            Decimal("316.0005"),
            Decimal("0.00632001"),
        )

    def test_rounds_what_is_debited_up_and_what_arrives_down(self, merchant):
        payouts.price("EUR", "BTC", "0.00003")
        up = ask(merchant, currency="EUR", convert_to="BTC", amount=None, amount_to="0.001")
        assert up.withdrawal.amount == Decimal("33.33333334")
        down = ask(merchant, currency="EUR", convert_to="BTC", amount="20.00001111")
        assert down.withdrawal.amount_to == Decimal("0.00060000")

    def test_stores_the_conversion_alone_until_it_is_done(self, merchant):
        operation = ask(merchant, currency="EUR", convert_to="BTC", amount="381")
        leg = operation.legs.get()
        assert (leg.type, leg.currency, leg.currency_to, leg.amount, leg.amount_to) == (
            "exchange",
            "EUR",
            "BTC",
            Decimal("381"),
            Decimal("0.00762"),
        )

    def test_keeps_the_price(self, merchant):
        operation = ask(merchant, currency="EUR", convert_to="BTC", amount="381")
        assert operation.rate.price == Decimal("0.00002")

    @pytest.mark.parametrize(
        ("given", "sentence"),
        [
            ({"amount": "9.99"}, {"amount": "The amount must be at least 10."}),
            (
                {"amount": None, "amount_to": "0.0001"},
                {"amount_to": "The amount to must be at least 0.0002."},
            ),
            ({"amount": None, "amount_to": "1e16"}, {"amount_to": "The amount to must be a number."}),
        ],
    )
    def test_refuses_less_than_the_pairs_minimum(self, merchant, given, sentence):
        with refused_whole(merchant, withdrawals.Wrong) as caught:
            ask(merchant, currency="EUR", convert_to="BTC", **given)
        assert caught.value.sentences == sentence

    def test_refuses_what_would_arrive_below_the_coins_minimum(self, merchant):
        payouts.price("EUR", "BTC", "0.00002", minimum="1")
        with refused_whole(merchant, withdrawals.Wrong) as caught:
            ask(merchant, currency="EUR", convert_to="BTC", amount="4.99")
        assert caught.value.sentences == {"amount": "The amount must be at least 5."}

    def test_refuses_a_pair_whose_price_is_stale(self, merchant):
        payouts.stale("EUR", "BTC")
        with refused_whole(merchant, withdrawals.Wrong) as caught:
            ask(merchant, currency="EUR", convert_to="BTC", amount="381")
        assert caught.value.sentences == {"convert_to": "The selected convert to is invalid."}

    def test_checks_the_address_on_the_network_of_what_arrives(self, merchant):
        with refused_whole(merchant, withdrawals.Wrong) as caught:
            ask(merchant, currency="EUR", convert_to="BTC", amount="381", address=ELSEWHERE["ETH"])
        assert caught.value.sentences == {"address": "The address is invalid."}


class TestLimit:
    def test_makes_it_wait_for_a_day_with_its_money_held(self, merchant):
        payouts.limit(merchant, one_operation="100", currency="BTC")
        payouts.limit(merchant, one_operation="0.05", currency="BTC")
        operation = ask(merchant, amount="0.1")
        judge_now()
        row = operation.withdrawal
        assert (operation.status, row.state, row.limit) == ("pending", "pending", "one_operation")
        assert row.expires_at == NOW + timedelta(hours=24)
        assert balance(merchant).held == Decimal("0.1004")

    def test_counts_programs_and_staff_apart(self, merchant):
        payouts.limit(merchant, everything=True, origin=Origin.STAFF)
        assert ask(merchant).status == OperationStatus.PROCESSING
        staff = ask(merchant, foreign_id=None, origin=Origin.STAFF, by=owner(merchant))
        assert staff.withdrawal.limit == Limit.ALL

    def test_makes_every_refund_wait(self, merchant):
        operation = ask(merchant, origin=Origin.REFUND, foreign_id="refund-1")
        assert operation.withdrawal.limit == Limit.REFUND

    def test_mails_those_who_are_listed(self, merchant):
        payouts.limit(merchant, everything=True)
        for email in ("ann@shop.test", "bob@shop.test"):
            LimitRecipient.objects.create(merchant=merchant, email=email)
        ask(merchant)
        letters = MailMessage.objects.order_by("to")
        assert [letter.to for letter in letters] == ["ann@shop.test", "bob@shop.test"]
        assert letters[0].subject == f"A withdrawal of {merchant.name} waits for approval"
        text = unseal(letters[0], "text_ciphertext")
        assert links.address(reverse("approvals", kwargs={"client_id": merchant.wire_id})) in text
        assert f"0.1 BTC of {merchant.name} to\n{ELSEWHERE['BTC']}" in text

    def test_mails_nobody_when_nothing_waits_or_when_it_is_refused(self, merchant):
        LimitRecipient.objects.create(merchant=merchant, email="ann@shop.test")
        ask(merchant)
        payouts.limit(merchant, everything=True)
        with refused_whole(merchant, InsufficientFunds):
            ask(merchant, amount="5")
        assert not MailMessage.objects.exists()


class TestStaff:
    def test_asks_as_an_owner_and_is_audited(self, merchant):
        by = owner(merchant)
        operation = ask(
            merchant,
            foreign_id=None,
            origin=Origin.STAFF,
            by=by,
            note="rent",
            ip="192.0.2.7",
            second_factor=True,
        )
        row = operation.withdrawal
        assert (row.requested_by_id, row.api_key_id, row.note) == (by.user_id, None, "rent")
        record = AuditRecord.objects.get(act="withdrawals.create")
        assert (record.actor_id, record.ip, record.second_factor) == (by.user_id, "192.0.2.7", True)
        assert record.subject == operation.subject

    @pytest.mark.parametrize("role", [Role.EXCHANGE, Role.LIMITS, Role.VIEW, Role.RESTRICTED])
    def test_refuses_everybody_but_owners(self, merchant, role):
        member = owner(merchant, role)
        with refused_whole(merchant, movers.NotAllowed):
            ask(merchant, foreign_id=None, origin=Origin.STAFF, by=member)

    def test_refuses_nobody_another_merchants_owner_and_one_who_has_left(self, merchant):
        stranger, gone = owner(payouts.merchant()), owner(merchant)
        gone.user.is_active = False
        gone.user.save()
        for by in (None, stranger, gone):
            with refused_whole(merchant, movers.NotAllowed):
                ask(merchant, foreign_id=None, origin=Origin.STAFF, by=by)

    def test_refuses_an_owner_of_less_than_a_day(self, merchant):
        member = owner(merchant, settled=False)
        with refused_whole(merchant, movers.NotSettled):
            ask(merchant, foreign_id=None, origin=Origin.STAFF, by=member)
        later = NOW + SETTLING
        ask(merchant, foreign_id=None, origin=Origin.STAFF, by=member, now=later)

    def test_refuses_an_owner_whose_factor_was_reset(self, merchant):
        member = owner(merchant)
        member.user.unsettle(until=NOW + SETTLING)
        with refused_whole(merchant, movers.NotSettled):
            ask(merchant, foreign_id=None, origin=Origin.STAFF, by=member)

    def test_waits_when_it_goes_to_a_contact_of_less_than_a_day(self, merchant):
        by = owner(merchant)
        contacts.add(
            merchant=merchant, name="Ann", currency="BTC", address=ELSEWHERE["BTC"], by=by.user, now=NOW
        )
        fresh = ask(merchant, foreign_id=None, origin=Origin.STAFF, by=by)
        assert fresh.withdrawal.limit == Limit.NEW_DESTINATION
        later = Contact.objects.get().usable_from
        cooled = ask(merchant, foreign_id=None, origin=Origin.STAFF, by=by, now=later)
        assert cooled.withdrawal.limit == Limit.NONE
        assert ask(merchant).withdrawal.limit == Limit.NONE  # a program's never does


class TestInternal:
    @pytest.fixture
    def receiver(self):
        return payouts.merchant("0")

    def test_is_done_at_once_without_a_chain(self, merchant, receiver):
        address = address_of(receiver)
        operation = ask(merchant, amount="0.1", address=address.address)
        judge_now()
        row = Withdrawal.objects.get(pk=operation.pk)
        leg = operation.legs.get()
        assert (row.state, row.is_internal, row.mining_fee) == (WithdrawalState.CONFIRMED, True, 0)
        assert (leg.transaction_type, leg.txid) == ("internal", f"CP:BTCW{leg.wire_id}")
        assert (operation.status, operation.version) == ("confirmed", 2)
        assert [(fee.type, fee.amount) for fee in operation.fees.all()] == [("withdrawal", Decimal("0.0003"))]

    def test_gives_the_receiver_an_ordinary_deposit(self, merchant, receiver):
        address = address_of(receiver)
        operation = ask(merchant, amount="0.1", address=address.address)
        deposit = Operation.objects.for_merchant(receiver).get()
        assert (deposit.kind, deposit.status, deposit.address) == ("deposit", "confirmed", address)
        assert deposit.external_id == f"internal:{operation.pk}"
        assert (deposit.amount_received, deposit.amount_minus_fee) == (Decimal("0.1"), Decimal("0.0992"))
        leg = deposit.legs.get()
        assert (leg.type, leg.transaction_type, leg.txid) == (
            "deposit",
            "internal",
            operation.legs.get().txid,
        )
        assert [(fee.type, fee.amount) for fee in deposit.fees.all()] == [("deposit", Decimal("0.0008"))]

    def test_costs_the_receiver_nothing_where_deposits_do_not(self, merchant, receiver):
        factories.terms("BTC", merchant=receiver, deposit_fee_percent=Decimal(0), valid_from=NOW)
        ask(merchant, amount="0.1", address=address_of(receiver).address)
        deposit = Operation.objects.for_merchant(receiver).get()
        assert (deposit.amount_minus_fee, deposit.fees.count()) == (Decimal("0.1"), 0)

    def test_moves_nothing_at_the_processor(self, merchant, receiver):
        address = address_of(receiver)
        ask(merchant, amount="0.1", address=address.address)
        assert balance(merchant) == ledger.Balance("BTC", Decimal("0.8997"), Decimal(0), Decimal(0))
        assert balance(receiver).available == Decimal("0.0992")
        assert booked(AccountKind.AT_PROCESSOR) == 0
        assert booked(AccountKind.FEE_INCOME) == Decimal("0.0011")

    def test_holds_the_money_of_a_receiver_that_was_blocked_meanwhile(self, merchant, receiver):
        payouts.limit(merchant, everything=True)
        operation = ask(merchant, amount="0.1", address=address_of(receiver).address)
        receiver.block()
        payouts.approve(operation)
        assert balance(receiver) == ledger.Balance("BTC", Decimal(0), Decimal("0.0992"), Decimal(0))

    def test_takes_another_spelling_of_the_address(self, merchant, receiver):
        payouts.enable(merchant, "ETH", "2")
        payouts.enable(receiver, "ETH", "0")
        address = address_of(receiver, "ETH")
        assert (
            ask(merchant, currency="ETH", amount="1", address=address.address.lower()).status == "confirmed"
        )

    @pytest.mark.parametrize("why", ["blocked", "converts", "disabled", "no terms", "another currency"])
    def test_goes_on_chain_where_only_the_chain_can(self, merchant, receiver, why):
        address = address_of(receiver, convert_to="EUR" if why == "converts" else "")
        if why == "blocked":
            receiver.block()
        if why == "disabled":
            factories.terms("BTC", merchant=receiver, enabled=False, valid_from=NOW)
        if why == "no terms":
            address = address_of(factories.merchant())
        if why == "another currency":
            payouts.enable(merchant, "USDTE", "100")
            address = address_of(receiver, "ETH")
            operation = ask(merchant, currency="USDTE", amount="10", address=address.address)
        else:
            operation = ask(merchant, address=address.address)
        assert (operation.status, operation.withdrawal.is_internal) == ("processing", False)

    def test_refuses_less_than_the_receivers_least_deposit(self, merchant, receiver):
        factories.terms("BTC", merchant=receiver, deposit_minimum=Decimal("0.2"), valid_from=NOW)
        with refused_whole(merchant, withdrawals.Wrong) as caught:
            ask(merchant, amount="0.1", address=address_of(receiver).address)
        assert caught.value.sentences == {"amount": "The amount must be at least 0.2."}

    def test_refuses_the_merchants_own_address(self, merchant):
        with refused_whole(merchant, withdrawals.Wrong) as caught:
            ask(merchant, address=address_of(merchant).address)
        assert caught.value.sentences == {
            "address": "The address is one of your own deposit addresses: nothing would be paid."
        }

    def test_counts_no_address_that_nobody_has_taken(self, merchant):
        address = payouts.free_address()
        assert not ask(merchant, address=address.address).withdrawal.is_internal


class TestPreview:
    def preview(self, merchant, **given: Any) -> withdrawals.Preview:
        options = {name: given.pop(name) for name in ("origin", "by", "now") if name in given}
        return withdrawals.preview(
            merchant=merchant, order=order(**given), **{"origin": Origin.API, "now": NOW} | options
        )

    def test_says_what_would_be_held_and_does_nothing(self, merchant):
        seen = self.preview(merchant, amount="0.1")
        assert (seen.money, seen.pays) == (money("0.1"), money("0.1"))
        assert (seen.fee, seen.mining_fee, seen.held) == (money("0.0003"), money("0.0001"), money("0.1004"))
        assert (seen.limit, seen.is_internal, seen.approvers) == (Limit.NONE, False, ())
        assert seen.available == money("1")
        assert seen.familiarity.mark == contacts.Mark.FIRST_SEEN
        assert not Operation.objects.exists()
        assert not Entry.objects.filter(kind="withdrawal_hold").exists()

    def test_names_the_limit_and_who_could_approve(self, merchant):
        payouts.limit(merchant, everything=True, origin=Origin.STAFF)
        me, other = owner(merchant), owner(merchant)
        owner(merchant, settled=False)
        owner(merchant, Role.VIEW)
        seen = self.preview(merchant, foreign_id=None, origin=Origin.STAFF, by=me)
        assert seen.limit == Limit.ALL
        assert [member.pk for member in seen.approvers] == [other.pk]

    def test_refuses_what_the_request_would(self, merchant):
        with pytest.raises(InsufficientFunds):
            self.preview(merchant, amount="1")
        with pytest.raises(withdrawals.Wrong):
            self.preview(merchant, address="x")
        with pytest.raises(movers.NotAllowed):
            self.preview(merchant, origin=Origin.STAFF)

    def test_knows_a_merchant_without_the_currency(self, merchant):
        factories.terms("LTC", merchant=merchant)
        with pytest.raises(InsufficientFunds):
            self.preview(merchant, currency="LTC", address=ELSEWHERE["LTC"], amount="1")


@pytest.mark.django_db(transaction=True)
class TestInParallel:
    def run(self, count: int, work: Any) -> list[str]:
        """What each of `count` threads got: a status, or the refusal's name."""
        got: list[str] = []
        start = threading.Barrier(count)

        def one(number: int) -> None:
            start.wait()
            try:
                got.append(work(number).status)
            except Exception as error:  # noqa: BLE001 - whatever it was is what the test compares
                got.append(type(error).__name__)
            finally:
                connections.close_all()

        threads = [threading.Thread(target=one, args=[number]) for number in range(count)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return sorted(got)

    def test_spends_a_balance_for_twenty_twenty_times(self):
        merchant = payouts.merchant("2.008")  # 20 x (0.1 + 0.0003 + 0.0001)
        key = payouts.key_id(merchant)
        got = self.run(
            50, lambda number: ask(merchant, foreign_id=f"w-{number}", amount="0.1", api_key_id=key)
        )
        assert got == ["InsufficientFunds"] * 30 + ["processing"] * 20
        assert balance(merchant) == ledger.Balance("BTC", Decimal(0), Decimal("2.008"), Decimal(0))
        assert Withdrawal.objects.count() == Entry.objects.filter(kind="withdrawal_hold").count() == 20

    def test_takes_one_number_once(self):
        merchant = payouts.merchant("10")
        key = payouts.key_id(merchant)
        got = self.run(20, lambda _: ask(merchant, foreign_id="w-1", amount="0.1", api_key_id=key))
        assert got == ["ForeignIdTaken"] * 19 + ["processing"]
        assert balance(merchant).held == Decimal("0.1004")

    def test_lets_no_two_at_once_pass_a_limit_for_one(self):
        merchant = payouts.merchant("10")
        payouts.limit(merchant, per_hour="0.15", currency="BTC")
        key = payouts.key_id(merchant)
        got = self.run(
            10, lambda number: ask(merchant, foreign_id=f"w-{number}", amount="0.1", api_key_id=key)
        )
        assert got == ["pending"] * 9 + ["processing"]

    def test_moves_between_two_merchants_both_ways_without_a_deadlock(self):
        one, other = payouts.merchant("2"), payouts.merchant("2")
        ways = [
            (one, address_of(other).address, payouts.key_id(one)),
            (other, address_of(one).address, payouts.key_id(other)),
        ]

        def transfer(number: int) -> Operation:
            merchant, address, key = ways[number % 2]
            return ask(merchant, foreign_id=f"w-{number}", amount="0.1", address=address, api_key_id=key)

        assert self.run(20, transfer) == ["confirmed"] * 20
        assert balance(one).available == balance(other).available == Decimal("1.989")
