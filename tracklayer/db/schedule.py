"""When each periodic job runs next and who runs it now: what any number of schedulers and workers agree on.

A firing is a new ``next_run_at``. It is taken up by whoever begins the job first; firings that come while nobody
begins it, or while it runs, make one run together.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import orjson

from tracklayer.db.connection import execute, rows
from tracklayer.db.leases import is_alive

LEASE = timedelta(seconds=60)  # of a run; renewed while it goes on
LATE = timedelta(seconds=3)  # what is not begun by then, nobody knows of
LATE_FIRINGS = 3  # of a job that is fired more often than that
TELL_ALL = 8  # firings in a row that are told, though nobody takes them up; then one in so many


def take_due_jobs(intervals: Mapping[str, timedelta], now: datetime) -> list[str]:
    """Names of the jobs that are due, each given to exactly one caller; sets when they are due next.

    Of a job that nobody takes up for long, not every firing is told: messages about it must not pile up.
    """
    known = rows("SELECT name, next_run_at FROM periodic_jobs WHERE next_run_at > %s", (now,))
    # What lies further off than the job's interval was written by a clock that has been set back since.
    waiting = {name for name, at in known if name not in intervals or at <= now + intervals[name]}
    # Looking first costs nothing; a conflict, even one that changes nothing, writes to the row.
    given = [
        {"name": name, "next": now + interval} for name, interval in sorted(intervals.items()) if name not in waiting
    ]
    if not given:
        return []
    found = rows(
        "INSERT INTO periodic_jobs (name, next_run_at) "
        "SELECT name, next FROM json_to_recordset(%s::json) AS x(name text, next timestamptz) "
        "ON CONFLICT (name) DO UPDATE SET next_run_at = excluded.next_run_at, missed = CASE "
        "WHEN periodic_jobs.begun_for IS DISTINCT FROM periodic_jobs.next_run_at THEN periodic_jobs.missed + 1 ELSE 0 END "
        "WHERE periodic_jobs.next_run_at <= %s OR periodic_jobs.next_run_at > excluded.next_run_at "
        "RETURNING name, missed",
        (orjson.dumps(given).decode(), now),
    )
    return [name for name, missed in found if missed < TELL_ALL or missed % TELL_ALL == 0]


LONGEST = {
    "longest": LEASE + timedelta(minutes=1)
}  # a lease that ends later was given by a clock that has been set back


def is_leased(now: str) -> str:
    """The SQL condition that a job's lease has not ended at that instant. Whoever uses it gives ``LONGEST``, too."""
    return f"(leased_until > {now} AND leased_until <= {now} + %(longest)s)"


# Its lease has not ended, and its worker's session still holds the lock on the worker's number.
BUSY = f"({is_leased('%(now)s::timestamptz')} AND {is_alive('worker')})"
# By the clock, so that no run has the number of one that PostgreSQL lost with a standby, or in a crash, and that goes on all the same.
BEGIN = f"""
UPDATE periodic_jobs SET begun_for = next_run_at, missed = 0,
    run = greatest(run + 1, (extract(epoch FROM clock_timestamp()) * 1000000)::bigint), worker = %(worker)s, begun_at = %(now)s,
    leased_until = %(until)s
WHERE name = %(name)s AND begun_for IS DISTINCT FROM next_run_at AND {BUSY} IS NOT TRUE
RETURNING run
"""


def begin_job(name: str, worker: int, now: datetime) -> int | None:
    """The number of the run that begins; None where nothing was fired since the last one, or somebody runs it now.

    Any number may call it at once. ``worker``: the number whose lock this process holds.
    """
    params: Any = {"name": name, "worker": worker, "now": now, "until": now + LEASE, **LONGEST}
    found = rows(BEGIN, params)
    return int(found[0][0]) if found else None


def renew_job(name: str, run: int, now: datetime) -> None:
    """Others leave it to its worker for another while."""
    execute(
        "UPDATE periodic_jobs SET leased_until = %s WHERE name = %s AND run = %s AND leased_until IS NOT NULL",
        (now + LEASE, name, run),
    )


def end_job(name: str, run: int) -> bool:
    """Lets go of a run, unless others took it over; whether the job was fired meanwhile and is to run again."""
    found = rows(
        "UPDATE periodic_jobs SET leased_until = NULL WHERE name = %s AND run = %s "
        "RETURNING begun_for IS DISTINCT FROM next_run_at",
        (name, run),
    )
    return bool(found and found[0][0])


def want_job(name: str, now: datetime) -> None:
    """Fires a job out of turn: whoever begins it next runs it."""
    execute(
        "INSERT INTO periodic_jobs (name, next_run_at) VALUES (%s, %s) ON CONFLICT (name) DO UPDATE SET begun_for = NULL",
        (name, now),
    )


@dataclass(frozen=True, slots=True)
class Job:
    """``wanted``: fired, and not begun since. ``busy``: somebody runs it at this moment."""

    name: str
    next_run_at: datetime
    wanted: bool
    missed: int
    busy: bool


def jobs_by_name(now: datetime) -> dict[str, Job]:
    """The jobs that were ever fired."""
    params: Any = {"now": now, **LONGEST}
    found = rows(
        f"SELECT name, next_run_at, begun_for IS DISTINCT FROM next_run_at, missed, {BUSY} IS TRUE FROM periodic_jobs",
        params,
    )
    return {row[0]: Job(*row) for row in found}


def is_late(job: Job | None, interval: timedelta, now: datetime) -> bool:
    """Whether nobody seems to know of it: it was fired and not begun for a while, or nobody fires it."""
    if job is None:
        return True
    if job.busy:
        return False
    if job.next_run_at + LATE <= now:
        return True
    return job.wanted and (job.missed >= LATE_FIRINGS or job.next_run_at - interval + LATE <= now)


def place_of(name: str) -> str | None:
    """Where a round stopped; None where it starts from the beginning."""
    found = rows("SELECT place FROM rounds WHERE name = %s", (name,))
    return found[0][0] if found else None


def set_place(name: str, place: str | None) -> None:
    """Where the next round begins; None: from the beginning."""
    if place is None:
        execute("DELETE FROM rounds WHERE name = %s", (name,))
        return
    execute(
        "INSERT INTO rounds (name, place) VALUES (%s, %s) ON CONFLICT (name) DO UPDATE SET place = excluded.place",
        (name, place),
    )
