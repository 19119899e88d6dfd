"""What the server is set to that decides whether a commit lasts, what its log shows and how many may come in; and what became of a
transaction.
"""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple

from tracklayer.db.connection import rows
from tracklayer.db.sessions import UNLOGGED


class Durability(NamedTuple):
    """As it holds for our role in our database."""

    fsync: bool
    full_page_writes: bool
    synchronous_commit: bool
    read_only: bool


def durability() -> Durability:
    found = rows(
        "SELECT current_setting('fsync')::boolean, current_setting('full_page_writes')::boolean, "
        "current_setting('synchronous_commit') <> 'off', "
        "pg_is_in_recovery() OR current_setting('transaction_read_only')::boolean"
    )
    return Durability(*found[0])


def log_shows() -> bool:
    """Whether PostgreSQL's log would hold what was sent, of a statement of this session that fails: a role that is no superuser
    may not switch that off itself.
    """
    found = rows("SELECT name, setting FROM pg_settings WHERE name = ANY(%s)", (list(UNLOGGED),))
    return any(setting != UNLOGGED[name] for name, setting in found)


class Places(NamedTuple):
    """Connections: how many there are for us, and for each role of ours that is known by its sessions, its processes."""

    most: int
    apis: int
    workers: int


# What is kept for superusers and the like is not for us. A limit of -1 is none.
_PLACES = """
SELECT least(
    current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int
        - coalesce(current_setting('reserved_connections', true), '0')::int,
    (SELECT nullif(rolconnlimit, -1) FROM pg_roles WHERE rolname = current_user),
    (SELECT nullif(datconnlimit, -1) FROM pg_database WHERE datname = current_database())),
    (SELECT count(*) FROM pg_stat_activity WHERE application_name = 'tracklayer listen' AND datname = current_database()),
    (SELECT count(*) FROM pg_stat_activity WHERE application_name = 'tracklayer lock' AND datname = current_database())
"""


def places() -> Places:
    return Places(*rows(_PLACES)[0])


class Became(Enum):
    """What became of a transaction whose COMMIT was not answered. ``UNKNOWN``: it is not over yet, or so the server thinks."""

    COMMITTED = "committed"
    UNDONE = "aborted"
    UNKNOWN = "in progress"


def transaction_id() -> int:
    """Of the open transaction, by which ``became_of`` knows it, also on other sessions."""
    return int(rows("SELECT pg_current_xact_id()::text")[0][0])


# One that the server has not begun yet was lost with the server before it: behind all that it has begun is this one.
BECAME = """
SELECT CASE WHEN x.id <= pg_current_xact_id() THEN pg_xact_status(x.id) ELSE 'aborted' END
FROM (SELECT %s::text::xid8 AS id) AS x
"""


def became_of(transaction: int) -> Became:
    """Where it lies so far back that the server has forgotten it, it counts as committed."""
    (status,) = rows(BECAME, (transaction,))[0]
    return Became(status) if status is not None else Became.COMMITTED
