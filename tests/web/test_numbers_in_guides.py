"""The guides' sentences tell the numbers of the code, in figures and in words. Their tables of limits are made of those."""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path

import pytest

import tracklayer
from tracklayer.db.alerts import MOST_TOLD_AGAIN
from tracklayer.domain.alert import AlertKind
from tracklayer.domain.event import MAX_AHEAD, MAX_MORE
from tracklayer.domain.event_fields import FIRST_YEAR
from tracklayer.domain.health import FIRST_PROBE, LONGEST_PROBE
from tracklayer.domain.retry import JITTER, MAX_ATTEMPTS, PUT_OFF, RetryPolicy
from tracklayer.mappers import PLATFORMS
from tracklayer.services import channels, mail, notify, post

HOUSE = Path(tracklayer.__file__).parent
PAGES = {path.stem: path.read_text("utf-8") for path in (HOUSE / "web" / "docs").glob("*.md")}
PAGES["README"] = (HOUSE.parent / "README.md").read_text("utf-8")
WORDS = "no one two three four five six seven eight nine ten eleven twelve".split()
ORDINALS = "none first second third fourth fifth sixth".split()


def seconds(span: timedelta) -> int:
    return int(span.total_seconds())


def minutes(span: timedelta) -> int:
    assert not span % timedelta(minutes=1)
    return span // timedelta(minutes=1)


def hours(span: timedelta) -> int:
    assert not span % timedelta(hours=1)
    return span // timedelta(hours=1)


POLICY = RetryPolicy()
FIRST, *LATER = [POLICY.delay(attempt, 0.0) for attempt in range(1, MAX_ATTEMPTS)]
TENTH, TEN, FORTY, LAST = f"{JITTER * 100:.0f} %", *map(minutes, LATER)
TRIED, WINDOW, KINDS = WORDS[MAX_ATTEMPTS], hours(POLICY.window), WORDS[len(AlertKind)]

TOLD = [
    ("README", f"{MAX_ATTEMPTS} attempts within {WINDOW} hours"),
    ("quickstart", f"more than {minutes(MAX_AHEAD)} minutes in the future is refused"),
    ("guarantees", f"is tried {MAX_ATTEMPTS} times at most within {WINDOW} hours"),
    (
        "guarantees",
        f"after {seconds(FIRST)} s, {TEN} min, {FORTY} min and {LAST} min (plus up to {TENTH})",
    ),
    ("data-model", f"at most {minutes(MAX_AHEAD)} minutes ahead of the clock, and not before the year {FIRST_YEAR}"),
    ("data-model", f"further ones of the same person, {WORDS[MAX_MORE]} at most each"),
    (
        "data-model",
        f"in {seconds(FIRST)} seconds, then {TEN}, {FORTY} and {LAST} minutes, each with up to {TENTH} more",
    ),
    ("data-model", f"After the {ORDINALS[MAX_ATTEMPTS]} failed attempt, or when the next one would start more than"),
    ("data-model", f"more than {WINDOW} hours after queueing"),
    ("data-model", f"can change the {seconds(FIRST)} seconds and the {WINDOW} hours"),
    ("data-model", f"is sent no delivery more than {TRIED} times"),
    ("data-model", f"puts the event off for {WORDS[minutes(PUT_OFF)]} minutes"),
    ("data-model", f"that is done by {TRIED} attempts"),
    (
        "data-model",
        f"after {seconds(FIRST_PROBE)} seconds at first and every {minutes(LONGEST_PROBE)} minutes in the end",
    ),
    ("data-model", f"The {WINDOW} hours run on meanwhile"),
    ("data-model", f"| {TRIED} attempts failed |"),
    ("data-model", f"| not delivered within {WINDOW} hours |"),
    ("data-model", f"starts {TRIED} new attempts and new {WINDOW} hours"),
    ("data-model", f"[{KINDS} kinds](alerts.md#the-kinds)"),
    ("errors", f"after {TRIED} attempts dropped"),
    ("errors", f"could not be delivered within {WINDOW} hours"),
    ("dedup", f"longer than TrackLayer retries ({WINDOW} hours)"),
    ("retention", f"retries, which end after {WINDOW} hours"),
    ("alerts", f"as long as that is within their {WINDOW} hours"),
    ("alerts", f"has {WORDS[int(mail.ANSWER_SECONDS) // 60]} minutes to answer to a message"),
    ("alerts", f"it waits for {WORDS[notify.AT_ONCE]} such answers"),
    (
        "alerts",
        f"after {seconds(notify.FIRST_PAUSE)} seconds at first and every {minutes(notify.LONGEST_PAUSE)} minutes in the end: "
        f"that an alert is open for as long as it is, its end for {hours(notify.GIVE_UP_AFTER)} hours",
    ),
    (
        "alerts",
        f"once a cause, that of the opening too, and {WORDS[MOST_TOLD_AGAIN]} times at most of one alert, acknowledged or not",
    ),
    ("alerts", f"{WORDS[MOST_TOLD_AGAIN]} times at most; of `EVENTS_REJECTED`"),
    ("alerts", f"it is left after {mail.WHOLE_SECONDS:.0f} seconds"),
    ("alerts", f"and for {hours(channels.OVERLAP)} hours both sign"),
    (
        "alerts",
        f"after {seconds(post.FIRST_PAUSE)} s, {2 * seconds(post.FIRST_PAUSE)} s, 1 min ... {minutes(post.LONGEST_PAUSE)} min for "
        f"{'a day' if hours(post.GIVE_UP_AFTER) == 24 else post.GIVE_UP_AFTER}, then given up",
    ),
]


@pytest.mark.parametrize(("page", "sentence"), TOLD)
def test_a_number_that_a_guide_tells_is_that_of_the_code(page: str, sentence: str) -> None:
    assert sentence in re.sub(r"\s+", " ", PAGES[page])


def test_what_is_said_of_all_platforms_does_not_count_them() -> None:
    """A new platform needs no edit elsewhere."""
    count = WORDS[len(PLATFORMS)]
    texts = {str(path.relative_to(HOUSE)): path.read_text("utf-8") for path in HOUSE.rglob("*.py")}
    texts |= {page: text for page, text in PAGES.items() if page not in ("changelog", "fairness")}
    texts["ui/README"] = (HOUSE / "web" / "ui" / "README.md").read_text("utf-8")
    assert [name for name, text in texts.items() if re.search(rf"\b{count} platforms\b|\ball {count}\b", text)] == []
