"""What the operator is told of: one open alert a kind, and one message a channel and state, in this database's own time."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from tracklayer.db.connection import execute, rows
from tracklayer.domain.alert import Severity
from tracklayer.domain.trouble import Trouble

KEPT = timedelta(days=90)  # of what is over
SEEN_AGAIN = timedelta(seconds=5)  # between two writes about an alert that stays

OPEN = """
INSERT INTO operator_alerts AS a (alert_id, kind, severity, title, message, opened_at, seen_at)
VALUES (%s, %s, %s, %s, %s, %s, clock_timestamp())
ON CONFLICT (kind) WHERE resolved_at IS NULL DO UPDATE SET seen_at = clock_timestamp(), title = excluded.title,
    message = excluded.message, severity = excluded.severity
    WHERE a.seen_at < clock_timestamp() - %s OR a.severity <> excluded.severity
RETURNING xmax = 0
"""


def open_alert(alert_id: str, trouble: Trouble) -> bool:
    """Opens one unless one of its kind is open, which then was seen again; whether this opened it."""
    found = rows(
        OPEN,
        (
            alert_id,
            trouble.kind,
            trouble.severity.value,
            trouble.title,
            trouble.message,
            trouble.since,
            SEEN_AGAIN,
        ),
    )
    return bool(found and found[0][0])


def resolve_unseen(calm: timedelta, except_kinds: Iterable[str]) -> list[str]:
    """Ends those that nobody has seen for as long as ``calm``; their kinds."""
    found = rows(
        "UPDATE operator_alerts SET resolved_at = clock_timestamp() "
        "WHERE resolved_at IS NULL AND seen_at < clock_timestamp() - %s AND NOT kind = ANY(%s) RETURNING kind",
        (calm, list(except_kinds)),
    )
    return [row[0] for row in found]


def note_told(alert_id: str, trouble: Trouble, channels: Sequence[str]) -> bool:
    """An alert that was told while this database was away, and is over: what is left to tell of it is that.

    Any number of processes may note the same one; whether this one was the first.
    """
    is_new = execute(
        "INSERT INTO operator_alerts (alert_id, kind, severity, title, message, opened_at, seen_at, resolved_at) "
        "VALUES (%s, %s, %s, %s, %s, %s, clock_timestamp(), clock_timestamp()) ON CONFLICT (alert_id) DO NOTHING",
        (alert_id, trouble.kind, trouble.severity.value, trouble.title, trouble.message, trouble.since),
    )
    execute(
        "INSERT INTO operator_messages (alert_id, state, channel, next_attempt_at, told_at, severity) "
        "SELECT %s, 'open', channel, clock_timestamp(), clock_timestamp(), %s FROM unnest(%s::text[]) AS channel "
        "ON CONFLICT DO NOTHING",
        (alert_id, trouble.severity.value, list(channels)),
    )
    return is_new > 0


def open_troubles() -> list[Trouble]:
    """What is open, the worst first, then the oldest."""
    found = rows(
        "SELECT kind, severity, title, message, opened_at FROM operator_alerts WHERE resolved_at IS NULL "
        "ORDER BY severity <> 'critical', opened_at, kind"
    )
    return [Trouble(row[0], Severity(row[1]), *row[2:]) for row in found]


def open_ids() -> dict[str, str]:
    """The id of each open alert, by its kind."""
    return dict(rows("SELECT kind, alert_id FROM operator_alerts WHERE resolved_at IS NULL"))


def try_to_write(alert_id: str) -> None:
    """Writes an alert and a message, and takes them back: to be rolled into one transaction, so that nobody sees them."""
    execute(
        "INSERT INTO operator_alerts (alert_id, kind, severity, title, message, opened_at, seen_at, resolved_at) "
        "VALUES (%s, '', '', '', '', clock_timestamp(), clock_timestamp(), clock_timestamp())",
        (alert_id,),
    )
    execute(
        "INSERT INTO operator_messages (alert_id, state, channel, next_attempt_at, told_at) "
        "VALUES (%s, 'open', '', clock_timestamp(), clock_timestamp())",
        (alert_id,),
    )
    execute("DELETE FROM operator_alerts WHERE alert_id = %s", (alert_id,))


@dataclass(frozen=True)
class Message:
    """``state``: ``open`` or ``resolved``. ``until``: when it was over. ``number``: of this attempt, from 1."""

    alert_id: str
    state: str
    channel: str
    number: int
    kind: str
    severity: str
    title: str
    message: str
    since: datetime
    until: datetime | None


# Told as a warning, and critical since: the same message goes out once more.
TELL_GRAVER = """
UPDATE operator_messages m SET told_at = NULL, attempts = 0, next_attempt_at = clock_timestamp()
FROM operator_alerts a WHERE a.alert_id = m.alert_id AND a.resolved_at IS NULL AND a.severity = 'critical'
  AND m.state = 'open' AND m.told_at IS NOT NULL AND m.severity <> 'critical' AND m.channel = ANY(%(channels)s)
