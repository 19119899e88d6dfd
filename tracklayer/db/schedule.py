"""When each periodic job runs next: the one thing that any number of schedulers agree on."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta

import orjson

from tracklayer.db.connection import rows


def take_due_jobs(intervals: Mapping[str, timedelta], now: datetime) -> list[str]:
    """Names of the jobs that are due, each given to exactly one caller; sets when they are due next."""
    known = rows("SELECT name FROM periodic_jobs WHERE next_run_at > %s", (now,))
    waiting = {row[0] for row in known}
    # Looking first costs nothing; a conflict, even one that changes nothing, writes to the row.
    given = [
        {"name": name, "next": now + interval} for name, interval in sorted(intervals.items()) if name not in waiting
    ]
    if not given:
        return []
    found = rows(
        "INSERT INTO periodic_jobs (name, next_run_at) "
        "SELECT name, next FROM json_to_recordset(%s::json) AS x(name text, next timestamptz) "
        "ON CONFLICT (name) DO UPDATE SET next_run_at = excluded.next_run_at WHERE periodic_jobs.next_run_at <= %s "
        "RETURNING name",
        (orjson.dumps(given).decode(), now),
    )
    return [row[0] for row in found]
