"""What an event gets of what its browser, or its person's browsers, showed."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from tracklayer.domain.event import Consent, CustomData, Event, UserData
from tracklayer.domain.normalise import Matchable
from tracklayer.domain.stitching import (
    KINDS,
    MOST_BROWSERS,
    MOST_EVENTS_A_DAY,
    Browser,
    Known,
    Note,
    Person,
    Signal,
    Stitched,
    enriched,
    judge_event,
    may_be_linked,
    stitch,
)

NOW = datetime(2026, 11, 28, 12, 0, tzinfo=UTC)
DIGEST = "973dfe463ec85785f5f95af5ba3906e64c23a8bce2d4b2b88f8ef90d2640d1b0"


def event(**user_data: object) -> Event:
    return Event("Purchase", "order_1", NOW, user_data=UserData(**user_data), custom_data=CustomData(properties={}))  # type: ignore[arg-type]


def signal(kind: str, value: str, before: timedelta, last: timedelta | None = None) -> Signal:
    return Signal(kind, value, NOW - before, NOW - (before if last is None else last))


def person(digest: str = DIGEST, kind: str = "email", before: timedelta = timedelta(hours=1)) -> Person:
    return Person(kind, digest, {"basic": digest}, NOW - before, NOW - before)


def given(found: tuple[object, ...]) -> dict[str, object]:
    return {one.field: one.value for one in found}  # type: ignore[attr-defined]


HOUR, DAY = timedelta(hours=1), timedelta(days=1)
CLICKS = [
    (kind, rule.window) for kind, rule in KINDS.items() if rule.window is not None and kind not in ("fbc", "fbclid")
]


@pytest.mark.parametrize(("kind", "window"), CLICKS)
def test_a_click_counts_within_its_platforms_window_to_the_second(kind: str, window: timedelta) -> None:
    for before, expected in (
        (window, {kind: "x"}),
        (window + timedelta(seconds=1), {}),
        (timedelta(minutes=-5), {kind: "x"}),
    ):
        browser = Browser("b" * 22, [signal(kind, "x", before)])
        assert given(stitch(event(browser_id="b" * 22), Known(browser))) == expected
    late = Browser("b" * 22, [signal(kind, "x", timedelta(minutes=-5, seconds=-1))])
    assert stitch(event(browser_id="b" * 22), Known(late)) == ()


def test_own_values_win() -> None:
    browser = Browser(
        "b" * 22, [signal("gclid", "theirs", HOUR), signal("fbp", "fb.1.1.1", HOUR), signal("ttclid", "t", HOUR)]
    )
    found = given(stitch(event(browser_id="b" * 22, gbraid="own", fbp="own"), Known(browser)))
    assert found == {"ttclid": "t"}


def test_the_newest_click_of_google_is_the_one() -> None:
    browser = Browser("b" * 22, [signal("gclid", "old", 2 * HOUR), signal("wbraid", "new", HOUR)])
    assert given(stitch(event(browser_id="b" * 22), Known(browser))) == {"wbraid": "new"}


def test_fbc_is_built_with_the_time_at_which_its_click_was_first_seen() -> None:
    first = NOW - 3 * DAY
    seen = Signal("fbclid", "AbC", first, NOW - HOUR)
    browser = Browser("b" * 22, [seen])
    built = f"fb.1.{int(first.timestamp() * 1000)}.AbC"
    assert given(stitch(event(browser_id="b" * 22), Known(browser))) == {"fbc": built}
    assert given(stitch(event(browser_id="b" * 22, fbclid="AbC"), Known(browser))) == {"fbc": built}
    assert stitch(event(browser_id="b" * 22, fbclid="other"), Known(browser)) == ()
    tailed = signal("fbc", "fb.1.1700000000000.AbC.AQ", HOUR)
    assert given(stitch(event(browser_id="b" * 22), Known(replace(browser, signals=(seen, tailed))))) == {
        "fbc": tailed.value
    }
    cookie = signal("fbc", "fb.1.1700000000000.AbC", HOUR)
    both = Browser("b" * 22, [seen, cookie])
    assert given(stitch(event(browser_id="b" * 22), Known(both))) == {"fbc": cookie.value}


def test_a_visit_that_is_over_gives_no_session_and_no_address() -> None:
    kinds = ("ga_session_id", "client_ip", "client_user_agent")
    within = Browser("b" * 22, [signal(kind, "1", DAY, timedelta(minutes=30)) for kind in kinds])
    over = Browser("b" * 22, [signal(kind, "1", DAY, timedelta(minutes=30, seconds=1)) for kind in kinds])
    assert set(given(stitch(event(browser_id="b" * 22), Known(within)))) == set(kinds)
    assert stitch(event(browser_id="b" * 22), Known(over)) == ()
    assert set(given(stitch(event(browser_id="b" * 22, client_ip="203.0.113.1"), Known(within)))) == {"ga_session_id"}


def test_an_anonymous_event_gets_the_one_person_of_its_browser_and_of_a_shared_one_nobody() -> None:
    one = Browser("b" * 22, people=[person()])
    assert given(stitch(event(browser_id="b" * 22), Known(one))) == {"email": {"basic": DIGEST}}
    two = Browser("b" * 22, [signal("ttclid", "t", HOUR)], people=[person(), person("0" * 64)])
    assert given(stitch(event(browser_id="b" * 22), Known(two))) == {"ttclid": "t"}
    for before, is_given in ((DAY, True), (DAY + timedelta(seconds=1), False)):
        seen = Browser("b" * 22, people=[replace(person(), first_seen_at=NOW - 9 * DAY, last_seen_at=NOW - before)])
        assert bool(stitch(event(browser_id="b" * 22), Known(seen))) is is_given
    for before, count in ((30 * DAY, 0), (30 * DAY + timedelta(seconds=1), 1)):  # the other one still counts
        both = Browser("b" * 22, people=[person(), person("0" * 64, before=before)])
        assert len(stitch(event(browser_id="b" * 22), Known(both))) == count
    assert stitch(event(browser_id="b" * 22, email=Matchable.read("x@example.com")), Known(one)) == ()


def test_a_person_takes_clicks_from_browser_to_browser_and_nothing_of_a_visit() -> None:
    signals = [
        signal("gclid", "g", HOUR),
        signal("client_ip", "203.0.113.1", HOUR),
        signal("ga_client_id", "1.2", HOUR),
    ]
    newer = [signal("gclid", "newer", timedelta(minutes=1))]
    known = Known(
        browsers=[Browser("b" * 22, signals, [person()]), Browser("c" * 22, newer, [person()])], person=DIGEST
    )
    buyer = event(email=Matchable.read("x@example.com"))
    assert given(stitch(buyer, known)) == {"gclid": "newer"}
    assert [one.source for one in stitch(buyer, known)] == ["email"]
    many = [Browser(f"{n:022}", [signal("gclid", "g", HOUR)], [person()]) for n in range(MOST_BROWSERS + 1)]
    assert given(stitch(buyer, Known(browsers=many[:MOST_BROWSERS], person=DIGEST))) == {"gclid": "g"}
    assert judge_event(buyer, Known(browsers=many, person=DIGEST)) == Stitched(note=Note.MAILBOX_OF_MANY)
    busy = replace(known, events_today=MOST_EVENTS_A_DAY + 1)
    assert judge_event(buyer, busy) == Stitched(note=Note.MAILBOX_OF_MANY)
    assert judge_event(buyer, Known(person=DIGEST)) == Stitched(note=Note.NO_BROWSER_KNOWN)


def test_of_a_shared_browser_a_person_takes_what_came_between_the_others_and_them() -> None:
    theirs = person("0" * 64, before=5 * HOUR)
    signals = [
        signal("gclid", "while the other was there", 6 * HOUR),
        signal("ttclid", "between", 2 * HOUR),
        signal("twclid", "after both", timedelta(minutes=30)),
    ]
    known = Known(browsers=[Browser("b" * 22, signals, [person(), theirs])], person=DIGEST)
    buyer = event(email=Matchable.read("x@example.com"))
    assert given(stitch(buyer, known)) == {"ttclid": "between"}


def test_what_is_learnt_after_an_event_does_not_change_it() -> None:
    buyer = event(email=Matchable.read("x@example.com"))
    for before, expected in ((timedelta(minutes=-5), {"gclid": "g"}), (timedelta(minutes=-5, seconds=-1), {})):
        browser = Browser("b" * 22, [signal("gclid", "g", HOUR)], [person(before=before)])
        assert given(stitch(buyer, Known(browsers=[browser], person=DIGEST))) == expected
        anonymous = Browser("b" * 22, [], [person(before=before)])
        assert bool(stitch(event(browser_id="b" * 22), Known(anonymous))) == bool(expected)


def test_a_mailbox_of_many_gives_an_anonymous_event_nobody() -> None:
    browser = Browser("b" * 22, [signal("gclid", "g", HOUR)], [replace(person(), is_of_many=True)])
    found = judge_event(event(browser_id="b" * 22), Known(browser))
    assert (given(found.fields), found.note) == ({"gclid": "g"}, Note.MAILBOX_OF_MANY)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("jane@example.com", True),
        ("NoReply@shop.example", False),
        ("no-reply+1@shop.example", False),
        ("guest@shop.example", False),
        ("pos@shop.example", False),
        ("test@example.com", False),
        ("@example.com", False),
        ("jane", False),
        (DIGEST, True),
    ],
)
def test_mailboxes_that_are_nobodys_are_not_linked(text: str, expected: bool) -> None:
    assert may_be_linked("b" * 22, "email", Matchable.read(text)) is expected
    assert not may_be_linked("short", "email", Matchable.read(text))


def test_why_nothing_was_added() -> None:
    shared = Browser("b" * 22, people=[person(), person("0" * 64)])
    refused = Browser("b" * 22, is_refused=True)
    named = event(browser_id="b" * 22)
    assert judge_event(named, Known()).note is Note.NO_BROWSER_KNOWN
    assert judge_event(named, Known(shared)).note is Note.SHARED_BROWSER
    assert judge_event(named, Known(refused)).note is Note.CONSENT_DENIED
    denied = replace(named, consent=Consent(ad_user_data="denied"))
    assert judge_event(denied, Known(shared)).note is Note.CONSENT_DENIED
    assert judge_event(named, Known(Browser("b" * 22, people=[person()]))).note is None


def test_of_two_clicks_metas_cookie_is_of_the_newer_one() -> None:
    clicked = signal("fbclid", "old", 3 * HOUR)
    later = signal("fbc", "fb.1.1700000000000.new", HOUR)
    assert given(stitch(event(browser_id="b" * 22), Known(Browser("b" * 22, [clicked, later])))) == {"fbc": later.value}
    tailed = signal("fbc", "fb.1.1700000000000.old.AQ", 4 * HOUR)
    found = stitch(event(browser_id="b" * 22), Known(Browser("b" * 22, [clicked, tailed])))
    assert given(found) == {"fbc": tailed.value}
    earlier = signal("fbc", "fb.1.1700000000000.other", 4 * HOUR)
    built = f"fb.1.{int(clicked.first_seen_at.timestamp() * 1000)}.old"
    assert given(stitch(event(browser_id="b" * 22), Known(Browser("b" * 22, [clicked, earlier])))) == {"fbc": built}


def test_whoever_denied_consent_gets_and_gives_nothing() -> None:
    signals = [signal("gclid", "g", HOUR)]
    denied = replace(event(browser_id="b" * 22), consent=Consent(ad_user_data="denied"))
    assert stitch(denied, Known(Browser("b" * 22, signals))) == ()
    assert stitch(event(browser_id="b" * 22), Known(Browser("b" * 22, signals, [person()], is_refused=True))) == ()
    buyer = event(email=Matchable.read("x@example.com"))
    refused = [Browser("b" * 22, signals, [person()], is_refused=True)]
    assert judge_event(buyer, Known(browsers=refused, person=DIGEST)) == Stitched(note=Note.CONSENT_DENIED)


def test_a_mapper_gets_the_added_values_beside_the_events_own() -> None:
    given_event = event(browser_id="b" * 22, gclid="own")
    browser = Browser("b" * 22, [signal("ttclid", "t", HOUR)], people=[person()])
    found = enriched(given_event, stitch(given_event, Known(browser)))
    assert (found.user_data.gclid, found.user_data.ttclid) == ("own", "t")
    assert found.user_data.email is not None
    assert found.user_data.email.email_sha256("basic") == DIGEST
    assert given_event.user_data.ttclid is None
