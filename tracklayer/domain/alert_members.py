"""What an open alert about several things is about: which of them were told, so that another one that joins is told, too."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from tracklayer.domain.alert import REOPEN_WITHIN, told
from tracklayer.domain.monitors.words import listed

TOLD_APART = REOPEN_WITHIN  # what joins sooner after something was told is told together, so that thirty names are not thirty mails
MAX_NAME = 200  # characters
MOST_NAMED = 20


@dataclass(frozen=True, slots=True)
class Member:
    """``told_at``: when it was told, None where it was not. ``left_at``: since when it is well, None while it is not."""

    told_at: datetime | None
    left_at: datetime | None = None

    def is_part(self, now: datetime) -> bool:
        """Whether it is in trouble, or so lately was that it would be the same trouble again."""
        return self.left_at is None or abs(now - self.left_at) < REOPEN_WITHIN


Members = Mapping[str, Member]


def member_name(event_name: str | None, where: str | None = None) -> str:
    """As alerts call it, and remember it: ``Purchase``, ``purchase (Meta)``."""
    return told(str(event_name) if where is None else f"{event_name} ({where})", MAX_NAME)


def all_told(names: Collection[str], now: datetime) -> dict[str, Member]:
    return dict.fromkeys(names, Member(now))


def with_joined(before: Members, found: Mapping[str, bool], now: datetime) -> tuple[dict[str, Member], bool]:
    """(what it is and was about, whether those that nobody was told of are to be told now).

    ``found``: what it is about now; of each, whether it costs conversions: nobody is told of the others. Who was well for as
    long as makes another alert of an alert is new when it comes again.
    """
    after: dict[str, Member] = {}
    for name in {**before, **found}:
        known = before.get(name)
        if known is None or (name in found and not known.is_part(now)):
            after[name] = Member(None)
        elif name in found:
            after[name] = replace(known, left_at=None)
        else:
            after[name] = known if known.left_at is not None else replace(known, left_at=now)
    last = max((one.told_at for one in after.values() if one.told_at is not None), default=None)
    is_new = any(costs and after[name].told_at is None for name, costs in found.items())
    # After a clock was set back, what was told later than now was told long ago.
    if not is_new or (last is not None and timedelta() <= now - last < TOLD_APART):
        return after, False
    return after | all_told(found, now), True


def also_about(words: str, members: Members) -> str:
    """A sentence on those that the words of its end do not name; empty where they name all."""
    missing = [name for name in sorted(members) if not re.search(rf"(?<!\w){re.escape(name)}(?!\w)", words)]
    more = [f"{len(missing) - MOST_NAMED} more"] if len(missing) > MOST_NAMED else []
    return f"The same was seen of {listed([*missing[:MOST_NAMED], *more])}, at times." if missing else ""
