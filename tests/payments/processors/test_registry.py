"""Who may have which end of a processor."""

from __future__ import annotations

import pytest
from pytest_django import Settings

from payments.processors import registry
from payments.processors.base import ProcessorError
from payments.processors.gateway import GatewayInbound, GatewayOutbound
from payments.processors.registry import UnknownProcessor

GIVEN = {"connector": "gateway", "url": "http://127.0.0.1:8010", "key": "k", "secret": "s"}


@pytest.fixture(autouse=True)
def _processors(settings: Settings) -> None:
    settings.PROCESSORS = {"sandbox": GIVEN}


class TestInboundAndOutbound:
    def test_are_made_with_the_processors_credentials(self) -> None:
        assert isinstance(registry.inbound("sandbox"), GatewayInbound)
        assert isinstance(registry.outbound("sandbox"), GatewayOutbound)

    def test_are_refused_in_a_role_without_credentials(self, settings: Settings) -> None:
        settings.PROCESSORS = {}
        settings.ROLE = "worker"
        for make in (registry.inbound, registry.outbound):
            with pytest.raises(UnknownProcessor, match="'worker' holds no credentials of 'sandbox'"):
                make("sandbox")

    @pytest.mark.parametrize("missing", ["url", "key", "secret", "connector"])
    def test_are_refused_with_half_the_credentials(self, settings: Settings, missing: str) -> None:
        settings.PROCESSORS = {"sandbox": {key: value for key, value in GIVEN.items() if key != missing}}
        with pytest.raises(UnknownProcessor):
            registry.outbound("sandbox")

    def test_are_refused_for_a_connector_that_does_not_exist(self, settings: Settings) -> None:
        settings.PROCESSORS = {"sandbox": {**GIVEN, "connector": "telepathy"}}
        with pytest.raises(UnknownProcessor, match="telepathy"):
            registry.inbound("sandbox")

    def test_fail_as_processors_do(self) -> None:
        assert issubclass(UnknownProcessor, ProcessorError)


class TestInboundParser:
    def test_needs_no_credentials(self, settings: Settings) -> None:
        settings.PROCESSORS = {}
        assert isinstance(registry.inbound_parser("gateway"), GatewayInbound)

    def test_is_refused_for_a_connector_that_does_not_exist(self) -> None:
        with pytest.raises(UnknownProcessor, match="telepathy"):
            registry.inbound_parser("telepathy")
