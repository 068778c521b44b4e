"""Any v2 upstream: the built-in sandbox, CoinsPaid, another Bursar.

`GatewayInbound` verifies and reads its callbacks, `GatewayOutbound` speaks to its API. The protocol is the
published v2 one, from the client's side.
"""

from payments.processors.gateway.inbound import GatewayInbound
from payments.processors.gateway.outbound import GatewayOutbound

__all__ = ["GatewayInbound", "GatewayOutbound"]
