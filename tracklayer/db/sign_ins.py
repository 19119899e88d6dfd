"""Sessions of people at the dashboard, and codes that begin one. (Sessions with PostgreSQL are ``sessions``' affair.)"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from tracklayer.clock import elapsed
from tracklayer.db.connection import execute, rows
from tracklayer.db.merchants import HOLDER, LAST_USED_GRAIN, KeyHolder, holder_of

IDLE = timedelta(hours=12)  # without a request
LONGEST = timedelta(days=7)
MAX_SESSIONS = 50  # of a key: the one not seen for longest ends for a new one; no key ends what another began
MAX_CODES = 100  # of a merchant that wait to be used: the oldest goes for a new one


def insert_session(session_hash: bytes, merchant_id: int, key_id: int, now: datetime) -> None:
    """A new session; needs the merchant's lock, so that two do not make room for the same."""
    execute(
        "DELETE FROM sessions WHERE merchant_id = %s AND session_hash IN (SELECT session_hash FROM sessions "
        "WHERE merchant_id = %s AND key_id = %s ORDER BY last_seen_at DESC OFFSET %s)",
        (merchant_id, merchant_id, key_id, MAX_SESSIONS - 1),
    )
    execute(
        "INSERT INTO sessions (session_hash, merchant_id, key_id, created_at, last_seen_at) VALUES (%s, %s, %s, %s, %s)",
        (session_hash, merchant_id, key_id, now, now),
    )


def end_session(session_hash: bytes) -> None:
    execute("DELETE FROM sessions WHERE session_hash = %s", (session_hash,))


def session_holder(session_hash: bytes, now: datetime) -> tuple[KeyHolder, bool] | None:
    """(who signed in, whether it is time to note that they were seen), where the session lives and its key does."""
    asked_at = elapsed()
    found = rows(
        f"SELECT {HOLDER}, s.last_seen_at FROM sessions s JOIN api_keys k USING (merchant_id, key_id) "
        "JOIN merchants m USING (merchant_id) "
        "WHERE s.session_hash = %s AND k.revoked_at IS NULL AND s.created_at > %s AND s.last_seen_at > %s",
        (session_hash, now - LONGEST, now - IDLE),
    )
    if not found:
        return None
    return holder_of(found[0], asked_at, session_hash), now - found[0][-1] >= LAST_USED_GRAIN


def living_sessions(hashes: Sequence[bytes], now: datetime) -> set[bytes]:
    """Those that are worth something."""
    found = rows(
        "SELECT s.session_hash FROM sessions s JOIN api_keys k USING (merchant_id, key_id) "
        "WHERE s.session_hash IN %s AND k.revoked_at IS NULL AND s.created_at > %s AND s.last_seen_at > %s",
        (tuple(hashes), now - LONGEST, now - IDLE),
    )
    return {bytes(row[0]) for row in found}


def note_seen(session_hash: bytes, now: datetime) -> None:
    """Unless somebody holds the row. Raises DatabaseAwayError at once where the table is held. Needs a transaction."""
    execute("LOCK TABLE sessions IN ROW EXCLUSIVE MODE NOWAIT")
    execute(
        "UPDATE sessions SET last_seen_at = %s WHERE session_hash IN ("
        "SELECT session_hash FROM sessions WHERE session_hash = %s FOR NO KEY UPDATE SKIP LOCKED)",
        (now, session_hash),
    )


def insert_code(code_hash: bytes, merchant_id: int, now: datetime, expires_at: datetime) -> None:
    execute(
        "DELETE FROM sign_in_codes WHERE merchant_id = %s AND code_hash IN (SELECT code_hash FROM sign_in_codes "
        "WHERE merchant_id = %s ORDER BY created_at DESC OFFSET %s)",
        (merchant_id, merchant_id, MAX_CODES - 1),
    )
    execute(
        "INSERT INTO sign_in_codes (code_hash, merchant_id, created_at, expires_at) VALUES (%s, %s, %s, %s)",
        (code_hash, merchant_id, now, expires_at),
    )


def take_code(code_hash: bytes, now: datetime) -> int | None:
    """The merchant of a code that waits; of those who take it at the same time one gets it."""
    found = rows(
        "DELETE FROM sign_in_codes WHERE code_hash = %s AND expires_at > %s RETURNING merchant_id", (code_hash, now)
    )
    return found[0][0] if found else None


def key_named(merchant_id: int, name: str, scopes: Sequence[str]) -> int | None:
    """The oldest living key of that name with all of those scopes."""
    found = rows(
        "SELECT key_id FROM api_keys WHERE merchant_id = %s AND name = %s AND scopes @> %s AND revoked_at IS NULL "
        "ORDER BY key_id LIMIT 1",
        (merchant_id, name, list(scopes)),
    )
    return found[0][0] if found else None


def purge_sign_ins(now: datetime, limit: int) -> int:
    """Deletes sessions and codes that are over; how many."""
    sessions = rows(
        "DELETE FROM sessions WHERE session_hash IN ("
        "SELECT session_hash FROM sessions WHERE created_at <= %s ORDER BY created_at LIMIT %s FOR UPDATE SKIP LOCKED) "
        "RETURNING 1",
        (now - LONGEST, limit),
    )
    codes = rows(
        "DELETE FROM sign_in_codes WHERE code_hash IN ("
        "SELECT code_hash FROM sign_in_codes WHERE expires_at <= %s ORDER BY expires_at LIMIT %s FOR UPDATE SKIP LOCKED) "
        "RETURNING 1",
        (now, limit),
    )
    return len(sessions) + len(codes)
