"""Alerts: their life, and how they are read: by page, by id, and by the deliveries that were part of them."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import orjson

from tracklayer.db.connection import execute, rows
from tracklayer.db.deliveries import COLUMNS, DeliveryRow
from tracklayer.db.models import AlertRow
from tracklayer.domain.alert import AHEAD, AlertKind, Finding, Known, Severity, Subject, since_told, told
from tracklayer.domain.alert_members import Member, Members, member_name
from tracklayer.domain.facts import OTHERS

ALERT_LOCK = 7_301_007  # first key of the advisory lock on a merchant's alerts
MAX_TITLE, MAX_MESSAGE = 200, 4000  # characters
KINDS = frozenset(kind.value for kind in AlertKind)


@dataclass(frozen=True)
class AlertSearch:
    """What a page of alerts may be narrowed by. ``after``: ``(opened_at, alert_id)`` of the last one seen."""

    kinds: tuple[str, ...] = ()
    platform: str | None = None
    open: bool | None = None
    opened_since: datetime | None = None
    opened_until: datetime | None = None
    after: tuple[datetime, int] | None = None


def page_of_alerts(merchant_id: int, search: AlertSearch, limit: int) -> list[AlertRow]:
    """Newest opened first, at most ``limit``, by keyset."""
    where = ["merchant_id = %s"]
    params: list[Any] = [merchant_id]
    if search.kinds:
        where.append("kind = ANY(%s)")
        params.append(list(search.kinds))
    if search.platform is not None:
        where.append("platform = %s")
        params.append(search.platform)
    if search.open is not None:
        where.append(f"resolved_at IS {'' if search.open else 'NOT '}NULL")
    if search.opened_since is not None:
        where.append("opened_at >= %s")
        params.append(search.opened_since)
    if search.opened_until is not None:
        where.append("opened_at < %s")
        params.append(search.opened_until)
    if search.after is not None:
        where.append("(opened_at, alert_id) < (%s, %s)")
        params.extend(search.after)
    found = AlertRow.raw(
        f"SELECT * FROM alerts WHERE {' AND '.join(where)} ORDER BY opened_at DESC, alert_id DESC LIMIT %s",
        *params,
        limit,
    )
    return list(found)


def alerts_by_id(merchant_id: int, alert_ids: Sequence[int]) -> dict[int, AlertRow]:
    found = AlertRow.select().where((AlertRow.merchant_id == merchant_id) & AlertRow.alert_id.in_(list(alert_ids)))
    return {row.alert_id: row for row in found}


def open_alerts(merchant_id: int) -> list[AlertRow]:
    """All that are open, newest opened first: one a subject at most, by the index of those."""
    return list(
        AlertRow.select()
        .where((AlertRow.merchant_id == merchant_id) & AlertRow.resolved_at.is_null())
        .order_by(AlertRow.opened_at.desc(), AlertRow.alert_id.desc())
    )


def lock_alerts(merchant_id: int) -> None:
    """Until this transaction ends, nobody else opens or resolves alerts of this merchant.

    So verdicts of several schedulers are settled one after another, and changes are numbered in the order in which
    they become visible: the number is taken under the lock, and PostgreSQL lets go of it only when the commit can be
    seen. Whoever has read change 7 will never find a 6 that was not there before.
    """
    rows("SELECT pg_advisory_xact_lock(%s, (%s %% 2147483647)::int)", (ALERT_LOCK, merchant_id))


KNOWN = """
SELECT alert_id, kind, platform, event_name, severity, last_seen_at, quiet_since, resolved_at FROM alerts
WHERE merchant_id = %(merchant)s AND resolved_at IS NULL
UNION ALL
SELECT alert_id, kind, platform, event_name, severity, last_seen_at, quiet_since, resolved_at FROM alerts
WHERE merchant_id = %(merchant)s AND resolved_at > %(since)s AND resolved_at <= %(until)s
"""


def known_alerts(merchant_id: int, resolved_since: datetime, resolved_until: datetime) -> dict[Subject, Known]:
    """Each subject's open alert, or else the last one that was resolved between two instants."""
    known: dict[Subject, Known] = {}
    params: Any = {"merchant": merchant_id, "since": resolved_since, "until": resolved_until}
    for row in rows(KNOWN, params):
        if row[1] not in KINDS:  # a newer version's: it looks after it
            continue
        found = Known(row[0], Subject(AlertKind(row[1]), row[2], row[3]), Severity(row[4]), *row[5:])
        other = known.get(found.subject)
        if other is None or _ends(found) > _ends(other):
            known[found.subject] = found
    return known


