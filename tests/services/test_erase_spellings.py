"""Of a mailbox that is spelled in several ways: whoever is erased by one of them is left alone, and let back, by each."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from tests.factories import Merchant, new_merchant
from tests.services.test_erase import LAPTOP, begin, finish, links, of, seen, send, sound, stored
from tracklayer.clock import FrozenClock
from tracklayer.db.connection import execute, in_transaction, rows
from tracklayer.domain import normalise
from tracklayer.runtime import Runtime
from tracklayer.services.erase import ON_ITS_WAY, Counted, Request, count_person, unsuppress_person
from tracklayer.services.identify import identify

DOTTED = "kim.lee@gmail.com"
DOTLESS = "kimlee@gmail.com"
ALIKE = (
    DOTTED,
    "k.i.m.lee+news@googlemail.com",
    DOTLESS,
    normalise.sha256_hex(DOTTED),
    normalise.sha256_hex(DOTLESS),
    normalise.sha256_hex("kimlee@googlemail.com"),
)


def left_alone(runtime: Runtime, merchant: Merchant, *values: str, field: str = "email") -> list[bool]:
    """Of each value whether an event with it is of somebody who is left alone."""
    at = runtime.clock.now().isoformat()
    events = [of(f"{at} {field} {number}", None, **{field: value}) for number, value in enumerate(values)]
    return [
        "PERSON_SUPPRESSED" in {warning.code for warning in one.warnings} for one in send(runtime, merchant, *events)
    ]


@pytest.mark.parametrize(
    "by", ["j.d.o.e.x+zz@googlemail.com", "jdoex@gmail.com", normalise.sha256_hex("jdoe.x@gmail.com")]
)
@pytest.mark.parametrize("how_often", [1, 2])
def test_whoever_is_let_back_by_one_spelling_is_let_back_by_all(
    runtime: Runtime, merchant: Merchant, clock: FrozenClock, by: str, how_often: int
) -> None:
    """Also where the person was erased by two of them, and the browsers come back with the person."""
    asked = ("jdoe.x@gmail.com", "j.doex+y@gmail.com")[:how_often]
    seen(merchant, clock, LAPTOP, email=asked[0])
    clock.move(timedelta(minutes=1))
    for email in asked:
        finish(runtime, clock, begin(runtime, merchant, Request(email=email)))
    spellings = [
        *asked,
        "jdoex@gmail.com",
        "jdoe.x+news@gmail.com",
        *map(normalise.sha256_hex, (*asked, "jdoex@gmail.com")),
    ]
    assert left_alone(runtime, merchant, *spellings) == [True] * len(spellings)
    assert left_alone(runtime, merchant, LAPTOP, field="browser_id") == [True]
    assert unsuppress_person(runtime, merchant.merchant_id, Request(email=by))
    clock.move(timedelta(seconds=1))
    assert left_alone(runtime, merchant, *spellings) == [False] * len(spellings)
    assert left_alone(runtime, merchant, LAPTOP, field="browser_id") == [False]
    with in_transaction():
        assert rows("SELECT count(*) FROM suppressions") == [(0,)]
    assert unsuppress_person(runtime, merchant.merchant_id, Request(email=asked[0])) == 0


@pytest.mark.parametrize(
    ("field", "asked", "by", "also"),
    [
        ("email", "jane.q@example.com", normalise.sha256_hex("jane.q@example.com"), "jane.q%40example.com"),
        (
            "email",
            normalise.sha256_hex("jane.q@example.com"),
            "jane.q@example.com",
            normalise.sha256_hex("jane.q@example.com"),
        ),
        ("phone", "+4917012345678", normalise.sha256_hex("4917012345678"), "+49 170 12345678"),
        ("external_id", "customer-7", normalise.sha256_hex("customer-7"), "customer-7"),
    ],
)
def test_whoever_is_let_back_by_a_digest_or_in_plain_is_let_back_in_every_form(
    runtime: Runtime, merchant: Merchant, clock: FrozenClock, field: str, asked: Any, by: Any, also: str
) -> None:
    clock.move(timedelta(minutes=1))
    finish(runtime, clock, begin(runtime, merchant, replace(Request(), **{field: asked})))
    assert left_alone(runtime, merchant, asked, also, field=field) == [True, True]
    assert unsuppress_person(runtime, merchant.merchant_id, replace(Request(), **{field: by}))
    clock.move(timedelta(seconds=1))
    assert left_alone(runtime, merchant, asked, also, field=field) == [False, False]
    with in_transaction():
        assert rows("SELECT count(*) FROM suppressions") == [(0,)]


@pytest.mark.parametrize(
    ("field", "sent", "read"),
    [
        ("email", "kim%2B1@example.com", "kim+1@example.com"),
        ("email", "jane%40example.com", "jane@example.com"),
        ("email", "jane&#64;example.com", "jane@example.com"),
        ("email", r"jane\u0040example.com", "jane@example.com"),
        ("email", "o&#39;b@example.com", "o'b@example.com"),
        ("browser_id", f"_tlb={LAPTOP}", LAPTOP),
        ("browser_id", f'"{LAPTOP}"', LAPTOP),
    ],
)
def test_somebody_is_found_left_alone_and_let_back_by_what_the_shop_sends(
    runtime: Runtime, merchant: Merchant, clock: FrozenClock, field: str, sent: Any, read: Any
) -> None:
    """As ingest reads it: by its escapes and without them."""
    for asked, other in ((sent, read), (read, sent)):
        send(runtime, merchant, of(f"by {asked}", None, **{field: sent}))
        clock.move(timedelta(minutes=1))
        row = finish(runtime, clock, begin(runtime, merchant, replace(Request(), **{field: asked})))
        assert (row.counts["events"], stored(merchant)) == (1, [])
        assert left_alone(runtime, merchant, sent, read, field=field) == [True, True]
        assert unsuppress_person(runtime, merchant.merchant_id, replace(Request(), **{field: other}))
        clock.move(timedelta(seconds=1))
        assert left_alone(runtime, merchant, sent, read, field=field) == [False, False]
        with in_transaction():
            assert rows("SELECT count(*) FROM suppressions") == [(0,)]
            execute("DELETE FROM deliveries")
            execute("DELETE FROM events")


@pytest.mark.parametrize("nobody", ["_tlb=null", '"undefined"'])
def test_no_browser_is_nobodys_whatever_stands_around_it(runtime: Runtime, merchant: Merchant, nobody: str) -> None:
    found = count_person(runtime, merchant.merchant_id, Request(browser_id=nobody))
    assert isinstance(found, list)
    assert [problem.code for problem in found] == ["INVALID_VALUE"]


def test_who_is_let_back_takes_nobody_along(runtime: Runtime, merchant: Merchant, clock: FrozenClock) -> None:
    """Neither whoever has the same phone, nor what else the request named, nor another merchant's suppression."""
    other = new_merchant(runtime)
    clock.move(timedelta(minutes=1))
    for one in (merchant, other):
        begin(runtime, one, Request(email=DOTTED, phone="+4917012345678"))
        begin(runtime, one, Request(email="bob@other.example", phone="+4917012345678"))
    assert unsuppress_person(runtime, merchant.merchant_id, Request(email=DOTLESS))
    assert left_alone(runtime, merchant, *ALIKE[:3], "bob@other.example") == [False, False, False, True]
    assert left_alone(runtime, merchant, "+4917012345678", field="phone") == [True]
    assert left_alone(runtime, other, *ALIKE[:3]) == [True] * 3


