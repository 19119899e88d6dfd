"""Looks at the installation as a whole, opens and ends the operator's alerts, and has each told once.

Every process looks, one at a time while the database is there: the turn, the alerts and the messages are rows in it. While
it is away nobody can take turns: then each process remembers for itself, and ``tell_alone`` tells.
"""

from __future__ import annotations

import logging
import random
import secrets
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from tracklayer import files, metrics
from tracklayer.clock import DatabaseClock
from tracklayer.db import alert_mails as db_mails
from tracklayer.db import channels as db_channels
from tracklayer.db import destinations as db_destinations
from tracklayer.db import heartbeats as db_beats
from tracklayer.db import operator_alerts as db
from tracklayer.db import outages as db_outages
from tracklayer.db.connect_faults import DISK_FULL
from tracklayer.db.connection import (
    DatabaseAwayError,
    ReadTimeoutError,
    answers_within,
    in_transaction,
    statements_within,
)
from tracklayer.db.sessions import READ_ONLY, forget_read_only, last_refusal
from tracklayer.domain.installation import OLD, ROLES, UNTOLD, Down, Facts, Queues, Untold, Waiting
from tracklayer.domain.trouble import KINDS, Trouble
from tracklayer.domain.watch import MET, REFUSALS, all_is_well, judge, refused, undecided
from tracklayer.mappers import PLATFORMS, title_of
from tracklayer.runtime import Runtime
from tracklayer.services.alone import tell_fault
from tracklayer.services.destinations import invented_destinations
from tracklayer.services.keys import look_at_keys
from tracklayer.services.lead_back import EVERY, lead_watch_back
from tracklayer.services.soundness import real_destinations
from tracklayer.services.tell_operator import SENDING, Notice, NotToldError, Teller, pause

log = logging.getLogger(__name__)

for _kind in KINDS:  # from 0 on: else the first one would not be seen
    metrics.OPERATOR_ALERT_OPEN.labels(_kind)
    for _change in ("opened", "resolved"):
        metrics.OPERATOR_ALERTS.labels(_kind, _change)

TURN = timedelta(seconds=5)  # of the look: whoever has it may die with it
# That nobody sees a trouble before it is over: several looks, and a heartbeat of everybody.
CALM = timedelta(seconds=20)
QUEUE_TURN = timedelta(seconds=15)  # it goes over all destinations that have something waiting
QUEUE_SECONDS = 3.0  # for the look at what waits
LATE = timedelta(days=1)  # what was over longer ago is no news
MESSAGES = 20  # of one look
PING = timedelta(seconds=60)
PING_AGAIN = timedelta(seconds=15)  # after one that failed
HOUR = 3600.0
MOST_HELD = 20_000  # destinations that are counted
END_SECONDS = 1.0  # for the last word of a process that ends
LATELY = timedelta(hours=1)  # a channel that took a message within it says that the network is there
A_DAY = timedelta(hours=25)  # in which what fails is tried again
SEVERAL = 3  # merchants: fewer may each have a dead address
MET_SECONDS = MET.total_seconds()
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
        facts = replace(facts, down=_down())
        return replace(facts, waiting=_waiting(), untold=untold_to_merchants(now)) if with_queue else facts
    with in_transaction():
        return replace(facts, queued=db_beats.queued())


def _down() -> list[Down]:
    """Platforms that are down, as long as anybody is held with them."""
    with in_transaction():
        found = db_outages.platforms_down()
        held = {platform: db_outages.count_held(platform, MOST_HELD) for platform in found}
    return [
        Down(key, title_of(key), health.reason or "", health.failing_since, held[key], held[key] == MOST_HELD)
        for key, health in found.items()
        if health.failing_since is not None and held[key]
    ]


def _waiting() -> Waiting | None:
    """None where looking takes too long: the database has more urgent things to do then."""
    try:
        with in_transaction(), statements_within(QUEUE_SECONDS):
            found = db_beats.waiting(OLD, random.randint(0, db_destinations.last_merchant_waiting()))
    except ReadTimeoutError:
        return None
    _note_queues(found.queues)
    return replace(found, stalled=_titled(found.stalled), slow=_titled(found.slow))


