"""What an event gets of what its browser, or its person's browsers, showed."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from tests.factories import AGENT
from tracklayer.domain.event import Consent, CustomData, Event, UserData
from tracklayer.domain.normalise import Matchable
from tracklayer.domain.shown import PARAMETERS
from tracklayer.domain.stitching import (
    KINDS,
    MOST_BROWSERS,
    MOST_EVENTS_A_DAY,
    MOST_IN_A_BROWSER,
    Browser,
    Enriched,
    Known,
    Note,
    Person,
    Signal,
    Stitched,
    browser_of,
    enriched,
    is_somebodys,
    judge_event,
    pair_of,
    stitch,
    without_refused,
)

NOW = datetime(2026, 11, 28, 12, 0, tzinfo=UTC)
BROWSER, OTHER = "browser_of_jane_000001", "browser_of_jane_000002"
DIGEST = "973dfe463ec85785f5f95af5ba3906e64c23a8bce2d4b2b88f8ef90d2640d1b0"


def event(**user_data: object) -> Event:
    return Event("Purchase", "order_1", NOW, user_data=UserData(**user_data), custom_data=CustomData(properties={}))  # type: ignore[arg-type]


def signal(kind: str, value: str, before: timedelta, last: timedelta | None = None) -> Signal:
    return Signal(kind, value, NOW - before, NOW - (before if last is None else last))


def person(digest: str = DIGEST, kind: str = "email", before: timedelta = timedelta(hours=1)) -> Person:
    return Person(kind, digest, {"basic": digest}, NOW - before, NOW - before)


def given(found: tuple[object, ...]) -> dict[str, object]:
    return {one.field: one.value for one in found}  # type: ignore[attr-defined]


CLICK = "0123456789abcdef0123456789abcdef"  # every platform takes it for a click id of its own
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
CLICKS = [
    (kind, rule.window) for kind, rule in KINDS.items() if rule.window is not None and kind not in ("fbc", "fbclid")
]


@pytest.mark.parametrize(("kind", "window"), CLICKS)
def test_a_click_counts_within_its_platforms_window_to_the_second(kind: str, window: timedelta) -> None:
    for before, expected in (
        (window, {kind: CLICK}),
        (window + timedelta(seconds=1), {}),
        (timedelta(minutes=-5), {kind: CLICK}),
    ):
        browser = Browser(BROWSER, [signal(kind, CLICK, before)])
        assert given(stitch(event(browser_id=BROWSER), Known(browser))) == expected
    late = Browser(BROWSER, [signal(kind, "x", timedelta(minutes=-5, seconds=-1))])
    assert stitch(event(browser_id=BROWSER), Known(late)) == ()


def test_own_values_win() -> None:
    browser = Browser(
        BROWSER, [signal("gclid", "theirs", HOUR), signal("fbp", "fb.1.1.1", HOUR), signal("ttclid", "t", HOUR)]
    )
    found = given(stitch(event(browser_id=BROWSER, gbraid="own", fbp="fb.1.2.2"), Known(browser)))
    assert found == {"ttclid": "t"}


STORED = {
    "gclid": "stored",
    "ttclid": "stored",
    "fbc": "fb.1.1700000000000.stored",
    "fbp": "fb.1.1700000000000.1",
    "ga_client_id": "1.2",
    "ga_session_id": "1795182000",
    "rdt_uuid": "1713877200000.e7f1a1c2-6f0e-4a39-9d9d-2a7f0b0c1d2e",
    "client_ip": "203.0.113.7",
    "client_user_agent": "Mozilla/5.0",
}


@pytest.mark.parametrize(
    "own",
    [
        {"gclid": "test test"},
        {"gbraid": "a b"},
        {"wbraid": "(none)"},
        {"fbc": "IwAR0"},
        {"fbclid": "a.b"},
        {"fbp": "fb.1.1700000000000.1\u200b"},
        {"ttclid": "a b"},
        {"rdt_uuid": "none at all"},
        {"client_ip": "unknown"},
        {"ga_client_id": "jane@example.com"},
        {"ga_client_id": "GS1.1.1795182000.5.1.1795182100.0.0.0"},
        {"ga_client_id": "GS2.1.s1795182000$o5$g1$t1795182100"},
        {"ga_client_id": "GA1.2"},
        {"ga_session_id": "GS1.1.null"},
        {"ga_session_id": "s1795182000"},
        {"client_user_agent": "jane@example.com"},
    ],
    ids=str,
)
def test_what_no_platform_takes_of_an_event_does_not_stand_in_the_way_of_what_is_known(own: dict[str, str]) -> None:
    browser = Browser(BROWSER, [signal(kind, value, timedelta(minutes=1)) for kind, value in STORED.items()])
    bought = event(browser_id=BROWSER, **own)
    fields = stitch(bought, Known(browser))
    assert given(fields) == STORED
    person = enriched(bought, fields).user_data
    assert {kind: getattr(person, kind) for kind in STORED} == STORED


@pytest.mark.parametrize(
    "own",
    [
        {"client_ip": "10.0.0.1"},
        {"fbc": "fb.1.5.own"},
        {"gclid": " own "},
        {"ga_client_id": "_ga=GA1.1.1234567890.1794000000; other=1"},
        {"ga_client_id": "3f2504e04f8941d39a0c0305e82c3301"},
        {"ga_session_id": "_ga_ABC123DEF4=GS2.1.o5$s1795182001%24g1"},
    ],
    ids=str,
)
def test_what_a_platform_takes_all_the_same_is_an_events_own(own: dict[str, str]) -> None:
    browser = Browser(BROWSER, [signal(kind, STORED[kind], timedelta(minutes=1)) for kind in own])
    assert stitch(event(browser_id=BROWSER, **own), Known(browser)) == ()


@pytest.mark.parametrize(
    ("url", "referrer", "expected"),
    [
        ("https://shop.example.com/", None, "fb.1.1700000000000.stored"),
        ("/x?fbclid=own", None, None),
        ("/x?fbclid=null&fbclid=own", None, None),
        ("/x?fbclid=a.b", None, "fb.1.1700000000000.stored"),
        ("/x?fbclid=NONE", None, "fb.1.1700000000000.stored"),
        ("/x", "https://shop.example.com/?fbclid=own", None),
        ("/x?fbclid=undefined", "https://shop.example.com/?fbclid=own", None),
        ("/x", "https://shop.example.com/?fbclid=--", "fb.1.1700000000000.stored"),
        ("/x", 5, "fb.1.1700000000000.stored"),
    ],
)
def test_the_click_of_a_page_or_its_referrer_is_an_events_own(url: str, referrer: object, expected: str | None) -> None:
    browser = Browser(BROWSER, [signal("fbc", STORED["fbc"], HOUR)])
    custom = CustomData(properties={"referrer_url": referrer})
    bought = replace(event(browser_id=BROWSER), event_source_url=url, custom_data=custom)
    assert given(stitch(bought, Known(browser))).get("fbc") == expected


def test_the_newest_click_of_google_is_the_one() -> None:
    browser = Browser(BROWSER, [signal("gclid", "old", 2 * HOUR), signal("wbraid", "new", HOUR)])
    assert given(stitch(event(browser_id=BROWSER), Known(browser))) == {"wbraid": "new"}


def test_fbc_is_built_with_the_time_at_which_its_click_was_first_seen() -> None:
    first = NOW - 3 * DAY
    seen = Signal("fbclid", "AbC", first, NOW - HOUR)
    browser = Browser(BROWSER, [seen])
    built = f"fb.1.{int(first.timestamp() * 1000)}.AbC"
    assert given(stitch(event(browser_id=BROWSER), Known(browser))) == {"fbc": built}
    assert given(stitch(event(browser_id=BROWSER, fbclid="AbC"), Known(browser))) == {"fbc": built}
    assert stitch(event(browser_id=BROWSER, fbclid="other"), Known(browser)) == ()
    tailed = signal("fbc", "fb.1.1700000000000.AbC.AQ", HOUR)
    assert given(stitch(event(browser_id=BROWSER), Known(browser._replace(signals=(seen, tailed))))) == {
        "fbc": tailed.value
    }
    cookie = signal("fbc", "fb.1.1700000000000.AbC", HOUR)
    both = Browser(BROWSER, [seen, cookie])
    assert given(stitch(event(browser_id=BROWSER), Known(both))) == {"fbc": cookie.value}


def cookie_of(click: str, before: timedelta, tail: str = "") -> Signal:
    """Meta's cookie that says of itself that its click was so long ago."""
    return signal("fbc", f"fb.1.{int((NOW - before).timestamp() * 1000)}.{click}{tail}", before)


