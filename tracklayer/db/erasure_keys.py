"""The keys of erasures: one that makes marks and one that signs receipts, sealed; of a retired one the public half stays.

The keys that seal these and all other secrets are in db/sealing_keys.py.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from tracklayer.db.connection import execute, rows


class KeyRow(NamedTuple):
    key_id: str
    sealed: bytes
    public: bytes | None


def key_in_use(purpose: str) -> KeyRow | None:
    found = rows(
        "SELECT key_id, sealed, public FROM erasure_keys WHERE purpose = %s AND retired_at IS NULL", (purpose,)
    )
    return _key(found[0]) if found else None


def insert_key(purpose: str, row: KeyRow, now: datetime) -> None:
    """Unless there is one in use: of two processes that make one, one does."""
    execute(
        "INSERT INTO erasure_keys (key_id, purpose, sealed, public, made_at) VALUES (%s, %s, %s, %s, %s) ON CONFLICT DO NOTHING",
        (row.key_id, purpose, row.sealed, row.public, now),
    )


def keys_sealed_otherwise(newest: bytes) -> list[KeyRow]:
    """Those that are not sealed with this key; of a database that has none yet, none. Of a retired one nothing is sealed."""
    if not rows("SELECT to_regclass('erasure_keys') IS NOT NULL")[0][0]:
        return []
    found = rows(
        "SELECT key_id, sealed, public FROM erasure_keys WHERE length(sealed) > 4 AND substring(sealed FROM 2 FOR 4) <> %s "
        "ORDER BY key_id",
        (newest,),
    )
    return [_key(row) for row in found]


def reseal_key(row: KeyRow, sealed: bytes) -> None:
    execute("UPDATE erasure_keys SET sealed = %s WHERE key_id = %s AND sealed = %s", (sealed, row.key_id, row.sealed))


def retire_key(key_id: str, now: datetime) -> None:
    execute(
        "UPDATE erasure_keys SET retired_at = %s, sealed = '' WHERE key_id = %s AND retired_at IS NULL", (now, key_id)
    )


def retire_lost_keys(key_ids: Collection[bytes], now: datetime) -> None:
    """Gives up those that are sealed with none of these keys: what they marked cannot be recognised any more."""
    execute(
        "UPDATE erasure_keys SET retired_at = %s, sealed = '' WHERE retired_at IS NULL "
        "AND NOT substring(sealed FROM 2 FOR 4) = ANY(%s::bytea[])",
        (now, list(key_ids)),
    )


def public_keys() -> list[tuple[str, bytes, datetime, datetime | None]]:
    """(key id, public key, when it was made, when it was retired), the newest first: a handful."""
    found = rows(
        "SELECT key_id, public, made_at, retired_at FROM erasure_keys WHERE purpose = 'sign' ORDER BY made_at DESC, key_id"
    )
    return [(row[0], bytes(row[1]), row[2], row[3]) for row in found]


def _key(row: Sequence[Any]) -> KeyRow:
    return KeyRow(row[0], bytes(row[1]), bytes(row[2]) if row[2] is not None else None)