def untold_to_merchants(now: datetime) -> Untold | None:
    """What reaches no merchant; None where looking takes too long."""
    try:
        with in_transaction(), statements_within(QUEUE_SECONDS):
            mails = db_mails.mails_unsent(now, UNTOLD)
            late, late_since = db_mails.overdue(now - UNTOLD)
            mails_go = db_mails.are_going(now - UNTOLD, now) if late else False
            messages, channels, merchants, since = db_channels.untaken(now - UNTOLD)
            taken_at, not_taking = db_channels.since_taken(now - A_DAY, now - UNTOLD, now) if channels else (None, 0)
    except ReadTimeoutError:
        return None
    none_taken = (taken_at is None or taken_at < now - LATELY) and not_taking >= SEVERAL
    found = Untold(0, None, None, messages, channels, merchants, since, 0, late, late_since, none_taken, mails_go)
    if mails is None:
        return found
    mails_since = min(at for at in (mails.since, mails.lost_at) if at is not None)
    error = mails.last_error or mails.lost_error
    return replace(found, mails=mails.failing, mails_since=mails_since, error=error, lost=mails.lost)


def _note_queues(queues: Mapping[str, Queues]) -> None:
    for platform in PLATFORMS:
        found = queues.get(platform, Queues())
        metrics.see_queues(platform, found.oldest.total_seconds(), found.deliveries, found.destinations, found.held)


def _titled(by_platform: Mapping[str, int]) -> dict[str, int]:
    return {title_of(key): count for key, count in by_platform.items()}


def look(facts: Facts) -> None:
    """Opens alerts for what is wrong, and ends those of what is over. Any number may call it at once."""
    found = judge(facts)
    opened, graver = [], []
    with in_transaction():
        warned_of = {trouble.kind for trouble in db.open_troubles() if not trouble.is_critical}
        for trouble in sorted(found, key=lambda trouble: trouble.kind):
            if db.open_alert(secrets.token_hex(8), trouble):
                opened.append(trouble)
            elif trouble.is_critical and trouble.kind in warned_of:
                graver.append(trouble)
        over = db.resolve_unseen(CALM, undecided(facts) | {trouble.kind for trouble in found})
    for trouble in opened:
        metrics.OPERATOR_ALERTS.labels(_bare(trouble.kind), "opened").inc()
        more = {"kind": "trouble_opened", "trouble": trouble.kind, "severity": trouble.severity.value}
        log.error("%s. %s", trouble.title, trouble.message, extra=more)
    for trouble in graver:
        more = {"kind": "trouble_critical", "trouble": trouble.kind, "severity": trouble.severity.value}
        log.error("it became critical: %s. %s", trouble.title, trouble.message, extra=more)
    for kind in over:
        metrics.OPERATOR_ALERTS.labels(_bare(kind), "resolved").inc()
        log.warning("it is over: %s", kind, extra={"kind": "trouble_over", "trouble": kind, "alike": kind})
    living = {role: facts.living(role) for role in ROLES}
    ages = {role: min(beat.age for beat in beats).total_seconds() for role, beats in living.items() if beats}
    metrics.see_roles({role: len(beats) for role, beats in living.items()}, ages)


def _bare(kind: str) -> str:
    """Without the platform behind it."""
    return kind.partition(":")[0]


def open_troubles() -> list[Trouble]:
    """What the operator has on his hands. Raises DatabaseAwayError."""
    with in_transaction():
        return db.open_troubles()


def open_ids() -> dict[str, str]:
    """Kind -> id of what is open. Raises DatabaseAwayError."""
    with in_transaction():
        return db.open_ids()


def try_to_write() -> None:
    """Whether alerts and messages can be written again, after they could not. Raises DatabaseAwayError.

    Heartbeats say nothing of it: they change rows that there are, for which a full disk may still have room.
    """
    with in_transaction():
        db.try_to_write(secrets.token_hex(8))


def met_full_disk(lately_seconds: float) -> bool:
    """Whether this process did so lately."""
    last = last_refusal()
    return last is not None and last[0] == DISK_FULL and last[1] <= lately_seconds


def others_met_full_disk() -> bool:
    """Whether any that lives said so of itself. Raises DatabaseAwayError."""
    with in_transaction():
        return bool(refused(db_beats.beats(), DISK_FULL))


