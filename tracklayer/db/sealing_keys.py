"""The keys that sealed what is in this database: each with a value by which its holder knows it again."""

from __future__ import annotations

from datetime import datetime

from tracklayer.db.connection import execute, rows


def sealing_keys() -> dict[bytes, bytes]:
    """Key id -> a value sealed with that key. There are as many as keys were ever in use: a handful."""
    return {bytes(key_id): bytes(sealed) for key_id, sealed in rows("SELECT key_id, sealed FROM sealing_keys")}


def lock_sealing_keys() -> None:
    """Two processes that start on a new database take turns; who only reads does not wait."""
    execute("LOCK TABLE sealing_keys IN SHARE ROW EXCLUSIVE MODE")


def add_sealing_key(key_id: bytes, sealed: bytes, now: datetime) -> None:
    execute(
        "INSERT INTO sealing_keys (key_id, sealed, made_at) VALUES (%s, %s, %s) ON CONFLICT DO NOTHING",
        (key_id, sealed, now),
    )


def forget_sealing_keys(key_ids: list[bytes]) -> int:
    return execute("DELETE FROM sealing_keys WHERE key_id = ANY(%s)", (key_ids,))


# Bytes 2 to 5 of a sealed value name its key, see sealing.py; what is forgotten is empty.
_KEYS_OF_DESTINATIONS = """
SELECT substring(secrets FROM 2 FOR 4), count(*) FROM destinations
WHERE removed_at IS NULL AND length(secrets) > 4
GROUP BY 1
"""


def keys_of_destinations() -> dict[bytes, int]:
    """Key id -> how many destinations' secrets are sealed with it."""
    return {bytes(key_id): count for key_id, count in rows(_KEYS_OF_DESTINATIONS)}


def keys_of_channels() -> set[bytes]:
    """Ids of keys that seal channels' addresses; of a database that has no channels yet, none."""
    if not rows("SELECT to_regclass('alert_channels') IS NOT NULL")[0][0]:
        return set()
    found = rows("SELECT DISTINCT substring(secrets FROM 2 FOR 4) FROM alert_channels WHERE length(secrets) > 4")
    return {bytes(row[0]) for row in found}


# A job's sealed columns are empty, or gone, when it has finished.
_KEYS_OF_ERASURES = """
SELECT substring(sealed FROM 2 FOR 4), purpose FROM erasure_keys WHERE length(sealed) > 4
UNION
SELECT substring(x.sealed FROM 2 FOR 4), 'erasure' FROM erasures e CROSS JOIN LATERAL (VALUES (e.wanted), (e.after)) AS x(sealed)
WHERE e.finished_at IS NULL AND length(x.sealed) > 4
UNION
SELECT substring(t.sealed FROM 2 FOR 4), 'erasure' FROM erasures e JOIN erasure_traces t USING (merchant_id, erasure_id)
WHERE e.finished_at IS NULL AND length(t.sealed) > 4
"""


def keys_of_erasures() -> dict[bytes, set[str]]:
    """Key id -> what it seals: the keys ``mark`` and ``sign``, and what an ``erasure`` that goes on looks for; of a database that
    has none yet, none.
    """
    if not rows("SELECT to_regclass('erasure_keys') IS NOT NULL")[0][0]:
        return {}
    found: dict[bytes, set[str]] = {}
    for key_id, what in rows(_KEYS_OF_ERASURES):
        found.setdefault(bytes(key_id), set()).add(what)
    if rows("SELECT to_regclass('erasure_walks') IS NOT NULL")[0][0]:
        walks = rows("SELECT DISTINCT substring(place FROM 2 FOR 4) FROM erasure_walks WHERE length(place) > 4")
        for (key_id,) in walks:
            found.setdefault(bytes(key_id), set()).add("erasure")
    return found
