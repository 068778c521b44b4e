"""`python -m bench.sink PORT HOSTS`: merchants' servers that cost next to nothing, in a process of its own.

They answer every request with 200 and `OK` over connections that stay open, and judge nothing. There are as
many as `HOSTS`, each at a loopback address of its own, as merchants have hosts of their own.
"""

from __future__ import annotations

import asyncio
import sys

_ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\nOK"


class _Conversation(asyncio.Protocol):
    """One connection; requests may come in any pieces."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport, self._heard = transport, b""

    def data_received(self, data: bytes) -> None:
        self._heard += data
        while (whole := _length(self._heard)) and len(self._heard) >= whole:
            self._heard = self._heard[whole:]
            self._transport.write(_ANSWER)


def _length(heard: bytes) -> int:
    """How long the first request is, head and body; 0 while its head is not complete."""
    head, end, _ = heard.partition(b"\r\n\r\n")
    if not end:
        return 0
    _, found, rest = head.lower().partition(b"content-length:")
    return len(head) + len(end) + (int(rest.split(b"\r\n", 1)[0]) if found else 0)


def host(number: int) -> str:
    """The loopback address of the merchant with that number, from 0."""
    return f"127.0.0.{number + 1}"


async def _serve(port: int, hosts: int) -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(_Conversation, [host(number) for number in range(hosts)], port)
    print("ready", flush=True)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(_serve(int(sys.argv[1]), int(sys.argv[2])))