"""
# What is open is told by every channel there is; that it is over, where it was to be told that it is there.
ADD = """
INSERT INTO operator_messages (alert_id, state, channel, next_attempt_at)
SELECT a.alert_id, 'open', channel, clock_timestamp()
FROM operator_alerts a CROSS JOIN unnest(%(channels)s::text[]) AS channel WHERE a.resolved_at IS NULL
UNION ALL
SELECT m.alert_id, 'resolved', m.channel, clock_timestamp()
FROM operator_alerts a JOIN operator_messages m ON m.alert_id = a.alert_id AND m.state = 'open'
WHERE a.resolved_at > clock_timestamp() - %(late)s AND m.channel = ANY(%(channels)s)
ON CONFLICT DO NOTHING
"""
TAKE = """
UPDATE operator_messages m SET attempts = m.attempts + 1, leased_until = clock_timestamp() + %(lease)s
FROM operator_alerts a
WHERE a.alert_id = m.alert_id AND (m.alert_id, m.state, m.channel) = (
    SELECT n.alert_id, n.state, n.channel FROM operator_messages n JOIN operator_alerts b USING (alert_id)
    WHERE n.told_at IS NULL AND n.channel = ANY(%(channels)s) AND n.next_attempt_at <= clock_timestamp()
      AND (n.leased_until IS NULL OR n.leased_until <= clock_timestamp())
      AND (n.state = 'resolved') = (b.resolved_at IS NOT NULL)
      AND (b.resolved_at IS NULL OR b.resolved_at > clock_timestamp() - %(late)s)
    ORDER BY n.next_attempt_at LIMIT 1 FOR UPDATE OF n SKIP LOCKED)
RETURNING m.alert_id, m.state, m.channel, m.attempts, a.kind, a.severity, a.title, a.message, a.opened_at, a.resolved_at
"""


def add_messages(channels: Sequence[str], late: timedelta) -> int:
    """What is to be told by these channels and was not on the list; of what was over longer ago than ``late``, nothing."""
    params: Any = {"channels": list(channels), "late": late}
    return execute(TELL_GRAVER, params) + execute(ADD, params)


def take_message(channels: Sequence[str], lease: timedelta, late: timedelta) -> Message | None:
    """One that is due, for this caller alone until the lease ends."""
    params: Any = {"channels": list(channels), "lease": lease, "late": late}
    found = rows(TAKE, params)
    return Message(*found[0]) if found else None


def message_told(message: Message) -> None:
    execute(
        "UPDATE operator_messages SET told_at = clock_timestamp(), leased_until = NULL, severity = %s, last_error = NULL "
        "WHERE alert_id = %s AND state = %s AND channel = %s",
        (message.severity, message.alert_id, message.state, message.channel),
    )


def message_failed(message: Message, pause: timedelta, error: str) -> None:
    """It is tried again after a pause. ``error``: why, without any address."""
    execute(
        "UPDATE operator_messages SET next_attempt_at = clock_timestamp() + %s, leased_until = NULL, last_error = %s "
        "WHERE alert_id = %s AND state = %s AND channel = %s",
        (pause, error, message.alert_id, message.state, message.channel),
    )


UNTOLD = """
SELECT m.channel, count(*), (array_agg(m.last_error ORDER BY m.next_attempt_at DESC))[1]
FROM operator_messages m JOIN operator_alerts a USING (alert_id)
WHERE m.told_at IS NULL AND m.last_error IS NOT NULL AND (m.state = 'resolved') = (a.resolved_at IS NOT NULL)
  AND (a.resolved_at IS NULL OR a.resolved_at > clock_timestamp() - %s)
GROUP BY m.channel ORDER BY m.channel
"""


def untold(late: timedelta) -> list[tuple[str, int, str]]:
    """(channel, how many messages wait because it did not take them, or may not have, the last error)."""
    return [(row[0], row[1], row[2]) for row in rows(UNTOLD, (late,))]


def forget_old_alerts() -> int:
    return execute("DELETE FROM operator_alerts WHERE resolved_at < clock_timestamp() - %s", (KEPT,))


# A turn that ends later than one that begins now was taken by a clock that has been set back since.
_IS_TAKEN = "t.taken_until > clock_timestamp() AND t.taken_until <= clock_timestamp() + %(length)s"
TAKE_TURN = f"""
INSERT INTO operator_turns AS t (name, taken_until) VALUES (%(name)s, clock_timestamp() + %(length)s)
ON CONFLICT (name) DO UPDATE SET taken_until = excluded.taken_until WHERE NOT ({_IS_TAKEN})
RETURNING 1
"""


def take_turn(name: str, length: timedelta) -> bool:
    """True for one caller, who has so long until it is another's turn. Looking first writes nothing."""
    params: Any = {"name": name, "length": length}
    if rows(f"SELECT 1 FROM operator_turns t WHERE name = %(name)s AND {_IS_TAKEN}", params):
        return False
    return bool(rows(TAKE_TURN, params))


def set_turn(name: str, length: timedelta) -> None:
    """From now on it is nobody's turn for so long."""
    execute("UPDATE operator_turns SET taken_until = clock_timestamp() + %s WHERE name = %s", (length, name))


OUTAGES = "outages"  # its instant is when the last outage of this database was noted, and nobody's turn


def last_outage() -> str:
    """Names the last outage of this database that is over: all processes that saw it served since then say the same."""
    found = rows("SELECT extract(epoch FROM taken_until)::bigint FROM operator_turns WHERE name = %s", (OUTAGES,))
    return f"{found[0][0]:x}" if found else "0"


def note_outage() -> None:
    """One is over: the next one has another name."""
    execute(
        "INSERT INTO operator_turns AS t (name, taken_until) VALUES (%s, clock_timestamp()) ON CONFLICT (name) "
        "DO UPDATE SET taken_until = greatest(excluded.taken_until, t.taken_until + interval '1 s')",
        (OUTAGES,),
    )
