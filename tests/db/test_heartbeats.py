"""Signs of life, and the spans in which no API process gave any."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from tracklayer.db.connection import execute, in_transaction, rows
from tracklayer.db.heartbeats import api_away, beat
from tracklayer.runtime import Runtime

NOW = datetime(2026, 11, 20, 15, tzinfo=UTC)
HOUR = timedelta(hours=1)


def lived(instance: str, role: str, ago: timedelta) -> None:
    beat(instance, [role], "host", "1", {})
    execute("UPDATE heartbeats SET beat_at = beat_at - %s WHERE instance = %s", (ago, instance))


def test_the_first_api_process_that_lives_again_writes_down_since_when_none_did(runtime: Runtime) -> None:
    long_ago = NOW - timedelta(days=400)
    with in_transaction():
        beat("worker", ["worker"], "host", "1", {})
        assert api_away(long_ago, NOW) == []  # there never was one
        lived("first", "api", 2 * HOUR)
        lived("second", "api", HOUR)
        # The second one wrote down that the first had gone.
        [(gone,)] = rows("DELETE FROM api_away RETURNING ended_at - began_at")
        assert gone >= 2 * HOUR
        [(since, until)] = api_away(long_ago, NOW)
        assert (until, HOUR <= NOW - since < HOUR + timedelta(minutes=10)) == (NOW, True)
        beat("worker", ["worker"], "host", "1", {})
        assert rows("SELECT count(*) FROM api_away") == [(0,)]
        beat("third", ["api", "worker"], "host", "1", {})
        beat("fourth", ["api"], "host", "1", {})
        [(length,)] = rows("SELECT ended_at - began_at FROM api_away")
        assert HOUR <= length < HOUR + timedelta(minutes=10)
        assert api_away(long_ago, NOW) == rows("SELECT began_at, ended_at FROM api_away")
