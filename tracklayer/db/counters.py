"""The ledger's counters: added to in the transaction of what they count, in rows that only its own backend writes.

A row is one minute of one destination, or (platform ``''``) of one merchant's events, as counted by one backend. A
backend runs one transaction at a time, so no transaction ever waits for another one's counter.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from tracklayer import metrics
from tracklayer.db.connection import after_commit, execute, rows
from tracklayer.db.json_literal import JsonLiteral
from tracklayer.db.refused_names import Known, Settled, count_refused, count_unsent

KEPT_BY_MINUTE = timedelta(days=35)  # then by the hour: the monitors learn from the minutes of four weeks
# Of the events that arrived in a minute: how they were received, and where their deliveries stand.
COHORT = ("accepted", "coalesced", "rejected", "filtered", "routed", "waiting", "delivered", "dropped", "purged")
# Of what was done in a minute, whenever the event arrived.
ACTIVITY = (
    "acknowledged",
    "refused",
    "rate_limited",
    "credentials_refused",
    "unreachable",
    "unknown",
    "requeued",
    "finished",
    "retries_acknowledged",  # of those above, the ones that were not a delivery's first attempt
    # Likewise; and what failed again when it was redelivered, and of what is unmappable the events that were too old for the
    # platform when they arrived.
    "retries_failed",
    "unmappable",  # refused by the platform's rules before anything was sent; none of them was an attempt
)
# Upper bounds in milliseconds of the latency histogram's places; the last place holds what took longer than all.
LATENCY_BOUNDS = (
    25, 50, 100, 150, 200, 300, 500, 750, 1_000, 1_500, 2_000, 3_000, 5_000, 10_000, 30_000, 60_000, 120_000, 300_000,
    900_000, 1_800_000, 3_600_000, 7_200_000, 14_400_000, 43_200_000, 86_400_000,
)  # fmt: skip

T = TypeVar("T")

MOST = 2_147_483_647  # that a column of a count holds
# Refused events of a minute that is folded: its hour holds sixty such, and what comes late to it again and again.
MOST_OF_MINUTE = MOST // 240
Minute = tuple[int, str, datetime]  # merchant id, platform, the minute's start


def adding(columns: Iterable[str], most: int = MOST) -> str:
    """``ON CONFLICT`` for an INSERT into ``minutes``: the given columns are added to what is there.

    ``rejected`` no further than to ``most``: no row is stored for what it counts, so anybody with a key can make it grow.
    """
    sums = ", ".join(
        f"{name} = {up_to(f'minutes.{name}', f'excluded.{name}', most) if name == 'rejected' else f'minutes.{name} + excluded.{name}'}"
        for name in columns
    )
    return f"ON CONFLICT (merchant_id, platform, minute, slot) DO UPDATE SET {sums}"


def up_to(held: str, more: str, most: int = MOST) -> str:
    """An expression: their sum, or ``most`` where it is more; what is held already stays."""
    return f"greatest({held}, least({held}::bigint + {more}, {most}))::int"


def counted_in(since: str | None = "%(since)s", until: str | None = "%(until)s", unit: str = "hour") -> str:
    """Conditions for ``counted``, which is ``minutes`` and what is packed of them (db/packing.py): from an instant up to one.

    Of the packed ones only the hours that lie in it, at least in part, are read: of whom and of when must be known there, as
    in a subquery that adds up or has a limit. What ``counted`` is joined with only chooses among all that was read.
    ``unit``: ``day`` for ``coverage_counted`` and ``rejections_counted``, whose lists (db/packed_lists.py) are of a day.
    """
    found = []
    if since is not None:
        found.append(f"{unit} >= date_trunc('{unit}', {since}, 'UTC') AND minute >= {since}")
    if until is not None:
        found.append(f"{unit} < {until} AND minute < {until}")
    return " AND ".join(found)


def last_counted(merchant: str, platform: str, since: str, until: str, which: str, of_hours: str = "true") -> str:
    """A subquery: the last minute from an instant to one with ``which``, or null; ``of_hours``: what its hour has then, at least.

    Backwards by the keys, and no further than the last one. ``until``: as a rule now, as a clock that was ahead has counted in
    minutes to come, and whoever asks since when there was nothing would wait for those to pass.
    """
    return f"""(SELECT max(minute) FROM (
        (SELECT minute FROM minutes
         WHERE merchant_id = {merchant} AND platform = {platform} AND minute >= {since} AND minute <= {until} AND {which}
         ORDER BY minute DESC LIMIT 1)
        UNION ALL
        (SELECT p.minute FROM ledger_hours h CROSS JOIN LATERAL (
            SELECT max(minute) AS minute FROM counted
            WHERE merchant_id = h.merchant_id AND platform = h.platform AND hour >= h.hour
              AND hour < h.hour + interval '1 hour' AND minute >= {since}
              AND minute <= {until} AND {which}) AS p
         WHERE h.merchant_id = {merchant} AND h.platform = {platform} AND h.parts IS NOT NULL
           AND h.hour >= date_trunc('hour', {since}, 'UTC') AND h.hour <= {until} AND {of_hours} AND p.minute IS NOT NULL
         ORDER BY h.hour DESC LIMIT 1)) AS either)"""


def counted_ahead(merchant: str, platform: str) -> str:
    """A subquery: the last minute to come in which something was counted, or null, as ever while no clock is ahead.

    Whatever is done to a delivery is counted in the same transaction and by the same clock. So this says of a destination, at
    whatever time somebody asks, whether and how far a clock was ahead by which something was written there.
    """
    return last_counted(merchant, platform, "%(now)s", "'infinity'", "minute > %(now)s")


LAST_AHEAD = f"""
SELECT max({counted_ahead("x.merchant_id", "x.platform")}) FROM destinations x WHERE x.merchant_id = %(merchant)s
"""


def done_before(merchant_id: int, now: datetime) -> datetime:
    """An instant at or before which all lies that was done to a merchant's deliveries until now: now, or later where a clock was
    ahead by more than a minute.
    """
    params: Any = {"merchant": merchant_id, "now": now}
    last: datetime | None = rows(LAST_AHEAD, params)[0][0]
    return now if last is None else last + timedelta(minutes=1)


class Changes:
    """What one transaction counts, gathered, then written once by ``write``."""

    def __init__(self, known: Known | None = None) -> None:
        """``known``: what an event name is counted as, of whoever may settle refusals; without, nothing is counted by name."""
        self._known, self._refused, self._unsent = known, list[Settled](), list[Settled]()
        self._minutes: dict[Minute, Counter[str]] = {}
        self._reasons: dict[Minute, Counter[str]] = {}
        self._latency: dict[Minute, Counter[int]] = {}
        self._waiting: Counter[tuple[int, str]] = Counter()

    def add(self, merchant_id: int, platform: str, at: datetime, **counts: int) -> None:
        """Adds to the minute of ``at``; ``waiting`` also to what the destination has waiting in all."""
        key = (merchant_id, platform, minute_of(at))
        found = self._minutes.setdefault(key, Counter())
        for name, count in counts.items():
            found[name] += count
        if counts.get("waiting"):
            self._waiting[merchant_id, platform] += counts["waiting"]

    def drop(self, merchant_id: int, platform: str, received_at: datetime, reason: str, now: datetime) -> None:
        """A delivery that waited, and is dropped ``now``."""
        self.add(merchant_id, platform, received_at, waiting=-1, dropped=1)
        self.drop_reasons(merchant_id, platform, received_at, {reason: 1})
        self.add(merchant_id, platform, now, finished=1)

    def drop_reasons(self, merchant_id: int, platform: str, at: datetime, reasons: Mapping[str, int]) -> None:
        key = (merchant_id, platform, minute_of(at))
        found = self._reasons.setdefault(key, Counter())
        for reason, count in reasons.items():
            found[reason] += count

    def refused(self, merchant_id: int, platform: str, event_id: str, received_at: datetime) -> None:
        """A delivery whose first outcome is a refusal, by the platform or by its rules; counted by the event's name."""
        self._refused.append((merchant_id, platform, event_id, received_at))

    def unsent(self, merchant_id: int, platform: str, event_id: str, received_at: datetime) -> None:
        """A delivery that is dropped before anything was sent, and no refusal: consent is denied, no such event exists there."""
        self._unsent.append((merchant_id, platform, event_id, received_at))

    def latency(self, merchant_id: int, platform: str, at: datetime, place: int, count: int) -> None:
        """``place``: as PostgreSQL's ``width_bucket`` counts by ``LATENCY_BOUNDS``, from 0."""
        self._latency.setdefault((merchant_id, platform, minute_of(at)), Counter())[place] += count

    def write(self) -> None:
        """Adds it to this backend's own rows. Needs an open transaction."""
        minutes = [
            {
                "merchant_id": key[0],
                "platform": key[1],
                "minute": key[2],
                **found,
                "drop_reasons": self._reasons.get(key),
                "latency": _places(self._latency[key]) if key in self._latency else None,
            }
            for key, found in sorted(self._minutes.items())
        ]
        if minutes:
            execute(ADD_MINUTES, (JsonLiteral(minutes),))
        waiting = [
            {"merchant_id": merchant_id, "platform": platform, "waiting": count}
            for (merchant_id, platform), count in sorted(self._waiting.items())
            if count
        ]
        if waiting:
            execute(ADD_WAITING, (JsonLiteral(waiting),))
        after_commit(self._tell)

    @property
    def has_names(self) -> bool:
        """Whether there is something to count by event name."""
        return bool(self._refused or self._unsent) and self._known is not None

    def write_refused_names(self) -> None:
        """Adds what was refused by event name, which ``write`` does not, to this backend's own rows. Needs an open transaction."""
        if self._known is not None and self._refused:
            count_refused(self._refused, self._known)

    def write_unsent_names(self) -> None:
        """Likewise what was not sent, after what was refused."""
        if self._known is not None and self._unsent:
            count_unsent(self._unsent, self._known)

    def _tell(self) -> None:
        """Adds it to what the operator's Prometheus reads: by platform, whosever it was."""
        reasons, places = _by_platform(self._reasons), _by_platform(self._latency)
        for platform, found in _by_platform(self._minutes).items():
            if platform:  # else it is a count of events
                metrics.count_changes(platform, found, reasons.get(platform, {}), places.get(platform, {}))


