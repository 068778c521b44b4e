"""The ledger: what it books, what it refuses, and what the database refuses without it."""

from __future__ import annotations

import threading
from decimal import Decimal

import pytest
from django.db import IntegrityError, ProgrammingError, connection, transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from payments import ledger
from payments.ledger import NewEntry
from payments.models.account import Account, AccountKind
from payments.models.entry import Entry, Posting
from tests import factories
from tests.constraints import judge_now, refused
from tests.factories import NOW, money

pytestmark = pytest.mark.django_db


def entry(*lines: ledger.Line, key: str = "test:1", subject: str = "test") -> NewEntry:
    return NewEntry(key=key, kind="test", subject=subject, occurred_at=NOW, lines=lines)


def funded(amount: str = "10", currency: str = "BTC"):
    """A merchant with `amount` available, by one entry."""
    merchant = factories.merchant()
    factories.fund(merchant, money(amount, currency))
    return merchant


def balance(merchant, currency: str = "BTC") -> ledger.Balance:
    return next(row for row in ledger.balances(merchant) if row.currency == currency)


class TestPost:
    def test_moves_the_balance_and_numbers_the_posting(self):
        merchant = funded("10")
        posting = Posting.objects.get(account__merchant=merchant)
        assert (posting.seq, posting.balance_after, posting.amount) == (1, Decimal(10), Decimal(10))
        assert balance(merchant).available == Decimal(10)
        judge_now()

    def test_keeps_no_balance_for_the_house(self):
        funded("10")
        account = Account.objects.get(kind=AccountKind.ADJUSTMENT)
        assert (account.balance, account.seq, account.kept) == (Decimal(0), 0, False)

    def test_refuses_to_overdraw_and_leaves_everything_as_it_was(self):
        merchant = funded("10")
        with (
            pytest.raises(ledger.InsufficientFunds, match="Not enough money on balance"),
            transaction.atomic(),
        ):
            ledger.post(
                entry(
                    ledger.available(merchant.pk, money("-10.00000001")),
                    ledger.held(merchant.pk, money("10.00000001")),
                )
            )
        assert balance(merchant) == ledger.Balance("BTC", Decimal(10), Decimal(0), Decimal(0))
        assert Entry.objects.count() == 1

    def test_spends_to_exactly_zero(self):
        merchant = funded("10")
        ledger.post(entry(ledger.available(merchant.pk, money("-10")), ledger.held(merchant.pk, money("10"))))
        assert balance(merchant) == ledger.Balance("BTC", Decimal(0), Decimal(10), Decimal(0))

    def test_refuses_lines_that_do_not_sum_to_zero(self):
        merchant = factories.merchant()
        with pytest.raises(ledger.Unbalanced):
            ledger.post(entry(ledger.credit(merchant.pk, money("1"))))
        assert not Posting.objects.exists()

    def test_refuses_lines_that_balance_only_across_currencies(self):
        merchant = factories.merchant()
        with pytest.raises(ledger.Unbalanced):
            ledger.post(
                entry(
                    ledger.credit(merchant.pk, money("1", "BTC")),
                    ledger.house(AccountKind.ADJUSTMENT, money("-1", "ETH")),
                )
            )

    def test_refuses_what_postgresql_would_round(self):
        merchant = factories.merchant()
        with pytest.raises(ledger.Unbalanced, match="finer"):
            ledger.post(
                entry(
                    ledger.credit(merchant.pk, money("0.000000005")),
                    ledger.house(AccountKind.ADJUSTMENT, money("-0.000000005")),
                )
            )

    def test_refuses_an_entry_that_moves_nothing(self):
        with pytest.raises(ledger.Unbalanced, match="moves nothing"):
            ledger.post(entry(ledger.house(AccountKind.ADJUSTMENT, money("0"))))

    def test_books_a_key_once(self):
        merchant = funded("10")
        again = entry(
            ledger.credit(merchant.pk, money("10")),
            ledger.house(AccountKind.ADJUSTMENT, money("-10")),
            key=Entry.objects.get().key,
        )
        with pytest.raises(IntegrityError), transaction.atomic():
            ledger.post(again)
        assert balance(merchant).available == Decimal(10)

    def test_continues_an_account_within_one_batch(self):
        merchant = factories.merchant()
        ledger.post_many(
            [
                entry(
                    ledger.credit(merchant.pk, money(str(amount))),
                    ledger.house(AccountKind.ADJUSTMENT, money(f"-{amount}")),
                    key=f"batch:{amount}",
                )
                for amount in (1, 2, 3)
            ]
        )
        chain = Posting.objects.filter(account__merchant=merchant).order_by("seq")
        assert list(chain.values_list("seq", "balance_after")) == [
            (1, Decimal(1)),
            (2, Decimal(3)),
            (3, Decimal(6)),
        ]
        judge_now()


