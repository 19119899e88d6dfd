"""What ``POST /t`` takes: calls a second of new and of known browsers on one process, and how long one waits at a steady pace.

Each call comes from an address of its own, as behind a proxy, and shows a click, two cookies, its address and its program.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import orjson
import psutil

from tracklayer.cli.bench.ground import Child, Ground
from tracklayer.cli.bench.load import ADDRESS_MARK, ID_LENGTH, ID_MARK, TAIL_MARK
from tracklayer.cli.process import CommandError
from tracklayer.db.connection import LONG_SECONDS, execute, in_transaction, rows, session, statements_within
from tracklayer.services.merchants import create_merchant, update_merchant

SHOP, HOST = "https://www.shop.example", "t.shop.example"
AGENT = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/153.0.0.0 Safari/537.36"
)
CALLERS = 128
PACE = 500.0  # calls a second, where they are told how long they wait
PACED_CALLERS = 64
PREFIX = "c0000000"  # of the calls' numbers
KNOWN = 60_000  # browsers that were there before: each calls once a measurement
BEFORE_ID = "0123456789ab"  # of a known browser's id: the rest is the call's own number, as hexadecimal digits
WORDS = {"json": "bare route, JSON only", "new": "/t, new browsers", "known": "/t, known browsers"}


@dataclass
class Counted:
    """What some calls took: ``cpu`` seconds of the API process and of PostgreSQL, ``wal`` bytes, ``commits``."""

    api_cpu: float
    database_cpu: float
    commits: float
    wal: float

    def of(self, calls: int) -> dict[str, float]:
        """A call's share: microseconds, commits, bytes."""
        return {
            "api_us": self.api_cpu / calls * 1e6,
            "database_us": self.database_cpu / calls * 1e6,
            "commits": self.commits / calls,
            "wal_bytes": self.wal / calls,
        }


class Meter:
    """Counts what a process and PostgreSQL do in a block: seconds of processors, which others on the machine do not lengthen as
    they do the clock's.
    """

    def __init__(self, place: Ground, pid: int) -> None:
        self._process = psutil.Process(pid)
        postmaster = int((place.folder / "pg" / "postmaster.pid").read_text().splitlines()[0])
        self._postgres = psutil.Process(postmaster)

    @contextmanager
    def counting(self) -> Iterator[Counted]:
        """What is told is there when the block has ended."""
        found = Counted(0, 0, 0, 0)
        before = self._look()
        yield found
        after = self._look()
        found.api_cpu, found.database_cpu, found.commits, found.wal = (
            b - a for a, b in zip(before, after, strict=True)
        )

    def _look(self) -> tuple[float, float, float, float]:
        with session():
            execute("SELECT pg_stat_force_next_flush()")
            commits, wal = rows(
                "SELECT xact_commit, pg_current_wal_insert_lsn() - '0/0' FROM pg_stat_database "
                "WHERE datname = current_database()"
            )[0]
        backends = sum(map(_cpu, self._postgres.children()))
        return _cpu(self._process), backends, float(commits), float(wal)


def _cpu(process: psutil.Process) -> float:
    try:
        times = process.cpu_times()
    except psutil.NoSuchProcess:
        return 0.0
    return float(times.user + times.system)