@pytest.mark.parametrize("by", ["browser_id", "email"])
@pytest.mark.parametrize("tail", ["", ".AQ"])
def test_a_click_that_is_shown_again_is_as_old_as_anything_tells(by: str, tail: str) -> None:
    again, lately = signal("fbclid", "AbC", HOUR), cookie_of("AbC", 2 * HOUR)
    own = event(browser_id=BROWSER) if by == "browser_id" else event(email=Matchable.read("x@example.com"))

    def judged(*signals: Signal) -> Stitched:
        browser = Browser(BROWSER, signals, [replace(person(), first_seen_at=NOW - 200 * DAY)])
        found = judge_event(own, Known(browser) if by == "browser_id" else Known(browsers=[browser], person=DIGEST))
        return found._replace(fields=tuple(one for one in found.fields if one.field != "email"))

    for days, is_in_time in ((120, False), (90, True), (10, True)):
        first = cookie_of("AbC", days * DAY, tail)
        for signals in ((first, again), (again, first), (first, lately), (lately, again, first)):
            found = judged(*signals)
            assert given(found.fields) == ({"fbc": first.value} if is_in_time else {})
            assert {one.seen_at for one in found.fields} <= {first.first_seen_at}
    newer = cookie_of("Other", 5 * DAY)
    assert given(judged(cookie_of("AbC", 10 * DAY), again, newer).fields) == {"fbc": newer.value}


