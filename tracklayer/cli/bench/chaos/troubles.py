"""What breaks once in a storm: below the roles, between them and PostgreSQL, within them, and at one platform."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import psycopg2

from tracklayer.cli.bench.chaos.traffic import Canary
from tracklayer.cli.bench.disk import SmallDisk
from tracklayer.cli.bench.ground import PATIENCE_SECONDS
from tracklayer.cli.bench.roles import BUGS, Installation, Role
from tracklayer.cli.process import CommandError

WRONG_CLOCKS = (150.0, -150.0, 30.0)  # seconds, of an API process, a worker, a scheduler: until the storm is over
SHORT_TIMES = {"statement_timeout": "3ms", "lock_timeout": "1ms"}  # most of what a role asks takes longer
WAL_BYTES = 32 * 2**20  # two files of PostgreSQL's log: it runs out of room for the next one
MEET_SECONDS = 0.3  # between two events that are to meet a trouble
NO_DISK = "no disk of its own could be mounted"
NO_POOLER = "no pgbouncer on PATH"


@dataclass(frozen=True)
class Pace:
    """Seconds: between two kills, and how long each trouble lasts. ``lost``: long enough for a platform to be held."""

    kill: float = 1.2
    away: float = 5
    frozen: float = 12
    locked: float = 4
    buggy: float = 2  # each function of the mapper
    lost: float = 20

    @property
    def troubled(self) -> float:
        """About so long something is broken, or on its way back."""
        return 7 * self.away + self.frozen + self.locked + 3 * self.buggy + self.lost + 60


@dataclass(frozen=True)
class Trouble:
    """``platform``: where it shows; else everywhere. ``absent``: why it cannot be played here."""

    name: str
    play: Callable[[], None]
    platform: str | None = None
    absent: str | None = None


@dataclass(frozen=True)
class Troubles:
    """``buggy``, ``deaf``: the platforms whose mapper raises, and whose answers are lost. ``canary``: see ``_meets``."""

    installed: Installation
    canary: Canary
    pace: Pace
    buggy: str
    deaf: str

    def all(self) -> list[Trouble]:
        return [
            Trouble("Redis emptied", self.installed.empty_redis),
            Trouble("clocks wrong", self._set_clocks),
            Trouble("answers lost", self._lose_answers, self.deaf),
            Trouble("Redis stopped", self._stop_redis),
            Trouble("Redis full", self._fill_redis),
            Trouble("Redis read-only", self._make_redis_read_only),
            Trouble("a mapper raising", self._raise, self.buggy),
            Trouble("PostgreSQL crashed", self.installed.restart_postgres),
            Trouble("PostgreSQL frozen", self._freeze_postgres),
            Trouble("PostgreSQL read-only", self._make_postgres_read_only),
            Trouble(
                "PostgreSQL's disk full", self._fill_disk, absent=NO_DISK if self.installed.place.disk is None else None
            ),
            Trouble("PostgreSQL's times too short", self._shorten_times),
            Trouble("a table locked", self._lock_a_table),
            Trouble(
                "the pooler killed", self._kill_pooler, absent=NO_POOLER if self.installed.pooler is None else None
            ),
        ]

    def mend_clocks(self) -> None:
        for role in self.installed.roles:
            role.set_faults(clock_seconds=0)

    def _first(self, kind: str) -> Role:
        return next(role for role in self.installed.roles if role.kind == kind)

    # Redis ----------------------------------------------------------------------------------------------------------

    def _stop_redis(self) -> None:
        self.installed.redis.stop()
        time.sleep(self.pace.away)
        self.installed.redis.start()

    def _fill_redis(self) -> None:
        self.installed.set_redis("maxmemory", "1mb")
        time.sleep(self.pace.away)
        self.installed.set_redis("maxmemory", "0")

    def _make_redis_read_only(self) -> None:
        self.installed.follow_nobody(True)
        time.sleep(self.pace.away)
        self.installed.follow_nobody(False)

    # PostgreSQL -----------------------------------------------------------------------------------------------------

    def _freeze_postgres(self) -> None:
        self.installed.freeze(True)
        time.sleep(self.pace.frozen)
        self.installed.freeze(False)

    def _make_postgres_read_only(self) -> None:
        """As a fail-over looks to the roles: the sessions end, the new ones may not write, and then they may."""
        with self._direct() as cursor:
            cursor.execute("ALTER DATABASE postgres SET default_transaction_read_only = on")
            cursor.execute(_END_SESSIONS)
            time.sleep(self.pace.away)
            cursor.execute("ALTER DATABASE postgres RESET default_transaction_read_only")

    def _shorten_times(self) -> None:
        """Somebody means well: statements are canceled, and locks not waited for, in the sessions that begin now."""
        with self._direct() as cursor:
            for name, value in SHORT_TIMES.items():
                cursor.execute(f"ALTER ROLE postgres SET {name} = '{value}'")
            cursor.execute(_END_SESSIONS)
            time.sleep(self.pace.away)
            for name in SHORT_TIMES:
                cursor.execute(f"ALTER ROLE postgres RESET {name}")

    def _lock_a_table(self) -> None:
        with self._direct() as cursor:
            cursor.execute("BEGIN")
            cursor.execute("LOCK TABLE events IN ACCESS EXCLUSIVE MODE")
            time.sleep(self.pace.locked)
            cursor.execute("ROLLBACK")

    def _fill_disk(self) -> None:
        """First there is no room for tables, then none for PostgreSQL's log: it panics, and cannot come up before there is."""
        disk = self.installed.place.disk
        assert isinstance(disk, SmallDisk)
        disk.fill()
        time.sleep(self.pace.away / 2)
        try:
            with self._direct() as cursor:
                while True:
                    cursor.execute("SELECT pg_logical_emit_message(false, 'chaos', repeat('x', %s))", (WAL_BYTES,))
        except psycopg2.Error:
            pass  # it panicked, or said so
        time.sleep(self.pace.away / 2)
        disk.empty()
        self.installed.place.postgres.start()  # where it gave up, as its operator would

    def _kill_pooler(self) -> None:
        pooler = self.installed.pooler
        assert pooler is not None
        pooler.kill()
        time.sleep(self.pace.away)
        pooler.start()

    @contextmanager
    def _direct(self) -> Iterator[Any]:
        """A cursor beside wire and pooler, in autocommit, whatever role and database are set to."""
        options = "-c default_transaction_read_only=off -c statement_timeout=0 -c lock_timeout=0"
        with closing(
            psycopg2.connect(self.installed.place.url, application_name="chaos", options=options)
        ) as connection:
            connection.autocommit = True
            with connection.cursor() as cursor:
                yield cursor

    # Within the roles, and at a platform ----------------------------------------------------------------------------

    def _set_clocks(self) -> None:
        """They begin with a wrong clock; NTP mends it while they run, at the end of the storm."""
        for kind, seconds in zip(("api", "worker", "scheduler"), WRONG_CLOCKS, strict=True):
            role = self._first(kind)
            role.set_faults(clock_seconds=seconds)
            role.kill_and_restart()

    def _raise(self) -> None:
        """Every worker has the bug, as all have the same version."""
        workers = [role for role in self.installed.roles if role.kind == "worker"]
        for function in BUGS:
            for worker in workers:
                worker.set_faults(raises=[self.buggy, function])
            self._meets(self.pace.buggy, partial(_has_raised, workers, function))
        for worker in workers:
            worker.set_faults(raises=None)

    def _lose_answers(self) -> None:
        """The platform takes all and answers nothing; in the midst of it a worker dies."""
        fault = self.installed.fault(kind="drop_after_accept", platform=self.deaf)
        self._meets(self.pace.lost / 2, lambda: self.installed.has_struck(fault))
        self._first("worker").kill_and_restart()
        self._meets(self.pace.lost / 2, lambda: self.installed.has_struck(fault))
        self.installed.end_fault(fault)

    def _meets(self, seconds: float, has_met: Callable[[], bool]) -> None:
        """For so long there are events on their way, and until one has met the trouble: in a small storm none might."""
        started = time.monotonic()
        while time.monotonic() - started < seconds or not has_met():
            if time.monotonic() - started > PATIENCE_SECONDS:
                raise CommandError(f"waited {PATIENCE_SECONDS} s in vain: an event to meet the trouble")
            self.canary.send(self.installed.apis[0], time.monotonic())
            time.sleep(MEET_SECONDS)


def _has_raised(workers: Sequence[Role], function: str) -> bool:
    return any(worker.has_raised(function) for worker in workers)


_END_SESSIONS = """
SELECT pg_terminate_backend(pid) FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid() AND application_name LIKE 'tracklayer%'
"""
