"""Alerts as they open and resolve, to any number of followers in this process.

PostgreSQL's notification is only a wake-up; the rows of ``alert_changes`` are read by position. One reader reads for
all followers of all merchants that were woken, and keeps each merchant's latest changes in memory; a follower holds a
position in that list and nothing else. Who is so slow that its position has left the list reads pages of its own.
So a lost session, a lost notification or a slow client costs time, and never a change or memory. Where a fail-over lost changes that
were told, and their numbers are given again, all go back to where those begin. Followers tell in turns
(``stream_turns``): a crowd of them holds up nobody but itself.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Collection, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

from tracklayer.db.alert_changes import CHANNEL, Change, Place, changes_after, position_of, positions_before_last
from tracklayer.db.connection import DatabaseAwayError, in_place, run_for_merchant, run_in_db_thread
from tracklayer.db.listen import Listener
from tracklayer.db.merchants import living_keys
from tracklayer.db.sign_ins import living_sessions
from tracklayer.runtime import Runtime
from tracklayer.services.stream_turns import StreamTurns, Turn

log = logging.getLogger(__name__)

KEPT = 100  # changes of a merchant in memory: who reconnects within minutes finds all it missed there
PAGE = 100  # changes of one merchant, of one statement
MERCHANTS = 500  # of one statement
LOOK_ANYWAY_SECONDS = 30  # a notification that never came costs this much time
# How soon a key that another process revoked ends its subscriptions; it hears of no change meanwhile. What this process
# revokes or signs out counts at once.
CHECK_KEYS_SECONDS = 20.0
PATIENCE_SECONDS = 10  # for the first read of a merchant's changes; then the database counts as away
PAUSE_SECONDS = 1.0  # between tries while the database is away


class Key(NamedTuple):
    """What a follower came with. ``session``: the hash of one that a person signed in to."""

    merchant_id: int
    key_id: int
    session: bytes | None = None


class KeyRevokedError(Exception):
    """The key or session that the follower came with is worth nothing any more."""


@dataclass
class _Feed:
    """One merchant's latest changes: all with ``base < change_id <= end``, oldest first. ``rewound``: to which positions it had to go
    back, as what came behind them was lost in a fail-over.
    """

    merchant_id: int
    turns: StreamTurns
    followers: int = 0
    base: int = 0
    end: Place = Place(0)  # noqa: RUF009 - it is immutable
    changes: list[Change] = field(default_factory=list)
    rewound: list[int] = field(default_factory=list)
    ready: asyncio.Event = field(default_factory=asyncio.Event)
    waiting: dict[Turn, None] = field(default_factory=dict)  # of those who have told all there is
    woken: int = 0  # how often

    def add(self, found: list[Change]) -> None:
        if found and found[0].change_id <= self.end.change_id:
            self.base = found[0].change_id - 1
            self.rewound.append(self.base)
            self.changes = []
        self.changes = [*self.changes, *found][-KEPT:]
        if found:
            self.end = Place(found[-1].change_id, found[-1].at)
        if len(self.changes) == KEPT:
            self.base = self.changes[0].change_id - 1

    def holds(self, place: Place) -> bool:
        """Whether the change of a place is in memory."""
        return any(change.change_id == place.change_id and place.at in (change.at, None) for change in self.changes)

    def after(self, position: int) -> list[Change] | None:
        """The changes after a position, or None where some of them are not in memory any more."""
        if position < self.base:
            return None
        return [change for change in self.changes if change.change_id > position]

    def wake(self) -> None:
        """Everybody who waits looks again, in turn."""
        self.woken += 1
        waiting, self.waiting = self.waiting, {}
        self.turns.add(self.merchant_id, waiting)

    async def grow(self) -> None:
        """Returns, with a turn, after the next time that it is woken."""
        turn = asyncio.get_running_loop().create_future()
        self.waiting[turn] = None
        try:
            await turn
        finally:
            self.waiting.pop(turn, None)  # it may be this follower's end


class AlertHub:
    """One a process. All of it runs on one event loop."""

    def __init__(self, runtime: Runtime) -> None:
        self.check_keys_seconds = CHECK_KEYS_SECONDS
        self.turns = StreamTurns()
        self._clock = runtime.clock
        self._keyring = runtime.keyring
        self._keys_changed = asyncio.Event()
        self.in_place = 0  # followers that have their position: nothing that happens from now on passes them by
        self._listener = Listener(runtime.database_url, CHANNEL, self._heard, self._look_everywhere)
        self._feeds: dict[int, _Feed] = {}
        self._wanted: set[int] = set()
        self._work = asyncio.Event()
        self._keys: Counter[Key] = Counter()
        self._revoked: set[Key] = set()

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Listens and reads for the length of the block."""
        work = (self._listener.run(), self._read_what_is_wanted(), self._look_now_and_then(), self._check_keys())
        tasks = [asyncio.create_task(coroutine) for coroutine in work]
        loop = asyncio.get_running_loop()

        def changed() -> None:
            with contextlib.suppress(RuntimeError):  # the loop was closed this moment
                loop.call_soon_threadsafe(self._keys_changed.set)

        stop_hearing = self._keyring.tell(changed)
        try:
            yield
        finally:
            stop_hearing()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def follow(
        self, key: Key, after: Place | None, kinds: Collection[str], pay: Callable[[], Awaitable[bool]]
    ) -> AsyncGenerator[Change, None]:
        """The changes of the key's merchant after a place, each once and in order, for ever; None: from now on.

        ``kinds``: of which alerts; none: of all. ``pay`` is awaited before a change is told, and says whether it has waited. Raises DatabaseAwayError when the
        changes cannot be read, KeyRevokedError when the key was revoked.
        """
        with contextlib.ExitStack() as stack:
            feed = stack.enter_context(self._following(key))
            await _ready(feed)
            rewinds = len(feed.rewound)
            position = await _position(feed, after)
            stack.enter_context(self._in_place())
            has_turn = False
            while True:
                woken = feed.woken  # taken before looking: while a page is read, more may come
                self._refuse_revoked(key)
                position, rewinds = min([position, *feed.rewound[rewinds:]]), len(feed.rewound)
                found = feed.after(position)
                if found is None:
                    await in_place(feed.merchant_id, functools.partial(self._check, [key]))
                    self._refuse_revoked(key)
                    found = await run_for_merchant(_page, feed.merchant_id, position)
                    has_turn = False  # it has passed meanwhile
                for change in found:
                    if not kinds or change.alert.kind in kinds:
                        if await pay() or not has_turn:  # what is waited for takes longer than a turn
                            await self.turns.take(feed.merchant_id)
                        has_turn = False
                        self._refuse_revoked(key)
                        yield change
                    position = change.change_id
                if not found and feed.woken == woken:
                    await feed.grow()
                    has_turn = True

    def _refuse_revoked(self, key: Key) -> None:
        if key in self._revoked:
            raise KeyRevokedError

    @contextlib.contextmanager
    def _following(self, key: Key) -> Iterator[_Feed]:
        merchant_id = key.merchant_id
        feed = self._feeds.get(merchant_id)
        if feed is None:
            feed = self._feeds[merchant_id] = _Feed(merchant_id, self.turns)
            self._want(merchant_id)
        feed.followers += 1
        self._keys[key] += 1
        try:
            yield feed
        finally:
            feed.followers -= 1
            if not feed.followers:
                self._feeds.pop(merchant_id)
            self._keys[key] -= 1
            if not self._keys[key]:
                del self._keys[key]
                self._revoked.discard(key)

    @contextlib.contextmanager
    def _in_place(self) -> Iterator[None]:
        self.in_place += 1
        try:
            yield
        finally:
            self.in_place -= 1

    def _heard(self, payload: str) -> None:
        if payload.isdecimal() and int(payload) in self._feeds:
            self._want(int(payload))

    def _look_everywhere(self) -> None:
        for merchant_id in self._feeds:
            self._want(merchant_id)

    def _want(self, merchant_id: int) -> None:
        self._wanted.add(merchant_id)
        self._work.set()

    async def _look_now_and_then(self) -> None:
        while True:
            await asyncio.sleep(LOOK_ANYWAY_SECONDS)
            self._look_everywhere()

    async def _read_what_is_wanted(self) -> None:
        while True:
            await self._work.wait()
            merchants = [self._wanted.pop() for _ in range(min(MERCHANTS, len(self._wanted)))]
            if not self._wanted:
                self._work.clear()
            feeds = [self._feeds[merchant_id] for merchant_id in merchants if merchant_id in self._feeds]
            try:
                await self._read(feeds)
            except DatabaseAwayError:
                self._retry(merchants)
                await asyncio.sleep(PAUSE_SECONDS)
            except Exception:
                log.exception("reading the changes of alerts failed")
                self._retry(merchants)
                await asyncio.sleep(PAUSE_SECONDS)

    async def _read(self, feeds: list[_Feed]) -> None:
        new = [feed.merchant_id for feed in feeds if not feed.ready.is_set()]
        starts = await run_in_db_thread(positions_before_last, new, KEPT) if new else {}
        places = {
            feed.merchant_id: Place(starts[feed.merchant_id]) if feed.merchant_id in starts else feed.end
            for feed in feeds
        }
        found = await run_in_db_thread(changes_after, places, PAGE) if places else {}
        news = {merchant_id for merchant_id, changes in found.items() if changes}
        await self._check([key for key in self._keys if key.merchant_id in news])  # before anybody hears of them
        for feed in feeds:
            if feed.merchant_id in starts:
                feed.base, feed.end = starts[feed.merchant_id], places[feed.merchant_id]
            feed.add(found[feed.merchant_id])
            feed.ready.set()
            feed.wake()
            if len(found[feed.merchant_id]) == PAGE:
                self._want(feed.merchant_id)

    def _retry(self, merchants: list[int]) -> None:
        for merchant_id in merchants:
            self._want(merchant_id)

    async def _check_keys(self) -> None:
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self.check_keys_seconds):
                    await self._keys_changed.wait()
            self._keys_changed.clear()
            try:
                await self._check(list(self._keys))
            except DatabaseAwayError:
                self._keys_changed.set()
                await asyncio.sleep(PAUSE_SECONDS)

    async def _check(self, held: list[Key]) -> None:
        """Notes which of them are worth nothing any more. Raises DatabaseAwayError."""
        living = await run_in_db_thread(_living, held, self._clock.now()) if held else set()
        for key in held:
            if key not in living and key in self._keys:
                self._revoked.add(key)
                if key.merchant_id in self._feeds:
                    self._feeds[key.merchant_id].wake()


async def _position(feed: _Feed, after: Place | None) -> int:
    if after is None:
        return feed.end.change_id
    if not after.change_id or feed.holds(after):
        return after.change_id
    return await run_for_merchant(position_of, feed.merchant_id, after)


def _page(merchant_id: int, position: int) -> list[Change]:
    return changes_after({merchant_id: Place(position)}, PAGE)[merchant_id]


def _living(keys: list[Key], now: datetime) -> set[Key]:
    """Those that are worth something."""
    plain = {key[:2] for key in keys if key.session is None}
    sessions = [key.session for key in keys if key.session is not None]
    keys_left = living_keys(list(plain)) if plain else set()
    sessions_left = living_sessions(sessions, now) if sessions else set()
    return {key for key in keys if (key[:2] in keys_left if key.session is None else key.session in sessions_left)}


async def _ready(feed: _Feed) -> None:
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            await feed.ready.wait()
    except TimeoutError:
        raise DatabaseAwayError() from None
