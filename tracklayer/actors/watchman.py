"""Threads of each process: one says that it lives, one looks at all of them, one tells the operator what is wrong."""

from __future__ import annotations

import logging
import os
import secrets
import socket
import threading
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Self

import dramatiq

from tracklayer import metrics
from tracklayer.actors.redis_broker import PatientBroker
from tracklayer.actors.schedule import periodic
from tracklayer.db.connection import DatabaseAwayError
from tracklayer.domain.trouble import DATABASE_FULL, Trouble, process_on
from tracklayer.runtime import Runtime
from tracklayer.services import watch_operator
from tracklayer.services.alone import tell_fault
from tracklayer.services.tell_alone import Alone, Board, NoBoard, StillFullError, is_busy, place_of, state_of
from tracklayer.services.tell_operator import Teller
from tracklayer.services.watch_operator import Own, Switch

log = logging.getLogger(__name__)

BEAT_SECONDS = 10.0
BEAT_AGAIN_SECONDS = 2.0  # after one that failed: the first after an outage must not be the last to come
LOOK_SECONDS = 5.0
ANSWER_SECONDS = 6.0
SETTLED_SECONDS = 30.0  # with the database, until others are judged: after an outage all of them beat within it
AWAY_SECONDS = 20.0  # that the database does not serve: a fail-over or a restart is over by then
END_SECONDS = 1.5  # that the last heartbeat may take, since all must end within five
PAUSED = 3  # heartbeats that did not come: then this process stood still, and with it perhaps all others