def test_who_is_let_back_takes_no_browser_along_that_is_another_persons_as_well(
    runtime: Runtime, merchant: Merchant, clock: FrozenClock
) -> None:
    """Whoever of them was first: it is let back by its own id, and not by a name that others know."""
    ann, ben, theirs = "ann@shop.example", "ben@shop.example", "theirs-and-nobody-elses-9"
    for first, second in ((ann, ben), (ben, ann)):
        clock.move(timedelta(minutes=1))
        finish(runtime, clock, begin(runtime, merchant, Request(email=first, browser_id=LAPTOP)))
        finish(runtime, clock, begin(runtime, merchant, Request(email=second, browser_id=LAPTOP)))
        finish(runtime, clock, begin(runtime, merchant, Request(email=ann, browser_id=theirs)))
        assert unsuppress_person(runtime, merchant.merchant_id, Request(email=ann))
        clock.move(timedelta(seconds=1))
        assert left_alone(runtime, merchant, ann, ben) == [False, True]
        assert left_alone(runtime, merchant, LAPTOP, theirs, field="browser_id") == [True, False]
        assert unsuppress_person(runtime, merchant.merchant_id, Request(email=ben, browser_id=LAPTOP))
        clock.move(timedelta(seconds=1))
        assert left_alone(runtime, merchant, LAPTOP, field="browser_id") == [False]
        with in_transaction():
            assert rows("SELECT count(*) FROM suppressions") == [(0,)]


@pytest.mark.parametrize("alone_first", [True, False])
def test_a_browser_that_was_asked_for_alone_is_let_back_alone(
    runtime: Runtime, merchant: Merchant, clock: FrozenClock, alone_first: bool
) -> None:
    both = [Request(browser_id=LAPTOP), Request(email=DOTTED, browser_id=LAPTOP)]
    clock.move(timedelta(minutes=1))
    for request in both if alone_first else reversed(both):
        finish(runtime, clock, begin(runtime, merchant, request))
    assert unsuppress_person(runtime, merchant.merchant_id, Request(email=DOTTED))
    clock.move(timedelta(seconds=1))
    assert left_alone(runtime, merchant, LAPTOP, field="browser_id") == [True]


