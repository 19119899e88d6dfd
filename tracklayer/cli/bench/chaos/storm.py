"""A storm: events flow, roles are killed, things break; then it is counted what became of every event."""

from __future__ import annotations

import contextlib
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any, TypeVar

from tracklayer.cli.bench.chaos.traffic import Canary, Senders
from tracklayer.cli.bench.chaos.troubles import Pace, Trouble, Troubles
from tracklayer.cli.bench.ground import ground
from tracklayer.cli.bench.roles import Crowd, Installation, installation
from tracklayer.cli.process import CommandError
from tracklayer.db.connection import DatabaseAwayError, rows, session
from tracklayer.domain.values import write_instant
from tracklayer.mappers import PLATFORMS
from tracklayer.services.destinations import sandbox_destinations
from tracklayer.services.invariants import check_invariants
from tracklayer.services.merchants import create_merchant

MOST_ARRIVALS = 5  # of one delivery
Read = TypeVar("Read")

SESSIONS_TO_SPEND = 50  # more than this process's pool holds
SETTLE_SECONDS = 600  # for all that waits after the last trouble: five attempts take a minute and a half
KILLED = ("api", "worker", "worker", "worker", "scheduler")  # as often as each stands here
# What the platforms do meanwhile. ``slow`` has taken what it does not answer yet, so that a worker killed during it dies
# between the platform's yes and the row.
FAULTS: tuple[dict[str, Any], ...] = (
    {"kind": "slow", "delay_seconds": 2, "seconds": 4},
    {"kind": "hang", "seconds": 3},
    {"kind": "rate_limit", "retry_after": 2, "count": 3},
    {"kind": "drop_after_accept", "share": 0.5, "seconds": 2},
    {"kind": "half_body", "share": 0.5, "seconds": 2},
    {"kind": "error", "share": 0.5, "seconds": 3},
    {"kind": "down", "seconds": 3},
    {"kind": "credentials", "count": 1},
)


@dataclass
class Found:
    """What a storm was, and what was found after it. ``faults``: sentences; empty: nothing is wrong.

    ``absent``: troubles that could not be played on this machine, and why.
    """

    seed: int
    events: int
    platforms: int
    kills: dict[str, int]
    troubles: dict[str, int]
    acknowledged: int
    repeated: int
    storm_seconds: float
    settle_seconds: float
    by_status: dict[str, int]
    drop_reasons: dict[str, int]
    most_attempts: int
    received: int
    unique: int
    most_arrivals: int
    recovery_seconds: dict[str, float]
    absent: dict[str, str]
    faults: list[str]

    def describe(self) -> str:
        def listed(counts: dict[str, int]) -> str:
            return ", ".join(f"{count} {name}" for name, count in sorted(counts.items()))

        lines = [
            ["seed", str(self.seed)],
            ["events x platforms", f"{self.events:,} x {self.platforms}"],
            ["kill -9", listed(self.kills)],
            ["troubles", listed(self.troubles)],
            ["acknowledged", f"{self.acknowledged:,}, after {self.repeated:,} requests were sent again"],
            ["storm, then settling", f"{self.storm_seconds:.0f} s, {self.settle_seconds:.0f} s"],
            ["deliveries", listed(self.by_status) + (f" ({listed(self.drop_reasons)})" if self.drop_reasons else "")],
            ["most attempts of one", str(self.most_attempts)],
            [
                "at the platforms",
                f"{self.unique:,} events, which arrived {self.received:,} times, one at most {self.most_arrivals}",
            ],
            ["served again after", ", ".join(f"{name} {took:g} s" for name, took in self.recovery_seconds.items())],
        ]
        if self.absent:
            lines.append(["not here", ", ".join(f"{name} ({why})" for name, why in self.absent.items())])
        verdict = (
            "\n".join(self.faults) if self.faults else "Nothing is lost, nothing is there twice, nothing is stuck."
        )
        return "\n".join(f"{name:22}{value}" for name, value in lines) + f"\n\n{verdict}"


