"""What destinations, as they are set, would get: of a merchant's last events, told when one is set, or of what is sent again.

Sends and stores nothing.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from tracklayer.db import destinations as db_destinations
from tracklayer.db import events as db
from tracklayer.db.connection import in_transaction, statements_within
from tracklayer.db.deliveries import deliveries_of_events
from tracklayer.db.events import EventRow
from tracklayer.db.merchants import merchant_holder
from tracklayer.db.models import DestinationRow
from tracklayer.db.redeliveries import Key
from tracklayer.domain.contact import holds_contact
from tracklayer.domain.delivery import DropReason
from tracklayer.domain.event_names import canonical, is_sale, may_be_purchase, may_be_refund
from tracklayer.domain.problem import Problem
from tracklayer.mappers import PLATFORMS, mapper_for
from tracklayer.mappers.base import Mapper, Setting, SettingKind, Settings
from tracklayer.runtime import Runtime
from tracklayer.services.alone import tell_fault
from tracklayer.services.credentials import settings_to_map
from tracklayer.services.refusals import FILTERED, is_taken, reason_and_field, tally, why_not_sent
from tracklayer.services.stitch import decisions
from tracklayer.turns import STEP

MOST = 200  # events of one check
SINCE = timedelta(days=7)
CHECK_SECONDS = 2.0  # then it tells of as many as it came to

Why = tuple[str, str | None] | None  # reason and field; None: it would be sent


@dataclass
class Checked:
    """``events``: or deliveries, that were looked at. ``refused``: reason, and field where there is one, -> how many; ``examples``: the event id of one of those.

    ``no_place``: path of a field -> of how many that would be sent it stays here, since the platform has none for it; not asked of
    a redelivery. ``warnings``: on its settings, whatever the events are.
    """

    events: int = 0
    would_send: int = 0
    refused: dict[str, int] = field(default_factory=dict)
    examples: dict[str, str] = field(default_factory=dict)
    no_place: Counter[str] = field(default_factory=Counter)
    warnings: list[Problem] = field(default_factory=list)

    def count(self, event_id: str, why: Why) -> None:
        """One more, which is sent unless ``why`` says why not."""
        self.events += 1
        if why is None:
            self.would_send += 1
        else:
            tally(self.refused, self.examples, why[0], event_id, why[1])


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
    found = Checked(warnings=refunds_counted(mapper, settings, row.event_names))
    for number, event in enumerate(events):
        if number % STEP == 0:
            time.sleep(0)  # whoever else has something to do in this process goes first
        if time.monotonic() > ends:
            break
        why: Why
        if not is_taken(row.event_names, event.event_name):
            why = FILTERED, None
        elif event.event_id in left_alone:
            why = DropReason.SUPPRESSED.name, None
        else:
            stitched = added.get(event.event_id)
            why = why_not_sent(runtime, row, mapper, settings, event, event.received_at, stitched, found.no_place)
        found.count(event.event_id, why)
    return found


def check_redelivery(
    runtime: Runtime, merchant_id: int, due: Mapping[Key, datetime], seconds: float = CHECK_SECONDS
) -> Checked | None:
    """What destinations would get of deliveries that are queued again, at the times when they are due; None where that failed.

    What an event's name is does not matter: a delivery that was made is sent. It never raises: whatever it is asked for may
    be done already.
    """
    ends = time.monotonic() + seconds
    try:
        with in_transaction(), statements_within(seconds):
            events = db.events_by_id(merchant_id, list({event_id for event_id, _ in due}))
            there = {row.platform: row for row in db_destinations.destinations(merchant_id)}
        added = decisions(runtime, merchant_id, list(events.values()))
        settings = {
            platform: settings_to_map(runtime.sealer, there[platform])
            for platform in {platform for _, platform in due}
            if platform in there and platform in PLATFORMS  # of a newer version's platform nothing is known
        }
    except Exception as error:  # noqa: BLE001 - it is logged, without its words
        tell_fault(runtime, "checking a redelivery", error, merchant_id)
        return None
    found = Checked()
    for number, ((event_id, platform), at) in enumerate(due.items()):
        if number % STEP == 0:
            time.sleep(0)  # whoever else has something to do in this process goes first
        if time.monotonic() > ends:
            break
        if event_id in events and platform in settings:
            mapper, event = mapper_for(platform), events[event_id]
            why = why_not_sent(runtime, there[platform], mapper, settings[platform], event, at, added.get(event_id))
            found.count(event_id, why)
    return found


def refunds_counted(mapper: Mapper, settings: Settings, event_names: list[str] | None) -> list[Problem]:
    """A warning on each name that tells of a refund, and that the settings would have counted as one more sale. Of ``Refund`` itself
    the mappers know what it is, whatever the settings say.
    """
    found = []
    for setting in mapper.settings:
        if setting.kind is SettingKind.MAP and setting.keys == "Event name":
            for name in _refunds_among_sales(mapper, setting, settings.get(setting.name) or {}):
                if is_taken(event_names, name):
                    # Names of events are shown wherever there are events; one that holds an address or a number is not.
                    shown = "A name" if holds_contact(name) else name
                    message = (
                        f"{shown} tells of a refund, and {setting.label} ({setting.name}) would have each count as one more sale: take it "
                        "out there, unless it is none."
                    )
                    found.append(Problem(("settings", setting.name), "REFUND_COUNTED", message))
    return found


def _refunds_among_sales(mapper: Mapper, setting: Setting, given: Mapping[str, Any]) -> Iterator[str]:
    """Names of refunds that a setting maps to what counts: all that it maps to, or what is the platform's name of a sale, or goes
    there for one of the merchant's own.
    """
    sales = {word for name, word in mapper.event_names.items() if is_sale(name)}
    sales |= {str(place) for name, place in given.items() if is_sale(name) or may_be_purchase(name)}
    counted = {canonical(word) for word in sales}
    for name, place in given.items():
        if place and name != "Refund" and may_be_refund(name):
            word = str(place)
            if setting.counts or is_sale(word) or canonical(word) in counted:
                yield name


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
    return " ".join([_of_events(found), *(warning.message for warning in found.warnings)])


def _of_events(found: Checked) -> str:
    if not found.events:
        return "There are no events of the last 7 days to check it against."
    words = f"Of the last {found.events} events it would get {found.would_send}."
    if found.refused:
        words += f" Refused: {refused_in_words(found)}."
    if found.no_place:
        fields = [f"{path} of {count}" for path, count in sorted(found.no_place.items())]
        words += f" The platform has no place for {', '.join(fields)}."
    return words


def refused_in_words(found: Checked) -> str:
    """What would not be sent, by reason, for people."""
    return "; ".join(_group(found, key) for key in sorted(found.refused))


def _group(found: Checked, key: str) -> str:
    reason, about = reason_and_field(key)
    named = f" ({about})" if about else ""
    return f"{found.refused[key]} {reason}{named}, such as {found.examples[key]}"
