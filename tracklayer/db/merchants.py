"""Merchants and their API keys."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from tracklayer.clock import elapsed
from tracklayer.db.connection import execute, rows
from tracklayer.db.models import ApiKeyRow, MerchantRow

# Often enough to see a key that is not used any more, seldom enough to cost nothing.
LAST_USED_GRAIN = timedelta(minutes=1)
MAX_API_KEYS = 500  # of a merchant that are in force; that of sign-in links may be one more


def insert_merchant(
    name: str, retention_days: int, hash_user_data: bool, alert_emails: Sequence[str], now: datetime
) -> int:
    """A new merchant's id."""
    created = MerchantRow.insert(
        name=name,
        retention_days=retention_days,
        hash_user_data=hash_user_data,
        alert_emails=list(alert_emails),
        created_at=now,
    ).execute()
    return int(created)


def insert_default_merchant(now: datetime) -> int | None:
    """The id of the default merchant if this call created it; None if it was there."""
    found = rows(
        "INSERT INTO merchants (name, is_default, created_at) VALUES ('default', true, %s) "
        "ON CONFLICT (is_default) WHERE is_default DO NOTHING RETURNING merchant_id",
        (now,),
    )
    return found[0][0] if found else None


def default_merchant_id() -> int:
    return int(rows("SELECT merchant_id FROM merchants WHERE is_default")[0][0])


def sole_merchant_id() -> int | None:
    """The default merchant's id, or that of the only one; None where there are others, or none."""
    found = rows("SELECT merchant_id FROM merchants WHERE is_default") or page_of_merchants(0, 2)
    return found[0][0] if len(found) == 1 else None


def merchants_with_addresses() -> int:
    """How many want their alerts by e-mail."""
    return int(rows("SELECT count(*) FROM merchants WHERE cardinality(alert_emails) > 0")[0][0])


def merchant_by_id(merchant_id: int) -> MerchantRow | None:
    return MerchantRow.get_or_none(MerchantRow.merchant_id == merchant_id)


def stitched_since(merchant_id: int) -> tuple[datetime, int] | None:
    """(since when a merchant's events are stitched, days of its retention); None: they are not."""
    found = rows("SELECT stitched_since, retention_days FROM merchants WHERE merchant_id = %s", (merchant_id,))
    return (found[0][0], found[0][1]) if found and found[0][0] is not None else None


def update_merchant(merchant_id: int, changes: dict[str, Any]) -> MerchantRow | None:
    """The row after ``changes`` (column -> value)."""
    if changes:
        MerchantRow.update(changes).where(MerchantRow.merchant_id == merchant_id).execute()
    return merchant_by_id(merchant_id)


def lock_merchant(merchant_id: int) -> None:
    """Held by this transaction until it ends. Rows that name the merchant can be stored meanwhile.

    Its place among all locks: ``services/deliver.py``. Before it no destination, channel, session or queue may be held.
    """
    rows("SELECT 1 FROM merchants WHERE merchant_id = %s FOR NO KEY UPDATE", (merchant_id,))


def page_of_merchants(after: int, limit: int) -> list[tuple[int, int]]:
    """(merchant id, retention days), by id: for whoever walks through all of them."""
    found = rows(
        "SELECT merchant_id, retention_days FROM merchants WHERE merchant_id > %s ORDER BY merchant_id LIMIT %s",
        (after, limit),
    )
    return [(row[0], row[1]) for row in found]


@dataclass(frozen=True, slots=True)
class Overview:
    """A merchant and how it stands. ``not_active``: destinations that are paused or held; ``critical``: of the open alerts."""

    row: MerchantRow
    destinations: int
    not_active: int
    open_alerts: int
    critical: int


# Each count by an index of what is there now: a handful of rows a merchant.
COUNTS = """
SELECT m.merchant_id, d.there, d.not_active, a.open, a.critical
FROM unnest(%s::bigint[]) AS m(merchant_id)
CROSS JOIN LATERAL (
    SELECT count(*) AS there, count(*) FILTER (WHERE state <> 'active') AS not_active
    FROM destinations WHERE merchant_id = m.merchant_id AND removed_at IS NULL) AS d
CROSS JOIN LATERAL (
    SELECT count(*) AS open, count(*) FILTER (WHERE severity = 'critical') AS critical
    FROM alerts WHERE merchant_id = m.merchant_id AND resolved_at IS NULL) AS a
"""


def overview(after: int, limit: int) -> list[Overview]:
    """Merchants with a higher id than ``after``, by id, at most ``limit``."""
    ids = [merchant_id for merchant_id, _ in page_of_merchants(after, limit)]
    found = MerchantRow.select().where(MerchantRow.merchant_id.in_(ids)).order_by(MerchantRow.merchant_id)
    merchants = {row.merchant_id: row for row in found}
    counts = {row[0]: row[1:] for row in rows(COUNTS, (list(merchants),))}
    return [Overview(row, *counts[merchant_id]) for merchant_id, row in merchants.items()]


