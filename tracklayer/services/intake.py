"""Takes in the events of concurrent requests together: one commit for all that wait, and nobody waits for a timer.

Requests that arrive in one turn of the loop are judged one after another in the next: the same code on many events, while
the processor's caches hold it, takes three quarters of what it takes between two requests. While one batch is being
committed the next one gathers, so a lone request goes at once and a crowd shares a commit. Short calls have one flusher
and one connection a process: two would only make smaller batches. Long calls have another, so that no single event waits
for their commits.

Merchants take turns, in being judged and in every batch (``group_commit``); a long call is judged and stored in parts. So
nobody stands behind more of another's events than a turn and a batch hold, however many of them wait. An event that takes
long has a turn to itself, and its merchant passes its turns until the others had theirs (``Slow``).
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterable, Sequence
from contextvars import Context
from typing import Any

from tracklayer.clock import elapsed
from tracklayer.db.connection import in_transaction, run_in_db_thread
from tracklayer.db.merchants import KeyHolder
from tracklayer.db.repeats import Difference, note_differences
from tracklayer.db.sessions import DatabaseAwayError
from tracklayer.runtime import Runtime
from tracklayer.services.alone import tell_fault
from tracklayer.services.group_commit import PAUSE_SECONDS, Flusher
from tracklayer.services.ingest import (
    Accepted,
    Call,
    Coalesced,
    Forgotten,
    Ingested,
    Rejected,
    Wake,
    differences_among,
    judge_some,
    outcomes_of,
)
from tracklayer.services.linking import KnownLinks
from tracklayer.services.waiting_room import TURN_EVENTS, Lines, OverloadedError, Waiting

log = logging.getLogger(__name__)

SHORT_BATCH = 256  # events of one commit of short calls: larger ones gain little and let the others wait
LONG_BATCH = 256  # of long calls, where no short ones are about
BESIDE_SHORT = 32  # where they are: what a commit takes of the loop and of PostgreSQL, short calls wait for
ABOUT_SECONDS = 0.3  # how long after the last short call one more is expected
# Of reading and hashing in one go: everyday events take half of it, odd ones would a hundred times as much.
TURN_SECONDS = 0.008
# Of long calls, where short ones are about: those wait for many turns until they are answered.
TURN_SECONDS_BESIDE_SHORT = 0.001
SLOW_SECONDS = 0.001  # of judging one event, beyond which it is slow: one with a hundred long lines takes half of it
SLOW_PASSES = 2  # times what a slow event took, no other one is judged on the loop
# Times what it took beyond that, its merchant's next requests are answered in a thread: two parts in a hundred.
SLOW_OWES = 50
SLOW_OWES_MOST_SECONDS = 10.0
SLOW_WATCHED_SECONDS = 60.0  # after which one that sent nothing since is forgotten
STEP_EVENTS = 8  # of a call from another thread, judged between two looks around: half a millisecond
STEP_ASIDE_SECONDS = 0.004  # where short calls are about: a long one is slowed down, and never stopped
LATELY_SECONDS = 5.0  # how long after a batch that could not be stored this process counts as one that cannot store
NOTE_SECONDS = 0.5  # between two writings of which repeats differed: of an event the last one counts
# Events whose repeats differed, that wait to be noted; of more the notes are left out, and a line says so.
MAX_NOTES = 2_000
MAX_WAITING = 10_000  # events: some seconds of work at full speed; beyond it a caller is told to come again

OUTCOMES = {
    Accepted: "accepted",
    Coalesced: "coalesced",
    Rejected: "rejected",
    Forgotten: "erased",
}  # as traces name them


class _Turn:
    """What is judged before others have their turn: so many events, and for so long."""

    __slots__ = ("_ends", "_events", "_half", "_looked", "is_over", "seems_slow")

    def __init__(self, seconds: float) -> None:
        self.is_over = self.seems_slow = False
        self._events = 0
        self._looked = elapsed()
        self._ends, self._half = self._looked + seconds, self._looked + seconds / 2

    def goes_on(self) -> bool:
        """One event more was read. Whether another one is: what is made of them takes as long again."""
        self._events += 1
        now = elapsed()
        took, self._looked = now - self._looked, now
        if took > SLOW_SECONDS / 2:
            self.seems_slow = True
            return False
        return now < self._half and self._events < TURN_EVENTS

    def look(self, count: int) -> bool:
        """So many events are judged. Whether one of them seems to have taken long."""
        now = elapsed()
        seems_slow = self.seems_slow or now - self._looked > count * SLOW_SECONDS / 2
        self.seems_slow = False
        self._looked, self._half = now, now + (self._ends - now) / 2
        if now >= self._ends or self._events >= TURN_EVENTS:
            self.is_over = True
        return seems_slow


class Slow:
    """The merchants whose events take long to judge. Such an event has a turn to itself, and behind it all of them pass their
    turns for twice as long as it took: others have the loop meanwhile, and several of its rounds on end.

    Who only seems slow, by a clock that runs on while another thread is at work, is watched: what its next event takes of
    the processor is measured. A merchant is forgotten once it owes nothing and sends what is quick.
    """

    def __init__(self) -> None:
        self.watched: dict[int, float] = {}  # merchant id -> until when it owes, by ``clock.elapsed``
        self.passes_until = 0.0  # when the next of them has a turn

    def owes(self, merchant_id: int) -> bool:
        """Whether it had so much of the loop that nobody is to wait there for its next request."""
        return merchant_id in self.watched and self.watched[merchant_id] > elapsed()

    def watch(self, merchant_id: int) -> None:
        now = elapsed()
        self.watched = {known: at for known, at in self.watched.items() if now - at < SLOW_WATCHED_SECONDS}
        self.watched[merchant_id] = now

    def note(self, merchant_id: int, took: float) -> bool:
        """Whether an event of one that is watched was slow. ``took``: of the processor, in seconds."""
        now = elapsed()
        owed_until = max(now, self.watched[merchant_id])
        if took > SLOW_SECONDS:
            owed_until += SLOW_OWES * (took - SLOW_SECONDS)
            self.watched[merchant_id] = min(owed_until, now + SLOW_OWES_MOST_SECONDS)
            self.passes_until = now + SLOW_PASSES * took
            return True
        if owed_until == now:
            del self.watched[merchant_id]
        return False


class _Judge:
    """Judges the calls that came for one flusher, some events in a turn of the loop and the rest when others had theirs.

    ``seconds``: what the next turn may take. ``slow``: whose events take long.
    """

    def __init__(self, runtime: Runtime, flusher: Flusher, seconds: Callable[[], float], slow: Slow) -> None:
        self._runtime = runtime
        self._flusher = flusher
        self._seconds = seconds
        self._slow = slow
        self._arrived: Lines[Waiting] = Lines()
        self._pause: asyncio.TimerHandle | None = None  # until those go on who pass their turns: nobody else waits

    @property
    def is_busy(self) -> bool:
        return bool(self._arrived)

    def add(self, waiting: Waiting) -> None:
        if not self._arrived:
            asyncio.get_running_loop().call_soon(self._judge_arrived)
        elif self._pause is not None:
            self._pause.cancel()
            self._pause = None
            asyncio.get_running_loop().call_soon(self._judge_arrived)
        self._arrived.add(waiting.call.merchant.merchant_id, waiting)

    def _judge_arrived(self) -> None:
        self._pause = None
        turn, rest = _Turn(self._seconds()), 0.0
        while self._arrived and not turn.is_over:
            only = None
            if self._slow.watched and (rest := self._slow.passes_until - elapsed()) > 0:
                only = next((whose for whose in self._arrived.merchants() if not self._slow.owes(whose)), None)
                if only is None:
                    break
            line = self._arrived.next(only)
            waiting = line[0]
            if not self._judge(waiting, turn):
                if len(waiting.drafts) >= TURN_EVENTS:
                    line.rotate(-1)  # long calls of one merchant take turns, too
                break
            line.popleft()
            if not line:
                self._arrived.leave(waiting.call.merchant.merchant_id)
        if self._arrived:
            loop = asyncio.get_running_loop()
            if turn.is_over:
                loop.call_soon(self._judge_arrived)
            else:
                self._pause = loop.call_later(rest, self._judge_arrived)
        self._flusher.start()

    def _judge(self, waiting: Waiting, turn: _Turn) -> bool:
        """Whether nothing of a call is left to be judged; False: the turn is over."""
        call, drafts = waiting.call, waiting.drafts
        if waiting.done.done():  # its caller is gone, and nothing of it was stored
            self._flusher.leave(call.merchant.merchant_id, len(drafts))
            return True
        merchant_id = call.merchant.merchant_id
        is_watched = merchant_id in self._slow.watched
        try:
            while (place := len(call.items)) < len(drafts):
                began = time.thread_time() if is_watched else 0.0
                judge_some(
                    self._runtime, call, drafts[place : place + (1 if is_watched else TURN_EVENTS)], turn.goes_on
                )
                seems_slow = turn.look(len(call.items) - place)
                if is_watched:
                    turn.is_over |= self._slow.note(merchant_id, time.thread_time() - began)
                    is_watched = merchant_id in self._slow.watched
                elif seems_slow:
                    self._slow.watch(merchant_id)
                    is_watched = True
                if turn.is_over and len(call.items) < len(drafts):
                    return False
        except Exception as error:  # noqa: BLE001 - it is this caller's alone
            self._flusher.leave(call.merchant.merchant_id, len(drafts))
            waiting.done.set_exception(error)
        else:
            self._flusher.add(waiting)
        return True


class Intake:
    """Of one API process, on its event loop. ``wake`` is told after each commit who has something to do.

    ``home``: that loop, for calls of ``ingest`` from another one.
    """

    def __init__(self, runtime: Runtime, wake: Callable[[Iterable[Wake]], None]) -> None:
        self.home: asyncio.AbstractEventLoop | None = None
        self._runtime = runtime
        known = KnownLinks()
        self._short = Flusher(runtime, wake, self._let_go, lambda: SHORT_BATCH, known=known)
        self._long = Flusher(runtime, wake, self._let_go, self._most_of_long, self._pause_of_long, known)
        self.slow = Slow()
        self._judge_short = _Judge(runtime, self._short, lambda: TURN_SECONDS, self.slow)
        self._judge_long = _Judge(runtime, self._long, self._turn_of_long, self.slow)
        self._events: dict[int, int] = {}  # merchant id -> how many wait, judged or not
        self._all_events = 0
        self._last_short = 0.0  # when a short call came, by ``clock.elapsed``
        self._notes: dict[tuple[int, str], Difference] = {}
        self._left_out = 0  # notes that found no room
        self._noting: asyncio.Task[None] | None = None

    @property
    def has_short_about(self) -> bool:
        """Whether short calls came of late: one more is expected."""
        return elapsed() - self._last_short < ABOUT_SECONDS

    @property
    def was_away(self) -> bool:
        """Whether the database took nothing when it was last asked to, a moment ago."""
        lately = elapsed() - LATELY_SECONDS
        return any(one.away_at is not None and one.away_at > lately for one in (self._short, self._long))

    @property
    def events(self) -> int:
        """That were taken in and wait for their commit."""
        return self._all_events

    def _pause_of_long(self) -> float:
        return PAUSE_SECONDS if self.has_short_about else 0

    def _turn_of_long(self) -> float:
        return TURN_SECONDS_BESIDE_SHORT if self.has_short_about else TURN_SECONDS

    def _most_of_long(self) -> int:
        return BESIDE_SHORT if self.has_short_about else LONG_BATCH

    async def ingest(self, merchant: KeyHolder, drafts: Sequence[Any]) -> list[Ingested]:
        """What became of each draft, in order; commits together with whoever else is waiting.

        Raises OverloadedError before anything is stored, LateError where it waited for too long, DatabaseAwayError where the commit is not known to have
        happened, and be it of a part: sending the same call again is right either way.
        """
        if not drafts:
            return []
        loop = asyncio.get_running_loop()
        if self.home is not None and self.home is not loop:
            return await self._ingest_from_afar(self.home, merchant, drafts)
        is_short = len(drafts) < TURN_EVENTS
        flusher = self._short if is_short else self._long
        waiting = self._admit(Call(merchant, self._runtime.clock.now()), drafts, len(drafts), flusher)
        if is_short:
            self._last_short = elapsed()
        (self._judge_short if is_short else self._judge_long).add(waiting)
        await _stored(waiting)
        outcomes = outcomes_of(self._runtime, waiting.call)
        self._trace(waiting.call, outcomes)
        self._note(differences_among(waiting.call, outcomes))
        return outcomes

    async def _ingest_from_afar(
        self, home: asyncio.AbstractEventLoop, merchant: KeyHolder, drafts: Sequence[Any]
    ) -> list[Ingested]:
        """All that needs no database is done where the call comes from."""
        call = Call(merchant, self._runtime.clock.now())
        for place in range(0, len(drafts), STEP_EVENTS):
            if self.has_short_about:
                time.sleep(STEP_ASIDE_SECONDS)  # noqa: ASYNC251 - all long calls step aside, not this one for another
            judge_some(self._runtime, call, drafts[place : place + STEP_EVENTS])
        await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(self._store_judged(call), home))
        outcomes = outcomes_of(self._runtime, call)
        self._trace(call, outcomes)
        if found := differences_among(call, outcomes):
            home.call_soon_threadsafe(self._note, found)
        return outcomes

    def _trace(self, call: Call, outcomes: Sequence[Ingested]) -> None:
        """For whoever follows events."""
        if self._runtime.tracer is not None:
            self._runtime.tracer.stored(call.items, [OUTCOMES[type(one)] for one in outcomes], call.stored_in)

    def _note(self, found: Sequence[Difference]) -> None:
        """Has it written down soon in which fields repeats differed: beside the answers, which wait for nothing of it."""
        for one in found:
            key = (one.merchant_id, one.event_id)
            if key in self._notes or len(self._notes) < MAX_NOTES:
                self._notes[key] = one
            else:
                self._left_out += 1
        if self._notes and self._noting is None:
            self._noting = asyncio.create_task(self._write_notes(), context=Context())

    async def _write_notes(self) -> None:
        try:
            while self._notes:
                notes, self._notes = list(self._notes.values()), {}
                left_out, self._left_out = self._left_out, 0
                if left_out:
                    log.warning("of %d repeats that differed it is not noted in which fields: too many came", left_out)
                try:
                    await run_in_db_thread(_write_differences, notes)
                except Exception as error:  # noqa: BLE001 - the events are safe, and the next repeat is noted again
                    tell_fault(self._runtime, "noting in which fields repeats differed", error)
                await asyncio.sleep(NOTE_SECONDS)
        finally:
            self._noting = None

    async def _store_judged(self, call: Call) -> None:
        waiting = self._admit(call, (), len(call.items), self._long)
        self._long.add(waiting)
        self._long.start()
        await _stored(waiting)

    async def close(self) -> None:
        """Stores what waits, then lets go of the connection."""
        while self._judge_short.is_busy or self._judge_long.is_busy or self._short.task or self._long.task:
            await (self._short.task or self._long.task or asyncio.sleep(0))
        if self._noting is not None:
            await self._noting
        self._short.close()
        self._long.close()

    def _admit(self, call: Call, drafts: Sequence[Any], count: int, flusher: Flusher) -> Waiting:
        """Lets a call into the waiting room. Raises OverloadedError, and DatabaseAwayError where it is known to be in vain.

        A merchant that has nothing there always finds room. One alone may have half of it; when it is full, each no more
        than an equal share, with one left over.
        """
        merchant_id = call.merchant.merchant_id
        refusal = flusher.refusal(merchant_id)
        if refusal is not None:
            raise refusal
        own = self._events.get(merchant_id, 0)
        if own:
            is_full = self._all_events + count > MAX_WAITING
            if own + count > MAX_WAITING // (len(self._events) + 1 if is_full else 2):
                raise OverloadedError
        self._events[merchant_id] = own + count
        self._all_events += count
        flusher.events += count
        return Waiting(call, drafts, asyncio.get_running_loop().create_future())

    def _let_go(self, merchant_id: int, count: int) -> None:
        self._all_events -= count
        left = self._events[merchant_id] - count
        if left:
            self._events[merchant_id] = left
        else:
            del self._events[merchant_id]


def _write_differences(notes: Sequence[Difference]) -> None:
    with in_transaction():
        note_differences(notes)


async def _stored(waiting: Waiting) -> None:
    try:
        await waiting.done
    except DatabaseAwayError:
        # Where nothing was to be stored but the count of refusals, the caller's mistake is told all the same.
        if sum(waiting.call.refused.values()) < max(len(waiting.call.items), len(waiting.drafts)):
            raise