def _ends(alert: Known) -> tuple[bool, float]:
    return alert.resolved_at is None, alert.resolved_at.timestamp() if alert.resolved_at else 0.0


ALERTS_BESIDE = """
SELECT * FROM alerts WHERE merchant_id = %s AND resolved_at IS NULL AND kind = ANY(%s) AND alert_id <> %s
UNION ALL
SELECT * FROM alerts WHERE merchant_id = %s AND resolved_at >= %s AND kind = ANY(%s) AND alert_id <> %s
"""


def alerts_beside(merchant_id: int, alert_id: int, kinds: Collection[AlertKind], since: datetime) -> list[AlertRow]:
    """The other alerts of these kinds that were open since an instant."""
    names = sorted(kinds)
    return list(AlertRow.raw(ALERTS_BESIDE, merchant_id, names, alert_id, merchant_id, since, names, alert_id))


OPEN_LATELY = """
SELECT merchant_id, kind, platform, event_name, opened_at, resolved_at FROM alerts
WHERE merchant_id = ANY(%(merchants)s) AND resolved_at > %(since)s AND resolved_at <= %(until)s
UNION ALL
SELECT merchant_id, kind, platform, event_name, opened_at, resolved_at FROM alerts
WHERE merchant_id = ANY(%(merchants)s) AND resolved_at IS NULL
"""


def open_lately(
    merchant_ids: Sequence[int], resolved_since: datetime, resolved_until: datetime
) -> dict[tuple[int, Subject], tuple[datetime, datetime | None]]:
    """(merchant, subject) -> (opened, resolved) of each one's open alert, or else of the last that resolved in between."""
    lately: dict[tuple[int, Subject], tuple[datetime, datetime | None]] = {}
    params: Any = {"merchants": list(merchant_ids), "since": resolved_since, "until": resolved_until}
    for merchant_id, kind, platform, event_name, opened_at, resolved_at in rows(OPEN_LATELY, params):
        if kind not in KINDS:
            continue
        key = merchant_id, Subject(AlertKind(kind), platform, event_name)
        known = lately.get(key)
        if known is None or resolved_at is None or (known[1] is not None and resolved_at > known[1]):
            lately[key] = opened_at, resolved_at
    return lately


OPEN_NAMES = """
SELECT merchant_id, event_name, jsonb_path_query_array(details, '$.alike[*].event_name')::text FROM alerts
WHERE merchant_id = ANY(%(merchants)s) AND kind = %(kind)s AND resolved_at IS NULL
"""


def open_names(merchant_ids: Sequence[int], kind: AlertKind) -> dict[int, set[str | None]]:
    """Merchant -> the event names that its open alerts of a kind are about, as alerts call them, those listed in a gathered one too;
    None: all.
    """
    params: Any = {"merchants": list(merchant_ids), "kind": kind.value}
    found: dict[int, set[str | None]] = {}
    for merchant_id, name, alike in rows(OPEN_NAMES, params):
        found.setdefault(merchant_id, set()).update([name and member_name(name)], orjson.loads(alike))
    return found


TOLD_SILENCES = """
SELECT opened_at FROM alerts WHERE merchant_id = %s AND kind = %s AND event_name IS NULL AND opened_at > %s
ORDER BY opened_at DESC LIMIT 200
"""


def told_silences(merchant_id: int, since: datetime) -> list[datetime]:
    """When alerts opened that a merchant sends nothing at all any more."""
    return [row[0] for row in rows(TOLD_SILENCES, (merchant_id, AlertKind.TRACKING_STOPPED.value, since))]


TOLD_NAMES = """
SELECT event_name, opened_at, jsonb_path_query_array(told, '$.details.alike[*]')::text,
       jsonb_path_query_array(details, '$.alike[*]')::text
FROM alerts WHERE merchant_id = %s AND kind = %s AND event_name IS NOT NULL AND opened_at > %s
ORDER BY opened_at DESC LIMIT 200
"""


