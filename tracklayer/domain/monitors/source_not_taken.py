"""Advice on events that a destination is not set up for by where they happen, such as an app's beside a web shop's."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from tracklayer.domain.advice import Advice, AdviceCode
from tracklayer.domain.monitors.words import capitalised, counted, ended, listed

MOST_TOLD = 3  # sources, and names

# Action source -> where its events come from, as a sentence names it.
_PLACES = {
    "app": "your app",
    "website": "your website",
    "physical_store": "your stores",
    "phone_call": "calls",
    "email": "e-mails",
    "chat": "chats",
    "system_generated": "your systems",
}


@dataclass(frozen=True, slots=True)
class NotTaken:
    """Events of one name and action source that a destination dropped for their source. ``message``: the rule's words."""

    action_source: str
    event_name: str
    events: int
    example: str
    message: str


def advise_on_sources(
    platform: str, title: str, found: Sequence[NotTaken], *, is_all: bool, now: datetime
) -> Advice | None:
    """Of what a destination dropped for its action source within a day. ``is_all`` False: there may be more of them."""
    if not found:
        return None
    total = sum(one.events for one in found)
    sources, names = Counter[str](), Counter[str]()
    for one in found:
        sources[one.action_source] += one.events
        names[one.event_name] += one.events
    worst = max(found, key=lambda one: one.events)
    only = next(iter(names)) if len(names) == 1 else None
    what = counted(total, f"{only} event" if only else "event")
    places = listed([_place(source) for source, _ in sources.most_common(MOST_TOLD)])
    by_name = (
        "" if only else f" By name: {', '.join(f'{name} {count:,}' for name, count in names.most_common(MOST_TOLD))}."
    )
    least = "" if is_all else "at least "
    return Advice(
        AdviceCode.SOURCE_NOT_TAKEN,
        f"{capitalised(least + what)} from {places} did not go to {title} in the last day: the destination is not set up for"
        f" {'events of this source' if len(sources) == 1 else 'events of these sources'}.{by_name}",
        f"If {title} is to count them, add what it needs to the destination's settings; the deliveries say:"
        f" {ended(worst.message)} If not, nothing is to be done.",
        now,
        platform,
        count=total,
        example_event_id=worst.example,
        details={"action_sources": dict(sources), "event_names": dict(names.most_common(MOST_TOLD))},
    )


def _place(source: str) -> str:
    return f"{_PLACES[source]} (`{source}`)" if source in _PLACES else f"elsewhere (`{source}`)"