@dataclass
class Pages:
    """Browsers on a shop's pages. ``found``: each measurement, by what it was of."""

    place: Ground
    load: Child
    product: tuple[Child, int]  # the process, and its port
    bare: tuple[Child, int]
    found: dict[str, list[dict[str, Any]]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        created = create_merchant(self.place.runtime, "Shop")
        assert isinstance(created, tuple)
        self._merchant_id = created[0]
        with in_transaction(), statements_within(LONG_SECONDS):
            changes = {"collector": {"enabled": True, "origins": [SHOP]}}
            row = update_merchant(self.place.runtime, self._merchant_id, changes)
            execute(
                "INSERT INTO browsers (merchant_id, browser_id, first_seen_at, last_seen_at) "
                "SELECT %s, %s || lpad(n::text, %s, '0'), %s, %s FROM generate_series(0, %s) AS n",
                (
                    self._merchant_id,
                    BEFORE_ID + PREFIX,
                    ID_LENGTH - len(PREFIX),
                    *[self.place.runtime.clock.now()] * 2,
                    KNOWN - 1,
                ),
            )
        assert not isinstance(row, list)
        self._key = str(row.public_key)
        self._new = 0  # browsers that were answered

    def measure_all(self, rounds: int, seconds: float) -> None:
        for what in WORDS:
            self._measure(what, min(seconds, 0.5))  # a warm-up
        self.found.clear()
        for _ in range(rounds):
            for what in WORDS:
                self._measure(what, seconds)
            self._measure("new", 2 * seconds, PACE)
        self._check_rows()

    def _measure(self, what: str, seconds: float, rate: float = 0.0) -> None:
        """Of ``WORDS``. ``rate``: calls a second; 0: as fast as answers come."""
        child, port = self.bare if what == "json" else self.product
        meter = Meter(self.place, child.pid)
        with meter.counting() as counted:
            found = self.load.ask(self._job(what, port, seconds, rate))
        if found["errors"]:
            raise CommandError(f"{WORDS[what]}: {found['errors']} wrong answers; {found['first_error']}")
        if what == "new":
            self._new += found["requests"]
        self.found.setdefault(f"{what}, paced" if rate else what, []).append({**found, **counted.of(found["requests"])})

    def _job(self, what: str, port: int, seconds: float, rate: float) -> dict[str, Any]:
        shown = {"_fbp": f"fb.1.1717243200000.{TAIL_MARK}", "_ga": f"GA1.1.{TAIL_MARK}.1717243200"}
        clicks = {} if what == "known" else {"fbclid": f"IwAR2{ID_MARK}"}
        call = {"m": self._key, "s": None, "q": False, "i": False, "p": clicks, "c": shown}
        if what == "json":
            call["event_id"] = ID_MARK
        cookie = f"cookie: theme=dark; _tlb={BEFORE_ID}{ID_MARK}\r\n" if what == "known" else ""
        return {
            "port": port,
            "head": f"POST /{'' if what == 'json' else 't'} HTTP/1.1\r\nhost: {HOST}\r\norigin: {SHOP}\r\nuser-agent: {AGENT}\r\n"
            f"accept: */*\r\nsec-fetch-site: same-site\r\ncontent-type: text/plain;charset=UTF-8\r\n{cookie}"
            f"x-forwarded-for: {ADDRESS_MARK}\r\n",
            "body": '{"records":[{items}]}' if what == "json" else "{items}",
            "item": orjson.dumps(call).decode(),
            "batch": 1,
            "concurrency": PACED_CALLERS if rate else CALLERS,
            "seconds": seconds,
            "most": KNOWN,
            "expected": "ACCEPTED" if what == "json" else "set-cookie: _tlb=",
            "prefix": PREFIX,
            "rate": rate,
        }

    def _check_rows(self) -> None:
        """Raises CommandError where other browsers are stored than were given a cookie."""
        with session():
            stored = rows("SELECT count(*) FROM browsers WHERE merchant_id = %s", (self._merchant_id,))[0][0]
        if stored != KNOWN + self._new:
            raise CommandError(f"{self._new} new browsers have a cookie, {stored - KNOWN} are stored")

    def median(self, what: str, name: str) -> float:
        return statistics.median(float(found[name]) for found in self.found[what])

    def rate(self, what: str) -> float:
        return statistics.median(float(found["requests"] / found["seconds"]) for found in self.found[what])

    def summary(self) -> dict[str, dict[str, float]]:
        names = ("p50_ms", "p99_ms", "api_us", "database_us", "commits", "wal_bytes")
        return {
            _words(what): {"a_second": self.rate(what), **{name: round(self.median(what, name), 3) for name in names}}
            for what in self.found
        }


def _words(what: str) -> str:
    of, _, paced = what.partition(", ")
    return WORDS[of] + (f", {PACE:g} a second" if paced else "")