def told_silences_of_names(merchant_id: int, since: datetime, told_after: timedelta) -> dict[str, list[datetime]]:
    """Event name, as alerts call it -> when alerts opened that it comes no more. One that is listed in a gathered alert may have joined that when
    it was open already: then an instant at which its own silence was as long as any that is told (``told_after``).
    """
    found: dict[str, list[datetime]] = {}
    params = (merchant_id, AlertKind.TRACKING_STOPPED.value, since)
    for name, opened_at, told_alike, alike in rows(TOLD_NAMES, params):
        found.setdefault(member_name(name), []).append(opened_at)
        for one in (*orjson.loads(told_alike or "[]"), *orjson.loads(alike or "[]")):
            began = since_told(one)
            at = opened_at if began is None else max(opened_at, began + told_after)
            found.setdefault(one["event_name"], []).append(at)
    return found


@dataclass(frozen=True, slots=True)
class ToldAs:
    """What an open alert said last. ``began``: since when it says that it holds. ``reason``: the words it gave for its cause.

    ``event_names``: those that an alert of a destination is about, as it calls them, none where it is about all.
    """

    began: datetime | None
    cause: str | None
    reason: str | None
    event_names: Sequence[str] = ()


TOLD_AS = """
SELECT merchant_id, kind, platform, event_name, told #>> '{details,since}', details ->> 'since', details ->> 'cause', coalesce(details ->> 'reason', details ->> 'last_error'),
       CASE WHEN kind = 'delivery_rate_drop' THEN details -> 'event_names' END::text
FROM alerts WHERE merchant_id = ANY(%(merchants)s) AND kind = ANY(%(kinds)s) AND resolved_at IS NULL
"""


def told_as(merchant_ids: Sequence[int], kinds: Collection[AlertKind]) -> dict[tuple[int, Subject], ToldAs]:
    """What the open alerts of some kinds said last, by (merchant, subject)."""
    params: Any = {"merchants": list(merchant_ids), "kinds": sorted(kinds)}
    return {
        (row[0], Subject(AlertKind(row[1]), row[2], row[3])): ToldAs(
            since_told({"since": row[4]}, {"since": row[5]}), row[6], row[7], orjson.loads(row[8]) if row[8] else ()
        )
        for row in rows(TOLD_AS, params)
    }


OPEN_DETAILS = """
SELECT details::text FROM alerts WHERE merchant_id = %s AND kind = %s AND platform = %s AND event_name IS NULL
  AND resolved_at IS NULL
"""


def open_details(merchant_id: int, kind: AlertKind, platform: str) -> dict[str, Any]:
    """What the open alert of a destination has as ``details``; empty where none is open."""
    found = rows(OPEN_DETAILS, (merchant_id, kind.value, platform))
    return orjson.loads(found[0][0]) if found else {}


ENDED_CAUSES = """
SELECT told #>> '{details,cause}', details ->> 'cause' FROM alerts
WHERE merchant_id = %s AND kind = %s AND platform = %s AND event_name IS NULL AND resolved_at = %s
"""


def ended_causes(merchant_id: int, kind: AlertKind, platform: str, resolved_at: datetime) -> set[str]:
    """What an alert of a destination that ended then was put down to: when it was told, and at last."""
    found = rows(ENDED_CAUSES, (merchant_id, kind.value, platform, resolved_at))
    return {cause for row in found for cause in row if cause is not None}


def insert_alert(merchant_id: int, finding: Finding, now: datetime) -> int | None:
    """The new alert's id; None where one of this subject is open already."""
    found = rows(
        "INSERT INTO alerts (merchant_id, kind, severity, platform, event_name, title, message, details, opened_at, last_seen_at) "
        "VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s) "
        "ON CONFLICT (merchant_id, kind, (coalesce(platform, '')), (coalesce(event_name, ''))) WHERE resolved_at IS NULL DO NOTHING "
        "RETURNING alert_id",
        (merchant_id, finding.kind, finding.severity, finding.platform, finding.event_name, *_words(finding), now, now),
    )
    return found[0][0] if found else None