def test_a_click_is_known_since_any_of_a_persons_browsers_showed_it() -> None:
    opened_again = Browser(OTHER, [signal("gclid", "g", HOUR), signal("fbclid", "AbC", HOUR)], [person()])
    for days, expected in (
        (10, {"gclid": "g", "fbc": f"fb.1.{int((NOW - 10 * DAY).timestamp() * 1000)}.AbC"}),
        (91, {}),
    ):
        first = Browser(
            BROWSER, [signal("gclid", "g", days * DAY), signal("fbclid", "AbC", days * DAY)], [person(before=2 * HOUR)]
        )
        known = Known(browsers=[first, opened_again], person=DIGEST)
        assert given(stitch(event(email=Matchable.read("x@example.com")), known)) == expected


def test_a_click_that_another_made_in_a_shared_browser_is_not_theirs_who_opens_its_address_again() -> None:
    people = [person(), person("f" * 64, before=5 * DAY)]
    browser = Browser(BROWSER, [cookie_of("AbC", 6 * DAY), signal("fbclid", "AbC", 2 * HOUR)], people)
    found = judge_event(event(email=Matchable.read("x@example.com")), Known(browsers=[browser], person=DIGEST))
    assert found == Stitched(note=Note.SHARED_BROWSER)


def test_an_events_own_click_goes_out_with_the_time_that_is_known_of_it_however_long_ago() -> None:
    again, first = signal("fbclid", "AbC", HOUR), cookie_of("AbC", 120 * DAY)
    of_page = replace(event(browser_id=BROWSER), event_source_url="https://shop.example.com/?fbclid=AbC")
    for own in (event(browser_id=BROWSER, fbclid="AbC"), of_page):
        for signals in ((first,), (first, again), (again, first)):
            assert given(stitch(own, Known(Browser(BROWSER, signals)))) == {"fbc": first.value}
        later = signal("fbc", first.value, timedelta(minutes=-6))
        assert stitch(own, Known(Browser(BROWSER, [later]))) == ()


@pytest.mark.parametrize("value", ["+4917612345678", "jane@example.com", "undefined"])
def test_what_no_platform_may_get_keeps_no_click_out_though_it_was_stored_as_the_newest(value: str) -> None:
    real = signal("twclid", "2-realclick-1", DAY)
    browser = Browser(BROWSER, [real, signal("twclid", value, HOUR)])
    assert given(stitch(event(browser_id=BROWSER), Known(browser))) == {"twclid": "2-realclick-1"}
    alone = judge_event(event(browser_id=BROWSER), Known(Browser(BROWSER, [signal("twclid", value, HOUR)])))
    assert alone == Stitched(note=Note.NO_BROWSER_KNOWN)


def test_a_visit_that_is_over_gives_no_session_and_no_address() -> None:
    kinds = {"ga_session_id": "1747123456", "client_ip": "203.0.113.9", "client_user_agent": "Shop/1.0"}
    within = Browser(BROWSER, [signal(*one, DAY, timedelta(minutes=30)) for one in kinds.items()])
    over = Browser(BROWSER, [signal(*one, DAY, timedelta(minutes=30, seconds=1)) for one in kinds.items()])
    assert set(given(stitch(event(browser_id=BROWSER), Known(within)))) == set(kinds)
    assert stitch(event(browser_id=BROWSER), Known(over)) == ()
    assert set(given(stitch(event(browser_id=BROWSER, client_ip="203.0.113.1"), Known(within)))) == {"ga_session_id"}


def test_an_anonymous_event_gets_the_one_person_of_its_browser_and_of_a_shared_one_nobody() -> None:
    one = Browser(BROWSER, people=[person()])
    assert given(stitch(event(browser_id=BROWSER), Known(one))) == {"email": {"basic": DIGEST}}
    two = Browser(BROWSER, [signal("ttclid", "t", HOUR)], people=[person(), person("0" * 64)])
    assert given(stitch(event(browser_id=BROWSER), Known(two))) == {"ttclid": "t"}
    for before, is_given in ((DAY, True), (DAY + timedelta(seconds=1), False)):
        seen = Browser(BROWSER, people=[replace(person(), first_seen_at=NOW - 9 * DAY, last_seen_at=NOW - before)])
        assert bool(stitch(event(browser_id=BROWSER), Known(seen))) is is_given
    for before, count in ((30 * DAY, 0), (30 * DAY + timedelta(seconds=1), 1)):  # the other one still counts
        both = Browser(BROWSER, people=[person(), person("0" * 64, before=before)])
        assert len(stitch(event(browser_id=BROWSER), Known(both))) == count
    assert stitch(event(browser_id=BROWSER, email=Matchable.read("x@example.com")), Known(one)) == ()


