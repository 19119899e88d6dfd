"""Channels of a merchant, and the messages that wait to go there: written with what they tell of, sent by lease."""

from __future__ import annotations

import secrets
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from tracklayer.db.connection import execute, rows
from tracklayer.domain.alert import Heard

MAX_CHANNELS = 20  # of a merchant
OF_ONE = 2  # channels of a merchant that are sent to at once: others' must not wait for one who has many that hang


@dataclass(frozen=True, slots=True)
class ChannelRow:
    """``secrets``: sealed JSON. ``shown``: the address without its secret part."""

    merchant_id: int
    channel_id: int
    kind: str
    shown: str
    secrets: bytes
    former_until: datetime | None
    topics: list[str]
    min_severity: str
    created_at: datetime
    last_error: str | None
    failures: int
    told_until: datetime | None

    @property
    def host(self) -> str:
        """Scheme, name and port: who is kept waiting when it hangs."""
        return "/".join(self.shown.split("/", 3)[:3])


@dataclass(frozen=True, slots=True)
class Message:
    """What is told to one channel. ``data``: JSON text. ``id``: the same however often it is sent. ``attempts``: before this one.

    ``state``: of the alert that it tells of, if any.
    """

    merchant_id: int
    message_id: int
    type: str
    data: str
    created_at: datetime
    due_at: datetime
    attempts: int
    uid: str | None
    alert_id: int | None
    state: str | None

    @property
    def id(self) -> str:
        return f"msg_{self.uid or f'{self.merchant_id:x}_{self.message_id:x}'}"


@dataclass(frozen=True, slots=True)
class Taken:
    """A message in hand, and whose: no other process sends to this channel until the lease ends."""

    channel: ChannelRow
    lease: int
    message: Message
    merchant_name: str


_COLUMNS = (
    "merchant_id, channel_id, kind, shown, secrets, former_until, topics, min_severity, created_at, last_error, failures, "
    "told_until"
)


def channels(merchant_id: int) -> list[ChannelRow]:
    """A merchant's own, oldest first."""
    found = rows(
        f"SELECT {_COLUMNS} FROM alert_channels WHERE merchant_id = %s ORDER BY channel_id LIMIT %s",
        (merchant_id, MAX_CHANNELS),
    )
    return [ChannelRow(*row) for row in found]


def channel(merchant_id: int, channel_id: int) -> ChannelRow | None:
    found = rows(
        f"SELECT {_COLUMNS} FROM alert_channels WHERE merchant_id = %s AND channel_id = %s", (merchant_id, channel_id)
    )
    return ChannelRow(*found[0]) if found else None


def lock_channel(merchant_id: int, channel_id: int) -> ChannelRow | None:
    """Held by this transaction until it ends."""
    found = rows(
        f"SELECT {_COLUMNS} FROM alert_channels WHERE merchant_id = %s AND channel_id = %s FOR UPDATE",
        (merchant_id, channel_id),
    )
    return ChannelRow(*found[0]) if found else None


def count_channels(merchant_id: int) -> int:
    return int(rows("SELECT count(*) FROM alert_channels WHERE merchant_id = %s", (merchant_id,))[0][0])


def insert_channel(merchant_id: int, kind: str, created_at: datetime) -> int:
    """The id of a new one that wants nothing yet: ``update_channel`` in the same transaction says the rest."""
    found = rows(
        "INSERT INTO alert_channels (merchant_id, kind, shown, secrets, topics, min_severity, created_at) "
        "VALUES (%s, %s, '', '', '{}', 'warning', %s) RETURNING channel_id",
        (merchant_id, kind, created_at),
    )
    return int(found[0][0])


def update_channel(row: ChannelRow) -> None:
    execute(
        "UPDATE alert_channels SET shown = %s, secrets = %s, former_until = %s, topics = %s, min_severity = %s, "
        "told_until = %s WHERE merchant_id = %s AND channel_id = %s",
        (
            row.shown,
            row.secrets,
            row.former_until,
            row.topics,
            row.min_severity,
            row.told_until,
            row.merchant_id,
            row.channel_id,
        ),
    )


def delete_channel(merchant_id: int, channel_id: int) -> int:
    """With all that waits for it."""
    return execute("DELETE FROM alert_channels WHERE merchant_id = %s AND channel_id = %s", (merchant_id, channel_id))


