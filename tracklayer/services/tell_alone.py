"""What each process tells the operator by itself while the database serves nobody: no row can say then who looks and who tells."""

from __future__ import annotations

import hashlib
import logging
import secrets
import threading
import time
from collections.abc import Mapping
from datetime import datetime, timedelta
from functools import partial
from typing import Protocol

import orjson
from psycopg2.extensions import parse_dsn

from tracklayer import files
from tracklayer.db import operator_alerts as db
from tracklayer.db.connect_faults import DISK_FULL, is_disk_full
from tracklayer.db.connection import DatabaseAwayError, in_transaction
from tracklayer.db.sessions import code_of
from tracklayer.domain.alert import Severity
from tracklayer.domain.trouble import DATABASE_AWAY, DATABASE_FULL, DATABASE_READ_ONLY, Trouble
from tracklayer.domain.watch import OWN_WANT, database_trouble
from tracklayer.services.alone import is_everybodys
from tracklayer.services.tell_operator import Notice, NotToldError, Teller, pause

log = logging.getLogger(__name__)

CLAIM_SECONDS = 60  # that others leave it to who sends a message, which is over in two thirds of that
TELLING_SECONDS = 12.0  # that a look waits for its messages; a mail may go on behind it
SEEN_SECONDS = 30  # since somebody found the database away: whoever still lives asks again within ten
KEPT_SECONDS = 7 * 24 * 3600  # that an outage stands on the board: the longest of which anybody wants to hear the end
TOLD_AGAIN = 3600.0  # seconds after which it is told once more


class StillFullError(DatabaseAwayError):
    """PostgreSQL takes this and that, and lately had no room for what was larger: an event, for instance."""


def is_busy(error: DatabaseAwayError) -> bool:
    """Whether it was this process alone, or this statement, that could not have the database now."""
    return not is_everybodys(error) or type(error.__cause__).__name__ == "MaxConnectionsExceeded"


class Board(Protocol):
    """Short notes between processes, where there is something that holds them, and while it answers."""

    def claim(self, name: str, seconds: int) -> bool:
        """Whether nobody else has claimed it for now."""

    def put(self, name: str, value: str, seconds: int) -> None:
        """Whoever reads it within so long finds this value."""

    def put_first(self, name: str, value: str, seconds: int) -> str:
        """The value that is there: this one, unless somebody put another."""

    def read(self, *names: str) -> list[str | None]:
        """The values that are there."""

    def drop(self, *names: str) -> None: ...


class NoBoard:
    """Where there is nothing of the kind: nobody reads what is put."""

    def claim(self, name: str, seconds: int) -> bool:
        return True

    def put(self, name: str, value: str, seconds: int) -> None:
        pass

    def put_first(self, name: str, value: str, seconds: int) -> str:
        return value

    def read(self, *names: str) -> list[str | None]:
        return [None] * len(names)

    def drop(self, *names: str) -> None:
        pass