def test_a_person_takes_clicks_from_browser_to_browser_and_nothing_of_a_visit() -> None:
    signals = [
        signal("gclid", "g", HOUR),
        signal("client_ip", "203.0.113.1", HOUR),
        signal("ga_client_id", "1.2", HOUR),
    ]
    newer = [signal("gclid", "newer", timedelta(minutes=1))]
    known = Known(browsers=[Browser(BROWSER, signals, [person()]), Browser(OTHER, newer, [person()])], person=DIGEST)
    buyer = event(email=Matchable.read("x@example.com"))
    assert given(stitch(buyer, known)) == {"gclid": "newer"}
    assert [one.source for one in stitch(buyer, known)] == ["email"]
    many = [Browser(f"browser_{n:06}", [signal("gclid", "g", HOUR)], [person()]) for n in range(MOST_BROWSERS + 1)]
    assert given(stitch(buyer, Known(browsers=many[:MOST_BROWSERS], person=DIGEST))) == {"gclid": "g"}
    assert judge_event(buyer, Known(browsers=many, person=DIGEST)) == Stitched(note=Note.MAILBOX_OF_MANY)
    busy = known._replace(events_today=MOST_EVENTS_A_DAY + 1)
    assert judge_event(buyer, busy) == Stitched(note=Note.MAILBOX_OF_MANY)
    assert judge_event(buyer, Known(person=DIGEST)) == Stitched(note=Note.NO_BROWSER_KNOWN)


def test_of_a_shared_browser_a_person_takes_what_came_between_the_others_and_them() -> None:
    theirs = person("0" * 64, before=5 * HOUR)
    signals = [
        signal("gclid", "while the other was there", 6 * HOUR),
        signal("ttclid", "between", 2 * HOUR),
        signal("twclid", "after both", timedelta(minutes=30)),
    ]
    known = Known(browsers=[Browser(BROWSER, signals, [person(), theirs])], person=DIGEST)
    buyer = event(email=Matchable.read("x@example.com"))
    assert given(stitch(buyer, known)) == {"ttclid": "between"}


def test_what_is_learnt_after_an_event_does_not_change_it() -> None:
    buyer = event(email=Matchable.read("x@example.com"))
    for before, expected in ((timedelta(minutes=-5), {"gclid": "g"}), (timedelta(minutes=-5, seconds=-1), {})):
        browser = Browser(BROWSER, [signal("gclid", "g", HOUR)], [person(before=before)])
        assert given(stitch(buyer, Known(browsers=[browser], person=DIGEST))) == expected
        anonymous = Browser(BROWSER, [], [person(before=before)])
        assert bool(stitch(event(browser_id=BROWSER), Known(anonymous))) == bool(expected)


PHONE = "5" * 64


def paired(phone: str = PHONE, before: timedelta = timedelta(hours=1)) -> Person:
    return replace(person(before=before), pairs=frozenset([pair_of(DIGEST, phone)]))


def test_an_email_and_a_phone_are_one_persons_only_where_one_call_said_both() -> None:
    anonymous = event(browser_id=BROWSER)
    theirs = Browser(BROWSER, people=[paired(), person(PHONE, "phone", timedelta(hours=3))])
    assert given(stitch(anonymous, Known(theirs))) == {"email": {"basic": DIGEST}, "phone": {"basic": PHONE}}
    for email in (person(), paired("6" * 64)):
        of_two = Browser(BROWSER, people=[email, person(PHONE, "phone")])
        assert judge_event(anonymous, Known(of_two)) == Stitched(note=Note.SHARED_BROWSER)
    third = theirs._replace(people=[*theirs.people, person("6" * 64, "phone")])
    assert judge_event(anonymous, Known(third)) == Stitched(note=Note.SHARED_BROWSER)


def test_of_a_browser_with_anothers_email_a_phone_takes_only_what_came_between() -> None:
    signals = [signal("gclid", "hers", 6 * HOUR), signal("ttclid", "between", 2 * HOUR)]
    caller = event(phone=Matchable.read("+4915112340002"))
    for email, expected in (
        (person(before=5 * HOUR), {"ttclid": "between"}),
        (paired(before=5 * HOUR), {"gclid": "hers", "ttclid": "between"}),
    ):
        browser = Browser(BROWSER, signals, [email, person(PHONE, "phone")])
        assert given(stitch(caller, Known(browsers=[browser], person=PHONE))) == expected
    # Who says another email beside that phone is not whose email it is.
    both = event(email=Matchable.read("new@example.com"), phone=Matchable.read("+4915112340002"))
    of_another = Browser(BROWSER, signals[:1], [paired(), person(PHONE, "phone")])
    known = Known(browsers=[of_another], person=PHONE, names=frozenset([PHONE, "7" * 64]))
    assert judge_event(both, known) == Stitched(note=Note.SHARED_BROWSER)
    # One that says both says that they are one.
    of_theirs = Browser(BROWSER, signals[:1], [person(), person(PHONE, "phone")])
    known = Known(browsers=[of_theirs], person=DIGEST, names=frozenset([PHONE, DIGEST]))
    assert given(stitch(both, known)) == {"gclid": "hers"}