# What waits.


def lock_wanting(merchant_id: int) -> list[ChannelRow]:
    """A merchant's channels, held by this transaction: whoever writes to several takes them in this order."""
    found = rows(
        f"SELECT {_COLUMNS} FROM alert_channels WHERE merchant_id = %s ORDER BY channel_id FOR UPDATE", (merchant_id,)
    )
    return [ChannelRow(*row) for row in found]


def with_channels(merchant_ids: Sequence[int]) -> list[int]:
    """Those of these merchants that have any."""
    found = rows(
        "SELECT DISTINCT merchant_id FROM alert_channels WHERE merchant_id = ANY(%s::bigint[]) ORDER BY merchant_id",
        (list(merchant_ids),),
    )
    return [row[0] for row in found]


def has_channels(merchant_id: int, topics: Sequence[str] | None = None) -> bool:
    """Whether anybody is to be told; ``topics``: of one of these."""
    return bool(
        rows(
            "SELECT 1 FROM alert_channels WHERE merchant_id = %s AND (%s::text[] IS NULL OR topics && %s::text[]) LIMIT 1",
            (merchant_id, topics, topics),
        )
    )


def insert_message(
    channel: ChannelRow,
    kind: str,
    data: str,
    now: datetime,
    due_at: datetime | None = None,
    alert: tuple[int, str] | None = None,
) -> None:
    """``kind``: its type. ``alert``: (alert id, the state that it tells of). Needs ``lock_wanting``."""
    due_at = due_at or now
    alert_id, state = alert or (None, None)
    execute(
        "INSERT INTO channel_messages (merchant_id, channel_id, type, alert_id, state, data, created_at, due_at, "
        "next_attempt_at, uid) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s)",
        (
            channel.merchant_id,
            channel.channel_id,
            kind,
            alert_id,
            state,
            data,
            now,
            due_at,
            due_at,
            secrets.token_hex(16),
        ),
    )
    execute(
        "UPDATE alert_channels SET next_at = least(next_at, greatest(%s, rest_until)) "
        "WHERE merchant_id = %s AND channel_id = %s",
        (due_at, channel.merchant_id, channel.channel_id),
    )


def write_message(message: Message, data: str) -> None:
    """From now on it tells this."""
    execute(
        "UPDATE channel_messages SET data = %s WHERE merchant_id = %s AND message_id = %s",
        (data, message.merchant_id, message.message_id),
    )


# It was taken, is to be sent, or may have been taken before it was taken back: of an attempt nobody knows what became of it.
_TOLD = "(status IN ('sent', 'waiting') OR (status = 'cancelled' AND attempts > refused))"


def heard(merchant_id: int, alert_id: int) -> dict[int, Heard]:
    """What each channel was told of an alert, is to be told, or may have been told; not what it was never given, or did not take."""
    found = rows(
        "SELECT channel_id, state, data::json #>> '{alert,severity}' FROM channel_messages "
        "WHERE merchant_id = %s AND alert_id = %s AND state IS NOT NULL "
        f"AND {_TOLD} ORDER BY message_id",
        (merchant_id, alert_id),
    )
    known: dict[int, Heard] = {}
    for channel_id, state, severity in found:
        known[channel_id] = Heard.after(known.get(channel_id), state, severity)
    return known


_NOT_OVER = """
NOT EXISTS (
    SELECT FROM channel_messages e WHERE e.merchant_id = m.merchant_id AND e.alert_id = m.alert_id
      AND e.channel_id = m.channel_id AND e.message_id > m.message_id AND e.state = 'resolved' AND e.status IN ('sent', 'waiting'))
"""


def knowing(merchant_id: int, alert_id: int) -> set[int]:
    """The channels that took a message that an alert is open, and of no end since."""
    found = rows(
        "SELECT DISTINCT channel_id FROM channel_messages m WHERE merchant_id = %s AND alert_id = %s AND state = 'open' "
        f"AND status = 'sent' AND {_NOT_OVER}",
        (merchant_id, alert_id),
    )
    return {row[0] for row in found}


def told_open(merchant_id: int, alert_id: int) -> set[int]:
    """The channels whose last message about an alert said that it is open, whatever address it went to: they are told of its end."""
    return {channel_id for channel_id, kind in _told_last(merchant_id, alert_id) if kind != "alert.resolved"}