@pytest.mark.parametrize("asked", [(DOTTED, DOTLESS), (ALIKE[3], DOTTED), (DOTTED, ALIKE[3])])
def test_a_browser_of_one_person_who_was_erased_by_two_spellings_comes_back_with_the_person(
    runtime: Runtime, merchant: Merchant, clock: FrozenClock, asked: tuple[str, str]
) -> None:
    clock.move(timedelta(minutes=1))
    for email in asked:
        finish(runtime, clock, begin(runtime, merchant, Request(email=email, browser_id=LAPTOP)))
    assert unsuppress_person(runtime, merchant.merchant_id, Request(email=ALIKE[1]))
    clock.move(timedelta(seconds=1))
    assert left_alone(runtime, merchant, LAPTOP, field="browser_id") == [False]


def test_what_the_version_before_suppressed_is_let_back_as_it_was_and_as_a_whole_once_erased_again(
    runtime: Runtime, merchant: Merchant, clock: FrozenClock
) -> None:
    clock.move(timedelta(minutes=1))
    begin(runtime, merchant, Request(email=DOTTED))
    with in_transaction():  # as that version left it
        execute("UPDATE suppressions SET of_mark = NULL")
    clock.move(timedelta(seconds=1))
    begin(runtime, merchant, Request(email=DOTTED))
    assert unsuppress_person(runtime, merchant.merchant_id, Request(email=ALIKE[1]))
    with in_transaction():
        assert rows("SELECT count(*) FROM suppressions") == [(0,)]


@pytest.mark.parametrize("hashing", [True, False], ids=["hashed", "in plain"])
@pytest.mark.parametrize("is_first", [True, False], ids=["told first", "told later"])
def test_the_digest_of_a_spelling_that_erased_events_have_is_the_persons(
    runtime: Runtime, clock: FrozenClock, is_first: bool, hashing: bool
) -> None:
    """Whether it came before or after the event that tells of it, by an event or by ``identify``, and from then on."""
    merchant = new_merchant(runtime, hashing=hashing)
    digest = normalise.sha256_hex(DOTTED)
    told, own = of("in plain", DOTTED), of("as a digest", digest)
    for one in (told, own) if is_first else (own, told):
        send(runtime, merchant, one)
        clock.move(timedelta(seconds=1))
    send(runtime, merchant, of("another's", "kimlee@other.example"), of("in the browser", None, browser_id=LAPTOP))
    looked = count_person(runtime, merchant.merchant_id, Request(email=DOTLESS))
    assert isinstance(looked, Counted)
    assert looked.events == 2
    row = begin(runtime, merchant, Request(email=DOTLESS))
    clock.move(timedelta(seconds=1))
    assert identify(runtime, merchant.holder, LAPTOP, {"email": digest}).is_linked  # nobody knows yet
    clock.move(timedelta(seconds=12))
    send(runtime, merchant, of("since", digest))
    done = finish(runtime, clock, row)
    assert stored(merchant) == ["another's"]
    assert (done.counts["events"], links(merchant)) == (4, [])
    clock.move(timedelta(minutes=1))
    assert left_alone(runtime, merchant, *ALIKE) == [True] * len(ALIKE)
    assert not identify(runtime, merchant.holder, LAPTOP, {"email": digest}).is_linked
    assert unsuppress_person(runtime, merchant.merchant_id, Request(email=ALIKE[1]))
    clock.move(timedelta(seconds=1))
    assert left_alone(runtime, merchant, *ALIKE) == [False] * len(ALIKE)
    sound(clock)


def test_who_was_let_back_before_it_was_found_is_not_left_alone_by_a_spelling(
    runtime: Runtime, merchant: Merchant, clock: FrozenClock
) -> None:
    send(runtime, merchant, of("in plain", DOTTED))
    row = begin(runtime, merchant, Request(email=DOTLESS))
    clock.move(ON_ITS_WAY)
    assert unsuppress_person(runtime, merchant.merchant_id, Request(email=DOTLESS))
    clock.move(timedelta(seconds=1))
    send(runtime, merchant, of("a new customer", normalise.sha256_hex(DOTTED)))
    clock.move(timedelta(seconds=1))
    finish(runtime, clock, row)
    assert stored(merchant) == ["a new customer"]
    with in_transaction():
        assert rows("SELECT count(*) FROM suppressions") == [(0,)]


def test_a_spelling_suppresses_nobody_where_nobody_is_left_alone(
    runtime: Runtime, merchant: Merchant, clock: FrozenClock
) -> None:
    send(runtime, merchant, of("in plain", DOTTED), of("as a digest", normalise.sha256_hex(DOTTED)))
    clock.move(timedelta(minutes=1))
    row = finish(runtime, clock, begin(runtime, merchant, Request(email=DOTLESS), suppress=False))
    assert row.counts["events"] == 2
    assert left_alone(runtime, merchant, *ALIKE) == [False] * len(ALIKE)