class TestDebt:
    def test_takes_back_what_is_there_and_notes_the_rest_as_debt(self):
        merchant = funded("10")
        ledger.post(
            entry(ledger.reclaim(merchant.pk, money("15")), ledger.house(AccountKind.ADJUSTMENT, money("15")))
        )
        assert balance(merchant) == ledger.Balance("BTC", Decimal(0), Decimal(0), Decimal(5))
        assert Account.objects.get(merchant=merchant, kind="receivable").balance == Decimal(-5)

    def test_repays_the_debt_from_the_next_credits(self):
        merchant = funded("10")
        house = AccountKind.ADJUSTMENT
        ledger.post(
            entry(ledger.reclaim(merchant.pk, money("15")), ledger.house(house, money("15")), key="a")
        )
        ledger.post(entry(ledger.credit(merchant.pk, money("3")), ledger.house(house, money("-3")), key="b"))
        assert balance(merchant) == ledger.Balance("BTC", Decimal(0), Decimal(0), Decimal(2))
        ledger.post(entry(ledger.credit(merchant.pk, money("3")), ledger.house(house, money("-3")), key="c"))
        assert balance(merchant) == ledger.Balance("BTC", Decimal(1), Decimal(0), Decimal(0))

    def test_undoes_all_that_a_subject_booked(self):
        merchant = funded("10")
        ledger.post(
            entry(
                ledger.credit(merchant.pk, money("4")),
                ledger.house(AccountKind.FEE_INCOME, money("1")),
                ledger.house(AccountKind.ADJUSTMENT, money("-5")),
                subject="operation:9",
            )
        )
        ledger.post(entry(*ledger.undo("operation:9"), key="undo", subject="operation:9"))
        assert balance(merchant).available == Decimal(10)
        assert ledger.undo("operation:9") == []


class TestDatabase:
    """Past Python: what anybody with the application's role, or a mistake of ours, runs into."""

    def test_refuses_a_balance_without_a_posting(self):
        funded("10")
        refused("balance_changes_with_a_posting", "UPDATE payments_account SET balance = 11 WHERE kept")

    def test_refuses_a_balance_with_a_number_but_no_posting(self):
        funded("10")
        refused(
            "balance_changes_with_a_posting",
            "UPDATE payments_account SET balance = 11, seq = seq + 1 WHERE kind = 'available'",
        )

    def test_refuses_a_negative_balance(self):
        funded("10")
        refused(
            "account_is_never_overdrawn",
            "UPDATE payments_account SET balance = -1, seq = seq + 1 WHERE kind = 'available'",
        )

    def test_refuses_nan(self):
        funded("10")
        refused(
            "account_balance_is_a_number",
            "UPDATE payments_account SET balance = 'NaN', seq = seq + 1 WHERE kind = 'available'",
        )

    def test_refuses_an_entry_without_postings(self):
        refused(
            "entry_has_postings",
            "INSERT INTO payments_entry (key, kind, subject, occurred_at) VALUES ('x', 'x', 'x', now())",
        )

    def test_refuses_postings_that_do_not_sum_to_zero(self):
        funded("10")
        refused("entry_sums_to_zero", _new_entry("x"), _posting("x", "adjustment", "1"))

    def test_refuses_postings_added_to_an_entry_later(self):
        funded("10")
        refused(
            "entry_is_posted_at_once",
            _posting("fund:%", "adjustment", "1", "-1"),
        )

    def test_refuses_a_posting_in_another_currency_than_its_account(self):
        funded("10")
        refused(
            "posting_currency_is_its_accounts",
            _new_entry("x"),
            _posting("x", "adjustment", "1", "-1", currency="ETH"),
        )

    def test_refuses_an_unnumbered_posting_on_a_kept_account(self):
        funded("10")
        refused("posting_continues_its_account", _new_entry("x"), _posting("x", "available", "1", "-1"))

    def test_refuses_a_posting_that_skips_a_number(self):
        funded("10")
        refused(
            "posting_continues_its_account",
            _new_entry("x"),
            "INSERT INTO payments_posting (entry_id, account_id, currency, amount, seq, balance_after)"
            " SELECT e.id, a.id, 'BTC', v.amount, v.seq, v.after FROM payments_entry e, payments_account a,"
            " (VALUES (1::numeric, 3, 11::numeric), (-1::numeric, 4, 10::numeric)) v (amount, seq, after)"
            " WHERE e.key = 'x' AND a.kind = 'available'",
        )

    def test_refuses_postings_that_leave_the_balance_behind(self):
        funded("10")
        refused(
            "account_stands_at_its_last_posting",
            _new_entry("x"),
            "INSERT INTO payments_posting (entry_id, account_id, currency, amount, seq, balance_after)"
            " SELECT e.id, a.id, 'BTC', v.amount, v.seq, v.after FROM payments_entry e, payments_account a,"
            " (VALUES ('available', 1::numeric, 2, 11::numeric), ('adjustment', -1, NULL, NULL))"
            " v (kind, amount, seq, after) WHERE e.key = 'x' AND a.kind = v.kind",
        )

    @pytest.mark.parametrize("table", ["payments_entry", "payments_posting"])
    @pytest.mark.parametrize("statement", ["UPDATE {} SET id = id", "DELETE FROM {}", "TRUNCATE {} CASCADE"])
    def test_refuses_to_rewrite_history(self, table, statement):
        funded("10")
        judge_now()
        refused("append-only", statement.format(table))

    def test_refuses_to_remove_or_rename_an_account(self):
        funded("10")
        refused("account_is_never_removed", "DELETE FROM payments_account WHERE kind = 'available'")
        refused("account_keeps_its_identity", "UPDATE payments_account SET kind = 'held' WHERE kept")

    def test_refuses_an_account_opened_with_money(self):
        refused(
            "account_is_opened_empty",
            "INSERT INTO payments_account (currency, kind, kept, balance, seq)"
            " VALUES ('BTC', 'suspense', false, 5, 0)",
        )

    @pytest.mark.parametrize("role", ["bursar_app", "bursar_sender"])
    @pytest.mark.parametrize(
        "statement",
        [
            "UPDATE payments_posting SET amount = amount",
            "DELETE FROM payments_entry",
            "UPDATE payments_account SET kind = kind",
            "DELETE FROM payments_account",
            "TRUNCATE payments_posting",
            "UPDATE payments_terms SET enabled = true",
        ],
    )
    def test_grants_no_role_to_rewrite_the_books(self, role, statement):
        with (
            pytest.raises(ProgrammingError, match="permission denied"),
            transaction.atomic(),
            connection.cursor() as cursor,
        ):
            cursor.execute(f"SET LOCAL ROLE {role}")
            cursor.execute(statement)

    def test_grants_the_application_to_post(self):
        merchant = factories.merchant()
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SET LOCAL ROLE bursar_app")
            ledger.post(
                entry(
                    ledger.credit(merchant.pk, money("1")), ledger.house(AccountKind.ADJUSTMENT, money("-1"))
                )
            )
            judge_now()
            cursor.execute("RESET ROLE")
        assert balance(merchant).available == Decimal(1)


