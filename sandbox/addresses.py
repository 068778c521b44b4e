"""Addresses that the sandbox issues: testnet, with right checksums, each asked for under a foreign id."""

from __future__ import annotations

from payments import address_formats
from payments.currencies import Currency
from sandbox import store
from sandbox.prices import CARRIED
from sandbox.store import Db, Row

_FIRST_TAG = 10_000_000


def take(
    db: Db, *, foreign_id: str, currency: str, convert_to: str = "", end_user_reference: str | None = None
) -> Row:
    """The address of this foreign id, currency and conversion: the same one every time."""
    known: Row | None = db.execute(
        "SELECT * FROM address WHERE foreign_id = ? AND currency = ? AND convert_to = ?",
        [foreign_id, currency, convert_to],
    ).fetchone()
    if known is None:
        number = db.execute("SELECT seq FROM sqlite_sequence WHERE name = 'address'").fetchone()["seq"] + 1
        address, tag = _make(CARRIED[currency], store.get(db, "salt"), number)
        known = _issue(db, foreign_id, currency, convert_to, address, tag, end_user_reference)
    return known


def find(db: Db, address: str, tag: str | None) -> Row | None:
    """The issued address with exactly this tag."""
    row: Row | None = db.execute(
        "SELECT * FROM address WHERE address = ? AND ifnull(tag, '') = ?", [address, tag or ""]
    ).fetchone()
    return row


def unclaimed(db: Db, address: str, tag: str | None) -> Row | None:
    """A known address with a tag that nobody was given, now on record; None for a foreign address."""
    first = db.execute("SELECT * FROM address WHERE address = ? ORDER BY id LIMIT 1", [address]).fetchone()
    if first is None:
        return None
    return _issue(db, f"unclaimed-{first['id']}-{tag}", first["currency"], "", address, tag, None)


def _make(currency: Currency, salt: str, number: int) -> tuple[str, str | None]:
    """A tagged network has one address of ours, where the tag tells the customers apart."""
    seed = f"{salt}:{currency.network.code if currency.network else ''}"
    tag = str(_FIRST_TAG + number) if currency.takes_tag else None
    if not currency.takes_tag:
        seed = f"{seed}:{number}"
    return address_formats.make(currency.address_format or "", seed.encode(), testnet=True), tag


def _issue(
    db: Db,
    foreign_id: str,
    currency: str,
    convert_to: str,
    address: str,
    tag: str | None,
    end_user_reference: str | None,
) -> Row:
    address_id = store.add(
        db,
        "address",
        foreign_id=foreign_id,
        currency=currency,
        convert_to=convert_to,
        address=address,
        tag=tag,
        end_user_reference=end_user_reference,
    )
    row: Row = db.execute("SELECT * FROM address WHERE id = ?", [address_id]).fetchone()
    return row