# To channels, since somebody took note of it: no e-mail tells the end of one that somebody has taken note of.
_END_IS_TOLD = """
EXISTS (SELECT FROM channel_messages m WHERE m.merchant_id = alerts.merchant_id AND m.alert_id = alerts.alert_id
    AND m.state = 'resolved' AND m.created_at >= alerts.acknowledged_at AND m.status IN ('sent', 'waiting'))"""


def see_alert(merchant_id: int, alert_id: int, finding: Finding, now: datetime) -> bool:
    """What was found again; an alert that was resolved is open again under its old id. Whether somebody had taken note of it, which does
    not hold any more.
    """
    found = rows(
        "UPDATE alerts SET severity = %s, title = %s, message = %s, details = %s, "
        # Seen further ahead than looks pass each other: by a clock that was set back since.
        "last_seen_at = CASE WHEN last_seen_at > %s THEN %s ELSE greatest(last_seen_at, %s) END, quiet_since = NULL, resolved_at = NULL, "
        # Taken note of when it was over already, or before its end was told: that was another time.
        f"acknowledged_at = CASE WHEN (alerts.acknowledged_at < resolved_at AND NOT {_END_IS_TOLD}) IS NOT FALSE "
        "THEN alerts.acknowledged_at END "
        "FROM (SELECT acknowledged_at FROM alerts WHERE merchant_id = %s AND alert_id = %s) AS before "
        "WHERE merchant_id = %s AND alert_id = %s RETURNING before.acknowledged_at IS NOT NULL AND alerts.acknowledged_at IS NULL",
        (
            finding.severity,
            *_words(finding),
            now + AHEAD,
            now,
            now,
            *(merchant_id, alert_id) * 2,
        ),
    )
    return bool(found and found[0][0])


# Causes as they stand in details: of a destination one word, and the rule, or the platform's code, for which it takes none; of
# what is refused at the door a code and field each.
_GROUND = "to_jsonb(nullif(concat_ws(' ', coalesce({0} ->> 'drop_reason', {0} ->> 'error_code'), {0} ->> 'field'), ''))"
_CAUSES = f"""
coalesce(jsonb_path_query_array({{0}}, '$.cause') || jsonb_path_query_array({{0}}, '$.leading')
    || jsonb_path_query_array({{0}}, '$.causes[*]') || CASE WHEN {_GROUND} IS NULL THEN '[]' ELSE jsonb_build_array({_GROUND}) END, '[]')"""
CAUSE_IN = {"cause": "details -> 'cause'", "leading": "details -> 'leading'", "ground": _GROUND.format("details")}
_TOLD_CAUSES = "(coalesce(told -> 'causes', '[]') || " + _CAUSES.format("(told -> 'details')") + ")"
_AGAIN = "coalesce((told ->> 'again')::int, 0)"
# What an alert of several is about, as its details have it: they come and go.
LISTED = ("event_names", "name_causes", "platforms")
_ALL_LISTED = ", ".join(
    f"'{name}', coalesce(told -> '{name}', '[]') || coalesce(details -> '{name}', '[]')" for name in LISTED
)
_KEEP_TOLD = (
    "UPDATE alerts SET told = jsonb_build_object('severity', severity, 'title', title, 'message', message, "
    f"'details', details, 'causes', {_TOLD_CAUSES}, 'again', {_AGAIN}, 'members', told -> 'members', "
    f"'late', told -> 'late', {_ALL_LISTED})"
)


def keep_told(merchant_id: int, alert_id: int) -> None:
    """What is known of it now, as it opens, is what its end tells, too.

    One that opens again with a cause that it had before its end is told with it anew, unless somebody has taken note of it.
    """
    execute(
        f"{_KEEP_TOLD} || CASE WHEN acknowledged_at IS NULL THEN '{{\"causes\": [], \"again\": 0}}' ELSE '{{}}' END::jsonb "
        "WHERE merchant_id = %s AND alert_id = %s",
        (merchant_id, alert_id),
    )


def keep_graver(merchant_id: int, alert_id: int) -> None:
    """The same of one that became critical, unless it was told so before."""
    execute(
        f"{_KEEP_TOLD} WHERE merchant_id = %s AND alert_id = %s AND told ->> 'severity' IS DISTINCT FROM %s",
        (merchant_id, alert_id, Severity.CRITICAL),
    )


