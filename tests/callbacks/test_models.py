"""What the database itself refuses, tried past Python: one test for each rule."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import IntegrityError, ProgrammingError, connection, transaction
from django.utils import timezone

from callbacks.models import DeliveryAttempt, Endpoint, IncomingCallback, OutgoingCallback, OutgoingState
from tests import factories
from tests.callbacks.outbox import callback, endpoint
from tests.constraints import refused

pytestmark = pytest.mark.django_db


def incoming(raw: str = "{}") -> IncomingCallback:
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO callbacks_incomingcallback"
            " (processor, sha256, raw, headers, state, attempts, failures, unfinished, error)"
            " VALUES ('sandbox', sha256(%s::bytea), %s::bytea, '{}', 'received', 0, 0, 0, '') RETURNING id",
            [raw, raw],
        )
        return IncomingCallback.objects.get(pk=cursor.fetchone()[0])


def update(row: Endpoint | IncomingCallback | OutgoingCallback | DeliveryAttempt, assignment: str) -> str:
    return f"UPDATE {row._meta.db_table} SET {assignment} WHERE id = {row.pk}"


def copy(row: IncomingCallback | OutgoingCallback | DeliveryAttempt, *, but: str = "") -> str:
    """A statement that inserts the row a second time, with the columns of `but` instead ("a = 1, b = 2")."""
    instead = dict(part.split(" = ") for part in but.split(", ") if part)
    names = [column.column for column in row._meta.concrete_fields if not column.primary_key]
    values = ", ".join(instead.get(name, name) for name in names)
    table = row._meta.db_table
    return f"INSERT INTO {table} ({', '.join(names)}) SELECT {values} FROM {table} WHERE id = {row.pk}"


class TestEndpoint:
    @pytest.mark.parametrize("url", ["ftp://shop.example/", "shop.example", " https://shop.example"])
    def test_speaks_http(self, url: str) -> None:
        refused("endpoint_speaks_http", update(endpoint(), f"url = '{url}'"))

    def test_follows_a_published_list(self) -> None:
        refused("endpoint_preset_is_published", update(endpoint(), "preset = '2020'"))

    def test_is_healthy_or_failing(self) -> None:
        refused("endpoint_health_is_known", update(endpoint(), "health = 'so-so'"))

    def test_is_one_per_merchant(self) -> None:
        place = endpoint()
        with pytest.raises(IntegrityError), transaction.atomic():
            Endpoint.objects.create(merchant=place.merchant)


class TestIncomingCallback:
    def test_is_stored_once(self) -> None:
        refused("incoming_callback_is_stored_once", copy(incoming()))

    def test_may_come_from_two_processors(self) -> None:
        row = incoming()
        with connection.cursor() as cursor:
            cursor.execute(copy(row, but="processor = 'second'"))
        assert IncomingCallback.objects.count() == 2

    def test_has_a_true_fingerprint(self) -> None:
        refused("incoming_callback_fingerprint_is_true", copy(incoming(), but="sha256 = sha256('x')"))

    @pytest.mark.parametrize(
        "assignment",
        ["raw = 'x'", "processor = 'x'", "sha256 = sha256('x')", "headers = '{}'", "received_at = now()"],
    )
    def test_stays_as_it_came(self, assignment: str) -> None:
        refused("incoming_callback_stays_as_it_came", update(incoming(), assignment))

    def test_is_in_a_known_state(self) -> None:
        refused(
            "incoming_callback_state_is_known",
            copy(incoming("a"), but="state = 'x', sha256 = sha256, raw = raw, processor = 'b'"),
        )

    @pytest.mark.parametrize(
        "path", [("applied", "received"), ("applied", "quarantined"), ("quarantined", "applied")]
    )
    def test_moves_legally(self, path: tuple[str, str]) -> None:
        row = incoming()
        at = {"applied": "now()"}
        first, second = (
            update(row, f"state = '{state}', error = 'why', applied_at = {at.get(state, 'NULL')}")
            for state in path
        )
        with connection.cursor() as cursor:
            cursor.execute(first)
        refused("incoming_callback_moves_legally", second)

    @pytest.mark.parametrize("assignment", ["state = 'applied'", "applied_at = now()"])
    def test_is_applied_at_a_time(self, assignment: str) -> None:
        refused("incoming_callback_is_applied_at_a_time", update(incoming(), assignment))

    def test_is_quarantined_for_a_reason(self) -> None:
        refused("incoming_callback_is_quarantined_for_a_reason", update(incoming(), "state = 'quarantined'"))


class TestOutgoingCallback:
    def test_is_written_once(self) -> None:
        refused("outgoing_callback_is_written_once", copy(callback(endpoint())))

    def test_is_leased_for_one_version_of_a_subject(self) -> None:
        place = endpoint()
        rows = [callback(place, subject=1, version=version) for version in (1, 2)]
        lease = "leased_until = now(), attempts = 1"
        refused("outgoing_callback_one_leased_per_subject", *(update(row, lease) for row in rows))

    @pytest.mark.parametrize("state", [OutgoingState.DELIVERED, OutgoingState.EXHAUSTED])
    def test_is_leased_only_while_due(self, state: str) -> None:
        row = callback(endpoint(), state=state, attempts=1)
        refused("outgoing_callback_is_leased_only_while_due", update(row, "leased_until = now()"))

    def test_is_leased_only_with_its_try_counted(self) -> None:
        row = callback(endpoint())
        refused("outgoing_callback_is_leased_only_while_due", update(row, "leased_until = now()"))

    def test_is_due_somewhere(self) -> None:
        refused("outgoing_callback_is_sent_somewhere", update(callback(endpoint()), "endpoint_id = NULL"))

    def test_begins_its_schedule_in_the_past(self) -> None:
        row = callback(endpoint())
        refused("outgoing_callback_schedule_began_in_the_past", update(row, "schedule_from = 1"))

    def test_has_versions_from_one(self) -> None:
        row = callback(endpoint())
        refused("outgoing_callback_version_from_one", copy(row, but="version = 0"))

    def test_is_in_a_known_state(self) -> None:
        row = callback(endpoint())
        refused("outgoing_callback_state_is_known", copy(row, but="state = 'x', version = 2"))

    @pytest.mark.parametrize(
        ("before", "after"),
        [
            ("delivered", "exhausted"),
            ("delivered", "superseded"),
            ("superseded", "due"),
            ("exhausted", "delivered"),
            ("due", "unaddressed"),
        ],
    )
    def test_moves_legally(self, before: str, after: str) -> None:
        row = callback(endpoint(), state=before)
        refused("outgoing_callback_moves_legally", update(row, f"state = '{after}'"))

    @pytest.mark.parametrize(
        "assignment",
        ["body = 'x'", "subject_id = 9", "subject_kind = 'x'", "version = 9", "created_at = now()"],
    )
    def test_keeps_its_bytes(self, assignment: str) -> None:
        refused("outgoing_callback_keeps_its_bytes", update(callback(endpoint()), assignment))

    def test_keeps_its_merchant(self) -> None:
        row, other = callback(endpoint()), factories.merchant()
        refused("outgoing_callback_keeps_its_bytes", update(row, f"merchant_id = {other.pk}"))

    def test_goes_to_its_own_merchants_endpoint(self) -> None:
        row, other = callback(endpoint()), endpoint()
        refused("outgoing_callback_endpoint_is_the_merchants", update(row, f"endpoint_id = {other.pk}"))


class TestDeliveryAttempt:
    @pytest.fixture
    def attempt(self) -> DeliveryAttempt:
        return DeliveryAttempt.objects.create(
            callback=callback(endpoint()),
            number=1,
            url="http://127.0.0.1:9/",
            request_headers={},
            status=200,
            response_headers={},
            response_body=b"OK",
            ms=1,
        )

    def test_is_kept_once(self, attempt: DeliveryAttempt) -> None:
        refused("delivery_attempt_is_kept_once", copy(attempt))

    def test_was_answered_or_says_why_not(self, attempt: DeliveryAttempt) -> None:
        refused(
            "delivery_attempt_was_answered_or_says_why_not", copy(attempt, but="status = NULL, number = 2")
        )


class TestRoles:
    @pytest.mark.parametrize("role", ["bursar_app", "bursar_sender"])
    @pytest.mark.parametrize(
        "statement",
        [
            "UPDATE callbacks_deliveryattempt SET status = 200",
            "DELETE FROM callbacks_deliveryattempt",
            "TRUNCATE callbacks_deliveryattempt",
            "DELETE FROM callbacks_incomingcallback",
            "DELETE FROM callbacks_outgoingcallback",
        ],
    )
    def test_may_not_remove_what_was_said(self, role: str, statement: str) -> None:
        with (
            pytest.raises(ProgrammingError, match="permission denied"),
            transaction.atomic(),
            connection.cursor() as cursor,
        ):
            cursor.execute(f"SET LOCAL ROLE {role}")
            cursor.execute(statement)

    @pytest.mark.parametrize("role", ["bursar_app", "bursar_sender"])
    def test_may_write_both_boxes(self, role: str) -> None:
        place = endpoint()
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(f"SET LOCAL ROLE {role}")
            incoming()
            row = callback(place, next_attempt_at=timezone.now() + timedelta(hours=1))
            cursor.execute(update(row, "attempts = 1"))
            cursor.execute("RESET ROLE")
        assert OutgoingCallback.objects.get().attempts == 1