def told_over(merchant_id: int, alert_id: int) -> set[int]:
    """Those whose last message about it said that it is over."""
    return {channel_id for channel_id, kind in _told_last(merchant_id, alert_id) if kind == "alert.resolved"}


def told_over_at(merchant_id: int, alert_id: int, before: datetime) -> dict[int, datetime]:
    """As of when each channel was told last, or is to be, that an alert is over; ``before``: of its earlier ends."""
    found = rows(
        "SELECT channel_id, max(created_at) FROM channel_messages WHERE merchant_id = %s AND alert_id = %s "
        f"AND state = 'resolved' AND {_TOLD} AND created_at < %s GROUP BY channel_id",
        (merchant_id, alert_id, before),
    )
    return {row[0]: row[1] for row in found}


def _told_last(merchant_id: int, alert_id: int) -> Sequence[tuple[Any, ...]]:
    """(channel, type of its last message about an alert) of each that was told of it, is to be, or may have been."""
    return rows(
        "SELECT DISTINCT ON (channel_id) channel_id, type FROM channel_messages WHERE merchant_id = %s AND alert_id = %s "
        f"AND {_TOLD} ORDER BY channel_id, message_id DESC",
        (merchant_id, alert_id),
    )


def hears(merchant_id: int, alert_ids: Collection[int], now: datetime) -> dict[int, set[int]]:
    """Channel -> those of these alerts whose end it was told, or is to be; of one that is open, that it is. None that somebody has
    taken note of.
    """
    found = rows(
        "SELECT m.channel_id, m.alert_id FROM (SELECT DISTINCT ON (channel_id, alert_id) merchant_id, channel_id, alert_id, type "
        f"FROM channel_messages WHERE merchant_id = %s AND alert_id = ANY(%s) AND {_TOLD} "
        "AND (status <> 'waiting' OR attempts > 0 OR due_at <= %s) ORDER BY channel_id, alert_id, message_id DESC) AS m "
        "JOIN alerts a ON a.merchant_id = m.merchant_id AND a.alert_id = m.alert_id "
        "WHERE a.acknowledged_at IS NULL AND (a.resolved_at IS NULL OR m.type = 'alert.resolved')",
        (merchant_id, sorted(alert_ids), now),
    )
    heard: dict[int, set[int]] = {}
    for channel_id, alert_id in found:
        heard.setdefault(channel_id, set()).add(alert_id)
    return heard


def forget_heard(merchant_id: int, channel_id: int) -> None:
    """Whoever is at its address from now on was told of no alert yet: what is open is news there."""
    execute(
        "UPDATE channel_messages SET state = NULL "
        "WHERE merchant_id = %s AND channel_id = %s AND status <> 'waiting' AND state IS NOT NULL",
        (merchant_id, channel_id),
    )


def reached(merchant_id: int, alert_ids: Sequence[int], due_since: datetime) -> set[int]:
    """Those of these alerts that a channel was told of as open since it was told of their last end, or is about to be: what was due
    before and was not taken is not.
    """
    found = rows(
        "SELECT DISTINCT alert_id FROM channel_messages m WHERE merchant_id = %s AND alert_id = ANY(%s) AND state = 'open' "
        f"AND (status = 'sent' OR (status = 'waiting' AND due_at >= %s)) AND {_NOT_OVER}",
        (merchant_id, list(alert_ids), due_since),
    )
    return {row[0] for row in found}


def about_to_hear(merchant_id: int, alert_id: int) -> set[int]:
    """The channels that are about to be told that an alert is open, as it will be then, and not of an end behind that."""
    found = rows(
        "SELECT channel_id FROM channel_messages m WHERE merchant_id = %s AND alert_id = %s AND state = 'open' "
        f"AND status = 'waiting' AND attempts = 0 AND {_NOT_OVER}",
        (merchant_id, alert_id),
    )
    return {row[0] for row in found}


def cancel_openings(merchant_id: int, alert_id: int, now: datetime, due_after: datetime | None = None) -> None:
    """Takes back openings of an alert that nobody got yet; ``due_after``: only those that are due later."""
    execute(
        "UPDATE channel_messages SET status = 'cancelled', finished_at = %s "
        "WHERE merchant_id = %s AND alert_id = %s AND state = 'open' AND status = 'waiting' "
        "AND (%s::timestamptz IS NULL OR (attempts = 0 AND due_at > %s))",
        (now, merchant_id, alert_id, due_after, due_after),
    )


