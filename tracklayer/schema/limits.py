"""How much may be asked for in a time: token buckets of this process, by whoever asks.

Taking events in costs nothing here; the waiting room bounds it (``services.intake``). Reading a text that has no plan does,
whatever it asks for: who sends the same few texts again and again pays for each twice. What is refused is told with how
long to wait. Several API processes limit each for itself.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from tracklayer.buckets import Buckets
from tracklayer.db.merchants import KeyHolder
from tracklayer.schema import errors

# Of those who send no key, a second: one address, and all of them together.
STRANGERS, ALL_STRANGERS = 5, 10
STRANGERS_AT_ONCE, ALL_STRANGERS_AT_ONCE = 200, 400  # a tool that tries what the API can do asks a hundred times
# What all of them together may be answered with, in objects: a usual introspection is nearly 40,000.
STRANGERS_COST, STRANGERS_COST_AT_ONCE = 20_000, 400_000
# What it costs to read a text that has no plan, in objects: what a merchant may read in a second pays for less than half
# a second of it.
TEXT_COST = 600  # of any: some milliseconds, however short it is
CHARACTER_COST = 2
CHECK_COST = 4  # of two fields with each other (``cost.Measured``)
# What it costs to read a long body that is out of the ordinary, in objects of a budget of its own.
PARTS_OF_OBJECT = 2  # objects, lists and fields beyond what everyday bodies have
# Beyond what events may have, or of a body that does not only take events in, or brings what nobody uses.
BYTES_OF_OBJECT = 40
# Look-ups of keys that this process has not seen, a second: what those who guess may cost the database.
UNKNOWN_KEYS, ALL_UNKNOWN_KEYS = 50, 500  # from one address, and from all


@dataclass
class Limits:
    """Of one process. ``reads``: objects a second of a merchant, and as many in ``bodies``; ``requests``: operations a second of a key."""

    reads: Buckets
    bodies: Buckets
    requests: Buckets
    strangers: Buckets
    all_strangers: Buckets
    strangers_cost: Buckets
    unknown_keys: Buckets
    all_unknown_keys: Buckets
    now: Callable[[], float] = field(default=time.monotonic, kw_only=True)

    def admit(self, holder: KeyHolder, cost: int) -> None:
        """Counts an operation that does more than take events in. Raises GraphQLError where it has to wait."""
        now = self.now()
        wait = self.requests.take((holder.merchant_id, holder.key_id), 1, now)
        if wait:
            raise _limited(f"This key has asked {self.requests.burst:,.0f} times in too short a time", wait)
        wait = self.reads.take(holder.merchant_id, cost, now)
        if wait:
            raise _limited(f"This merchant has read {self.reads.burst:,.0f} objects in too short a time", wait)

    def seconds_owed(self, holder: KeyHolder) -> float:
        """Until all that was read without being there in the budget is paid for."""
        if not self.reads.rate:
            return 0.0
        return max(0.0, -self.reads.left(holder.merchant_id, self.now()) / self.reads.rate)

    def count_read(self, holder: KeyHolder, cost: int) -> None:
        """What nobody asked for anew, since a stream tells it: the next waits until it is paid for, and not this one."""
        self.reads.charge(holder.merchant_id, cost, self.now())

    def admit_text(self, holder: KeyHolder) -> None:
        """Before a text is read that has no plan. Raises GraphQLError while those before it are not paid for."""
        wait = self.seconds_owed(holder)
        if wait:
            what = "This merchant has sent too many operations that are new or refused; send what varies in `variables`"
            raise _limited(what, wait)

    def count_text(self, holder: KeyHolder, text: str, checks: int) -> None:
        """A text that has no plan: the next one waits until it is paid for, and not this one."""
        self.reads.charge(holder.merchant_id, cost_of_text(text) + CHECK_COST * checks, self.now())

    def admit_body(self, holder: KeyHolder) -> None:
        """Before a long body is read. Raises GraphQLError while those before it that were no everyday ones are not paid for."""
        if not self.bodies.rate:
            return
        left = self.bodies.left(holder.merchant_id, self.now())
        if left < 0:
            what = "This merchant has sent too many long bodies that are longer than events need, do more than take them in, or hold what nobody reads"
            raise _limited(what, -left / self.bodies.rate)

    def count_body(self, holder: KeyHolder, parts: int, size: int) -> None:
        """A long body: ``parts`` and fields beyond everyday ones, and ``size`` bytes that are not events alone."""
        cost = parts // PARTS_OF_OBJECT + size // BYTES_OF_OBJECT
        if cost:
            self.bodies.charge(holder.merchant_id, cost, self.now())

    def admit_compilation(self, holder: KeyHolder, text: str) -> None:
        """Counts a text whose plan is about to be made. Raises GraphQLError as ``admit_text`` does."""
        self.admit_text(holder)
        self.count_text(holder, text, 0)

    def count_mistake(self, holder: KeyHolder, text: str) -> None:
        """An operation that was refused: to find and to say what is wrong takes as long again as reading it."""
        self.reads.charge(holder.merchant_id, cost_of_text(text), self.now())

    def admit_stranger(self, address: str) -> None:
        """Counts a request without a key. Raises GraphQLError where it has to wait."""
        now = self.now()
        wait = self.strangers.take(address, 1, now) or self.all_strangers.take("", 1, now)
        if wait:
            raise _limited("Too many requests without an API key", wait)

    def admit_cost_of_stranger(self, cost: int) -> None:
        """Counts what an operation without a key is answered with. Raises GraphQLError where it has to wait."""
        wait = self.strangers_cost.take("", cost, self.now())
        if wait:
            raise _limited("Too much was asked for without an API key", wait)

    def admit_unknown_key(self, address: str) -> None:
        """Counts the look-up of a key that was never seen. Raises GraphQLError where it has to wait."""
        now = self.now()
        wait = self.unknown_keys.take(address, 1, now) or self.all_unknown_keys.take("", 1, now)
        if wait:
            raise _limited("Too many API keys that this server does not know", wait)


def cost_of_text(text: str) -> int:
    """In objects."""
    return TEXT_COST + CHARACTER_COST * len(text)


def build_limits(reads: float, requests: float) -> Limits:
    """``reads``: objects a second of a merchant; ``requests``: operations a second of a key; 0: no limit."""
    return Limits(
        reads=Buckets(reads),
        bodies=Buckets(reads),
        requests=Buckets(requests),
        strangers=Buckets(STRANGERS, STRANGERS_AT_ONCE),
        all_strangers=Buckets(ALL_STRANGERS, ALL_STRANGERS_AT_ONCE),
        strangers_cost=Buckets(STRANGERS_COST, STRANGERS_COST_AT_ONCE),
        unknown_keys=Buckets(UNKNOWN_KEYS),
        all_unknown_keys=Buckets(ALL_UNKNOWN_KEYS),
    )


def _limited(what: str, wait: float) -> Exception:
    seconds = max(1, math.ceil(wait))
    return errors.refused(f"{what}. Ask again in {seconds} s.", errors.RATE_LIMITED, retryAfterSeconds=seconds)
