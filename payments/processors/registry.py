"""Which processors there are: a connector by its name, a processor's credentials by its code.

Credentials are in the settings of the roles that need them, intake and sender, and nowhere else. The worker
reads notices with a parser that has none.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TypeVar

from django.conf import settings

from payments.processors.base import Inbound, Outbound, ProcessorError
from payments.processors.gateway import GatewayInbound, GatewayOutbound

T = TypeVar("T")


class UnknownProcessor(ProcessorError):
    """No such connector, or no such processor in this process's settings."""


@dataclass(frozen=True, slots=True)
class Connector:
    """How one kind of processor is made from its settings."""

    parser: Callable[[], Inbound]
    inbound: Callable[[Mapping[str, str]], Inbound]
    outbound: Callable[[Mapping[str, str]], Outbound]


CONNECTORS: Mapping[str, Connector] = MappingProxyType(
    {
        "gateway": Connector(
            parser=GatewayInbound,
            inbound=lambda given: GatewayInbound(key=given["key"], secret=given["secret"]),
            outbound=lambda given: GatewayOutbound(
                url=given["url"], key=given["key"], secret=given["secret"]
            ),
        ),
    }
)
"""Every connector by the name that `Processor.connector` holds."""


def inbound(code: str) -> Inbound:
    """What verifies and reads the callbacks of the processor `code`. Raises `UnknownProcessor`."""
    given = _credentials(code)
    return _made(code, _connector(given.get("connector", "")).inbound, given)


def outbound(code: str) -> Outbound:
    """What orders from the processor `code`; for the sender. Raises `UnknownProcessor`."""
    given = _credentials(code)
    return _made(code, _connector(given.get("connector", "")).outbound, given)


def inbound_parser(connector: str) -> Inbound:
    """What reads callbacks that were verified before, without any secret. Raises `UnknownProcessor`."""
    return _connector(connector).parser()


def _connector(name: str) -> Connector:
    if name not in CONNECTORS:
        raise UnknownProcessor(f"there is no connector {name!r}")
    return CONNECTORS[name]


def _credentials(code: str) -> Mapping[str, str]:
    if code not in settings.PROCESSORS:
        raise UnknownProcessor(f"the role {settings.ROLE!r} holds no credentials of {code!r}")
    given: Mapping[str, str] = settings.PROCESSORS[code]
    return given


def _made(code: str, make: Callable[[Mapping[str, str]], T], given: Mapping[str, str]) -> T:
    try:
        return make(given)
    except KeyError as missing:
        raise UnknownProcessor(f"the credentials of {code!r} lack {missing}") from None