# What is oldest of each, by the indexes that the purge deletes by. ``browser_id <> ''`` is how those say it.
_OLDEST = "(SELECT {at} FROM {table} WHERE merchant_id = m.merchant_id {of} ORDER BY {at} LIMIT 1)"
EXPIRED = """
SELECT merchant_id FROM unnest(%s::bigint[], %s::timestamptz[]) AS m(merchant_id, before) WHERE least({}) < before
""".format(
    ", ".join(
        [
            _OLDEST.format(table="events", at="received_at", of=""),
            *(
                _OLDEST.format(table=table, at="last_seen_at", of="AND browser_id <> ''")
                for table in ("browsers", "browser_signals", "browser_people")
            ),
        ]
    )
)


def with_expired(before: Mapping[int, datetime]) -> set[int]:
    """Of merchants (id -> instant) those with events that arrived, or browsers that were seen last, before then."""
    return {row[0] for row in rows(EXPIRED, (list(before), list(before.values())))}


def insert_api_key(
    merchant_id: int, name: str, scopes: Sequence[str], prefix: str, key_hash: bytes, now: datetime
) -> ApiKeyRow:
    found = rows(
        "INSERT INTO api_keys (merchant_id, name, scopes, prefix, key_hash, created_at) VALUES (%s, %s, %s, %s, %s, %s) "
        "RETURNING key_id",
        (merchant_id, name, list(scopes), prefix, key_hash, now),
    )
    return api_key(merchant_id, found[0][0])  # type: ignore[return-value]


def api_key(merchant_id: int, key_id: int) -> ApiKeyRow | None:
    return ApiKeyRow.get_or_none((ApiKeyRow.merchant_id == merchant_id) & (ApiKeyRow.key_id == key_id))


def api_keys(merchant_id: int, limit: int = MAX_API_KEYS + 1, after: tuple[bool, int] | None = None) -> list[ApiKeyRow]:
    """A merchant's keys: those in force, then revoked ones, the newest of each first. ``after``: behind this one, (whether it
    was revoked when it was listed, its id).
    """
    is_revoked = ApiKeyRow.revoked_at.is_null(False)
    found = ApiKeyRow.select().where(ApiKeyRow.merchant_id == merchant_id)
    if after is not None:
        was_revoked, key_id = after
        older = ApiKeyRow.key_id < key_id
        found = found.where(is_revoked & older if was_revoked else is_revoked | older)
    return list(found.order_by(is_revoked, ApiKeyRow.key_id.desc()).limit(limit))


def count_api_keys(merchant_id: int) -> int:
    """How many are in force."""
    found = rows("SELECT count(*) FROM api_keys WHERE merchant_id = %s AND revoked_at IS NULL", (merchant_id,))
    return int(found[0][0])


def revoke_api_key(merchant_id: int, key_id: int, now: datetime) -> ApiKeyRow | None:
    execute(
        "UPDATE api_keys SET revoked_at = coalesce(revoked_at, %s) WHERE merchant_id = %s AND key_id = %s",
        (now, merchant_id, key_id),
    )
    return api_key(merchant_id, key_id)


@dataclass(frozen=True, slots=True)
class KeyHolder:
    """Whose key it is, and what ingest needs to know of that merchant.

    ``asked_at``: when the rows were asked, or a moment before, by ``clock.elapsed``. ``session``: the hash of the one that a
    person signed in to; None where the key itself came. ``is_marked``: people of this merchant were erased, so ingest looks
    whether an event is one of theirs. ``is_stitched``: its events are stitched from an instant on that has passed.
    """

    merchant_id: int
    key_id: int
    scopes: frozenset[str]
    hash_user_data: bool
    default_countries: frozenset[str]
    asked_at: float = field(compare=False)
    session: bytes | None = None
    is_marked: bool = False
    is_stitched: bool = False

    @property
    def may_read(self) -> bool:
        """Whether it may know what is stored, and not only send."""
        return not self.scopes.isdisjoint(("read", "admin"))

    @property
    def may_send(self) -> bool:
        return not self.scopes.isdisjoint(("ingest", "admin"))


# What a holder is made of, from api_keys ``k`` and merchants ``m``.
HOLDER = (
    "k.merchant_id, k.key_id, k.scopes, m.hash_user_data, "
    "ARRAY(SELECT DISTINCT default_country FROM destinations d WHERE d.merchant_id = k.merchant_id "
    "      AND d.default_country IS NOT NULL AND d.removed_at IS NULL), m.marked, "
    "coalesce(m.stitched_since <= now(), false)"
)


