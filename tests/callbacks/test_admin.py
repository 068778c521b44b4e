"""The operators' view of both boxes: everything to be seen, nothing to be changed but by replay."""

from __future__ import annotations

import pytest
from django.contrib.messages.storage.fallback import FallbackStorage
from django.http import HttpRequest
from django.test import RequestFactory

from callbacks import incoming
from callbacks.admin import IncomingCallbackAdmin
from callbacks.models import DeliveryAttempt, IncomingCallback, IncomingState, OutgoingCallback
from merchants.admin import operator_site
from merchants.models import AuditRecord, User
from tests import factories
from tests.callbacks import upstream
from tests.callbacks.outbox import callback, endpoint
from tests.factories import NOW

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("intake")]


def quarantined() -> IncomingCallback:
    factories.processor()
    incoming.receive(processor_code="sandbox", request=upstream.request(b"\xff{not json"))
    incoming.process(now=NOW)
    return IncomingCallback.objects.get()


@pytest.fixture
def operator() -> User:
    return factories.operator()


@pytest.fixture
def asking(operator: User) -> HttpRequest:
    """A request of that operator."""
    request = RequestFactory().post("/operator/")
    request.user = operator
    request.session = {}  # type: ignore[assignment] # what messages need of it
    request._messages = FallbackStorage(request)  # type: ignore[attr-defined]
    return request


class TestRows:
    @pytest.mark.parametrize("model", [IncomingCallback, OutgoingCallback, DeliveryAttempt])
    def test_can_be_looked_at_and_not_touched(self, model: type, asking: HttpRequest) -> None:
        page = operator_site.get_model_admin(model)
        assert not page.has_add_permission(asking)
        assert not page.has_change_permission(asking)
        assert not page.has_delete_permission(asking)

    def test_show_stored_bytes_as_text(self) -> None:
        page = operator_site.get_model_admin(IncomingCallback)
        assert page.body(quarantined()) == "\\xff{not json"  # type: ignore[attr-defined]
        row = callback(endpoint(), body=b'{"id":1}')
        assert operator_site.get_model_admin(OutgoingCallback).text(row) == '{"id":1}'  # type: ignore[attr-defined]


class TestReplay:
    @pytest.fixture
    def page(self) -> IncomingCallbackAdmin:
        return IncomingCallbackAdmin(IncomingCallback, operator_site)

    def test_makes_the_quarantined_due_and_is_audited(
        self, page: IncomingCallbackAdmin, asking: HttpRequest, operator: User
    ) -> None:
        row = quarantined()
        page.replay(asking, IncomingCallback.objects.all())
        row.refresh_from_db()
        assert row.state == IncomingState.RECEIVED
        record = AuditRecord.objects.get(act="operator.incomingcallback.replay")
        assert (record.actor, record.second_factor) == (operator, True)

    def test_says_which_rows_were_not(self, page: IncomingCallbackAdmin, asking: HttpRequest) -> None:
        incoming.receive(processor_code="sandbox", request=upstream.request(b"{}"))
        page.replay(asking, IncomingCallback.objects.all())
        (message,) = list(asking._messages)  # type: ignore[attr-defined]
        assert str(message).endswith("Only a quarantined callback can be replayed.")
        assert not AuditRecord.objects.filter(act="operator.incomingcallback.replay").exists()
