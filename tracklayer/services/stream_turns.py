"""The work of streams in turns: one step in a round of the event loop, merchants one after another.

A step is what is done without a pause: a message of a socket is taken up, an operation begins, a change is told. Whoever can
be written to makes nobody pause, so without turns a follower would tell a hundred changes in one step, and a change would
make hundreds of followers ready in one round; all others on the loop would wait for the last of them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from tracklayer.services.waiting_room import Lines

Turn = asyncio.Future[None]


class StreamTurns:
    """Of one process, on its event loop."""

    def __init__(self) -> None:
        self._lines: Lines[tuple[int, Turn]] = Lines()  # merchant id, its turn
        self._is_giving = False

    async def take(self, merchant_id: int) -> None:
        """Returns when it is this merchant's turn, for one step."""
        turn = asyncio.get_running_loop().create_future()
        self.add(merchant_id, (turn,))
        await turn

    def add(self, merchant_id: int, turns: Iterable[Turn]) -> None:
        """Puts those who wait for these into line."""
        for turn in turns:
            self._lines.add(merchant_id, (merchant_id, turn))
        if self._lines and not self._is_giving:
            self._is_giving = True
            asyncio.get_running_loop().call_soon(self._give)

    def _give(self) -> None:
        """Its step is the loop's next: it comes before the next giving."""
        is_given = False
        while self._lines and not is_given:
            line = self._lines.next()
            merchant_id, turn = line.popleft()
            if not line:
                self._lines.leave(merchant_id)
            if not turn.done():  # whoever waited may have gone
                turn.set_result(None)
                is_given = True
        self._is_giving = bool(self._lines)
        if self._is_giving:
            asyncio.get_running_loop().call_soon(self._give)
