"""What was dropped, told to the channels that want to know: in batches, long after, and by no delivery itself."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from tracklayer.db import channels as db
from tracklayer.db.channels import ChannelRow
from tracklayer.db.connection import LONG_SECONDS, in_transaction, statements_within
from tracklayer.domain.channel import EventTopic
from tracklayer.domain.delivery import IN_VAIN, DropReason
from tracklayer.domain.node_id import node_id
from tracklayer.mappers import title_of
from tracklayer.runtime import Runtime
from tracklayer.services.alone import is_everybodys, tell_fault
from tracklayer.services.channels import as_text

EVERY = timedelta(minutes=1)  # at most one message a channel
# A row says when it was dropped, and is seen when that transaction has ended: by then the slowest has.
SETTLED_AFTER = timedelta(minutes=1)
LONGEST = timedelta(hours=1)  # that one message tells of: after a longer pause several follow one another
MAX_EXAMPLES = 20
LOST = IN_VAIN | {DropReason.MISSING_IDENTIFIERS}  # an event that was sent without them stays so
TURN_SECONDS = 5.0


def note_drops(runtime: Runtime, seconds: float = TURN_SECONDS) -> int:
    """Writes down a message for each channel whose time has come and that has something to hear of; how many.

    A channel that does not ask for it costs nothing. Any number of processes may call it at once.
    """
    ends = time.monotonic() + seconds
    noted, broken = 0, list[int]()
    while time.monotonic() < ends:
        channel: ChannelRow | None = None
        now = runtime.clock.now()
        try:
            with in_transaction(), statements_within(LONG_SECONDS):
                channel = db.take_listener(now - SETTLED_AFTER - EVERY, broken)
                if channel is None:
                    break
                noted += _note(channel, now)
        except Exception as error:
            if channel is None or is_everybodys(error):
                raise
            tell_fault(runtime, f"telling merchant {channel.merchant_id} of what was dropped", error)
            broken.append(channel.channel_id)  # the others have their turn; it is tried again by the next run
    return noted


def _note(channel: ChannelRow, now: datetime) -> int:
    """Tells a channel, which this transaction holds, of what came next. Nothing is told twice, and nothing left out."""
    assert channel.told_until is not None
    until = min(now - SETTLED_AFTER, channel.told_until + LONGEST)
    counts, examples = db.dropped(channel.merchant_id, channel.told_until, until, MAX_EXAMPLES)
    db.told_of_drops(channel.merchant_id, channel.channel_id, until)
    if not counts:
        return 0
    data: dict[str, Any] = {
        "message": _words(counts),
        "since": channel.told_until,
        "until": until,
        "count": sum(count for _, _, count in counts),
        "counts": [{"platform": platform, "reason": reason, "count": count} for platform, reason, count in counts],
        "examples": [
            {
                "event_id": event_id,
                "platform": platform,
                "reason": reason,
                "delivery": node_id("Delivery", channel.merchant_id, event_id, platform),
            }
            for event_id, platform, reason in examples
        ],
    }
    db.insert_message(channel, EventTopic.DROPPED.value, as_text(data), now)
    return 1


def _words(counts: Sequence[tuple[str, str, int]]) -> str:
    """As a manager reads it: how many were given up, where and why."""
    total = sum(count for _, _, count in counts)
    were = "1 delivery was" if total == 1 else f"{total:,} deliveries were"
    parts = [f"{title_of(platform)} {count:,} ({reason.replace('_', ' ')})" for platform, reason, count in counts]
    lost = sum(count for _, reason, count in counts if reason in LOST)
    what_to_do = "Correct the cause, then redeliver them."
    if lost:
        those = "These are" if lost == total else f"{lost:,} of them {'is' if lost == 1 else 'are'}"
        what_to_do = f"{those} past mending: what is corrected counts for the next events."
        what_to_do += "" if lost == total else " Correct the cause of the others, then redeliver them."
    return f"{were} given up: {', '.join(parts)}. {what_to_do}"
