"""Limits: which one a withdrawal hits, and how they are set."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest

from merchants.models import AuditRecord
from payments import approvals, currencies, limits
from payments.models import Limit, LimitRecipient, Origin, WithdrawalLimit
from tests import factories, payouts
from tests.constraints import refused
from tests.desk import person
from tests.factories import NOW, money
from tests.payouts import ask, limit

pytestmark = pytest.mark.django_db


@pytest.fixture
def merchant():
    return payouts.merchant("100")


def hit(merchant, amount="0.1", currency="BTC", *, origin=Origin.API, now=NOW) -> Limit:
    return limits.hit(merchant=merchant, origin=origin, money=money(amount, currency), now=now)


class TestHit:
    def test_is_none_without_limits_and_without_bounds(self, merchant):
        assert hit(merchant, "99999") == Limit.NONE
        limit(merchant)
        assert hit(merchant, "99999") == Limit.NONE

    def test_is_everything_whatever_the_amount(self, merchant):
        limit(merchant, everything=True)
        assert hit(merchant, "0.00000001") == Limit.ALL

    def test_is_for_one_operation_beyond_the_bound_and_not_at_it(self, merchant):
        limit(merchant, currency="BTC", one_operation="0.1")
        assert hit(merchant, "0.1") == Limit.NONE
        assert hit(merchant, "0.10000001") == Limit.ONE

    def test_counts_the_hour_before_and_not_more(self, merchant):
        limit(merchant, currency="BTC", per_hour="0.3")
        ask(merchant, amount="0.2", now=NOW - timedelta(minutes=60))
        assert hit(merchant, "0.1") == Limit.NONE
        assert hit(merchant, "0.10000001") == Limit.HOUR
        assert hit(merchant, "0.3", now=NOW + timedelta(seconds=1)) == Limit.NONE

    def test_counts_the_day_before_and_not_more(self, merchant):
        limit(merchant, currency="BTC", per_hour="0.3", per_day="0.3")
        ask(merchant, amount="0.2", now=NOW - timedelta(hours=24))
        assert hit(merchant, "0.1") == Limit.NONE
        assert hit(merchant, "0.11") == Limit.DAY
        assert hit(merchant, "0.3", now=NOW + timedelta(seconds=1)) == Limit.NONE

    def test_counts_what_waits_and_not_what_came_to_nothing(self, merchant):
        waits, declined, failed, paid = (ask(merchant, amount="0.1") for _ in range(4))
        limit(merchant, currency="BTC", per_day="0.4")
        assert hit(merchant, "0.01") == Limit.DAY
        payouts.fail(payouts.sent(failed))
        assert hit(merchant, "0.1") == Limit.NONE
        assert hit(merchant, "0.11") == Limit.DAY
        assert {waits.status, declined.status, paid.status} == {"processing"}

    def test_does_not_count_what_was_declined_or_has_expired(self, merchant):
        limit(merchant, currency="BTC", everything=True)
        declined, expired = ask(merchant, amount="0.2"), ask(merchant, amount="0.2")
        approvals.decline(
            merchant=merchant,
            numbers=[declined.wire_id],
            by=payouts.owner(merchant),
            reason="x",
            now=NOW,
        )
        limit(merchant, currency="BTC", per_day="0.3")
        assert hit(merchant, "0.1") == Limit.NONE
        assert hit(merchant, "0.2") == Limit.DAY
        approvals.expire_due(now=expired.withdrawal.expires_at)
        assert hit(merchant, "0.3") == Limit.NONE

    def test_keeps_programs_staff_and_merchants_apart(self, merchant):
        other = payouts.merchant()
        limit(merchant, currency="BTC", per_day="0.1", origin=Origin.STAFF)
        limit(other, everything=True)
        ask(merchant, amount="0.1")
        assert hit(merchant, "50") == Limit.NONE
        assert hit(merchant, "0.1", origin=Origin.STAFF) == Limit.NONE
        assert hit(merchant, "0.2", origin=Origin.STAFF) == Limit.DAY

    def test_is_always_for_a_refund(self, merchant):
        assert hit(merchant, "0.00000001", origin=Origin.REFUND) == Limit.REFUND


class TestDefaults:
    """The row that counts in EUR."""

    @pytest.fixture
    def merchant(self, merchant):
        payouts.enable(merchant, "ETH", "100")
        payouts.price("BTC", "EUR", "50000")
        payouts.price("ETH", "EUR", "2000")
        return merchant

    def test_count_one_operation_at_the_present_price(self, merchant):
        limit(merchant, one_operation="5000")
        assert hit(merchant, "0.1") == Limit.NONE
        assert hit(merchant, "0.10000001") == Limit.ONE

    def test_count_all_currencies_together(self, merchant):
        limit(merchant, per_hour="5000")
        ask(merchant, currency="ETH", amount="2")
        assert hit(merchant, "0.02") == Limit.NONE
        assert hit(merchant, "0.02000001") == Limit.HOUR

    def test_count_euros_as_they_are(self, merchant):
        limit(merchant, one_operation="100")
        assert hit(merchant, "100", "EUR") == Limit.NONE
        assert hit(merchant, "100.01", "EUR") == Limit.ONE

    def test_do_not_count_a_currency_with_limits_of_its_own(self, merchant):
        limit(merchant, per_day="5000")
        limit(merchant, currency="ETH", one_operation="10")
        ask(merchant, currency="ETH", amount="10")
        assert hit(merchant, "0.1") == Limit.NONE
        assert hit(merchant, "10", "ETH") == Limit.NONE
        assert hit(merchant, "10.1", "ETH") == Limit.ONE

    def test_yield_to_an_own_row_that_has_no_bounds(self, merchant):
        limit(merchant, everything=True)
        limit(merchant, currency="BTC")
        assert hit(merchant, "1000") == Limit.NONE

    def test_wait_where_there_is_no_price(self, merchant):
        limit(merchant, one_operation="5000")
        assert hit(merchant, "0.1", "LTC") == Limit.NO_PRICE
        payouts.stale("BTC", "EUR")
        assert hit(merchant, "0.00000001") == Limit.NO_PRICE

    def test_wait_where_an_earlier_one_has_no_price(self, merchant):
        limit(merchant, per_hour="5000")
        ask(merchant, currency="ETH", amount="0.01")
        payouts.stale("ETH", "EUR")
        assert hit(merchant, "0.001") == Limit.NO_PRICE
        assert hit(merchant, "0.001", now=NOW + timedelta(hours=2)) == Limit.NONE


class TestSetLimit:
    def test_keeps_the_bounds_and_replaces_them(self, merchant):
        limit(merchant, one_operation="1", per_hour="2", per_day="3")
        limit(merchant, one_operation="4", everything=True)
        row = WithdrawalLimit.objects.get()
        assert (row.one_operation, row.per_hour, row.per_day, row.everything) == (
            Decimal(4),
            None,
            None,
            True,
        )
        assert (row.origin, row.currency, row.changed_at) == ("api", "", NOW)

    def test_is_audited_with_before_and_after(self, merchant):
        limit(merchant, one_operation="1")
        limit(merchant, one_operation="2")
        first, second = AuditRecord.objects.filter(act="limits.set").order_by("number")
        assert first.before is None
        assert '"one_operation":"1.00000000"' in second.before
        assert '"one_operation":"2"' in second.after

    @pytest.mark.parametrize("name", ["one_operation", "per_hour", "per_day"])
    @pytest.mark.parametrize(
        ("bound", "refusal"),
        [
            ("0", limits.ZeroForbidden),
            ("0.00", limits.ZeroForbidden),
            ("-1", limits.BadLimit),
            ("NaN", limits.BadLimit),
            ("Infinity", limits.BadLimit),
            ("0.000000001", limits.BadLimit),
            ("1e26", limits.BadLimit),
        ],
    )
    def test_refuses_what_is_no_limit_at_its_field(self, merchant, name, bound, refusal):
        with pytest.raises(refusal) as caught:
            limit(merchant, **{name: bound})
        assert caught.value.field == name
        assert not WithdrawalLimit.objects.exists()

    def test_refuses_an_unknown_currency_and_origin(self, merchant):
        with pytest.raises(currencies.UnknownCurrency):
            limit(merchant, currency="XXX", one_operation="1")
        with pytest.raises(limits.NoOrigin):
            limit(merchant, origin=Origin.REFUND, one_operation="1")
        assert not WithdrawalLimit.objects.exists()

    def test_is_one_row_for_an_origin_and_currency(self, merchant):
        limit(merchant, one_operation="1")
        refused(
            "withdrawal_limit_is_unique",
            "INSERT INTO payments_withdrawallimit (merchant_id, origin, currency, everything, changed_at)"
            f" VALUES ({merchant.pk}, 'api', '', false, now())",
        )
        refused("withdrawal_limit_is_positive", "UPDATE payments_withdrawallimit SET per_day = 0")
        refused("withdrawal_limit_is_positive", "UPDATE payments_withdrawallimit SET per_day = 'NaN'")


class TestRemove:
    def test_makes_the_defaults_count_again(self, merchant):
        limit(merchant, everything=True)
        limit(merchant, currency="BTC", one_operation="1")
        limits.remove(merchant=merchant, origin=Origin.API, currency="BTC", by=person(), now=NOW)
        assert hit(merchant, "0.1") == Limit.ALL
        assert [row.currency for row in limits.of(merchant)] == [""]
        assert AuditRecord.objects.filter(act="limits.remove").count() == 1

    def test_refuses_what_is_not_there_and_anothers(self, merchant):
        limit(payouts.merchant(), currency="BTC", one_operation="1")
        for origin, currency in ((Origin.API, "BTC"), (Origin.STAFF, "")):
            with pytest.raises(limits.NoSuchLimit):
                limits.remove(merchant=merchant, origin=origin, currency=currency, by=person(), now=NOW)
        assert WithdrawalLimit.objects.count() == 1


class TestSetRecipients:
    def told(self, merchant, *emails) -> list[str]:
        limits.set_recipients(merchant=merchant, emails=emails, by=person(), now=NOW)
        return list(limits.recipients(merchant).values_list("email", flat=True))

    def test_keeps_exactly_these_in_one_spelling(self, merchant):
        assert self.told(merchant, "Bob@shop.test", "ann@shop.test", "bob@shop.test ") == [
            "ann@shop.test",
            "bob@shop.test",
        ]
        assert self.told(merchant, "bob@shop.test", "cy@shop.test") == ["bob@shop.test", "cy@shop.test"]
        assert self.told(merchant) == []
        assert AuditRecord.objects.filter(act="limits.set_recipients").count() == 3

    def test_refuses_what_is_no_address_and_too_many(self, merchant):
        self.told(merchant, "ann@shop.test")
        with pytest.raises(limits.BadRecipient, match="nonsense is not an e-mail address"):
            self.told(merchant, "bob@shop.test", "nonsense")
        with pytest.raises(limits.TooManyRecipients):
            self.told(merchant, *(f"p{number}@shop.test" for number in range(21)))
        assert LimitRecipient.objects.get().email == "ann@shop.test"

    def test_is_each_merchants_own(self, merchant):
        other = factories.merchant()
        self.told(other, "ann@shop.test")
        self.told(merchant, "bob@shop.test")
        assert limits.recipients(other).get().email == "ann@shop.test"