def storm(
    events: int, width: int, kills: int, seed: int, crowd: Crowd | None = None, pace: Pace | None = None
) -> Found:
    """Raises CommandError where something does not start or ended by itself."""
    crowd, pace = crowd or Crowd(), pace or Pace()
    with ground(small_disk=True) as place, installation(place, crowd, in_storm=True) as installed:
        created = create_merchant(place.runtime, "Storm")
        if isinstance(created, list):
            raise CommandError("no merchant could be made")
        merchant_id, key = created
        platforms = PLATFORMS[:width]
        sandbox_destinations(place.runtime, merchant_id, platforms)
        senders = Senders(installed.apis, key, events, lambda: write_instant(place.runtime.clock.now()))
        canary = Canary(installed, key, senders)
        breaker = Breaker(installed, Random(seed), platforms, canary, pace)
        started = time.monotonic()
        senders.start(kills * pace.kill + pace.troubled)
        breaker.rage(kills)
        installed.clear_faults()
        senders.join()
        storm_seconds = time.monotonic() - started
        settle_seconds = _settle(installed, (events + canary.sent) * width)
        return _count(installed, merchant_id, platforms, senders, breaker, storm_seconds, settle_seconds, seed)


@dataclass
class Breaker:
    """Kills and breaks, by the numbers of its seed."""

    installed: Installation
    random: Random
    platforms: Sequence[str]
    canary: Canary
    pace: Pace
    kills: Counter[str] = field(default_factory=Counter)
    troubles: Counter[str] = field(default_factory=Counter)
    recovery: dict[str, float] = field(default_factory=dict)
    absent: dict[str, str] = field(default_factory=dict)

    def rage(self, kills: int) -> None:
        """``kills`` times: something breaks on a platform, a role dies; and in between everything else breaks once."""
        troubles = Troubles(
            self.installed,
            self.canary,
            self.pace,
            self.random.choice(self.platforms),
            self.random.choice(self.platforms),
        )
        every = troubles.all()
        self.absent = {trouble.name: trouble.absent for trouble in every if trouble.absent is not None}
        waiting = [trouble for trouble in every if trouble.absent is None]
        for number in range(kills):
            # Evenly between the kills, in their order.
            for trouble in waiting[number * len(waiting) // kills : (number + 1) * len(waiting) // kills]:
                self._play(trouble)
            self._kill(number)
        troubles.mend_clocks()

    def _play(self, trouble: Trouble) -> None:
        trouble.play()
        self.troubles[trouble.name] += 1
        self.recovery[trouble.name] = self.canary.seconds_until_all_serve(trouble.platform)

    def _kill(self, number: int) -> None:
        started = time.monotonic()
        fault = dict(FAULTS[number % len(FAULTS)], platform=self.random.choice(self.platforms))
        self.installed.fault(**fault)
        self.troubles[fault["kind"]] += 1
        # During ``slow`` a worker dies: what it has in hand has been taken, and not been answered.
        kind = "worker" if fault["kind"] == "slow" else self.random.choice(KILLED)
        time.sleep(self.random.uniform(0.2, self.pace.kill))
        for role in self.installed.roles:
            role.check()
        self.random.choice([role for role in self.installed.roles if role.kind == kind]).kill_and_restart()
        self.kills[kind] += 1
        time.sleep(max(0.0, self.pace.kill - (time.monotonic() - started)))


def _settle(installed: Installation, deliveries: int) -> float:
    """Waits until every delivery has come to its end, for so long at most; how long that took.

    Raises CommandError where a role ended by itself.
    """
    started = time.monotonic()
    while time.monotonic() - started < SETTLE_SECONDS:
        for role in installed.roles:
            role.check()
        with contextlib.suppress(DatabaseAwayError), session():
            sql = "SELECT count(*), count(*) FILTER (WHERE status IN ('delivered', 'dropped')) FROM deliveries"
            total, ended = rows(sql)[0]
            if total >= deliveries and ended == total:
                break
        time.sleep(0.2)
    return time.monotonic() - started


@dataclass(frozen=True)
class Ledger:
    """What is stored at the end, of the one merchant that there is."""

    stored: set[str]
    by_status: dict[str, int]
    by_platform: dict[str, int]
    delivered: dict[str, int]
    dropped: dict[str, int]
    most_attempts: int


def _read_ledger(merchant_id: int) -> Ledger:
    with session():
        return Ledger(
            {row[0] for row in rows("SELECT event_id FROM events WHERE merchant_id = %s", (merchant_id,))},
            dict(rows("SELECT status, count(*) FROM deliveries GROUP BY 1")),
            dict(rows("SELECT platform, count(*) FROM deliveries GROUP BY 1")),
            dict(rows("SELECT platform, count(*) FROM deliveries WHERE status = 'delivered' GROUP BY 1")),
            dict(rows("SELECT drop_reason, count(*) FROM deliveries WHERE status = 'dropped' GROUP BY 1")),
            rows("SELECT max(attempts) FROM deliveries")[0][0],
        )


def _once_it_answers(read: Callable[[], Read]) -> Read:
    """What ``read`` reads; again for a while where this process's session is still one of the storm's.

    A session that was opened while the role's statement timeout was too short keeps it until it fails.
    """
    for _ in range(SESSIONS_TO_SPEND):
        with contextlib.suppress(DatabaseAwayError):
            return read()
        time.sleep(0.2)
    return read()


def _count(
    installed: Installation,
    merchant_id: int,
    platforms: Sequence[str],
    senders: Senders,
    breaker: Breaker,
    storm_seconds: float,
    settle_seconds: float,
    seed: int,
) -> Found:
    ledger = _once_it_answers(lambda: _read_ledger(merchant_id))
    stored, by_status, delivered, dropped = ledger.stored, ledger.by_status, ledger.delivered, ledger.dropped
    most_arrivals = max(
        (item["times"] for name in platforms for item in _accepted_by(installed, name) if item["event_id"]), default=0
    )
    accepted = {name: installed.platforms(f"/_accepted?platform={name}&limit=1") for name in platforms}
    faults = [f"{len(senders.acknowledged - stored)} acknowledged events are lost."] * bool(
        senders.acknowledged - stored
    )
    ended = by_status.get("delivered", 0) + by_status.get("dropped", 0)
    if ended != sum(by_status.values()):
        faults.append(f"{sum(by_status.values()) - ended} deliveries have not come to their end.")
    for name in platforms:
        found, here = ledger.by_platform.get(name, 0), accepted[name]["unique"]
        if found != len(stored):
            faults.append(f"{name}: {len(stored)} events have {found} deliveries.")
        # What was dropped after an answer that was lost may be there; everything else is there exactly once.
        if not delivered.get(name, 0) <= here <= delivered.get(name, 0) + sum(dropped.values()):
            faults.append(f"{name}: {delivered.get(name, 0)} are delivered, and the platform has {here}.")
    if most_arrivals > MOST_ARRIVALS:
        faults.append(f"One delivery arrived {most_arrivals} times.")
    faults += [violation.message for violation in _once_it_answers(lambda: check_invariants(_now()))]
    return Found(
        seed,
        len(stored),
        len(platforms),
        dict(breaker.kills),
        dict(breaker.troubles),
        len(senders.acknowledged),
        senders.repeated,
        round(storm_seconds, 1),
        round(settle_seconds, 1),
        by_status,
        dropped,
        ledger.most_attempts,
        sum(found["received"] for found in accepted.values()),
        sum(found["unique"] for found in accepted.values()),
        most_arrivals,
        breaker.recovery,
        breaker.absent,
        faults,
    )


def _accepted_by(installed: Installation, platform: str) -> Iterator[dict[str, Any]]:
    """What a platform has accepted, page by page."""
    since = 0
    while items := installed.platforms(f"/_accepted?platform={platform}&limit=5000&since={since}")["items"]:
        yield from items
        since = items[-1]["seq"]


def _now() -> Any:
    with session():
        return rows("SELECT now()")[0][0]
