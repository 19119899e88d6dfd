"""Looks at the installation as a whole, opens and ends the operator's alerts, and has each told once.

Every process looks, one at a time while the database is there: the turn, the alerts and the messages are rows in it. While
it is away nobody can take turns: then each process remembers for itself, and ``Alone`` tells.
"""

from __future__ import annotations

import hashlib
import logging
import random
import secrets
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from psycopg2.extensions import parse_dsn

from tracklayer.clock import DatabaseClock
from tracklayer.db import destinations as db_destinations
from tracklayer.db import heartbeats as db_beats
from tracklayer.db import operator_alerts as db
from tracklayer.db.connection import (
    DatabaseAwayError,
    ReadTimeoutError,
    answers_within,
    in_transaction,
    statements_within,
)
from tracklayer.db.sessions import code_of, last_refusal
from tracklayer.domain.watch import (
    MET,
    OLD,
    REFUSALS,
    Facts,
    Trouble,
    Waiting,
    all_is_well,
    database_trouble,
    judge,
    undecided,
)
from tracklayer.mappers import PLATFORMS, mapper_for
from tracklayer.runtime import Runtime
from tracklayer.services.alone import is_everybodys, tell_fault
from tracklayer.services.keys import look_at_keys
from tracklayer.services.soundness import real_destinations
from tracklayer.services.tell_operator import Notice, NotToldError, Teller

log = logging.getLogger(__name__)

TURN = timedelta(seconds=5)  # of the look: whoever has it may die with it
CALM = timedelta(
    seconds=20
)  # that nobody sees a trouble before it is over: several looks, and a heartbeat of everybody
QUEUE_TURN = timedelta(seconds=15)  # it goes over all destinations that have something waiting
QUEUE_SECONDS = 3.0  # for the look at what waits
SENDING = timedelta(seconds=60)  # a session of eight steps of five seconds is over before
FIRST_PAUSE, LONGEST_PAUSE = timedelta(seconds=5), timedelta(minutes=5)
LATE = timedelta(days=1)  # what was over longer ago is no news
MESSAGES = 20  # of one look
PING = timedelta(seconds=60)
PING_AGAIN = timedelta(seconds=15)  # after one that failed
HOUR = 3600.0
END_SECONDS = 1.0  # for the last word of a process that ends
SLOW = 60.0  # seconds between two looks at all destinations


def facts_now(intervals: Mapping[str, timedelta], now: datetime, *, with_queue: bool) -> Facts:
    """What there is to judge. ``intervals``: of the periodic jobs. ``with_queue``: also what waits, which costs more.

    Raises DatabaseAwayError.
    """
    with in_transaction():
        beats = db_beats.beats()
        jobs = db_beats.job_facts(intervals)
    facts = Facts(now, beats, jobs, intervals)
    if facts.living("worker"):
        return replace(facts, waiting=_waiting()) if with_queue else facts
    with in_transaction():
        return replace(facts, queued=db_beats.queued())


def _waiting() -> Waiting | None:
    """None where looking takes too long: the database has more urgent things to do then."""
    try:
        with in_transaction(), statements_within(QUEUE_SECONDS):
            found = db_beats.waiting(OLD, random.randint(0, db_destinations.last_merchant_waiting()))
    except ReadTimeoutError:
        return None
    return replace(found, stalled=_titled(found.stalled), slow=_titled(found.slow))


def _titled(by_platform: Mapping[str, int]) -> dict[str, int]:
    return {mapper_for(key).title if key in PLATFORMS else key: count for key, count in by_platform.items()}


def look(facts: Facts) -> None:
    """Opens alerts for what is wrong, and ends those of what is over. Any number may call it at once."""
    found = judge(facts)
    opened = []
    with in_transaction():
        for trouble in sorted(found, key=lambda trouble: trouble.kind):
            if db.open_alert(secrets.token_hex(8), trouble):
                opened.append(trouble)
        over = db.resolve_unseen(CALM, undecided(facts) | {trouble.kind for trouble in found})
    for trouble in opened:
        log.error("%s. %s", trouble.title, trouble.message)
    for kind in over:
        log.warning("it is over: %s", kind)


def open_troubles() -> list[Trouble]:
    """What the operator has on his hands. Raises DatabaseAwayError."""
    with in_transaction():
        return db.open_troubles()


