"""People at the dashboard: who signs in, with a key or a link that works once, and for how long.

A session is worth what its API key is. One that began with a link is bound to a key named ``sign-in links``, whose secret
nobody knows: it stands among the merchant's keys, and whoever revokes it ends those sessions.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from tracklayer.db import merchants as db_merchants
from tracklayer.db import sign_ins as db
from tracklayer.db.connection import DatabaseAwayError, in_transaction
from tracklayer.db.merchants import KeyHolder
from tracklayer.db.sessions import is_in_the_way
from tracklayer.runtime import Runtime
from tracklayer.services.merchants import SCOPES, hash_of_key, insert_key

LINKS_KEY = "sign-in links"
SESSION_LIFETIME = db.LONGEST  # at most; without a request it is ``db.IDLE``
CODE_LIFETIME = timedelta(minutes=15)
RANDOM_BYTES = 32
MAX_LOOKED_AT = 3  # cookies of one request that may be its session
PURGED = 5_000  # of one run
_VALUE = re.compile(r"[A-Za-z0-9_-]{43}")  # what RANDOM_BYTES give as text: nothing else is asked of the database
_KEY = re.compile(r"tl_[A-Za-z0-9_-]{16,128}")


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody who is signed in."""

    merchant_id: int
    merchant_name: str
    scopes: frozenset[str]


def sign_in_with_key(runtime: Runtime, key: str, before: Sequence[str] = ()) -> tuple[str, Person] | None:
    """(a new session's value, who it is); None where the key is unknown or revoked.

    ``before``: what may have been this browser's session until now; it ends.
    """
    if not _KEY.fullmatch(key):
        return None
    value, now = secrets.token_urlsafe(RANDOM_BYTES), runtime.clock.now()
    with in_transaction():
        found = db_merchants.key_holder(hash_of_key(key), now)
        if found is None:
            return None
        merchant_id, key_id = found[0].merchant_id, found[0].key_id
        db_merchants.lock_merchant(merchant_id)
        holder = _begin(value, merchant_id, key_id, now, before)
    return _begun(runtime, value, holder, now, before)


def sign_in_with_code(runtime: Runtime, code: str, before: Sequence[str] = ()) -> tuple[str, Person] | None:
    """As ``sign_in_with_key``; None where the code was used, or is too old."""
    if not _VALUE.fullmatch(code):
        return None
    value, now = secrets.token_urlsafe(RANDOM_BYTES), runtime.clock.now()
    with in_transaction():
        merchant_id = db.take_code(_hash(code), now)
        if merchant_id is None:
            return None
        db_merchants.lock_merchant(merchant_id)  # so that no two at once make the key
        key_id = db.key_named(merchant_id, LINKS_KEY, SCOPES)
        if key_id is None:
            key_id = insert_key(merchant_id, LINKS_KEY, SCOPES, now)[0].key_id
        holder = _begin(value, merchant_id, key_id, now, before)
    return _begun(runtime, value, holder, now, before)


def may_sign_in(kind: str, sent: str) -> bool:
    """Whether it looks like a ``key``, or like a ``code``: anything else is none, and no question to the database."""
    return (_KEY if kind == "key" else _VALUE).fullmatch(sent) is not None


def _begin(value: str, merchant_id: int, key_id: int, now: datetime, before: Sequence[str]) -> KeyHolder | None:
    """None where the key was revoked this moment. Needs the merchant's lock."""
    for ended in before:
        db.end_session(_hash(ended))
    db.insert_session(_hash(value), merchant_id, key_id, now)
    found = db.session_holder(_hash(value), now)
    return found[0] if found is not None else None


def _begun(
    runtime: Runtime, value: str, holder: KeyHolder | None, now: datetime, before: Sequence[str]
) -> tuple[str, Person] | None:
    """To sign in is to use the key: it is noted as any other use."""
    _forget(runtime, before)
    if holder is None:
        return None
    _note_seen(holder, now)
    return value, _person(holder)


