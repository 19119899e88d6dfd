"""One cause that many names or platforms show is one alert: more than a few alike are gathered into one.

Alerts by event name are for telling names apart. A tag that is removed silences thirty names at once, and a misspelt name is
filtered out by ten destinations: thirty e-mails say no more than one that lists them.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import Any

from tracklayer.domain.alert import AlertKind, Finding, Severity, Subject
from tracklayer.domain.facts import OTHERS
from tracklayer.mappers import title_of

BY_NAME = (
    AlertKind.TRACKING_STOPPED,
    AlertKind.EVENTS_REJECTED,
    AlertKind.MATCH_QUALITY_DROP,
    AlertKind.VALUE_LOST,
    AlertKind.LIKELY_DUPLICATES,
    AlertKind.EVENT_NAME_UNKNOWN,
)
WHOLE = (AlertKind.PLATFORM_DOWN, AlertKind.QUEUE_BACKLOG, AlertKind.DELIVERY_RATE_DROP)  # about no name, ever
MOST_APART = 3  # open alerts of one kind and merchant that are each about one name
MOST_LISTED = 20


def gather(
    findings: Sequence[Finding], judged: Collection[Subject], open_now: Collection[Subject]
) -> tuple[list[Finding], set[Subject]]:
    """(findings, judged) of one merchant as they are told.

    What is open by itself stays so. Of one kind, what is new beside more than ``MOST_APART`` goes into an alert of all
    of it, whose subject has the event name ``OTHERS``; and while that is open, everything new does.
    """
    told, subjects = list(findings), set(judged)
    for kind in BY_NAME:
        all_of_it = Subject(kind, None, OTHERS)
        own = [found for found in findings if found.kind is kind and found.event_name is not None]
        fresh = [found for found in own if found.subject not in open_now]
        is_open = all_of_it in open_now
        if is_open or (fresh and len(own) > MOST_APART):
            told = [found for found in told if found not in fresh]
            if fresh:
                told.append(_gathered(all_of_it, fresh))
            if any(subject.kind is kind and _says_of_names(subject) for subject in subjects):
                subjects.add(all_of_it)
    return told, subjects


def _says_of_names(subject: Subject) -> bool:
    """Whoever has judged it has judged the names too: all but the silence of a whole merchant, during which no name is."""
    return subject.event_name is not None or subject.kind is not AlertKind.TRACKING_STOPPED


def _gathered(subject: Subject, alike: Sequence[Finding]) -> Finding:
    gravest = sorted(alike, key=lambda found: (found.severity is not Severity.CRITICAL, found.since))
    first, rest = gravest[0], gravest[1:]
    if not rest:
        own = {**first.details, "alike": [_listed(first)], "alike_count": 1}
        return replace(first, event_name=subject.event_name, platform=None, details=own)
    listed = ", ".join(_named(found) for found in rest[:MOST_LISTED])
    more = f" and {len(rest) - MOST_LISTED} more" if len(rest) > MOST_LISTED else ""
    details: dict[str, Any] = {
        **first.details,
        "alike": [_listed(found) for found in gravest[: MOST_LISTED + 1]],
        "alike_count": len(gravest),
    }
    return Finding(
        subject.kind,
        None,
        first.severity,
        f"{first.title}, and {len(rest)} more like it",
        f"{first.message} The same is seen of {listed}{more}.",
        min(found.since for found in alike),
        details,
        event_name=subject.event_name,
    )


def _listed(found: Finding) -> dict[str, Any]:
    return {"event_name": found.event_name, "platform": found.platform, "title": found.title, "since": found.since}


def _named(found: Finding) -> str:
    if found.platform is None:
        return str(found.event_name)
    return f"{found.event_name} ({title_of(found.platform)})"
