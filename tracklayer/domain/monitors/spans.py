"""From the minute counters to the spans that are judged."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from datetime import datetime, timedelta

from tracklayer.domain.monitors.views import Span

# The counters of a span, in the order of its fields.
COUNTS = (
    "acknowledged",
    "refused",
    "credentials_refused",
    "unreachable",
    "unknown",
    "rate_limited",
    "routed",
    "requeued",
    "finished",
    "retries_acknowledged",
    "retries_failed",
    "unmappable",
)
MINUTE = timedelta(minutes=1)

Counts = tuple[int, ...]
Minute = tuple[datetime, Counts]  # its start, and what was counted in it up to now
Cut = tuple[datetime, Counts]  # an earlier look into a minute: when, and what had been counted by then


def spans_of(minutes: Sequence[Minute], cuts: Sequence[Cut], now: datetime) -> list[Span]:
    """Minutes, oldest first, cut where earlier looks saw them unfinished.

    What failed all along is then told apart from what has just begun to fail, within a minute. Without cuts the spans
    are whole minutes: any process may look, and the one that looked before knows a little more.
    """
    spans = []
    for start, counts in minutes:
        end = min(start + MINUTE, now)
        before: Counts = (0,) * len(counts)
        at = start
        for cut, seen in cuts:
            if at < cut < end and start < cut:
                # A slot that was folded meanwhile, or a requeue that was taken back, never makes a count negative.
                spans.append(Span(at, cut, *_less(seen, before)))
                at, before = cut, seen
        spans.append(Span(at, end, *_less(counts, before)))
    return spans


def _less(counts: Counts, before: Counts) -> Counts:
    if not any(before) and min(counts) >= 0:  # nearly every minute of a day: nobody looked into it
        return counts
    return tuple(max(0, count - earlier) for count, earlier in zip(counts, before, strict=True))


class Memory:
    """What this process saw of the minutes that run: the cuts of each destination, for as long as they matter."""

    def __init__(self) -> None:
        self._cuts: OrderedDict[tuple[int, str], list[Cut]] = OrderedDict()  # those noted last at the end

    def __len__(self) -> int:
        return len(self._cuts)

    def cuts(self, merchant_id: int, platform: str) -> Sequence[Cut]:
        return self._cuts.get((merchant_id, platform), ())

    def note(self, merchant_id: int, platform: str, minutes: Sequence[Minute], now: datetime) -> None:
        """Remembers what the running minute holds at ``now``; forgets what is older than the minute before, of all."""
        key = merchant_id, platform
        running = now.replace(second=0, microsecond=0)
        kept = [cut for cut in self._cuts.pop(key, ()) if cut[0] >= running - MINUTE]
        if minutes and minutes[-1][0] == running:
            kept.append((now, minutes[-1][1]))
        if kept:
            self._cuts[key] = kept
        # Whoever is not looked at any more is none of those that were noted lately.
        while self._cuts and (first := next(iter(self._cuts.items())))[1][-1][0] < running - MINUTE:
            del self._cuts[first[0]]