def _by_platform(those: Mapping[Minute, Mapping[T, int]]) -> dict[str, dict[T, int]]:
    found: dict[str, dict[T, int]] = {}
    for (_, platform, _), own in those.items():
        known = found.setdefault(platform, {})
        for what, count in own.items():
            known[what] = known.get(what, 0) + count
    return found


def _places(found: Counter[int]) -> list[int]:
    return [found[place] for place in range(len(LATENCY_BOUNDS) + 1)]


def minute_of(at: datetime) -> datetime:
    return at.astimezone(UTC).replace(second=0, microsecond=0)


_ALL = (*COHORT, *ACTIVITY)
ADD_MINUTES = f"""
INSERT INTO minutes (merchant_id, platform, minute, slot, {", ".join(_ALL)}, drop_reasons, latency)
SELECT merchant_id, platform, minute, pg_backend_pid(), {", ".join(f"coalesce({name}, 0)" for name in _ALL)},
       drop_reasons, latency
FROM json_to_recordset(%s::json) AS x(merchant_id bigint, platform text, minute timestamptz,
     {", ".join(f"{name} int" for name in _ALL)}, drop_reasons jsonb, latency int[])
{adding(_ALL)},
    drop_reasons = CASE WHEN excluded.drop_reasons IS NULL THEN minutes.drop_reasons
                        ELSE add_counts(minutes.drop_reasons, excluded.drop_reasons) END,
    latency = CASE WHEN excluded.latency IS NULL THEN minutes.latency
                   ELSE add_counts(minutes.latency, excluded.latency) END
"""

FILTERED = f"""
SELECT x.since, m.filtered FROM unnest(%(since)s::timestamptz[], %(until)s::timestamptz[]) AS x(since, until)
CROSS JOIN LATERAL (
    SELECT sum(filtered)::bigint AS filtered FROM counted
    WHERE merchant_id = %(merchant)s AND platform = %(platform)s AND {counted_in("x.since", "x.until")}) AS m
WHERE m.filtered IS NOT NULL
"""


def filtered_in(merchant_id: int, platform: str, spans: Sequence[tuple[datetime, datetime]]) -> dict[datetime, int]:
    """The beginning of each span -> how many events of that time a destination did not take by their name."""
    params: Any = {
        "merchant": merchant_id,
        "platform": platform,
        "since": [span[0] for span in spans],
        "until": [span[1] for span in spans],
    }
    return dict(rows(FILTERED, params))


ADD_WAITING = """
INSERT INTO queues (merchant_id, platform, slot, waiting)
SELECT merchant_id, platform, pg_backend_pid(), waiting
FROM json_to_recordset(%s::json) AS x(merchant_id bigint, platform text, waiting bigint)
ON CONFLICT (merchant_id, platform, slot) DO UPDATE SET waiting = queues.waiting + excluded.waiting
"""
