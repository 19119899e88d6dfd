"""What a destination, as it is set, would take of its merchant's last events: told when it is set. Sends and stores nothing."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from tracklayer.db import events as db
from tracklayer.db.connection import in_transaction, statements_within
from tracklayer.db.deliveries import deliveries_of_events
from tracklayer.db.events import EventRow
from tracklayer.db.merchants import merchant_holder
from tracklayer.db.models import DestinationRow
from tracklayer.domain.delivery import DropReason
from tracklayer.mappers import mapper_for
from tracklayer.runtime import Runtime
from tracklayer.services.alone import tell_fault
from tracklayer.services.credentials import settings_to_map
from tracklayer.services.refusals import FILTERED, INTERNAL, is_taken, reason_and_field, refusal, tally
from tracklayer.services.stitch import decisions
from tracklayer.turns import STEP

MOST = 200  # events of one check
SINCE = timedelta(days=7)
CHECK_SECONDS = 2.0  # then it tells of as many events as it came to


@dataclass
class Checked:
    """``refused``: reason, and field where there is one, -> how many; ``examples``: the event id of one of those."""

    events: int = 0
    would_send: int = 0
    refused: dict[str, int] = field(default_factory=dict)
    examples: dict[str, str] = field(default_factory=dict)


def check_destination(runtime: Runtime, row: DestinationRow, seconds: float = CHECK_SECONDS) -> Checked | None:
    """The newest events of the last days against a destination's settings and event names; None where that failed.

    As many of each event name, so that the rare ones are among them. An event's age is judged as of its own arrival: what
    was sent in time is not too old because it is looked at now. It never raises: whatever it is asked for is done already.
    """
    ends = time.monotonic() + seconds
    try:
        with in_transaction(), statements_within(seconds):
            events = db.newest_of_each_name(row.merchant_id, runtime.clock.now() - SINCE, MOST)
            left_alone = _left_alone(row.merchant_id, events)
        added = decisions(runtime, row.merchant_id, events)
        settings = settings_to_map(runtime.sealer, row)
    except Exception as error:  # noqa: BLE001 - it is logged, without its words
        tell_fault(runtime, "checking a destination", error, (row.merchant_id, row.platform))
        return None
    mapper = mapper_for(row.platform)
    found = Checked()
    for number, event in enumerate(events):
        if number % STEP == 0:
            time.sleep(0)  # whoever else has something to do in this process goes first
        if time.monotonic() > ends:
            break
        found.events += 1
        reason, about = None, None
        if not is_taken(row.event_names, event.event_name):
            reason = FILTERED
        elif event.event_id in left_alone:
            reason = DropReason.SUPPRESSED.name
        else:
            try:
                refused = refusal(event, mapper, settings, event.received_at, runtime.sealer, added.get(event.event_id))
            except Exception as error:  # noqa: BLE001 - it is logged, without its words
                tell_fault(runtime, f"checking an event for {row.platform}", error, (row.merchant_id, event.event_id))
                reason = INTERNAL
            else:
                if refused is not None:
                    reason, about = refused.reason.name, refused.field
        if reason is None:
            found.would_send += 1
        else:
            tally(found.refused, found.examples, reason, event.event_id, about)
    return found


def _left_alone(merchant_id: int, events: Sequence[EventRow]) -> set[str]:
    """Those of people who were erased before, as their deliveries say."""
    holder = merchant_holder(merchant_id)
    if holder is None or not holder.is_marked:
        return set()
    found = deliveries_of_events(merchant_id, [event.event_id for event in events])
    suppressed = DropReason.SUPPRESSED
    return {key for key, those in found.items() if any(one.drop_reason == suppressed for one in those)}


def in_words(found: Checked) -> str:
    """A check in a sentence or two, for people."""
    if not found.events:
        return "There are no events of the last 7 days to check it against."
    words = f"Of the last {found.events} events it would get {found.would_send}."
    if found.refused:
        words += f" Refused: {'; '.join(_group(found, key) for key in sorted(found.refused))}."
    return words


def _group(found: Checked, key: str) -> str:
    reason, about = reason_and_field(key)
    named = f" ({about})" if about else ""
    return f"{found.refused[key]} {reason}{named}, such as {found.examples[key]}"