# What was told before it to the same channel. An end that waits itself, and certainly was not taken, may be taken back with it.
_BEFORE = f"""
FROM channel_messages b WHERE b.merchant_id = m.merchant_id AND b.alert_id = m.alert_id AND b.channel_id = m.channel_id
  AND b.message_id < m.message_id AND {_TOLD}
"""
_TOLD_NOTHING = f"NOT EXISTS (SELECT {_BEFORE} AND (type <> 'alert.resolved' OR status = 'sent' OR attempts > refused))"
_TOLD_OVER = f"(SELECT type {_BEFORE} ORDER BY b.message_id DESC LIMIT 1) = 'alert.resolved'"


def cancel_ends_alone(merchant_id: int, alert_ids: Sequence[int], now: datetime, channel_id: int | None = None) -> None:
    """Takes back what was certainly not taken yet and would tell of an alert's end a channel that knows of no opening before it, now that
    openings were taken back. One that knows of an earlier end is told what was lost since. ``channel_id`` of None: of all.
    """
    execute(
        "UPDATE channel_messages m SET status = 'cancelled', finished_at = %s, state = NULL "
        "WHERE merchant_id = %s AND alert_id = ANY(%s) AND (%s::bigint IS NULL OR channel_id = %s) "
        "AND state = 'resolved' AND status = 'waiting' AND attempts = refused "
        f"AND ({_TOLD_NOTHING} OR ({_TOLD_OVER} AND data::json #> '{{alert,details,lost_deliveries}}' IS NULL))",
        (now, merchant_id, list(alert_ids), channel_id, channel_id),
    )


def openings_waiting(merchant_id: int, channel_id: int) -> list[int]:
    """The alerts of which a channel is to be told that they are open."""
    found = rows(
        "SELECT DISTINCT alert_id FROM channel_messages WHERE merchant_id = %s AND channel_id = %s AND status = 'waiting' "
        "AND state = 'open'",
        (merchant_id, channel_id),
    )
    return [row[0] for row in found]


def cancel_unwanted(
    merchant_id: int, channel_id: int, alert_ids: Sequence[int], topics: Sequence[str], now: datetime
) -> None:
    """Takes back the openings of these alerts, and events of these topics, that a channel did not take yet. Should it want them again,
    they are news there.
    """
    execute(
        "UPDATE channel_messages SET status = 'cancelled', finished_at = %s, state = NULL "
        "WHERE merchant_id = %s AND channel_id = %s AND status = 'waiting' "
        "AND ((alert_id = ANY(%s) AND state = 'open') OR (alert_id IS NULL AND type = ANY(%s)))",
        (now, merchant_id, channel_id, list(alert_ids), list(topics)),
    )


@dataclass(frozen=True, slots=True)
class Passed:
    """Who is passed over now. ``hosts``: as ``ChannelRow.host`` has them. ``failing``: also all that failed last time."""

    hosts: Sequence[str] = ()
    failing: bool = False


# Looked at by when something is due there, so that a channel that was served, or that hangs, stands behind the others.
_TAKE_CHANNEL = """
SELECT c.merchant_id, c.channel_id FROM alert_channels c
WHERE c.next_at <= %(now)s AND (c.leased_until IS NULL OR c.leased_until <= %(now)s)
  AND (c.failures = 0 OR NOT %(failing)s)
  AND split_part(c.shown, '/', 1) || '//' || split_part(c.shown, '/', 3) <> ALL(%(hosts)s::text[])
  AND (SELECT count(*) FROM alert_channels o
       WHERE o.merchant_id = c.merchant_id AND o.leased_until > %(now)s) < %(of_one)s
ORDER BY c.next_at LIMIT 1 FOR UPDATE OF c SKIP LOCKED
"""
# An alert's messages go out in order, one after the other; other alerts' do not wait for them.
_SENDABLE = """
m.merchant_id = %(merchant)s AND m.channel_id = %(channel)s AND m.status = 'waiting' AND NOT EXISTS (
    SELECT 1 FROM channel_messages e WHERE e.merchant_id = m.merchant_id AND e.alert_id = m.alert_id
      AND e.channel_id = m.channel_id AND e.message_id < m.message_id AND e.status = 'waiting')
"""
_NEXT_MESSAGE = f"""
SELECT message_id, type, data, created_at, due_at, attempts, uid, alert_id, state FROM channel_messages m
WHERE {_SENDABLE} AND next_attempt_at <= %(now)s ORDER BY next_attempt_at, message_id LIMIT 1
"""
_SCHEDULE = f"""
UPDATE alert_channels SET next_at = (
    SELECT CASE WHEN count(*) > 0 THEN greatest(min(next_attempt_at), %(not_before)s) END
    FROM channel_messages m WHERE {_SENDABLE})
WHERE merchant_id = %(merchant)s AND channel_id = %(channel)s
"""