def holder_of(row: Sequence[Any], asked_at: float, session: bytes | None = None) -> KeyHolder:
    """``row`` begins with ``HOLDER``. ``asked_at``: before the statement that found it, by ``clock.elapsed``."""
    merchant_id, key_id, scopes, hash_user_data, countries, *others = row[:7]
    return KeyHolder(
        merchant_id, key_id, frozenset(scopes), hash_user_data, frozenset(countries), asked_at, session, *others
    )


def key_holder(key_hash: bytes, now: datetime) -> tuple[KeyHolder, bool] | None:
    """(the merchant of a key that is not revoked, whether it is time to note that it is used)."""
    asked_at = elapsed()
    found = rows(
        f"SELECT {HOLDER}, k.last_used_at "
        "FROM api_keys k JOIN merchants m USING (merchant_id) WHERE k.key_hash = %s AND k.revoked_at IS NULL",
        (key_hash,),
    )
    if not found:
        return None
    last_used_at = found[0][-1]
    return holder_of(found[0], asked_at), last_used_at is None or now - last_used_at >= LAST_USED_GRAIN


def revoked_key(key_hash: bytes) -> tuple[int, int, frozenset[str]] | None:
    """(merchant id, key id, scopes) of a key that was revoked."""
    found = rows(
        "SELECT merchant_id, key_id, scopes FROM api_keys WHERE key_hash = %s AND revoked_at IS NOT NULL", (key_hash,)
    )
    return (found[0][0], found[0][1], frozenset(found[0][2])) if found else None


def revocations(keys: Sequence[tuple[int, int]]) -> dict[tuple[int, int], tuple[str, datetime]]:
    """(merchant id, key id) -> how the key begins, and when it was revoked; of those that were."""
    found = rows(
        "SELECT merchant_id, key_id, prefix, revoked_at FROM api_keys WHERE (merchant_id, key_id) IN %s AND revoked_at IS NOT NULL",
        (tuple(keys),),
    )
    return {(row[0], row[1]): (row[2], row[3]) for row in found}


def note_use(merchant_id: int, key_id: int, now: datetime) -> None:
    """Notes when a key was used last, unless somebody holds its row. Raises DatabaseAwayError at once where the table is held.

    Needs a transaction.
    """
    execute("LOCK TABLE api_keys IN ROW EXCLUSIVE MODE NOWAIT")
    execute(
        "UPDATE api_keys SET last_used_at = %s WHERE merchant_id = %s AND key_id IN ("
        "SELECT key_id FROM api_keys WHERE merchant_id = %s AND key_id = %s FOR NO KEY UPDATE SKIP LOCKED)",
        (now, merchant_id, merchant_id, key_id),
    )


def living_keys(keys: Sequence[tuple[int, int]]) -> set[tuple[int, int]]:
    """Those of (merchant id, key id) that are not revoked."""
    found = rows(
        "SELECT merchant_id, key_id FROM api_keys WHERE (merchant_id, key_id) IN %s AND revoked_at IS NULL",
        (tuple(keys),),
    )
    return {(row[0], row[1]) for row in found}


def merchant_holder(merchant_id: int) -> KeyHolder | None:
    """What ingest needs to know of a merchant, for a caller who needs no key: the operator's commands."""
    asked_at = elapsed()
    found = rows(
        "SELECT hash_user_data, ARRAY(SELECT DISTINCT default_country FROM destinations d "
        "WHERE d.merchant_id = m.merchant_id AND d.default_country IS NOT NULL AND d.removed_at IS NULL), m.marked, "
        "coalesce(m.stitched_since <= now(), false) FROM merchants m WHERE merchant_id = %s",
        (merchant_id,),
    )
    if not found:
        return None
    scopes = frozenset({"ingest", "read", "admin"})
    hash_user_data, countries, *others = found[0]
    return KeyHolder(merchant_id, 0, scopes, hash_user_data, frozenset(countries), asked_at, None, *others)


def collectors_of(public_keys: Sequence[str]) -> dict[str, tuple[int, int, Any, bool]]:
    """Public key -> (merchant id, retention days, the column ``collector``, whether people were erased); unknown keys are
    missing.
    """
    found = rows(
        "SELECT public_key, merchant_id, retention_days, collector, marked FROM merchants WHERE public_key = ANY(%s)",
        (list(public_keys),),
    )
    return {row[0]: (row[1], row[2], row[3], row[4]) for row in found}


def page_of_collectors(after: int, limit: int) -> list[tuple[int, Any]]:
    """(merchant id, the column ``collector``) of those that have one, by id: for whoever looks at some of them."""
    found = rows(
        "SELECT merchant_id, collector FROM merchants WHERE merchant_id > %s AND public_key IS NOT NULL "
        "ORDER BY merchant_id LIMIT %s",
        (after, limit),
    )
    return [(row[0], row[1]) for row in found]
