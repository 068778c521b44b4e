"""A second host on this machine: a network namespace behind a pair of virtual interfaces.

A program in it has no loopback and no port of ours: only TCP to the first host's address. The addresses are
of the network that is set aside for measurements (RFC 2544).
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass


class NotPermitted(Exception):
    """The second host cannot be made; the text says why."""


@dataclass(frozen=True)
class SecondHost:
    """first: the address of this host, as the second sees it."""

    name: str
    first: str

    def command(self, command: Sequence[str]) -> list[str]:
        """`command` as it runs there."""
        return ["ip", "netns", "exec", self.name, *command]


@contextmanager
def second_host() -> Iterator[SecondHost]:
    """A second host; it is gone afterwards. Raises `NotPermitted`."""
    if not shutil.which("ip"):
        raise NotPermitted("iproute2 is not installed")
    number = os.getpid() % 250
    name, here, there = f"bursar-bench-{number}", f"bb{number}a", f"bb{number}b"
    network = f"198.18.{number}"
    try:
        _ip("netns", "add", name)
        _ip("link", "add", here, "type", "veth", "peer", "name", there)
        _ip("link", "set", there, "netns", name)
        _ip("addr", "add", f"{network}.1/30", "dev", here)
        _ip("link", "set", here, "up")
        _ip("-n", name, "addr", "add", f"{network}.2/30", "dev", there)
        _ip("-n", name, "link", "set", there, "up")
        yield SecondHost(name, f"{network}.1")
    finally:
        for what in (("link", "del", here), ("netns", "del", name)):
            subprocess.run(["ip", *what], capture_output=True, check=False)


def _ip(*arguments: str) -> None:
    done = subprocess.run(["ip", *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        raise NotPermitted(f"ip {' '.join(arguments[:3])}: {done.stderr.strip()}")