def take_next(now: datetime, lease: timedelta, passed: Passed = Passed()) -> Taken | None:
    """The longest due channel's next message, leased to the caller; None where nothing is due but what is passed over."""
    while True:
        params: Any = {"now": now, "of_one": OF_ONE, "hosts": list(passed.hosts), "failing": passed.failing}
        found = rows(_TAKE_CHANNEL, params)
        if not found:
            return None
        merchant_id, channel_id = found[0]
        params = {"merchant": merchant_id, "channel": channel_id, "now": now}
        message = rows(_NEXT_MESSAGE, params)
        if not message:
            _schedule(merchant_id, channel_id, now)
            continue
        number = rows(
            "UPDATE alert_channels SET leased_until = %s, lease = lease + 1 WHERE merchant_id = %s AND channel_id = %s "
            "RETURNING lease",
            (now + lease, merchant_id, channel_id),
        )[0][0]
        execute(
            "UPDATE channel_messages SET attempts = attempts + 1, tried_at = coalesce(tried_at, %s) "
            "WHERE merchant_id = %s AND message_id = %s",
            (now, merchant_id, message[0][0]),
        )
        name = rows("SELECT name FROM merchants WHERE merchant_id = %s", (merchant_id,))[0][0]
        row = channel(merchant_id, channel_id)
        assert row is not None
        return Taken(row, number, Message(merchant_id, *message[0]), name)


# What was wrong is said for as long as something that failed waits still.
_WENT_WELL = """
UPDATE alert_channels SET failures = 0, last_error = (
    SELECT m.last_error FROM channel_messages m
    WHERE m.merchant_id = %(merchant)s AND m.channel_id = %(channel)s AND m.status = 'waiting' AND m.last_error IS NOT NULL
    ORDER BY m.next_attempt_at, m.message_id LIMIT 1)
WHERE merchant_id = %(merchant)s AND channel_id = %(channel)s
"""


def finish(taken: Taken, now: datetime) -> None:
    """The receiver has it."""
    if _let_go(taken):
        _end_message(taken, "sent", None, now)
        params: Any = {"merchant": taken.channel.merchant_id, "channel": taken.channel.channel_id}
        execute(_WENT_WELL, params)
        _schedule(taken.channel.merchant_id, taken.channel.channel_id, now)


_GIVE_UP = """
WITH old AS (
    SELECT message_id, alert_id FROM channel_messages m
    WHERE merchant_id = %(merchant)s AND channel_id = %(channel)s AND status = 'waiting' AND due_at < %(before)s
      AND (state IS DISTINCT FROM 'open' OR NOT EXISTS (
          SELECT FROM alerts a WHERE a.merchant_id = m.merchant_id AND a.alert_id = m.alert_id AND a.resolved_at IS NULL))
)
UPDATE channel_messages m SET status = 'failed', last_error = %(error)s, finished_at = %(now)s
WHERE merchant_id = %(merchant)s AND channel_id = %(channel)s AND status = 'waiting' AND (
    message_id IN (SELECT message_id FROM old)
    OR (state = 'resolved' AND alert_id IN (SELECT alert_id FROM old) AND NOT EXISTS (
        SELECT FROM channel_messages e WHERE e.merchant_id = m.merchant_id AND e.alert_id = m.alert_id
          AND e.channel_id = m.channel_id AND e.message_id < m.message_id AND e.state = 'open' AND e.status = 'sent')))
"""