def tell_due(teller: Teller) -> int:
    """Sends what is due by the channels of this process; how many messages went out. Raises DatabaseAwayError."""
    if not teller.channels:
        return 0
    with in_transaction():
        db.add_messages(teller.channels, LATE)
    told = 0
    for _ in range(MESSAGES):
        with in_transaction():
            message = db.take_message(teller.channels, SENDING, LATE)
        if message is None:
            break
        notice = Notice(
            message.alert_id,
            message.kind,
            message.severity,
            message.state,
            message.title,
            message.message,
            message.since,
            message.until,
        )
        try:
            teller.tell(message.channel, notice)
        except NotToldError as error:
            with in_transaction():
                db.message_failed(message, _pause(message.number))
            if message.number in (1, 5) or message.number % 50 == 0:
                log.warning(
                    "the operator's %s takes no message (%s); it is tried again",
                    message.channel.split(":")[0],
                    error.reason,
                )
        else:
            with in_transaction():
                db.message_told(message)
            told += 1
    return told


def _pause(number: int) -> timedelta:
    doubled: int = 2 ** min(number - 1, 10)
    return min(LONGEST_PAUSE, FIRST_PAUSE * doubled)


class Switch:
    """Pings a dead-man's switch once a minute, from one process at a time, while all is well."""

    def __init__(self, teller: Teller, every: timedelta = PING) -> None:
        self._teller, self._every = teller, every
        self._told_at = float("-inf")

    def ping_if_well(self, facts: Facts, open_now: Iterable[Trouble]) -> bool:
        """Whether it was pinged. Raises DatabaseAwayError."""
        if not self._teller.pings or not all_is_well(facts, open_now):
            return False
        with in_transaction():
            if not db.take_turn("ping", self._every):
                return False
        try:
            self._teller.ping()
        except NotToldError as error:
            with in_transaction():
                db.set_turn("ping", min(PING_AGAIN, self._every))
            if time.monotonic() - self._told_at > HOUR:
                self._told_at = time.monotonic()
                log.warning("TRACKLAYER_HEARTBEAT_URL does not answer as it should (%s)", error.reason)
            return False
        return True


def take_look() -> bool:
    """Whether it is this process that looks now. Raises DatabaseAwayError."""
    with in_transaction():
        return db.take_turn("look", TURN)


def take_queue_look() -> bool:
    """Whether this look is one at what waits, too. Raises DatabaseAwayError."""
    with in_transaction():
        return db.take_turn("queue", QUEUE_TURN)


def forget_the_old() -> None:
    """Once an hour over all processes. Raises DatabaseAwayError."""
    with in_transaction():
        if db.take_turn("forget", timedelta(hours=1)):
            db_beats.forget_old_beats()
            db.forget_old_alerts()


class Own:
    """What a process finds out about itself, to be said with its heartbeats. For one thread.

    ``sandbox_url``: that an operator set, not the one of `up --sandbox`.
    """

    def __init__(self, runtime: Runtime, sandbox_url: str | None) -> None:
        self._runtime, self._sandbox_url = runtime, sandbox_url
        self._slow: dict[str, object] = {}
        self._slow_due = 0.0

    def says(self) -> dict[str, object]:
        """In the words of ``Beat``, without those of the broker."""
        if time.monotonic() >= self._slow_due:
            self._slow_due = time.monotonic() + SLOW
            try:
                self._slow = self._look_slowly()
            except Exception as error:  # noqa: BLE001 - told; a table that is locked must not make this process seem dead
                if not isinstance(error, DatabaseAwayError):
                    tell_fault(self._runtime, "looking at all destinations", error)
        said = dict(self._slow)
        clock = self._runtime.clock
        if isinstance(clock, DatabaseClock):
            said["ahead"] = round(clock.machine_is_ahead().total_seconds(), 1)
        if not clock.is_sure:
            said["unsure"] = True
        refusal = last_refusal()
        if refusal is not None and refusal[1] <= MET.total_seconds():
            said |= {"refused": refusal[0], "refused_seconds": round(refusal[1], 1)}
        return said

    def _look_slowly(self) -> dict[str, object]:
        """Over all destinations: not with every heartbeat."""
        found: dict[str, object] = {}
        closed = look_at_keys(self._runtime.sealer).closed
        if closed:
            found["closed"] = closed
        real = real_destinations() if self._sandbox_url is not None else 0
        if real:
            found["sandbox"] = real
        return found


def beat(
    instance: str, roles: Sequence[str], host: str, version: str, says: Mapping[str, object], seconds: float
) -> None:
    """This process lives, and says so within so many seconds. Raises DatabaseAwayError."""
    with in_transaction(), answers_within(seconds):
        db_beats.beat(instance, roles, host, version, says)


def end_beats(instance: str) -> None:
    """It ends on purpose. Raises DatabaseAwayError."""
    with in_transaction(), answers_within(END_SECONDS):
        db_beats.end_beats(instance)