class Watchman:
    """From ``start`` to ``stop``, or for the length of the block. ``roles``: of this process.

    ``sandbox_url``: that the operator set. ``alone``: what this process told while it waited for its database, if it did.
    ``troubles``: what was wrong when it was looked at last.
    """

    def __init__(
        self,
        runtime: Runtime,
        broker: dramatiq.Broker,
        roles: Sequence[str],
        version: str,
        sandbox_url: str | None,
        *,
        alone: Alone | None = None,
        beat_seconds: float = BEAT_SECONDS,
        look_seconds: float = LOOK_SECONDS,
        settled_seconds: float = SETTLED_SECONDS,
        away_seconds: float = AWAY_SECONDS,
        lately_seconds: float = watch_operator.MET_SECONDS,
    ) -> None:
        self._runtime, self._roles, self._version = runtime, tuple(roles), version
        self._broker = broker if isinstance(broker, PatientBroker) else None  # in this process, messages always go
        self._host = socket.gethostname()
        self._instance = f"{self._host}:{os.getpid()}:{secrets.token_hex(4)}"
        self._beat_seconds, self._look_seconds, self._settled_seconds = beat_seconds, look_seconds, settled_seconds
        self._lately_seconds = lately_seconds
        self._own = Own(runtime, sandbox_url, lately_seconds)
        teller = Teller(runtime.settings)
        self._teller, self._switch = teller, Switch(teller)
        self._alone = alone or lonely(teller, runtime.database_url, broker, away_seconds)
        self._beats = False  # whether the last heartbeat was written
        self._beat_at = float("-inf")  # when it was written
        self._good_since: float | None = None  # since when heartbeats are written, one after another
        self._unwritten: DatabaseAwayError | None = None  # why the last one was not
        self._unsaid: DatabaseAwayError | None = None  # why what was found could not be written, or its message not
        self._open_ids: dict[str, str] = {}  # of the alerts that are written, while messages are not
        self._well = threading.Event()  # set while the last look of this process found all well
        self._troubles: list[Trouble] = []
        self._stop = threading.Event()
        runs: list[tuple[str, Callable[[], None]]] = [
            ("heartbeat", self._pulse),
            ("watchman", lambda: self._again(self.look)),
        ]
        # Apart: what hangs must not hold up the looks, nor one channel another.
        runs += [
            ("operator's messages", partial(self._again, partial(self._tell, [channel]))) for channel in teller.channels
        ]
        if teller.pings:
            runs.append(("dead man's switch", lambda: self._again(self.ping)))
        self._threads = [threading.Thread(target=run, name=name, daemon=True) for name, run in runs]

    @property
    def troubles(self) -> list[Trouble]:
        return self._troubles

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self.stop()

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Says that this process ends on purpose, if that can be said at once."""
        self._stop.set()
        ends = time.monotonic() + END_SECONDS
        for thread in self._threads:
            if thread.is_alive():
                thread.join(max(0.0, ends - time.monotonic()))

    def _pulse(self) -> None:
        pause = 0.0
        while not self._stop.wait(pause):
            pause = (
                self._beat_seconds
                if self._try(self.beat, "a heartbeat")
                else min(BEAT_AGAIN_SECONDS, self._beat_seconds)
            )
        if self._beats:
            self._try(lambda: watch_operator.end_beats(self._instance), "the last heartbeat")

    def _try(self, what: Callable[[], None], name: str) -> bool:
        try:
            what()
            return True
        except DatabaseAwayError as error:
            self._cannot_beat(error)  # the other thread tells
        except Exception as error:  # noqa: BLE001 - told; it is tried again
            self._cannot_beat(None)
            tell_fault(self._runtime, name, error)
        return False

    def _cannot_beat(self, error: DatabaseAwayError | None) -> None:
        self._beats, self._good_since, self._unwritten = False, None, error
        self._own.cannot_write()

    def beat(self) -> None:
        """Says that this process lives, and what it found out about itself. Raises DatabaseAwayError."""
        if self._broker is not None:
            self._broker.probe()
        said = self._own.says()
        if self._broker is not None and self._broker.link.trouble is not None:
            said |= {"broker": self._broker.link.trouble, "broker_seconds": round(self._broker.link.trouble_seconds, 1)}
        paused = watch_operator.beat(self._instance, self._roles, self._host, self._version, said, ANSWER_SECONDS)
        self._own.has_written()
        self._beat_at = time.monotonic()
        # As the database counts: a machine that stood still does not always know it.
        if paused is None or paused.total_seconds() > PAUSED * self._beat_seconds or self._good_since is None:
            self._good_since = self._beat_at
        self._beats, self._unwritten = True, None

    def _again(self, what: Callable[[], None]) -> None:
        while not self._stop.wait(self._look_seconds):
            try:
                what()
            except DatabaseAwayError:
                pass  # the next look tells
            except Exception as error:  # noqa: BLE001 - told; in a moment it is tried again
                if self._stop.is_set():
                    return  # what it stands on is being taken away
                tell_fault(self._runtime, "looking at all processes", error)

    def look(self) -> None:
        """One look at all processes; where the database is away, what is to be told of that."""
        try:
            self._look_around()
        finally:
            metrics.see_troubles(trouble.kind for trouble in self._troubles)

    def _look_around(self) -> None:
        away = self._unwritten
        try:
            self._look()
        except DatabaseAwayError as error:
            away = error
            self._could_not_say(error)
            if not is_busy(error):
                self._good_since, self._troubles = None, []
        if away is None or is_busy(away):
            return
        self._well.clear()
        whose = process_on(self._host, self._roles)
        found = self._alone.is_away(state_of(away), whose, self._runtime.clock.now(), self._open_ids)
        if found is not None:
            self._troubles = [found]

    def _could_not_say(self, error: DatabaseAwayError) -> None:
        """Until something of the kind is written again the database is away, whatever else it takes."""
        if not is_busy(error):
            self._unsaid = error

    def _look(self) -> None:
        self._well.clear()
        unsaid = self._unsaid
        if unsaid is not None:
            self._open_ids = watch_operator.open_ids()
            watch_operator.try_to_write()
        if self._is_full():
            raise StillFullError
        if self._is_settled() and watch_operator.take_look():
            watch_operator.lead_back()
            facts = watch_operator.facts_now(
                periodic(self._runtime.settings),
                self._runtime.clock.now(),
                with_queue=watch_operator.take_queue_look(),
            )
            if not all(facts.living(role) for role in self._roles):
                return  # this process lives: it stood still, and has not said so since; others may have, too
            watch_operator.look(facts)
            self._troubles = watch_operator.open_troubles()
            if self._switch.is_wanted(facts, self._troubles):
                self._well.set()
            watch_operator.forget_the_old()
        else:
            self._troubles = watch_operator.open_troubles()
        if self._beats:  # what only reads is not back
            self._alone.is_back()
        self._open_ids = {}
        if self._unsaid is unsaid:
            self._unsaid = None

    def _is_full(self) -> bool:
        """Whether a full disk is for this process to tell by itself, since no look can: while it may not judge others, or tells already.

        Then it lasts until nobody was refused a write for a while, whatever else is taken meanwhile.
        """
        tells = self._unsaid is not None or self._alone.seconds > 0
        if self._is_settled() and not tells:
            return False
        met = watch_operator.met_full_disk(self._lately_seconds)
        if not met and not (tells and watch_operator.others_met_full_disk()):
            return False
        self._open_ids = watch_operator.open_ids()
        return self._unsaid is not None or DATABASE_FULL not in self._open_ids

    def _is_settled(self) -> bool:
        """Whether others may be judged: after an outage, or after a machine stood still, all must have had the time to beat."""
        now, since = time.monotonic(), self._good_since
        if since is None or now - self._beat_at > PAUSED * self._beat_seconds:
            return False
        return now - since >= self._settled_seconds

    def tell(self) -> None:
        """Sends what is due. Raises DatabaseAwayError: then ``look`` tells what can be told."""
        for channel in self._teller.channels:
            self._tell([channel])
        self.ping()

    def _tell(self, channels: Sequence[str]) -> None:
        if self._unsaid is not None:
            return  # a look tells, and finds out when messages can be written again
        try:
            watch_operator.tell_due(self._teller, channels)
        except DatabaseAwayError as error:
            self._could_not_say(error)
            raise

    def ping(self) -> None:
        """Pings the dead man's switch, where all was well at the last look. Raises DatabaseAwayError."""
        if self._well.is_set():
            self._switch.ping()


def lonely(teller: Teller, database_url: str, broker: dramatiq.Broker, away_seconds: float = AWAY_SECONDS) -> Alone:
    """Who tells while the database is away; of several that reach the same Redis, one."""
    place = place_of(database_url)
    board: Board = broker if isinstance(broker, PatientBroker) else NoBoard()
    return Alone(teller, place, away_seconds, board)
