"""What goes wrong on purpose: set through `/sim/faults`, kept until reset.

Callback faults act on what is queued after they are set. API faults act on the v2 API only, so that the
controls and the chain stay usable.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields

from merchants.errors import Refusal
from sandbox import store
from sandbox.store import Db


class UnknownFault(Refusal):
    """There is no such fault, or not with this value."""


@dataclass(frozen=True)
class Faults:
    """Each off at its default; several may be on at once."""

    silent: bool = False
    """No callbacks at all; what happens meanwhile is never told (but see `repeat`)."""
    duplicate: int = 1
    """Each callback is sent this many times."""
    reorder: bool = False
    """Callbacks gather for a moment and go out newest first."""
    delay: int = 0
    """Seconds that each callback waits before its first try."""
    api_path: str = ""
    """The API faults below hit only paths that begin so (`withdrawal/crypto`); empty: all."""
    api_before: bool = False
    """They strike before the request is done, not (as by default) between doing it and answering."""
    api_times: int = 0
    """They strike this many times, then no more; 0: always."""
    api_hang: int = 0
    """Seconds before the answer."""
    api_status: int = 0
    """This status, with a body that is no JSON, instead of the answer."""
    api_truncate: bool = False
    """The answer ends in its middle."""
    api_reset: bool = False
    """The connection is cut instead of an answer."""
    used_foreign_id: bool = False
    """Withdrawals and exchanges are refused as if their foreign id had been used."""
    fail_withdrawals: str = ""
    """Accepted withdrawals are cancelled with this error."""
    hold_withdrawals: bool = False
    """Accepted withdrawals and exchanges stay in processing until this is reset."""

    @property
    def strikes(self) -> bool:
        """Whether any API fault is on."""
        return bool(self.api_hang or self.api_status or self.api_truncate or self.api_reset)


def load(db: Db) -> Faults:
    return Faults(**json.loads(store.get(db, "faults", "{}")))


def save(db: Db, faults: Faults) -> None:
    store.put(db, "faults", json.dumps(asdict(faults)))


def update(db: Db, values: dict[str, object]) -> Faults:
    """Turns the named faults on or off and leaves the rest. Raises `UnknownFault`."""
    types = {field.name: type(field.default) for field in fields(Faults)}
    for name, value in values.items():
        if name not in types or type(value) is not types[name]:
            raise UnknownFault(field=name)
        if isinstance(value, int) and not 0 <= value <= 3600:
            raise UnknownFault(field=name)
    faults = Faults(**{**asdict(load(db)), **values})
    save(db, faults)
    return faults


def strike(db: Db, path: str) -> Faults | None:
    """The API faults that hit a request to `path`, counted; None when none does."""
    faults = load(db)
    if not faults.strikes or not path.startswith(faults.api_path):
        return None
    if faults.api_times:
        used_up = faults.api_times == 1
        save(db, Faults(**{**asdict(faults), **(_OFF if used_up else {"api_times": faults.api_times - 1})}))
    return faults


_OFF: dict[str, object] = {
    field.name: field.default for field in fields(Faults) if field.name.startswith("api_")
}