def note_refusal(role: str, host: str, version: str, lacks: str) -> None:
    """This process does not start, for want of ``key`` or ``migrations``: those that live tell it. Never raises."""
    try:
        with in_transaction():
            db_beats.note_refusal(role, host, version, lacks, REFUSALS)
    except Exception as error:  # noqa: BLE001 - the process ends with what it wanted to say in its log
        log.warning("the others could not be told of it (%s)", type(error).__name__)


def is_busy(error: DatabaseAwayError) -> bool:
    """Whether it was this process alone, or this statement, that could not have the database now."""
    return not is_everybodys(error) or type(error.__cause__).__name__ == "MaxConnectionsExceeded"


class Alone:
    """What one process tells by itself of a database that serves nobody. ``place``: names the database, not its secrets.
    ``patience``: seconds until that is told.

    No row can say who tells: ``claim(id)`` may, by Redis for instance, and gives True where nobody else does for now;
    ``told(id)`` is called when it went out. Where there is no such thing each process tells. The id is the same for
    all of them, so that whoever gets several knows them for one; each tells at most once an hour.
    """

    def __init__(
        self,
        teller: Teller,
        place: str,
        patience: float,
        claim: Callable[[str], bool] = lambda message_id: True,
        told: Callable[[str], None] = lambda message_id: None,
    ) -> None:
        self._teller, self._place, self._claim, self._told, self._patience = teller, place, claim, told, patience
        self._since: float | None = None
        self._kind = ""
        self._id = ""
        self._tell_at: dict[str, float] = {}  # channel -> when it is to be told next
        self._failures: dict[str, int] = {}
        self._told_of: dict[str, tuple[Trouble, set[str]]] = {}  # id -> what was told, and by which channels

    @property
    def seconds(self) -> float:
        """Since when, in seconds, the database does not serve; 0 where it does."""
        return time.monotonic() - self._since if self._since is not None else 0.0

    def is_away(self, state: str | None, whose: str, now: datetime) -> Trouble | None:
        """The database did not serve just now: what is wrong, once that lasts; it is told, where it was not yet.

        ``state``: the SQLSTATE it refused with, if any. ``whose``: who found out.
        """
        if self._since is None:
            self._since = time.monotonic()
        if self.seconds < self._patience:
            return None
        found = database_trouble(state, now - timedelta(seconds=self.seconds), whose)
        if found.kind != self._kind:
            self._kind, self._id = found.kind, f"{found.kind}-{self._place}-{found.since:%Y%m%d%H}"
            self._tell_at.clear()
            self._failures.clear()
            log.error("%s. %s", found.title, found.message)
        self._tell(found)
        return found

    def _tell(self, found: Trouble) -> None:
        due = [name for name in self._teller.channels if self._tell_at.get(name, 0.0) <= time.monotonic()]
        for channel in due:
            claim = f"{self._id}:{channel}"
            if not self._claim(claim):
                continue
            notice = Notice(
                self._id,
                found.kind,
                found.severity.value,
                "open",
                found.title,
                f"{found.message} {_REPEATS}",
                found.since,
            )
            try:
                self._teller.tell(channel, notice)
            except NotToldError as error:
                failures = self._failures[channel] = self._failures.get(channel, 0) + 1
                self._tell_at[channel] = time.monotonic() + _pause(failures).total_seconds()
                if failures == 1:
                    log.warning("the operator's %s takes no message (%s)", channel.split(":")[0], error.reason)
                continue
            self._told(claim)
            self._failures.pop(channel, None)
            self._tell_at[channel] = time.monotonic() + HOUR
            self._told_of.setdefault(self._id, (found, set()))[1].add(channel)

    def is_back(self) -> None:
        """The database serves: that it does is told once, by whoever sends next. Raises DatabaseAwayError."""
        self._since, self._kind, self._id = None, "", ""
        self._tell_at.clear()
        self._failures.clear()
        if self._told_of:
            with in_transaction():
                for message_id, (trouble, channels) in sorted(self._told_of.items()):
                    db.note_told(message_id, trouble, sorted(channels))
            self._told_of.clear()


_REPEATS = (
    "While the database is away, each process that cannot ask the others tells this by itself, once an hour at most: "
    "whatever has the same id is the same trouble."
)


def state_of(error: DatabaseAwayError) -> str | None:
    return code_of(error)


def place_of(database_url: str) -> str:
    """A short name of a database that all its processes find alike, and that tells nobody where it is."""
    given = parse_dsn(database_url)
    return hashlib.sha256(
        "|".join(str(given.get(name, "")) for name in ("host", "port", "dbname")).encode()
    ).hexdigest()[:8]
