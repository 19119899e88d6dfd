"""Long requests, so that nobody waits behind them: in a thread of their own, merchants in turn.

A call of a thousand events keeps the interpreter busy for a tenth of a second, from parsing its body to writing its
answer; so does a single one whose texts fill a hundred kilobytes. On the event loop everybody else would wait for every stretch of it. From a thread the interpreter goes back to
the loop within half a millisecond, whatever the stretch; and where many long requests wait, each merchant's come in turn.
Where no short request came of late, a few long ones are answered on the loop all the same, and faster.
"""

from __future__ import annotations

import asyncio
import gc
import sys
import threading
from collections import Counter
from collections.abc import Awaitable, Callable

from starlette.types import Message, Receive, Send

from tracklayer.services.waiting_room import Lines

LONG_BODY = 128 * 1024  # bytes: a hundred events are read in some milliseconds, and in a thread take half as long again
FEW_EVENTS, LONG_EVENT = 16 * 1024, 4 * 1024  # bytes: from so many on, and of one event on average
ON_LOOP = 4  # at once, where nobody is about who would have to wait: a thread costs them a fifth of their pace
IN_HAND = 8  # at once; while one waits for the database another is read
IN_HAND_OF_ONE = 2  # merchant
SWITCH_SECONDS = 0.0005  # after that the thread hands over the interpreter; Python's own is ten times as much
# A long request holds some 60,000 objects while it is in hand, and hardly a cycle. Python's collector stops everybody
# while it looks at them: it waits for more.
COLLECT_OBJECTS = 500_000

Answer = Callable[[Receive, Send], Awaitable[None]]  # of a request whose body was read
Renew = Callable[[], Awaitable[object]]  # what is known of who asks: it may be long ago


def is_long(body: bytes) -> bool:
    """Whether somebody would have to wait behind it, as far as its length tells: many events, or long ones."""
    size = len(body)
    return size > FEW_EVENTS and (size > LONG_BODY or size > LONG_EVENT * body.count(b'"eventName"'))


class LongRequests:
    """Of one API process. Its event loop calls ``answer``; what is answered runs on a loop in the thread.

    How many may wait is bounded by the room that their bodies share (``bodies``).
    """

    def __init__(self) -> None:
        self._lines: Lines[tuple[int, asyncio.Future[None]]] = Lines()  # merchant id, its turn
        self._in_hand: Counter[int] = Counter()  # merchant id -> requests, in the thread and on the event loop
        self._in_thread = 0  # of them
        self._loop: asyncio.AbstractEventLoop | None = None
        self._usual = (sys.getswitchinterval(), gc.get_threshold())

    async def answer_here(self, merchant_id: int, answer: Answer, receive: Receive, send: Send) -> bool:
        """Answers a request on the event loop, where there is room for it there. False: there was none."""
        if self._in_thread or self._in_hand.total() >= ON_LOOP:
            return False
        self._in_hand[merchant_id] += 1
        try:
            await answer(receive, send)
        finally:
            self._end(merchant_id)
        return True

    async def answer(self, merchant_id: int, answer: Answer, renew: Renew, receive: Receive, send: Send) -> None:
        """Answers a request whose body was read, when it is its turn; not at all where its client did not wait for it.

        ``renew`` is called before that, on this loop. Raises what it does.
        """
        if not await self._turn(merchant_id, receive):
            return
        try:
            await renew()
            answered = asyncio.run_coroutine_threadsafe(_answered(answer), self._there())
            sent = await asyncio.wrap_future(answered)
        finally:
            self._end_in_thread(merchant_id)
        for message in sent:
            await send(message)

    def close(self) -> None:
        """Ends the thread; nothing may be in hand."""
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._loop = None

    async def _turn(self, merchant_id: int, receive: Receive) -> bool:
        """Waits for its turn. False: the client has gone."""
        if self._has_room(merchant_id):
            self._begin(merchant_id)
            return True
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._lines.add(merchant_id, (merchant_id, turn))
        gone = asyncio.ensure_future(receive())  # behind the body nothing comes but the end of the connection
        try:
            await asyncio.wait((turn, gone), return_when=asyncio.FIRST_COMPLETED)
        except asyncio.CancelledError:
            if turn.done():  # in that very moment
                self._end_in_thread(merchant_id)
            raise
        finally:
            gone.cancel()
            turn.cancel()  # nothing happens where it has come
        return not turn.cancelled()

    def _has_room(self, merchant_id: int) -> bool:
        return self._in_hand.total() < IN_HAND and self._in_hand[merchant_id] < IN_HAND_OF_ONE

    def _begin(self, merchant_id: int) -> None:
        if not self._in_thread:
            self._usual = sys.getswitchinterval(), gc.get_threshold()
            sys.setswitchinterval(SWITCH_SECONDS)
            gc.set_threshold(COLLECT_OBJECTS, *self._usual[1][1:])
        self._in_thread += 1
        self._in_hand[merchant_id] += 1

    def _end_in_thread(self, merchant_id: int) -> None:
        self._in_thread -= 1
        self._end(merchant_id)
        if not self._in_thread:
            sys.setswitchinterval(self._usual[0])
            gc.set_threshold(*self._usual[1])

    def _end(self, merchant_id: int) -> None:
        """Passes the turn on."""
        self._in_hand[merchant_id] -= 1
        for _ in range(len(self._lines)):
            line = self._lines.next()
            whose = line[0][0]
            while line and self._has_room(whose):
                _, turn = line.popleft()
                if not turn.done():  # its client may have gone
                    self._begin(whose)
                    turn.set_result(None)
            if not line:
                self._lines.leave(whose)
        self._in_hand += Counter()  # forgets those that have none

    def _there(self) -> asyncio.AbstractEventLoop:
        if self._loop is None:
            self._loop = asyncio.new_event_loop()
            threading.Thread(target=_run, args=(self._loop,), name="long requests", daemon=True).start()
        return self._loop


def _run(loop: asyncio.AbstractEventLoop) -> None:
    asyncio.set_event_loop(loop)
    loop.run_forever()
    loop.close()


async def _answered(answer: Answer) -> list[Message]:
    """What is sent for a request, to be sent from the loop that holds the connection."""
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        sent.append(message)

    await answer(receive, send)
    return sent