def put_off(
    taken: Taken,
    error: str,
    until: datetime,
    given_up_before: datetime,
    now: datetime,
    rest_until: datetime | None = None,
    *,
    is_refused: bool = False,
) -> int:
    """What waits there is not sent before ``until``; what was due before an instant is given up. How much was.

    That an alert is open is not given up before it is over; its end goes with it, as it does where it was taken back meanwhile.

    ``rest_until``: until when the receiver asked to be left alone, by what comes meanwhile, too. ``is_refused``: it has certainly not
    got it.
    """
    merchant_id, channel_id = taken.channel.merchant_id, taken.channel.channel_id
    if not _let_go(taken):
        return 0
    execute(
        "UPDATE alert_channels SET last_error = %s, failures = failures + 1, rest_until = %s "
        "WHERE merchant_id = %s AND channel_id = %s",
        (error, rest_until, merchant_id, channel_id),
    )
    is_taken_back = rows(  # meanwhile, by whoever could not know yet that it would be refused
        "UPDATE channel_messages SET refused = refused + %s, next_attempt_at = %s, last_error = %s "
        "WHERE merchant_id = %s AND message_id = %s RETURNING status = 'cancelled'",
        (int(is_refused), until, error, merchant_id, taken.message.message_id),
    ) == [(True,)]
    if is_taken_back and is_refused and taken.message.alert_id is not None:
        cancel_ends_alone(merchant_id, [taken.message.alert_id], now, channel_id)
    params: Any = {
        "error": error,
        "now": now,
        "merchant": merchant_id,
        "channel": channel_id,
        "before": given_up_before,
    }
    given_up = execute(_GIVE_UP, params)
    _schedule(merchant_id, channel_id, until)
    return given_up


def retry_now(merchant_id: int, channel_id: int, now: datetime) -> None:
    """What waits there is sent at once: the channel was mended."""
    execute(
        "UPDATE alert_channels SET last_error = NULL, failures = 0, rest_until = NULL "
        "WHERE merchant_id = %s AND channel_id = %s",
        (merchant_id, channel_id),
    )
    execute(
        "UPDATE channel_messages SET next_attempt_at = greatest(due_at, %s), last_error = NULL "
        "WHERE merchant_id = %s AND channel_id = %s AND status = 'waiting' AND attempts > 0",
        (now, merchant_id, channel_id),
    )
    _schedule(merchant_id, channel_id, now)


def note_error(merchant_id: int, channel_id: int, error: str) -> None:
    execute(
        "UPDATE alert_channels SET last_error = %s WHERE merchant_id = %s AND channel_id = %s",
        (error, merchant_id, channel_id),
    )


def _let_go(taken: Taken) -> bool:
    """Ends the lease; False where it was taken over, so that nothing of it counts any more."""
    return bool(
        execute(
            "UPDATE alert_channels SET leased_until = NULL WHERE merchant_id = %s AND channel_id = %s AND lease = %s "
            "AND leased_until IS NOT NULL",
            (taken.channel.merchant_id, taken.channel.channel_id, taken.lease),
        )
    )


def _end_message(taken: Taken, status: str, error: str | None, now: datetime) -> None:
    execute(
        "UPDATE channel_messages SET status = %s, last_error = %s, finished_at = %s "
        "WHERE merchant_id = %s AND message_id = %s AND status = 'waiting'",
        (status, error, now, taken.message.merchant_id, taken.message.message_id),
    )


def _schedule(merchant_id: int, channel_id: int, not_before: datetime) -> None:
    """When the channel is looked at next. Needs its row, held: whoever adds a message changes it, too."""
    params: Any = {"merchant": merchant_id, "channel": channel_id, "not_before": not_before}
    execute(_SCHEDULE, params)


# What was dropped.

_TAKE_LISTENER = """
SELECT merchant_id, channel_id FROM alert_channels WHERE told_until <= %s AND channel_id <> ALL(%s)
ORDER BY told_until LIMIT 1 FOR UPDATE SKIP LOCKED
"""
# Whoever was erased, or is to be left alone, is no news: nothing is to be corrected there.
DROPPED = """
SELECT platform, drop_reason, count(*) FROM deliveries
WHERE merchant_id = %s AND status = 'dropped' AND finished_at > %s AND finished_at <= %s
  AND drop_reason NOT IN ('erased', 'suppressed')
GROUP BY platform, drop_reason ORDER BY platform, drop_reason
"""
EXAMPLES = """
SELECT event_id, platform, drop_reason FROM deliveries
WHERE merchant_id = %s AND status = 'dropped' AND finished_at > %s AND finished_at <= %s
  AND drop_reason NOT IN ('erased', 'suppressed')
ORDER BY finished_at DESC, event_id DESC, platform DESC LIMIT %s
"""


