"""A TCP proxy before PostgreSQL's socket, which delays, cuts, and drops what one side says.

The fault that matters most is the lost answer: a statement reaches the server and is carried out, and who
sent it never hears. `lose_answers` does that to commits and to the intake's inserts: the statement passes,
its answer is swallowed, the line is cut. What happens is a function of the seed and of the order in which
statements come.
"""

from __future__ import annotations

import asyncio
import random
import socket
import threading
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

TELLING = (b"COMMIT", b"INSERT INTO callbacks_incomingcallback")
"""Statements after which a lost answer leaves the client in doubt about what is stored."""
_CHUNK = 65_536


@dataclass
class Faults:
    """What is wrong with the line now. delay: seconds before each chunk of the server's answers."""

    delay: float = 0.0
    lose_one_in: int = 0
    drop_answers: bool = False


@dataclass
class Proxy:
    """Listens on a loopback port; every connection is passed on to the unix socket `target`."""

    target: Path
    seed: int = 0
    faults: Faults = field(default_factory=Faults)
    lost: int = 0
    cut: int = 0

    def __post_init__(self) -> None:
        self._chance = random.Random(f"proxy {self.seed}")
        self._loop = asyncio.new_event_loop()
        self._open: set[asyncio.StreamWriter] = set()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=256)
        self.port: int = self._listener.getsockname()[1]

    def start(self) -> None:
        self._thread = threading.Thread(target=self._serve, name="proxy", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._end)
        self._thread.join(10)
        self._listener.close()

    # --- faults, from any thread ---

    def heal(self) -> None:
        self.faults = Faults()

    def slow(self, seconds: float) -> None:
        """Answers come that much later, chunk by chunk."""
        self.faults = Faults(delay=seconds)

    def lose_answers(self, one_in: int) -> None:
        """One in so many commits and stored callbacks is carried out, and its sender cut off unanswered."""
        self.faults = Faults(lose_one_in=one_in)

    def go_silent(self) -> None:
        """What the server says is dropped, on every line: clients wait, until `cut_all` or `heal`."""
        self.faults = Faults(drop_answers=True)

    def cut_all(self) -> None:
        """Resets every connection."""
        self._loop.call_soon_threadsafe(self._reset_all)

    # --- the line ---

    def _serve(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(asyncio.start_server(self._accept, sock=self._listener))
        self._loop.run_forever()
        left = asyncio.all_tasks(self._loop)
        for task in left:
            task.cancel()
        self._loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))
        self._loop.close()

    def _end(self) -> None:
        self._reset_all()
        self._loop.stop()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            behind, onward = await asyncio.open_unix_connection(str(self.target))
        except OSError:
            writer.transport.abort()
            return
        line = _Line(reader, writer, behind, onward)
        self._open |= {writer, onward}
        try:
            await asyncio.gather(self._pass_statements(line), self._pass_answers(line))
        except (OSError, asyncio.CancelledError):
            pass
        finally:
            for end in (writer, onward):
                self._open.discard(end)
                end.transport.abort()

    async def _pass_statements(self, line: _Line) -> None:
        while chunk := await line.reader.read(_CHUNK):
            if self._loses(chunk):
                line.muted = True
                self.lost += 1
            line.onward.write(chunk)
            await line.onward.drain()
        with suppress(OSError):
            line.onward.close()

    async def _pass_answers(self, line: _Line) -> None:
        while chunk := await line.behind.read(_CHUNK):
            if line.muted:  # carried out, and never heard of
                line.writer.transport.abort()
                line.onward.transport.abort()
                return
            if self.faults.delay:
                await asyncio.sleep(self.faults.delay)
            if not self.faults.drop_answers:
                line.writer.write(chunk)
                await line.writer.drain()
        with suppress(OSError):
            line.writer.close()

    def _loses(self, chunk: bytes) -> bool:
        one_in = self.faults.lose_one_in
        return bool(one_in) and any(word in chunk for word in TELLING) and not self._chance.randrange(one_in)

    def _reset_all(self) -> None:
        for end in list(self._open):
            self.cut += 1
            end.transport.abort()


@dataclass
class _Line:
    """One client's connection and the one behind it. muted: its next answer is lost, and the line with it."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    behind: asyncio.StreamReader
    onward: asyncio.StreamWriter
    muted: bool = False