def _new_entry(key: str) -> str:
    return f"INSERT INTO payments_entry (key, kind, subject, occurred_at) VALUES ('{key}', 'x', 'x', now())"


def _posting(key: str, kind: str, *amounts: str, currency: str = "BTC") -> str:
    values = ", ".join(f"({amount}::numeric)" for amount in amounts)
    return (
        "INSERT INTO payments_posting (entry_id, account_id, currency, amount)"
        f" SELECT e.id, a.id, '{currency}', v.amount FROM payments_entry e, payments_account a,"
        f" (VALUES {values}) v (amount) WHERE e.key LIKE '{key}' AND a.kind = '{kind}'"
    )


amounts = st.decimals(
    min_value=Decimal("0.00000001"), max_value=Decimal("90000000000"), places=8, allow_nan=False
)


class TestAnyHistory:
    @settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(st.lists(st.tuples(st.sampled_from(["credit", "spend", "reclaim"]), amounts), max_size=8))
    def test_balances_are_the_sums_of_their_postings(self, history):
        with transaction.atomic():
            merchant = factories.merchant()
            owed = Decimal(0)
            for number, (act, amount) in enumerate(history):
                owed += _play(merchant, f"{merchant.pk}:{number}", act, amount)
            judge_now()
            for account in Account.objects.filter(merchant=merchant):
                postings = list(account.postings.order_by("seq"))
                assert account.balance == sum((posting.amount for posting in postings), Decimal(0))
                assert not postings or postings[-1].balance_after == account.balance
            total = sum(
                (account.balance for account in Account.objects.filter(merchant=merchant)), Decimal(0)
            )
            assert total == owed
            transaction.set_rollback(True)


def _play(merchant, key: str, act: str, amount: Decimal) -> Decimal:
    """One act; returns by how much the merchant's standing changed."""
    sign = 1 if act == "credit" else -1
    line = {"credit": ledger.credit, "reclaim": ledger.reclaim, "spend": ledger.available}[act]
    signed = money(str(amount if act != "spend" else -amount))
    try:
        with transaction.atomic():
            ledger.post(
                entry(
                    line(merchant.pk, signed),
                    ledger.house(AccountKind.ADJUSTMENT, money(str(-sign * amount))),
                    key=key,
                )
            )
    except ledger.InsufficientFunds:
        return Decimal(0)
    return sign * amount


@pytest.mark.django_db(transaction=True)
class TestConcurrency:
    def test_never_overspends_under_parallel_debits(self):
        merchant = funded("5")
        outcomes: list[str] = []

        def spend(number: int) -> None:
            try:
                with transaction.atomic():
                    ledger.post(
                        entry(
                            ledger.available(merchant.pk, money("-1")),
                            ledger.held(merchant.pk, money("1")),
                            key=f"spend:{number}",
                        )
                    )
                outcomes.append("spent")
            except ledger.InsufficientFunds:
                outcomes.append("refused")
            finally:
                connection.close()

        threads = [threading.Thread(target=spend, args=(number,)) for number in range(12)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(outcomes) == ["refused"] * 7 + ["spent"] * 5
        assert balance(merchant) == ledger.Balance("BTC", Decimal(0), Decimal(5), Decimal(0))