def test_of_two_who_have_one_telephone_neither_gets_what_the_other_showed_by_it() -> None:
    other = replace(person("7" * 64), pairs=frozenset([pair_of("7" * 64, PHONE)]))
    at_home = Browser(BROWSER, [signal("gclid", "g", HOUR)], [paired(), other, person(PHONE, "phone")])
    caller = event(phone=Matchable.read("+4915112340002"))
    assert judge_event(caller, Known(browsers=[at_home], person=PHONE)) == Stitched(note=Note.SHARED_BROWSER)
    # One mailbox may have two telephones.
    two = replace(person(), pairs=frozenset([pair_of(DIGEST, PHONE), pair_of(DIGEST, "6" * 64)]))
    phones = [person(PHONE, "phone"), person("6" * 64, "phone")]
    hers = Browser(BROWSER, [signal("gclid", "g", HOUR)], [two, *phones])
    buyer = event(email=Matchable.read("x@example.com"))
    assert given(stitch(buyer, Known(browsers=[hers], person=DIGEST))) == {"gclid": "g"}
    # Who says both emails says that they are one's.
    both = event(emails=(Matchable.read("x@example.com"), Matchable.read("y@example.com")))
    known = Known(browsers=[at_home], person=DIGEST, names=frozenset([DIGEST, "7" * 64]))
    assert given(stitch(both, known)) == {"gclid": "g"}


def test_a_phone_that_came_with_two_emails_in_two_browsers_gives_nothing() -> None:
    other = replace(person("7" * 64, before=2 * HOUR), pairs=frozenset([pair_of("7" * 64, PHONE)]))
    hers = Browser(BROWSER, [signal("gclid", "hers", HOUR)], [paired(), person(PHONE, "phone")])
    his = Browser(OTHER, [signal("ttclid", "his", HOUR)], [other, person(PHONE, "phone")])
    caller = event(phone=Matchable.read("+4915112340002"))
    known = Known(browsers=[hers, his], person=PHONE, names=frozenset([PHONE]))
    assert judge_event(caller, known) == Stitched(note=Note.SHARED_BROWSER)
    # Nor where the event says another email beside it, which was seen in no browser.
    new = event(phone=Matchable.read("+4915112340002"), email=Matchable.read("new@example.com"))
    assert judge_event(new, known._replace(names=frozenset([PHONE, "8" * 64]))) == Stitched(note=Note.SHARED_BROWSER)
    # Nor what somebody showed with that phone where no email came along, or in a browser of many.
    alone = Browser("browser_of_jane_000003", [signal("twclid", "alone", HOUR)], [person(PHONE, "phone")])
    assert judge_event(caller, known._replace(browsers=[hers, his, alone])) == Stitched(note=Note.SHARED_BROWSER)
    crowd = [person(str(n) * 64, "phone", before=2 * HOUR) for n in range(MOST_IN_A_BROWSER + 1) if n != 5]
    till = his._replace(people=[*his.people, *crowd])
    assert judge_event(caller, known._replace(browsers=[hers, till])) == Stitched(note=Note.SHARED_BROWSER)
    # By their emails both get what is theirs.
    for digest, expected in ((DIGEST, {"gclid": "hers"}), ("7" * 64, {"ttclid": "his"})):
        theirs = Known(browsers=[hers if digest == DIGEST else his], person=digest)
        assert given(stitch(event(email=Matchable.read("x@example.com")), theirs)) == expected
    # One person's browsers, where one email came along, in two spellings of it, or the event says both; or of another time.
    spelt = replace(other, digests={"google": DIGEST})
    long_ago = replace(other, first_seen_at=NOW - 40 * DAY, last_seen_at=NOW - 40 * DAY)
    unsaid = replace(other, pairs=frozenset())
    for one in (paired(), spelt, long_ago):
        same = [hers, his._replace(people=[one, person(PHONE, "phone")])]
        assert given(stitch(caller, Known(browsers=same, person=PHONE))) == {"gclid": "hers", "ttclid": "his"}, one
    apart = [hers, his._replace(people=[unsaid, person(PHONE, "phone")])]
    assert given(stitch(caller, Known(browsers=apart, person=PHONE))) == {"gclid": "hers"}
    both = event(
        phone=Matchable.read("+4915112340002"),
        emails=(Matchable.read("x@example.com"), Matchable.read("y@example.com")),
    )
    said = known._replace(names=frozenset([PHONE, DIGEST, "7" * 64]))
    assert given(stitch(both, said)) == {"gclid": "hers", "ttclid": "his"}


def test_two_spellings_of_one_mailbox_are_one_person() -> None:
    one = Person("email", DIGEST, {"basic": DIGEST, "google": "9" * 64}, NOW - 2 * HOUR, NOW - 2 * HOUR)
    other = Person("email", "9" * 64, {"basic": "9" * 64, "google": "9" * 64}, NOW - HOUR, NOW - HOUR)
    found = judge_event(event(browser_id=BROWSER), Known(Browser(BROWSER, people=[one, other])))
    assert (given(found.fields), found.note) == ({"email": dict(other.digests)}, None)