def who_is_there(runtime: Runtime, value: str) -> Person | None:
    """Whose session it is."""
    holder = recently_signed_in(runtime, value) or session_holder(runtime, value)
    return _person(holder) if holder is not None else None


def _person(holder: KeyHolder) -> Person:
    merchant = db_merchants.merchant_by_id(holder.merchant_id)
    return Person(holder.merchant_id, merchant.name if merchant is not None else "", holder.scopes)


def sign_out(runtime: Runtime, value: str) -> None:
    """Ends a session: here at once, in other processes within ``keyring.LIFETIME``."""
    if not may_be_session(value):
        return
    try:
        with in_transaction():
            db.end_session(_hash(value))
    finally:  # also after a failure: a commit whose answer was lost is one all the same
        _forget(runtime, [value])


def session_holder(runtime: Runtime, value: str) -> KeyHolder | None:
    """Who is signed in with it; None for one that is unknown or over. Notes that they were seen."""
    if not may_be_session(value):
        return None
    begun, now = runtime.keyring.begin(), runtime.clock.now()
    found = db.session_holder(_hash(value), now)
    if found is None:
        return None
    holder, is_to_note = found
    if is_to_note:
        _note_seen(holder, now)
    runtime.keyring.keep(_place(value), holder, now, begun)
    return holder


def _note_seen(holder: KeyHolder, now: datetime) -> None:
    """As far as it can be done at once: nobody waits for a note."""
    try:
        with in_transaction():
            if holder.session is not None:
                db.note_seen(holder.session, now)
            db_merchants.note_use(holder.merchant_id, holder.key_id, now)
    except DatabaseAwayError as error:
        if not is_in_the_way(error):
            raise


def recently_signed_in(runtime: Runtime, value: str) -> KeyHolder | None:
    """Who is signed in with it, without asking a row: None where nobody asked within ``keyring.LIFETIME``."""
    holder: KeyHolder | None = runtime.keyring.find(_place(value), runtime.clock.now())
    return holder


def may_be_session(value: str) -> bool:
    """Whether it looks like a session's value: anything else is none, and no question to the database."""
    return _VALUE.fullmatch(value) is not None


def is_known_session(runtime: Runtime, value: str) -> bool:
    """Whether this process has found this session before."""
    return runtime.keyring.has_held(_place(value))


def likeliest(runtime: Runtime, values: Sequence[str]) -> list[str]:
    """Of what a browser sent those that are looked at: a few, what was a session before first."""
    return sorted(values, key=lambda value: not is_known_session(runtime, value))[:MAX_LOOKED_AT]


def make_code(runtime: Runtime, merchant_id: int) -> str:
    """Signs in whoever has it, once, within ``CODE_LIFETIME``, with all rights of the merchant."""
    code, now = secrets.token_urlsafe(RANDOM_BYTES), runtime.clock.now()
    with in_transaction():
        db.insert_code(_hash(code), merchant_id, now, now + CODE_LIFETIME)
    return code


def link_with(public_url: str, code: str) -> str:
    """The dashboard's address with a code. Browsers keep what stands behind ``#`` to themselves: no log has it."""
    for every_address in ("//0.0.0.0", "//[::]"):  # where one listens, and nothing that every browser opens
        public_url = public_url.replace(every_address, "//localhost", 1)
    return f"{public_url}/#code={code}"


def purge_sign_ins(runtime: Runtime) -> int:
    """Deletes sessions and codes that are over; how many, bounded a run."""
    with in_transaction():
        return db.purge_sign_ins(runtime.clock.now(), PURGED)


def _forget(runtime: Runtime, values: Sequence[str]) -> None:
    for value in values:
        runtime.keyring.drop(_place(value))


def _hash(value: str) -> bytes:
    return hashlib.sha256(value.encode()).digest()


def _place(value: str) -> bytes:
    """In the keyring, where an API key's hash can not be: neither is ever taken for the other."""
    return b"session " + _hash(value)