def keep_listed(merchant_id: int, alert_id: int) -> None:
    """Of which platforms and event names it has been, since it opened."""
    some_are_new = " OR ".join(
        f"NOT coalesce(told -> '{name}', '[]') @> coalesce(details -> '{name}', '[]')" for name in LISTED
    )
    execute(
        f"UPDATE alerts SET told = told || jsonb_build_object({_ALL_LISTED}) "
        f"WHERE merchant_id = %s AND alert_id = %s AND told IS NOT NULL AND ({some_are_new})",
        (merchant_id, alert_id),
    )


def keep_loss(merchant_id: int, alert_id: int) -> bool:
    """The same of one that has lost something since it opened; False where that was told before, or it has not."""
    changed = execute(
        f"{_KEEP_TOLD} WHERE merchant_id = %s AND alert_id = %s AND (details ->> 'lost_deliveries')::int > 0 "
        "AND coalesce((told #>> '{details,lost_deliveries}')::int, 0) = 0",
        (merchant_id, alert_id),
    )
    return changed > 0


def keep_balance(
    merchant_id: int, alert_id: int, sentence: str, lost: Mapping[str, Any], over_at: datetime | None = None
) -> None:
    """What one that is over has lost until then: a sentence, and figures, as ``details`` has them, in place of those it was told with.
    ``over_at``: as of when its end is told; None: as it was.
    """
    noted = {} if over_at is None else {"over_at": over_at}
    execute(
        "UPDATE alerts SET told = told || %s::jsonb || jsonb_build_object("
        "'balance', %s::text, 'details', (told -> 'details') - '{lost_deliveries,lost_worth}'::text[] || %s::jsonb) "
        "WHERE merchant_id = %s AND alert_id = %s AND told IS NOT NULL",
        (orjson.dumps(noted).decode(), sentence, orjson.dumps(lost).decode(), merchant_id, alert_id),
    )


def keep_failing(merchant_id: int, alert_id: int, sentence: str | None, look_at: datetime | None) -> None:
    """Of one that is over: what its balance says of what had failed and may be lost yet, and when to look what became of it; None: it
    is known.
    """
    execute(
        "UPDATE alerts SET told = (told - '{failing,look_at}'::text[]) "
        "|| jsonb_strip_nulls(jsonb_build_object('failing', %s::text, 'look_at', %s::timestamptz)) "
        "WHERE merchant_id = %s AND alert_id = %s AND told IS NOT NULL",
        (sentence, look_at, merchant_id, alert_id),
    )


def keep_late(merchant_id: int, alert_id: int, late: tuple[datetime, datetime, datetime]) -> None:
    """Of one that is over: of which deliveries it was told since that they are lost: the first failure from and until, and dropped by when."""
    execute(
        "UPDATE alerts SET told = told || %s::jsonb WHERE merchant_id = %s AND alert_id = %s AND told IS NOT NULL",
        (orjson.dumps({"late": late}).decode(), merchant_id, alert_id),
    )


TO_LOOK_AT = """
SELECT merchant_id, alert_id FROM alerts
WHERE merchant_id = ANY(%s) AND resolved_at IS NOT NULL AND told ? 'look_at'
  AND (told ->> 'look_at')::timestamptz <= %s
ORDER BY (told ->> 'look_at')::timestamptz LIMIT %s
"""


def to_look_at(merchant_ids: Sequence[int], now: datetime, limit: int) -> list[tuple[int, int]]:
    """(merchant, alert) of those that are over and of which it is time to look what became of what had failed."""
    return [(row[0], row[1]) for row in rows(TO_LOOK_AT, (list(merchant_ids), now, limit))]


MOST_TOLD_AGAIN = 5  # times of one alert, for another cause


def keep_cause(merchant_id: int, alert_id: int, name: str) -> bool:
    """The same of one whose details have a cause that it was never told with, one of ``CAUSE_IN``; False where it was, or has none.

    Whoever had taken note of it knew of others: it is nobody's again.
    """
    changed = execute(
        f"{_KEEP_TOLD} || jsonb_build_object('again', {_AGAIN} + 1), acknowledged_at = NULL "
        f"WHERE merchant_id = %s AND alert_id = %s AND NOT {_TOLD_CAUSES} @> jsonb_build_array({CAUSE_IN[name]}) "
        f"AND {CAUSE_IN[name]} IS NOT NULL AND {_AGAIN} < %s",
        (merchant_id, alert_id, MOST_TOLD_AGAIN),
    )
    return changed > 0