class Alone:
    """What one process tells by itself of a database that serves nobody. ``place``: names the database, not its secrets.
    ``patience``: seconds until that is told. Not for two threads at once.

    No row can say who tells: ``board`` may, Redis for instance. On it stand the outage, with the id under which it is
    told, who found the database away last, and who tells by which channel. Where there is none each process tells, at
    most once an hour. The id then is made of the last outage that all of them know to be over, so that whoever gets
    several messages knows them for one.
    """

    def __init__(self, teller: Teller, place: str, patience: float, board: Board) -> None:
        self._teller, self._place, self._patience, self._board = teller, place, patience, board
        self._me = secrets.token_hex(4)
        self._since: float | None = None
        self._kind = ""
        self._last_outage: str | None = None  # that is over, as this process knows; None: it never saw the database
        self._open: dict[str, tuple[str, Trouble]] = {}  # kind -> the id of this outage, and what is wrong
        self._ended: dict[str, Trouble] = {}  # id -> what is over, and yet to be noted
        self._tell_at: dict[tuple[str, str], float] = {}  # id and channel -> when it is to be told next
        self._failures: dict[tuple[str, str], int] = {}
        self._telling: dict[str, threading.Thread] = {}  # by channel

    @property
    def seconds(self) -> float:
        """Since when, in seconds, the database does not serve; 0 where it does."""
        return time.monotonic() - self._since if self._since is not None else 0.0

    def is_away(
        self, state: str | None, whose: str, now: datetime, open_ids: Mapping[str, str] | None = None
    ) -> Trouble | None:
        """The database did not serve just now: what is wrong, once that lasts; it is told, where it was not yet.

        ``state``: the SQLSTATE it refused with, if any. ``whose``: who found out. ``open_ids``: kind -> id of alerts that
        are open in it, which are told under that id. Takes as long as one message may.
        """
        if self._since is None:
            self._since = time.monotonic()
        self._board.put(self._name(SEEN), self._me, SEEN_SECONDS)
        if self.seconds < self._patience:
            return None
        found = database_trouble(state, now - timedelta(seconds=self.seconds), whose)
        if found.kind != self._kind:
            self._kind = found.kind
            more = {"kind": "trouble_opened", "trouble": found.kind, "severity": found.severity.value}
            log.error("%s. %s", found.title, found.message, extra=more)
        message_id = self._id_of(found, open_ids or {})
        self._open[found.kind] = message_id, found
        self._tell_apart(message_id, found)
        return found

    def _tell_apart(self, message_id: str, found: Trouble) -> None:
        """By a thread for each channel, so that one that hangs holds up no other, nor the next look for long."""
        for channel in self._teller.channels:
            at_it = self._telling.get(channel)
            if at_it is None or not at_it.is_alive():
                run = partial(self._tell, message_id, found, channel)
                self._telling[channel] = threading.Thread(target=run, name="operator's messages", daemon=True)
                self._telling[channel].start()
        ends = time.monotonic() + TELLING_SECONDS
        for thread in self._telling.values():
            thread.join(max(0.0, ends - time.monotonic()))

    def _id_of(self, found: Trouble, open_ids: Mapping[str, str]) -> str:
        """The one under which this outage is told, whoever tells and whatever the hour."""
        if found.kind in self._open:
            own = self._open[found.kind][0]
        elif found.kind in open_ids:
            own = open_ids[found.kind]
        elif self._last_outage is not None:
            own = f"{found.kind}-{self._place}-{self._last_outage}"
        else:
            own = f"{found.kind}-{self._place}-{found.since:%Y%m%d%H%M}"
        noted = _told_on(self._board.put_first(self._name(found.kind), _as_note(own, found), KEPT_SECONDS))
        return noted[0] if noted is not None and found.kind not in self._open else own

    def _name(self, what: str) -> str:
        return f"operator:{self._place}:{what}"

    def _tell(self, message_id: str, found: Trouble, channel: str) -> None:
        of_it = message_id, channel
        claim = f"operator:{message_id}:{channel}"
        if self._tell_at.get(of_it, 0.0) > time.monotonic() or not self._board.claim(claim, CLAIM_SECONDS):
            return
        notice = Notice(
            message_id,
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
            failures = self._failures[of_it] = self._failures.get(of_it, 0) + 1
            self._tell_at[of_it] = time.monotonic() + pause(failures).total_seconds()
            if failures == 1:
                log.warning("the operator's %s takes no message (%s)", channel.split(":")[0], error.reason)
            return
        self._board.put(claim, self._me, int(TOLD_AGAIN))
        self._failures.pop(of_it, None)
        self._tell_at[of_it] = time.monotonic() + TOLD_AGAIN

    def is_back(self) -> None:
        """The database serves: that it does is told once, by whoever sends next. Raises DatabaseAwayError.

        Also of an outage that only the board knows, since those who told it are gone; but not while somebody else
        finds the database away.
        """
        if self._kind:
            more = {"kind": "trouble_over", "trouble": self._kind, "alike": self._kind}
            log.warning("it is over: %s", self._kind, extra=more)
        self._since, self._kind = None, ""
        self._tell_at.clear()
        self._failures.clear()
        self._ended |= dict(self._open.values())
        self._open.clear()
        kinds = (DATABASE_AWAY, DATABASE_FULL, DATABASE_READ_ONLY)
        seen_by, *notes = self._board.read(*(self._name(what) for what in (SEEN, *kinds)))
        noted = {kind: told for kind, note in zip(kinds, notes, strict=True) if (told := _told_on(note)) is not None}
        if noted and seen_by not in (None, self._me):
            return
        self._ended |= {message_id: trouble for message_id, trouble in noted.values() if message_id not in self._ended}
        with in_transaction():
            # Whether it could be told or not: that it is over is told by every channel there is.
            new = [db.note_told(each, self._ended[each], self._teller.channels) for each in sorted(self._ended)]
            if any(new):
                db.note_outage()
            self._last_outage = db.last_outage()
        self._ended.clear()
        if noted:
            self._board.drop(self._name(SEEN), *(self._name(kind) for kind in noted))


SEEN = "seen"


def _as_note(message_id: str, found: Trouble) -> str:
    said = {
        "id": message_id,
        "kind": found.kind,
        "severity": found.severity.value,
        "title": found.title,
        "message": found.message,
        "since": found.since,
    }
    return orjson.dumps(said).decode()


def _told_on(note: str | None) -> tuple[str, Trouble] | None:
    """The id and the trouble of a note; None where there is none that can be read."""
    try:
        said = orjson.loads(note or "")
        since = datetime.fromisoformat(said["since"])
        return said["id"], Trouble(said["kind"], Severity(said["severity"]), said["title"], said["message"], since)
    except (ValueError, KeyError, TypeError):
        return None


_REPEATS = (
    "While the database is away, each process that cannot ask the others tells this by itself, once an hour at most: "
    "whatever has the same id is the same trouble."
)


def state_of(error: DatabaseAwayError) -> str | None:
    if files.were_wanting(error):
        return OWN_WANT
    return DISK_FULL if isinstance(error, StillFullError) or is_disk_full(error) else code_of(error)


def place_of(database_url: str) -> str:
    """A short name of a database that all its processes find alike, and that tells nobody where it is."""
    given = parse_dsn(database_url)
    return hashlib.sha256(
        "|".join(str(given.get(name, "")) for name in ("host", "port", "dbname")).encode()
    ).hexdigest()[:8]