def tell_due(teller: Teller, channels: Sequence[str]) -> int:
    """Sends what is due by these channels; how many messages went out. Raises DatabaseAwayError."""
    with in_transaction():
        db.add_messages(channels, LATE)
    told = 0
    for _ in range(MESSAGES):
        with in_transaction():
            message = db.take_message(channels, SENDING, LATE)
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
                db.message_failed(message, pause(message.number), error.reason)
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


class Switch:
    """Pings a dead-man's switch once a minute, from one process at a time, while all is well."""

    def __init__(self, teller: Teller, every: timedelta = PING) -> None:
        self._teller, self._every = teller, every
        self._told_at = float("-inf")

    def is_wanted(self, facts: Facts, open_now: Iterable[Trouble]) -> bool:
        return self._teller.pings and all_is_well(facts, open_now)

    def ping(self) -> bool:
        """Whether it was pinged, which all must be well for. Raises DatabaseAwayError."""
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


def lead_back() -> None:
    """Once a minute over all processes: by a clock that was ahead nobody counts as living, nor is anything told later.

    Raises DatabaseAwayError.
    """
    with in_transaction():
        is_turn = db.take_turn("lead back", EVERY)
    if is_turn:
        lead_watch_back()


def forget_the_old() -> None:
    """Once an hour over all processes. Raises DatabaseAwayError."""
    with in_transaction():
        if db.take_turn("forget", timedelta(hours=1)):
            db_beats.forget_old_beats()
            db.forget_old_alerts()


class Own:
    """What a process finds out about itself, to be said with its heartbeats. For one thread.

    ``sandbox_url``: that an operator set, not the one of `up --sandbox`. ``lately_seconds``: for how long it tells what it met.
    """

    def __init__(self, runtime: Runtime, sandbox_url: str | None, lately_seconds: float) -> None:
        self._runtime, self._sandbox_url, self._lately_seconds = runtime, sandbox_url, lately_seconds
        self._slow: dict[str, object] = {}
        self._slow_due = 0.0
        self._writes = True  # whether the last heartbeat was written, as far as one was tried
        self._written_at = time.monotonic()
        self._met = self._met_before = False  # a database that only reads, between two heartbeats

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
        wanted_ago = files.wanted_ago()
        if wanted_ago is not None and wanted_ago <= self._lately_seconds:
            said["no_files"] = round(wanted_ago, 1)
        refusal = last_refusal()
        if refusal is not None and self._counts(*refusal):
            said |= {"refused": refusal[0], "refused_seconds": round(refusal[1], 1)}
        return said

    def _counts(self, state: str, ago: float) -> bool:
        """Whether what this process met is to be told by a heartbeat, whose very writing says that the database takes writes.

        A full disk refuses some and takes others. One that only reads takes none: where it took the heartbeat before
        and takes this one, it was over at once, unless that happens again and again, as with two servers behind one name.
        """
        if not self._writes or ago > self._lately_seconds:
            return False
        self._met = state == READ_ONLY and ago <= time.monotonic() - self._written_at
        return state != READ_ONLY or (self._met and self._met_before)

    def has_written(self) -> None:
        """A heartbeat was written: a database that only read while none could be takes writes again."""
        if not self._writes:
            forget_read_only()
        self._writes, self._written_at = True, time.monotonic()
        self._met, self._met_before = False, self._met

    def cannot_write(self) -> None:
        self._writes = self._met = self._met_before = False

    def _look_slowly(self) -> dict[str, object]:
        """Over all destinations: not with every heartbeat."""
        found: dict[str, object] = {}
        closed = look_at_keys(self._runtime.sealer).closed
        if closed:
            found["closed"] = closed
        real = real_destinations() if self._sandbox_url is not None else 0
        if real:
            found["sandbox"] = real
        invented = invented_destinations() if self._runtime.settings.sandbox_url is None else 0
        if invented:
            found["invented"] = invented
        return found


def beat(
    instance: str, roles: Sequence[str], host: str, version: str, says: Mapping[str, object], seconds: float
) -> timedelta | None:
    """This process lives, and says so within so many seconds; how long ago it did before. Raises DatabaseAwayError."""
    with in_transaction(), answers_within(seconds):
        return db_beats.beat(instance, roles, host, version, says)


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