def members_of(row_told: Mapping[str, Any] | None) -> dict[str, Member] | None:
    """What ``told`` of an alert's row has of the names it is about; None where nothing was noted, as by an older version."""
    noted = (row_told or {}).get("members")
    if noted is None:
        return None
    return {name: Member(*(at and datetime.fromisoformat(at) for at in spans)) for name, spans in noted.items()}


def keep_members(merchant_id: int, alert_id: int, members: Members, *, are_told: bool = False) -> None:
    """Of which names it is and was. ``are_told``: with what is known now; whoever had taken note of it knew of others."""
    noted = {name: (one.told_at, one.left_at) for name, one in members.items()}
    keep = (
        f"{_KEEP_TOLD} || %s::jsonb, acknowledged_at = NULL WHERE merchant_id = %s AND alert_id = %s AND told IS NOT NULL"
        if are_told
        else "UPDATE alerts SET told = told || %s::jsonb WHERE merchant_id = %s AND alert_id = %s AND told IS NOT NULL"
    )
    execute(keep, (orjson.dumps({"members": noted}).decode(), merchant_id, alert_id))


def keep_also(merchant_id: int, alert_id: int, sentence: str) -> None:
    """Adds a sentence to what its end tells."""
    execute(
        "UPDATE alerts SET told = told || jsonb_build_object('message', concat_ws(' ', told ->> 'message', %s::text)) "
        "WHERE merchant_id = %s AND alert_id = %s AND told IS NOT NULL",
        (sentence, merchant_id, alert_id),
    )


GATHERED_MEMBERS = """
SELECT merchant_id, kind, told::text FROM alerts
WHERE merchant_id = ANY(%(merchants)s) AND event_name = %(name)s AND resolved_at > %(since)s
UNION ALL
SELECT merchant_id, kind, told::text FROM alerts
WHERE merchant_id = ANY(%(merchants)s) AND event_name = %(name)s AND resolved_at IS NULL
"""


def gathered_members(
    merchant_ids: Sequence[int], resolved_since: datetime
) -> dict[int, dict[AlertKind, dict[str, Member]]]:
    """Merchant -> kind -> what its alert about several names is about that is open, or was resolved since an instant, where that was
    noted.
    """
    params: Any = {"merchants": list(merchant_ids), "name": OTHERS, "since": resolved_since}
    found: dict[int, dict[AlertKind, dict[str, Member]]] = {}
    for merchant_id, kind, noted in rows(GATHERED_MEMBERS, params):
        members = members_of(orjson.loads(noted)) if noted else None
        if kind in KINDS and members is not None:
            found.setdefault(merchant_id, {})[AlertKind(kind)] = members
    return found


def quiet_alert(merchant_id: int, alert_id: int, now: datetime) -> None:
    """Notes that nothing was found any more; the first such look counts."""
    execute(
        "UPDATE alerts SET quiet_since = CASE WHEN quiet_since <= %s THEN quiet_since ELSE %s END, "
        "last_seen_at = CASE WHEN last_seen_at <= %s THEN last_seen_at ELSE %s END "
        "WHERE merchant_id = %s AND alert_id = %s",
        (now + AHEAD, now, now + AHEAD, now, merchant_id, alert_id),
    )


def resolve_alert(merchant_id: int, alert_id: int, now: datetime) -> None:
    execute(
        "UPDATE alerts SET resolved_at = greatest(opened_at, %s) "
        "WHERE merchant_id = %s AND alert_id = %s AND resolved_at IS NULL",
        (now, merchant_id, alert_id),
    )


def acknowledge(merchant_id: int, alert_id: int, now: datetime, note: str | None) -> AlertRow | None:
    """The row afterwards: the first acknowledgement counts, and the last note; None keeps it, empty text removes it.

    None where there is no such alert.
    """
    execute(
        "UPDATE alerts SET acknowledged_at = coalesce(acknowledged_at, %s), note = nullif(coalesce(%s, note), '') "
        "WHERE merchant_id = %s AND alert_id = %s",
        (now, note, merchant_id, alert_id),
    )
    return alerts_by_id(merchant_id, [alert_id]).get(alert_id)