def take_listener(told_before: datetime, without: Sequence[int] = ()) -> ChannelRow | None:
    """A channel that wants to know what was dropped and was told last before an instant, held by this transaction."""
    found = rows(_TAKE_LISTENER, (told_before, list(without)))
    return channel(*found[0]) if found else None


def dropped(
    merchant_id: int, since: datetime, until: datetime, examples: int
) -> tuple[list[tuple[str, str, int]], list[tuple[str, str, str]]]:
    """([(platform, reason, how many)], [(event id, platform, reason)] of the last few)."""
    counts = [(row[0], row[1], row[2]) for row in rows(DROPPED, (merchant_id, since, until))]
    if not counts:
        return [], []
    return counts, [(row[0], row[1], row[2]) for row in rows(EXAMPLES, (merchant_id, since, until, examples))]


def told_of_drops(merchant_id: int, channel_id: int, until: datetime) -> None:
    execute(
        "UPDATE alert_channels SET told_until = %s WHERE merchant_id = %s AND channel_id = %s",
        (until, merchant_id, channel_id),
    )


# Of those that failed last time, each by its own messages.
_UNTAKEN = """
SELECT coalesce(sum(m.waiting), 0)::bigint, count(*), count(DISTINCT c.merchant_id), min(m.since)
FROM (SELECT merchant_id, channel_id FROM alert_channels WHERE failures > 0 AND next_at IS NOT NULL LIMIT 1000) AS c
CROSS JOIN LATERAL (
    SELECT count(*) AS waiting, min(due_at) AS since FROM channel_messages
    WHERE merchant_id = c.merchant_id AND channel_id = c.channel_id AND status = 'waiting' AND attempts > 0) AS m
WHERE m.since < %s
"""


_SINCE_TAKEN = """
WITH lately AS (
    SELECT merchant_id, status, attempts, due_at, coalesce(tried_at, due_at) AS tried_at, finished_at FROM channel_messages
    WHERE due_at >= %(since)s),
last AS (SELECT max(finished_at) AS taken_at FROM lately WHERE status = 'sent' AND finished_at <= %(latest)s)
SELECT (SELECT taken_at FROM last), (
    SELECT count(DISTINCT merchant_id) FROM lately
    WHERE status = 'waiting' AND attempts > 0 AND due_at < %(before)s
      AND tried_at >= coalesce((SELECT taken_at FROM last), %(since)s))
"""
AHEAD = timedelta(minutes=1)  # of a message that was taken later nobody can know: a clock has been set back since


def since_taken(due_since: datetime, due_before: datetime, now: datetime) -> tuple[datetime | None, int]:
    """Of messages that were due since an instant: (when the last one was taken, of how many merchants some wait that were due before
    another instant, and tried for the first time after that, in vain).

    A dead address is tried in vain before the next message is taken elsewhere; when the network is away, nothing is.
    """
    params: Any = {"since": due_since, "before": due_before, "latest": now + AHEAD}
    found = rows(_SINCE_TAKEN, params)
    return found[0][0], found[0][1]


def untaken(due_before: datetime) -> tuple[int, int, int, datetime | None]:
    """(messages that failed and wait, in how many channels, of how many merchants, since when the oldest was due), of channels
    that have not taken one that was due before an instant.
    """
    messages, channels, merchants, since = rows(_UNTAKEN, (due_before,))[0]
    return messages, channels, merchants, since


def purge_messages(before: datetime, limit: int) -> int:
    """Deletes up to ``limit`` messages that were due before an instant, but of alerts that are open; how many.

    Which channels are told of their ends is known by them.
    """
    return execute(
        "DELETE FROM channel_messages m USING (SELECT merchant_id, message_id FROM channel_messages d WHERE due_at < %s "
        "AND NOT EXISTS (SELECT FROM alerts a WHERE a.merchant_id = d.merchant_id AND a.alert_id = d.alert_id "
        "AND a.resolved_at IS NULL) ORDER BY due_at LIMIT %s) AS old WHERE m.merchant_id = old.merchant_id AND m.message_id = old.message_id",
        (before, limit),
    )