@pytest.mark.parametrize(
    "own",
    [
        {"first_name": "Bob"},
        {"last_name": "Other"},
        {"street": "Main Street 1"},
        {"date_of_birth": "1990-02-16"},
        {"lead_id": "1234567890"},
        {"external_id": "c-1"},
    ],
)
def test_an_event_that_names_somebody_gets_nobody_elses_email(own: dict[str, str]) -> None:
    browser = Browser(BROWSER, [signal("ttclid", "t", HOUR)], [person()])
    found = judge_event(event(browser_id=BROWSER, **own), Known(browser))
    assert (given(found.fields), found.note) == ({"ttclid": "t"}, None)
    assert len(stitch(event(browser_id=BROWSER, city="Berlin", zip="10115", country="DE"), Known(browser))) == 2


def test_a_later_link_says_nothing_of_an_earlier_event() -> None:
    seen = replace(person(), first_seen_at=NOW - 19 * DAY, last_seen_at=NOW + 6 * DAY)
    anonymous = event(browser_id=BROWSER)
    assert judge_event(anonymous, Known(Browser(BROWSER, people=[seen]))) == Stitched(note=Note.OUT_OF_TIME)
    recent = replace(seen, first_seen_at=NOW - HOUR)
    (found,) = stitch(anonymous, Known(Browser(BROWSER, people=[recent])))
    assert (found.field, found.seen_at) == ("email", NOW - HOUR)
    buyer = event(email=Matchable.read("x@example.com"))
    for first, expected in ((19 * DAY, {"gclid": "g"}), (31 * DAY, {})):
        browser = Browser(BROWSER, [signal("gclid", "g", HOUR)], [replace(seen, first_seen_at=NOW - first)])
        assert given(stitch(buyer, Known(browsers=[browser], person=DIGEST))) == expected


@pytest.mark.parametrize("kind", ["email", "phone"])
def test_a_browser_of_many_gives_nobody_anything(kind: str) -> None:
    buyer = event(email=Matchable.read("x@example.com"))
    for count, is_of_many in ((MOST_IN_A_BROWSER, False), (MOST_IN_A_BROWSER + 1, True)):
        people = [person(f"{n:064}", kind, timedelta(days=n)) for n in range(count)]
        till = Browser(BROWSER, [signal("gclid", "the-first-ones", HOUR), signal("fbp", "f", HOUR)], people)
        for one in (event(browser_id=BROWSER), replace(buyer, user_data=UserData(email=None, browser_id=BROWSER))):
            found = judge_event(one, Known(till))
            assert bool(found.fields) is not is_of_many
            assert (found.note is Note.BROWSER_OF_MANY) is is_of_many
        by_them = judge_event(buyer, Known(browsers=[till], person=people[0].digest))
        assert (by_them == Stitched(note=Note.BROWSER_OF_MANY)) is is_of_many
    # Seen so long ago, they do not use it any more.
    before = [person(f"{n:064}", kind, timedelta(days=31)) for n in range(MOST_IN_A_BROWSER + 1)]
    assert given(stitch(event(browser_id=BROWSER), Known(Browser(BROWSER, [signal("gclid", "g", HOUR)], before))))


def test_what_is_no_browsers_id_names_none() -> None:
    browser = Browser(BROWSER, [signal("gclid", "g", HOUR)], [person()])
    buyer = event(email=Matchable.read("x@example.com"), browser_id="anonymous")
    assert given(stitch(buyer, Known(browsers=[browser], person=DIGEST))) == {"gclid": "g"}


def test_a_note_says_why_nothing_was_given() -> None:
    buyer = event(email=Matchable.read("x@example.com"))
    known = event(browser_id=BROWSER, email=Matchable.read("x@example.com"))
    old, click = signal("gclid", "g", 91 * DAY), signal("gclid", "g", HOUR)
    for one, browser, note in (
        (known, Browser(BROWSER, people=[person()]), Note.NO_BROWSER_KNOWN),  # its own link alone
        (known, Browser(BROWSER, [old]), Note.OUT_OF_TIME),
        (known, Browser(BROWSER, [signal("gclid", "g", -HOUR)]), Note.OUT_OF_TIME),
        (replace(known, user_data=UserData(browser_id=BROWSER, gclid="own")), Browser(BROWSER, [click]), None),
        (event(browser_id=BROWSER), Browser(BROWSER, people=[person(before=2 * DAY)]), Note.OUT_OF_TIME),
        (buyer, Browser(BROWSER, [click], [person(before=3 * HOUR), person("0" * 64)]), Note.SHARED_BROWSER),
        (buyer, Browser(BROWSER, [old], [person()]), Note.OUT_OF_TIME),
        (buyer, Browser(BROWSER, [signal("client_ip", "203.0.113.1", HOUR)], [person()]), Note.NO_BROWSER_KNOWN),
        (buyer, Browser(BROWSER, [click], [person(before=31 * DAY)]), Note.OUT_OF_TIME),
    ):
        names_one = one.user_data.browser_id is not None
        found = judge_event(one, Known(browser) if names_one else Known(browsers=[browser], person=DIGEST))
        assert found == Stitched(note=note), browser