def snooze(merchant_id: int, alert_id: int, until: datetime | None) -> AlertRow | None:
    """The row afterwards. None where there is no such alert."""
    execute(
        "UPDATE alerts SET snoozed_until = %s WHERE merchant_id = %s AND alert_id = %s", (until, merchant_id, alert_id)
    )
    return alerts_by_id(merchant_id, [alert_id]).get(alert_id)


def _words(finding: Finding) -> tuple[str, str, str]:
    details: Mapping[str, Any] = {"since": finding.since, **finding.details}
    return told(finding.title, MAX_TITLE), told(finding.message, MAX_MESSAGE), orjson.dumps(_told(details)).decode()


def _told(value: Any) -> Any:
    if isinstance(value, str):
        return told(value, MAX_MESSAGE)
    if isinstance(value, Mapping):
        return {told(str(name), MAX_TITLE): _told(found) for name, found in value.items()}
    return [_told(found) for found in value] if isinstance(value, list | tuple) else value


# A delivery belongs to the alerts of its platform, or of the whole merchant, that were open while it waited; an alert
# that opened or resolved in the very instant at which the wait ended or began is one of them. By the index
# alerts_spans: the alerts before and after the wait, however many there are, are not looked at. One that was redelivered
# has waited several times.
MAX_ALERTS = 10  # of one delivery, the newest: an outage that flaps for a day has more, and none of them says more
ALERTS_OF_DELIVERIES = """
SELECT event_id, platform, opened_at, alert_id FROM (
SELECT DISTINCT x.event_id, x.platform, a.opened_at, a.alert_id,
    dense_rank() OVER (PARTITION BY x.event_id, x.platform ORDER BY a.opened_at DESC, a.alert_id DESC) AS place
FROM json_to_recordset(%s::json) AS x(event_id text, platform text, since timestamptz, until timestamptz)
JOIN alerts a ON int8range(a.merchant_id, a.merchant_id, '[]') && int8range(%s, %s, '[]')
  AND tstzrange(a.opened_at, a.resolved_at, '[]') && tstzrange(x.since, greatest(x.since, x.until), '[]')
  AND (a.platform IS NULL OR a.platform = x.platform)) AS found
WHERE place <= %s ORDER BY opened_at DESC, alert_id DESC
"""

# The other way round, and from when it began: what was lost before it was found is part of it. A delivery waits no longer
# than its window: what was queued longer before that had ended by then, and is not looked at, unless it was redelivered. One
# index range an alert, by deliveries_queued; of one platform each hour that has some, as its pages do, and what was stored
# first; and the few of deliveries_requeued that are older.
_WAITED = """
    d.merchant_id = %(merchant)s AND (x.platform IS NULL OR d.platform = x.platform)
    AND (%(at)s::timestamptz IS NULL OR (d.queued_at, d.event_id, d.platform) < (%(at)s, %(event)s, %(platform)s))
    AND ((coalesce(d.requeued_at, d.queued_at) <= x.until AND (d.finished_at IS NULL OR d.finished_at >= x.began_at))
         OR EXISTS (SELECT 1 FROM jsonb_array_elements(d.former_waits) AS w
                    WHERE (w ->> 0)::timestamptz <= x.until AND (w ->> 1)::timestamptz >= x.began_at))
    ORDER BY d.queued_at DESC, d.event_id DESC, d.platform DESC LIMIT %(limit)s"""
