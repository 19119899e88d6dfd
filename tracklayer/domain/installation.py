"""What is known of the installation itself: what its processes said last, when its jobs ran, what waits and what reaches nobody.

All times are ages as PostgreSQL counts them, so no host's clock matters. What of it is wrong is judged in ``watch``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

ROLES = ("api", "worker", "scheduler")
BEAT = timedelta(seconds=10)  # between two heartbeats
MISSED = timedelta(seconds=40)  # four of them: a process that swaps or a deployment that takes a moment is no trouble
OLD = timedelta(minutes=2)  # of what is due: workers begin within a second
JOBS = ("sweep", "monitor", "fold", "purge")
UNTOLD = timedelta(minutes=10)  # since the first failure: a mail server that restarts is back by then


@dataclass(frozen=True)
class Beat:
    """What one process said last in one role. ``age``: of that; ``up``: since it started; ``ended``: since it ended.

    ``says``: ``broker`` and ``broker_seconds``, what is wrong with Redis and for how long; ``refused``: the SQLSTATE by
    which PostgreSQL took nothing, ``refused_seconds`` ago; ``closed``: destinations whose secrets it cannot open;
    ``sandbox``: real destinations whose traffic it sends to an emulator; ``invented``: those of a trial that it holds, since
    it has no emulator; ``ahead``: seconds of its clock; ``unsure``: it
    does not know how late it is; ``lacks``: it refused to start, ``key`` or ``migrations``.
    ``instance``: tells it from others of its host.
    """

    role: str
    host: str
    version: str
    age: timedelta
    up: timedelta
    ended: timedelta | None = None
    says: Mapping[str, Any] = field(default_factory=dict)
    instance: str = ""

    @property
    def lives(self) -> bool:
        return self.ended is None and self.age <= MISSED


@dataclass(frozen=True)
class JobFacts:
    """``begun``: how long ago it began last, None: never. ``busy``: it runs now."""

    begun: timedelta | None
    busy: bool


@dataclass(frozen=True)
class Queues:
    """What waits for one platform. ``destinations``: that have something waiting; ``held``: of them.

    ``deliveries``: of all of them. ``oldest``: how long the longest due one that may be sent has been due.
    """

    destinations: int = 0
    held: int = 0
    deliveries: int = 0
    oldest: timedelta = timedelta()

    def __add__(self, other: Queues) -> Queues:
        return Queues(
            self.destinations + other.destinations,
            self.held + other.held,
            self.deliveries + other.deliveries,
            max(self.oldest, other.oldest),
        )


@dataclass(frozen=True)
class Waiting:
    """Destinations that may be delivered to, and whose deliveries have been due for longer than ``OLD``.

    ``stalled``: title of a platform -> how many of them nobody has served since; ``slow``: those that are served, and whose merchants
    were told that their queue does not clear. ``more``: there may be more than were counted. ``queues``: key of a platform ->
    all that waits for it, as far as it was walked.
    """

    merchants: int = 0
    stalled: Mapping[str, int] = field(default_factory=dict)
    slow: Mapping[str, int] = field(default_factory=dict)
    oldest: timedelta = timedelta()
    more: bool = False
    queues: Mapping[str, Queues] = field(default_factory=dict)

    @property
    def destinations(self) -> int:
        return sum(self.stalled.values()) + sum(self.slow.values())


@dataclass(frozen=True)
class Down:
    """A platform that serves nobody. ``held``: destinations that have something to send to it; ``more``: or more."""

    platform: str
    title: str
    reason: str
    since: datetime
    held: int = 0
    more: bool = False


@dataclass(frozen=True)
class Untold:
    """What reaches nobody for longer than ``UNTOLD``. ``mails``: that wait, where the server took none lately; ``messages``: to
    webhooks and Slack, which ``channels`` of ``merchants`` do not take. ``error``: the latest, without its words. ``lost``: mails that
    were given up, or whose fate nobody knows, where the server took none lately. ``overdue``: mails that were not even tried; ``mails_go``: others
    were lately, or one is in hand.
    ``none_taken``: no channel took a message lately, and several merchants' did not take what was due since the last one was taken.
    """

    mails: int = 0
    mails_since: datetime | None = None
    error: str | None = None
    messages: int = 0
    channels: int = 0
    merchants: int = 0
    channels_since: datetime | None = None
    lost: int = 0
    overdue: int = 0
    overdue_since: datetime | None = None
    none_taken: bool = False
    mails_go: bool = False


@dataclass(frozen=True)
class Facts:
    """``intervals``: of the jobs. ``waiting``: None where nobody looked. ``queued``: deliveries that wait, counted where no worker lives.
    ``untold``: None where nobody looked.
    """

    now: datetime
    beats: Sequence[Beat]
    jobs: Mapping[str, JobFacts] = field(default_factory=dict)
    intervals: Mapping[str, timedelta] = field(default_factory=dict)
    waiting: Waiting | None = None
    queued: int = 0
    down: Sequence[Down] = ()
    untold: Untold | None = None

    def living(self, role: str) -> list[Beat]:
        return [beat for beat in self.beats if beat.role == role and beat.lives]


def has_run(facts: Facts) -> bool:
    """Whether any process lives, or ended otherwise than on purpose: else nothing is meant to run."""
    return any(beat.ended is None for beat in facts.beats)
