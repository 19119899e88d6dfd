"""One cause that many names or platforms show is one alert: more than a few alike are gathered into one.

Alerts by event name are for telling names apart. A tag that is removed silences thirty names at once, and a misspelt name is
filtered out by ten destinations: thirty e-mails say no more than one that lists them.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

from tracklayer.domain.alert import AlertKind, Finding, Severity, Subject
from tracklayer.domain.alert_members import member_name
from tracklayer.domain.event_names import is_purchase, is_sale
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
    findings: Sequence[Finding],
    judged: Collection[Subject],
    open_now: Collection[Subject],
    members: Mapping[AlertKind, Collection[str]] = {},
    ended: Collection[Subject] = (),
) -> tuple[list[Finding], set[Subject]]:
    """(findings, judged) of one merchant as they are told.

    What is open by itself stays so. Of one kind, what is new beside more than ``MOST_APART`` goes into an alert of all
    of it, whose subject has the event name ``OTHERS``. While that is open it stays there, and what is new is told by itself
    again, up to ``MOST_APART``: else a name that is never sent again, and that keeps it open, would hide every later one.
    What comes back within ``REOPEN_WITHIN`` of its end is the same alert again: by itself, or in that of all of it.

    ``ended``: whose alert has just ended. ``members``: what those of all of it are about that are open or have just ended, as far as it
    is known.
    """
    told, subjects = list(findings), set(judged)
    for kind in BY_NAME:
        all_of_it = Subject(kind, None, OTHERS)
        own = [found for found in findings if found.kind is kind and found.event_name is not None]
        fresh = [found for found in own if found.subject not in open_now]
        is_open, has_ended = all_of_it in open_now, all_of_it in ended
        known = members.get(kind, () if has_ended else None)
        part = [found for found in fresh if is_open and (known is None or _named(found) in known)]
        fresh = [found for found in fresh if found in part or found.subject not in ended]
        if has_ended and known:
            part = [found for found in fresh if _named(found) in known]
        if len(part) < len(fresh) and len(own) - len(part) > MOST_APART:
            part = fresh
        if is_open or part:
            told = [found for found in told if found not in part]
            if part:
                told.append(_gathered(all_of_it, part))
            if any(subject.kind is kind and _says_of_names(subject) for subject in subjects):
                subjects.add(all_of_it)
    return told, subjects


def _says_of_names(subject: Subject) -> bool:
    """Whoever has judged it has judged the names too: all but the silence of a whole merchant, during which no name is."""
    return subject.event_name is not None or subject.kind is not AlertKind.TRACKING_STOPPED


def _gathered(subject: Subject, alike: Sequence[Finding]) -> Finding:
    gravest = sorted(alike, key=_rank)
    first, rest = gravest[0], gravest[1:]
    members = {_named(found): found.severity is Severity.CRITICAL for found in gravest}
    if not rest:
        own = {**first.details, "alike": [_listed(first)], "alike_count": 1}
        return replace(first, event_name=subject.event_name, platform=None, details=own, members=members)
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
        members=members,
    )


def _rank(found: Finding) -> tuple[bool, bool, bool, float]:
    """Sales first; of the others, what began last: the title of one that others have joined says what is new."""
    name = str(found.event_name)
    is_grave = found.severity is Severity.CRITICAL
    return not is_grave, not is_purchase(name), not is_sale(name), -found.since.timestamp()


def _listed(found: Finding) -> dict[str, Any]:
    return {"event_name": found.event_name, "platform": found.platform, "title": found.title, "since": found.since}


def _named(found: Finding) -> str:
    return member_name(found.event_name, None if found.platform is None else title_of(found.platform))