DELIVERIES_OF_ALERTS = f"""
SELECT x.alert_id, {", ".join(f"d.{name}" for name in COLUMNS.split(", "))}
FROM json_to_recordset(%(alerts)s::json) AS x(
    alert_id bigint, platform text, began_at timestamptz, queued_since timestamptz, until timestamptz)
CROSS JOIN LATERAL (
    SELECT * FROM (
        (SELECT * FROM deliveries d
         WHERE x.platform IS NULL AND d.queued_at >= x.queued_since AND d.queued_at <= x.until AND {_WAITED})
        UNION ALL
        (SELECT d.* FROM (
            SELECT hour FROM (
                SELECT hour FROM ledger_hours
                WHERE merchant_id = %(merchant)s AND platform = x.platform AND routed > purged
                  AND hour >= date_trunc('hour', x.queued_since, 'UTC') AND hour <= least(x.until, %(at)s::timestamptz)
                UNION
                SELECT date_trunc('hour', minute, 'UTC') FROM minutes
                WHERE merchant_id = %(merchant)s AND platform = x.platform AND slot <> 0
                  AND minute >= date_trunc('hour', x.queued_since, 'UTC') AND minute <= least(x.until, %(at)s::timestamptz)) AS counted
            ORDER BY hour DESC) AS hours
         CROSS JOIN LATERAL (
            SELECT * FROM deliveries d
            WHERE d.queued_at >= hour AND d.queued_at < hour + interval '1 hour' AND d.queued_at >= x.queued_since
              AND d.queued_at <= x.until AND d.queued_at <= d.received_at AND {_WAITED}) AS d
         ORDER BY hour DESC, d.queued_at DESC, d.event_id DESC, d.platform DESC LIMIT %(limit)s)
        UNION ALL
        (SELECT * FROM deliveries d
         WHERE x.platform IS NOT NULL AND d.queued_at > d.received_at
           AND d.queued_at >= x.queued_since AND d.queued_at <= x.until AND {_WAITED})
        UNION ALL
        (SELECT * FROM deliveries d WHERE d.requeued_at IS NOT NULL AND d.queued_at < x.queued_since AND {_WAITED})
    ) AS found
    ORDER BY queued_at DESC, event_id DESC, platform DESC LIMIT %(limit)s) AS d
ORDER BY x.alert_id, d.queued_at DESC, d.event_id DESC, d.platform DESC
"""

Place = tuple[datetime, str, str]  # of a delivery in its list: queued_at, event id, platform


@dataclass(frozen=True)
class Span:
    """An alert's platform, or None for all, and from when until when what it tells of held; now where it still does."""

    alert_id: int
    platform: str | None
    began_at: datetime
    until: datetime


def deliveries_of_alerts(
    merchant_id: int, spans: Sequence[Span], after: Place | None, limit: int, window: timedelta
) -> dict[int, list[DeliveryRow]]:
    """Alert -> the deliveries that waited from when it began until it was over, newest queued first, at most ``limit`` each."""
    records = [
        {
            "alert_id": span.alert_id,
            "platform": span.platform,
            "began_at": span.began_at,
            "queued_since": span.began_at - window,
            "until": span.until,
        }
        for span in spans
    ]
    at, event_id, platform = after or (None, None, None)
    params = {
        "alerts": orjson.dumps(records).decode(),
        "merchant": merchant_id,
        "at": at,
        "event": event_id,
        "platform": platform,
        "limit": limit,
    }
    grouped: dict[int, list[DeliveryRow]] = {span.alert_id: [] for span in spans}
    for row in rows(DELIVERIES_OF_ALERTS, params):  # type: ignore[arg-type]
        grouped[row[0]].append(DeliveryRow(*row[1:]))
    return grouped


@dataclass(frozen=True)
class Waits:
    """A delivery, and each time from when until when it waited."""

    event_id: str
    platform: str
    spans: tuple[tuple[datetime, datetime], ...]


def alerts_of_deliveries(merchant_id: int, waits: Sequence[Waits]) -> dict[tuple[str, str], list[AlertRow]]:
    """The alerts of deliveries, by (event id, platform), newest first: of each the last ``MAX_ALERTS``."""
    records = [
        {"event_id": wait.event_id, "platform": wait.platform, "since": since, "until": until}
        for wait in waits
        for since, until in wait.spans
    ]
    pairs = rows(ALERTS_OF_DELIVERIES, (orjson.dumps(records).decode(), merchant_id, merchant_id, MAX_ALERTS))
    found = alerts_by_id(merchant_id, list({row[3] for row in pairs})) if pairs else {}
    grouped: dict[tuple[str, str], list[AlertRow]] = {(wait.event_id, wait.platform): [] for wait in waits}
    for event_id, platform, _, alert_id in pairs:
        if alert_id in found:
            grouped[event_id, platform].append(found[alert_id])
    return grouped