def test_what_is_of_a_browser_that_refused_since_is_taken_back() -> None:
    decided = Stitched(
        (Enriched("gclid", "g", "email", NOW, BROWSER), Enriched("ttclid", "t", "email", NOW, OTHER)), None
    )
    assert without_refused(decided, None, {"another"}) == decided
    assert without_refused(decided, None, {BROWSER}) == Stitched(decided.fields[1:], Note.CONSENT_DENIED)
    assert without_refused(decided, OTHER, {OTHER}) == Stitched(note=Note.CONSENT_DENIED)


def test_a_mailbox_of_many_gives_an_anonymous_event_nobody() -> None:
    browser = Browser(BROWSER, [signal("gclid", "g", HOUR)], [replace(person(), is_of_many=True)])
    found = judge_event(event(browser_id=BROWSER), Known(browser))
    assert (given(found.fields), found.note) == ({"gclid": "g"}, Note.MAILBOX_OF_MANY)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("jane@example.com", True),
        ("NoReply@shop.example", False),
        ("no-reply+1@shop.example", False),
        ("no.reply@shop.example", False),
        ("guest@shop.example", False),
        ("pos@shop.example", False),
        ("test@example.com", False),
        ("@example.com", False),
        ("jane", False),
        ("jane@example", False),
        ("Shop <noreply@shop.example>", False),
        ("mailto:noreply@shop.example?subject=x", False),
        ('"noreply@shop.example"', False),
        ("noreply @ shop.example", False),
        ("\ufeffnoreply@shop.example", False),
        ("nore\u200bply@shop.example", False),
        ("ｎoreply＠shop.example", False),
        ("'x@null.com'", False),
        ("x@null.com.", False),
        ("Jane Doe <jane@example.com>", True),
        ("jane＠example.com", True),
        ("jane@münchen.example", True),
        (DIGEST, True),
    ],
)
def test_mailboxes_that_are_nobodys_are_not_linked(text: str, expected: bool) -> None:
    assert is_somebodys(Matchable.read(text)) is expected


def test_what_is_no_browsers_id_is_none() -> None:
    assert browser_of(UserData(browser_id=BROWSER)) == BROWSER
    assert browser_of(UserData(browser_id="short")) is None


def test_why_nothing_was_added() -> None:
    shared = Browser(BROWSER, people=[person(), person("0" * 64)])
    refused = Browser(BROWSER, is_refused=True)
    named = event(browser_id=BROWSER)
    assert judge_event(named, Known()).note is Note.NO_BROWSER_KNOWN
    assert judge_event(named, Known(shared)).note is Note.SHARED_BROWSER
    assert judge_event(named, Known(refused)).note is Note.CONSENT_DENIED
    denied = replace(named, consent=Consent(ad_user_data="denied"))
    assert judge_event(denied, Known(shared)).note is Note.CONSENT_DENIED
    assert judge_event(named, Known(Browser(BROWSER, people=[person()]))).note is None


def test_of_two_clicks_metas_cookie_is_of_the_newer_one() -> None:
    clicked = signal("fbclid", "old", 3 * HOUR)
    later = signal("fbc", "fb.1.1700000000000.new", HOUR)
    assert given(stitch(event(browser_id=BROWSER), Known(Browser(BROWSER, [clicked, later])))) == {"fbc": later.value}
    tailed = signal("fbc", "fb.1.1700000000000.old.AQ", 4 * HOUR)
    found = stitch(event(browser_id=BROWSER), Known(Browser(BROWSER, [clicked, tailed])))
    assert given(found) == {"fbc": tailed.value}
    earlier = signal("fbc", "fb.1.1700000000000.other", 4 * HOUR)
    built = f"fb.1.{int(clicked.first_seen_at.timestamp() * 1000)}.old"
    assert given(stitch(event(browser_id=BROWSER), Known(Browser(BROWSER, [clicked, earlier])))) == {"fbc": built}


OLD = {
    **{form.kind: "Old1" for form in PARAMETERS.values()},
    "fbc": "fb.1.1700000000000.Old1",
    "msclkid": "0" * 31 + "1",
}
NEW = {name: "2" * 32 if name == "msclkid" else "New2" for name in PARAMETERS}
SAME = [{"gclid", "gbraid", "wbraid"}, {"fbclid", "fbc"}]


