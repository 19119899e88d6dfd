"""Marks: keyed hashes of what must not come back, and the key that makes them.

The key is 32 random bytes, made with the first erasure and kept sealed in the database. When the operator's secret key is
rotated, only its seal is renewed: the marks stay as good as they were. Without the key a mark tells nothing, and two
merchants' marks of the same address have nothing in common.
"""

from __future__ import annotations

import hashlib
import hmac
import os
from collections.abc import Iterable
from typing import Any

from tracklayer.db import erasure_keys as db
from tracklayer.db import marks as db_marks
from tracklayer.db.connection import DatabaseAwayError, in_transaction
from tracklayer.db.erasure_keys import KeyRow
from tracklayer.db.merchants import KeyHolder
from tracklayer.db.sealing_keys import sealing_keys
from tracklayer.domain import person
from tracklayer.domain.read_event import read_event
from tracklayer.runtime import Runtime
from tracklayer.sealing import Sealer, SealError
from tracklayer.services.persist import to_record

PREFIX = 12  # hexadecimal digits of a mark that a receipt shows: enough to tell them apart
_CONTEXT = "erasure key"


class KeyAwayError(DatabaseAwayError):
    """This process lacks the secret key that sealed what it needs of the database; those that have it serve."""

    def __init__(self) -> None:
        super().__init__("this process lacks a secret key that the database needs")


class Marker:
    """Makes the marks of one installation."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def mark(self, merchant_id: int, token: str) -> bytes:
        """HMAC-SHA256. ``token``: as ``domain.person`` makes them, or ``event:id``."""
        return hmac.digest(self._key, f"{merchant_id}\0{token}".encode(), hashlib.sha256)

    def named(self, merchant_id: int, event_id: str, event_name: str) -> bytes:
        """The mark of an event, followed by ``NAME_BYTES`` for its name."""
        own = self.mark(merchant_id, of_event(event_id))
        return own + self.mark(merchant_id, of_named_event(event_id, event_name))[:NAME_BYTES]

    def marks(self, merchant_id: int, tokens: Iterable[str]) -> list[bytes]:
        return sorted({self.mark(merchant_id, token) for token in tokens})


MARK_BYTES = 32
NAME_BYTES = 8  # of a mark that an event's own is followed by: it only tells a few names of one id apart


def of_event(event_id: str) -> str:
    """The token of an event itself."""
    return f"event:{event_id}"


def of_named_event(event_id: str, event_name: str) -> str:
    """The token of an event with its name. No event id holds a line break."""
    return f"event:{event_id}\n{event_name}"


def marker_of(runtime: Runtime) -> Marker:
    """This process's, read once; made where there is none. Raises DatabaseAwayError, and KeyAwayError where it does not open."""
    if runtime.marker is None:
        try:
            with in_transaction():
                row = key_of(runtime, "mark", lambda: (os.urandom(32), None))
            runtime.marker = Marker(runtime.sealer.open(row.sealed, context_of(row.key_id)))
        except SealError as error:
            raise KeyAwayError from error
    return runtime.marker  # type: ignore[no-any-return]


def have_others_its_key(runtime: Runtime, error: BaseException) -> bool:
    """Whether something could not be opened for want of a secret key that other processes use: so one of those does it."""
    cause = error.__cause__ if isinstance(error, KeyAwayError) else error
    if not isinstance(cause, SealError) or cause.key_id is None or cause.key_id in runtime.sealer.key_ids:
        return False
    with in_transaction():
        return cause.key_id in sealing_keys()


def is_left_alone(runtime: Runtime, merchant: KeyHolder, draft: Any) -> bool:
    """Whether an event would be of somebody who is to be left alone, were it sent now."""
    now = runtime.clock.now()
    read = read_event(draft, now, merchant.default_countries) if merchant.is_marked else []
    if isinstance(read, list):
        return False
    countries = merchant.default_countries
    record = to_record(read.event, merchant.merchant_id, now, runtime.sealer, merchant.hash_user_data, countries)
    tokens = person.tokens_of_event(record["user_data"], record["digests"], countries)
    marks = marker_of(runtime).marks(merchant.merchant_id, person.to_leave_alone(tokens))
    with in_transaction():
        return db_marks.is_any_suppressed(merchant.merchant_id, marks)


def key_of(runtime: Runtime, purpose: str, make: object) -> KeyRow:
    """The key in use for a purpose, sealed with the newest secret key; ``make`` gives (key, public key) of a new one.

    Needs a transaction.
    """
    row = db.key_in_use(purpose)
    if row is None:
        secret, public = make()  # type: ignore[operator]
        key_id = os.urandom(8).hex()
        db.insert_key(
            purpose, KeyRow(key_id, runtime.sealer.seal(secret, context_of(key_id)), public), runtime.clock.now()
        )
        row = db.key_in_use(purpose)
        assert row is not None
    return row if row.sealed[1:5] == runtime.sealer.newest else _renew(runtime.sealer, row)


def renew_seals(sealer: Sealer) -> None:
    """Seals with the newest secret key what this process can open, so that nothing but that key is needed for it.

    Safe beside other processes. Needs a transaction.
    """
    for row in db.keys_sealed_otherwise(sealer.newest):
        if row.sealed[1:5] in sealer.key_ids:
            _renew(sealer, row)


def _renew(sealer: Sealer, row: KeyRow) -> KeyRow:
    renewed = sealer.seal(sealer.open(row.sealed, context_of(row.key_id)), context_of(row.key_id))
    db.reseal_key(row, renewed)
    return row._replace(sealed=renewed)


def context_of(key_id: str) -> str:
    return f"{_CONTEXT}/{key_id}"
