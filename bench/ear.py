"""`python -m bench.ear PORT`: a merchant's server that remembers when it first heard of each transaction.

Answers every request with 200. A line on stdin is answered by all it heard so far, as JSON: the number in
the txid → the wall clock.
"""

from __future__ import annotations

import asyncio
import json
import re
import sys
import time

_ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\nOK"
_TXID = re.compile(rb'"txid":"([0-9a-f]{64})"')
_LENGTH = re.compile(rb"content-length: *([0-9]+)", re.IGNORECASE)

heard: dict[int, float] = {}


class _Conversation(asyncio.Protocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport, self._received = transport, b""

    def data_received(self, data: bytes) -> None:
        now = time.time()
        self._received += data
        while (end := self._received.find(b"\r\n\r\n")) >= 0:
            length = _LENGTH.search(self._received, 0, end)
            whole = end + 4 + (int(length[1]) if length else 0)
            if len(self._received) < whole:
                return
            txid = _TXID.search(self._received, end, whole)
            if txid:
                heard.setdefault(int(txid[1], 16), now)
            self._received = self._received[whole:]
            self._transport.write(_ANSWER)


async def _serve(port: int) -> None:
    server = await asyncio.get_running_loop().create_server(_Conversation, "127.0.0.1", port)
    print("ready", flush=True)
    async with server:
        while await asyncio.to_thread(sys.stdin.readline):
            print(json.dumps(heard), flush=True)


if __name__ == "__main__":
    asyncio.run(_serve(int(sys.argv[1])))