@pytest.mark.parametrize("by", ["browser_id", "email"])
@pytest.mark.parametrize("name", PARAMETERS)
def test_a_click_in_the_pages_address_is_the_events_own(name: str, by: str) -> None:
    kind = PARAMETERS[name].kind
    of_page = next((group for group in SAME if kind in group), {kind})
    browser = Browser(BROWSER, [signal(kind, value, HOUR) for kind, value in OLD.items()], [person()])
    known = Known(browser) if by == "browser_id" else Known(browsers=[browser], person=DIGEST)
    named = event(browser_id=BROWSER) if by == "browser_id" else event(email=Matchable.read("x@example.com"))
    without = given(stitch(replace(named, event_source_url="https://shop.example.com/x?q=1"), known))
    found = given(stitch(replace(named, event_source_url=f"https://shop.example.com/x?q=1&{name}={NEW[name]}"), known))
    assert found == {kind: value for kind, value in without.items() if kind not in of_page}
    assert len(found) < len(without) or kind in ("gbraid", "gclid", "wbraid")
    assert not of_page & found.keys()


@pytest.mark.parametrize(
    "page",
    [
        *("", "?twclid=", "?twclid={twclid}", "?twclid=a%20b", "?TWCLID=New2", "#?twclid=New2", "?q=twclid=New2"),
        *("?twclid=jane@example.com", "?twclid=%2B4915112345678", "?twclid=+4915112345678"),
    ],
)
def test_what_is_no_click_in_the_pages_address_keeps_none_away(page: str) -> None:
    browser = Browser(BROWSER, [signal("twclid", "Old1", HOUR)])
    named = replace(event(browser_id=BROWSER), event_source_url=f"https://shop.example.com/{page}")
    assert given(stitch(named, Known(browser))) == {"twclid": "Old1"}


@pytest.mark.parametrize("by", ["browser_id", "email"])
def test_metas_click_in_the_pages_address_gets_the_time_at_which_that_very_click_was_first_seen(by: str) -> None:
    clicked = signal("fbclid", "AbC", 3 * HOUR)
    cookie, old = signal("fbc", "fb.1.1700000000000.AbC.AQ", HOUR), signal("fbc", "fb.1.1700000000000.Old1", HOUR)
    built = f"fb.1.{int(clicked.first_seen_at.timestamp() * 1000)}.AbC"
    own = {"browser_id": BROWSER} if by == "browser_id" else {"email": Matchable.read("x@example.com")}
    named = replace(event(**own), event_source_url="https://shop.example.com/?fbclid=AbC")
    for signals, expected in (
        ([clicked], {"fbc": built}),
        ([clicked, old], {"fbc": built}),
        ([old, clicked, cookie], {"fbc": cookie.value}),
        ([old], {}),
    ):
        browser = Browser(BROWSER, signals, [replace(person(), first_seen_at=NOW - DAY)])
        known = Known(browser) if by == "browser_id" else Known(browsers=[browser], person=DIGEST)
        found = [one for one in stitch(named, known) if one.field != "email"]
        assert given(tuple(found)) == expected
        assert {one.browser_id for one in found} <= {None if by == "browser_id" else BROWSER}


def test_whoever_denied_consent_gets_and_gives_nothing() -> None:
    signals = [signal("gclid", "g", HOUR)]
    denied = replace(event(browser_id=BROWSER), consent=Consent(ad_user_data="denied"))
    assert stitch(denied, Known(Browser(BROWSER, signals))) == ()
    assert stitch(event(browser_id=BROWSER), Known(Browser(BROWSER, signals, [person()], is_refused=True))) == ()
    buyer = event(email=Matchable.read("x@example.com"))
    refused = [Browser(BROWSER, signals, [person()], is_refused=True)]
    assert judge_event(buyer, Known(browsers=refused, person=DIGEST)) == Stitched(note=Note.CONSENT_DENIED)


def test_a_mapper_gets_the_added_values_beside_the_events_own() -> None:
    given_event = event(browser_id=BROWSER, gclid="own")
    browser = Browser(BROWSER, [signal("ttclid", "t", HOUR)], people=[person()])
    found = enriched(given_event, stitch(given_event, Known(browser)))
    assert (found.user_data.gclid, found.user_data.ttclid) == ("own", "t")
    assert found.user_data.email is not None
    assert found.user_data.email.email_sha256("basic") == DIGEST
    assert given_event.user_data.ttclid is None


@pytest.mark.parametrize(("program", "may_hold"), [(AGENT, False), ("Shop/1.0 (jane@example.com)", True)])
def test_an_event_is_looked_at_for_contacts_again_only_where_what_was_added_may_hold_one(
    program: str, may_hold: bool
) -> None:
    everyday = replace(event(browser_id=BROWSER))
    vars(everyday)["may_hold_contact"] = False
    browser = Browser(BROWSER, [signal("client_user_agent", program, HOUR, timedelta())], people=[person()])
    found = enriched(everyday, stitch(everyday, Known(browser)))
    assert found.user_data.client_user_agent == program
    assert found.may_hold_contact is may_hold
    odd = enriched(event(browser_id=BROWSER), stitch(everyday, Known(browser)))
    assert odd.may_hold_contact
