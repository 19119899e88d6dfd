"""Many erasures of a merchant look at its events together: each event is read once for all of them."""

from __future__ import annotations

import random
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import orjson
import pytest

from tests.factories import API_KEY_SECRET, Api, Merchant, new_merchant
from tests.servers import PATIENCE_SECONDS
from tests.services.test_browser_rows import in_the_background, until_it_waits
from tests.services.test_erase import (
    EMAIL,
    LAPTOP,
    OPERATOR,
    begin,
    dump,
    finish,
    links,
    of,
    seen,
    send,
    sound,
    state,
    stored,
)
from tests.services.test_erase_jobs import NEW_KEY, keys
from tracklayer.clock import FrozenClock
from tracklayer.db import erasures as db
from tracklayer.db import identities, personal_data, traces
from tracklayer.db.connection import Pool, execute, in_transaction, rows
from tracklayer.db.identities import Shown
from tracklayer.domain.person import of_browser
from tracklayer.domain.stitching import LINK_GRAIN
from tracklayer.runtime import Runtime
from tracklayer.services import erase, erase_jobs
from tracklayer.services.erase import ON_ITS_WAY, Begun, Request, erase_person, unsuppress_person
from tracklayer.services.erase_jobs import continue_erasures
from tracklayer.services.identify import identify
from tracklayer.services.ingest import ingest_events
from tracklayer.services.keys import KeyLostError, confirm_keys
from tracklayer.services.marks import marker_of

TELEPHONE = "te1eph0e" * 4
PEOPLE = [f"canary{number:02}@shop.example" for number in range(60)]


@contextmanager
def counted(monkeypatch: pytest.MonkeyPatch) -> Iterator[Counter[str]]:
    """Statements that are run meanwhile, and ``read``: events that pages of them held."""
    found: Counter[str] = Counter()
    real_sql, real_page = Pool.execute_sql, personal_data.events_after

    def run(self: Pool, sql: str, *args: Any, **kwargs: Any) -> Any:
        found["statements"] += 1
        return real_sql(self, sql, *args, **kwargs)

    def page(*args: Any) -> list[personal_data.Looked]:
        looked = real_page(*args)
        found["pages"] += 1
        found["read"] += len(looked)
        return looked

    with monkeypatch.context() as patch:
        patch.setattr(Pool, "execute_sql", run)
        patch.setattr(personal_data, "events_after", page)
        yield found


def a_town(runtime: Runtime, merchant: Merchant, clock: FrozenClock, events: int) -> list[str]:
    """Every tenth event is of one of ``PEOPLE``; ids of the others."""
    others = []
    for number in range(events):
        whose = PEOPLE[number // 10 % len(PEOPLE)] if number % 10 == 0 else f"n{number}@shop.example"
        if number % 10:
            others.append(f"e{number:04}")
        send(runtime, merchant, of(f"e{number:04}", whose))
        clock.move(timedelta(milliseconds=1))
    clock.move(timedelta(minutes=1))
    return others


def finish_all(runtime: Runtime, clock: FrozenClock, begun: Sequence[db.ErasureRow]) -> list[db.ErasureRow]:
    return [finish(runtime, clock, row) for row in begun]


def test_what_may_mention_events_is_read_once_for_all_who_are_as_far(
    runtime: Runtime, merchant: Merchant, clock: FrozenClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One of them fails, and keeps none of the others from its end."""
    for number, email in enumerate(PEOPLE[:20]):
        send(runtime, merchant, of(f"canary-{number:02}", email))
    with in_transaction():
        for number in range(21):
            execute(
                "INSERT INTO alerts (merchant_id, kind, severity, title, message, details, opened_at, last_seen_at) "
                "VALUES (%s, %s, 'warning', 'x', %s, '{}', %s, %s)",
                (
                    merchant.merchant_id,
                    f"kind {number}",
                    f"See canary-{number:02}, canary-00.",
                    clock.now(),
                    clock.now(),
                ),
            )
    clock.move(timedelta(minutes=1))
    begun = [begin(runtime, merchant, Request(email=email)) for email in PEOPLE[:20]]
    while {state(row).stage for row in begun} != {"traces"}:
        with monkeypatch.context() as patch:
            patch.setattr(erase_jobs, "_traces", lambda *_: None)
            continue_erasures(runtime, 0.5)
        clock.move(timedelta(seconds=1))
    with in_transaction():
        execute("UPDATE erasure_traces SET sealed = 'x' WHERE erasure_id = %s", (begun[7].erasure_id,))
    read: Counter[str] = Counter()
    real = traces.page_of_place

    def page(place: traces.Mentions, *args: Any) -> Any:
        read[place.table] += 1
        return real(place, *args)

    monkeypatch.setattr(traces, "page_of_place", page)
    for _ in range(5):
        continue_erasures(runtime, 30)
        clock.move(timedelta(minutes=1))
    done = [state(row) for row in begun]
    assert [number for number, row in enumerate(done) if row.receipt is None] == [7]
    assert done[7].failures > 1
    assert read["alerts"] == 1
    assert [row.counts.get("mentions") for row in done] == [21, *[1] * 6, None, *[1] * 12]
    with in_transaction():
        said = [row[0] for row in rows("SELECT message FROM alerts ORDER BY alert_id")]
    left = {7: "See canary-07, erased.", 20: "See canary-20, erased."}
    assert said == [left.get(number, "See erased, erased.") for number in range(21)]


@pytest.mark.parametrize("people", [1, 60])
def test_sixty_erasures_read_the_events_as_often_as_one(
    runtime: Runtime, merchant: Merchant, clock: FrozenClock, monkeypatch: pytest.MonkeyPatch, people: int
) -> None:
    monkeypatch.setattr(erase_jobs, "PAGE", 50)
    others = a_town(runtime, merchant, clock, 600)
    begun = [begin(runtime, merchant, Request(email=email)) for email in PEOPLE[:people]]
    clock.move(ON_ITS_WAY)
    with counted(monkeypatch) as found:
        continue_erasures(runtime, 30)
    assert {state(row).stage for row in begun} == {"settling"}
    assert {state(row).scanned for row in begun} == {600}
    assert found["read"] == 600
    assert found["pages"] == 13  # the last one is empty
    assert found["statements"] < 13 * 40  # of a page with six or fewer events to delete, whoever wants them
    with counted(monkeypatch) as found:
        done = finish_all(runtime, clock, begun)
    assert (found["pages"], found["read"]) == (1, 0)
    assert [row.counts["events"] for row in done] == [1] * people
    gone = {f"e{number * 10:04}" for number in range(people)}
    assert stored(merchant) == sorted({*others, *(f"e{number:04}" for number in range(0, 600, 10))} - gone)
    with in_transaction():
        assert rows("SELECT place, lap FROM erasure_walks") == [(None, 0)]


def test_one_that_comes_later_joins_and_goes_round(
    runtime: Runtime, merchant: Merchant, clock: FrozenClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(erase_jobs, "PAGE", 10)
    others = a_town(runtime, merchant, clock, 200)
    first = begin(runtime, merchant, Request(email=PEOPLE[0]))
    clock.move(ON_ITS_WAY)
    with counted(monkeypatch) as found:
        for _ in range(12):
            continue_erasures(runtime, 0.001)
        assert (state(first).scanned, found["read"]) == (120, 120)
        # Each comes when the others are in the middle, and none of them keeps another.
        late = [begin(runtime, merchant, Request(email=PEOPLE[number])) for number in (1, 18)]
        clock.move(ON_ITS_WAY)
        for _ in range(5):
            continue_erasures(runtime, 0.001)
        latest = begin(runtime, merchant, Request(email=PEOPLE[2]), suppress=False)
        clock.move(ON_ITS_WAY)
        for _ in range(4):
            continue_erasures(runtime, 0.001)
        assert state(first).stage == "settling"
        assert {state(row).stage for row in (*late, latest)} == {"walk"}
        done = finish_all(runtime, clock, [first, *late, latest])
    assert [row.counts["events"] for row in done] == [1] * 4
    assert min(row.scanned for row in done) >= 200 - 3  # what others deleted, nobody sees
    assert found["read"] <= 2 * 200
    gone = {f"e{number * 10:04}" for number in (0, 1, 2, 18)}
    assert stored(merchant) == sorted({*others, *(f"e{number:04}" for number in range(0, 200, 10))} - gone)
    sound(clock)


def test_an_event_of_two_is_the_first_ones_and_one_after_a_request_is_nobodys(
    runtime: Runtime, merchant: Merchant, clock: FrozenClock
) -> None:
    """Each looks at what came until it was asked for, whoever else looks at more."""
    send(runtime, merchant, of("of-two", None, emails=PEOPLE[:2]), of("of-one", PEOPLE[1]))
    clock.move(timedelta(minutes=1))
    early = begin(runtime, merchant, Request(email=PEOPLE[1]), suppress=False)
    clock.move(timedelta(seconds=1))
    send(runtime, merchant, of("after", PEOPLE[1]))
    clock.move(timedelta(seconds=1))
    late = begin(runtime, merchant, Request(email=PEOPLE[0]))
    done = finish_all(runtime, clock, [early, late])
    assert [row.counts.get("events") for row in done] == [2, None]
    assert stored(merchant) == ["after"]


def test_merchants_do_not_wait_for_each_others_walks(
    runtime: Runtime, merchant: Merchant, clock: FrozenClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(erase_jobs, "PAGE", 5)
    other = new_merchant(runtime, name="Other")
    a_town(runtime, merchant, clock, 100)
    send(runtime, other, of("hers"))
    clock.move(timedelta(minutes=1))
    for email in PEOPLE:
        begin(runtime, merchant, Request(email=email))
    row = begin(runtime, other, Request(email=EMAIL))
    clock.move(ON_ITS_WAY)
    for _ in range(2):
        clock.move(timedelta(milliseconds=1))
        continue_erasures(runtime, 0.001)
    assert stored(other) == []
    assert finish(runtime, clock, row).counts["events"] == 1


@pytest.mark.parametrize("is_known", [False, True])
def test_a_walk_that_somebody_holds_is_passed_over_and_not_waited_for(
    runtime: Runtime, merchant: Merchant, clock: FrozenClock, is_known: bool
) -> None:
    """``is_known``: it went on before."""
    other = new_merchant(runtime, name="Other")
    for one in (merchant, other):
        begin(runtime, one, Request(email=EMAIL))
        clock.move(timedelta(milliseconds=1))
    clock.move(ON_ITS_WAY)
    for _ in range(2 if is_known else 0):
        with in_transaction():
            turn = db.take_turn(clock.now())
            assert isinstance(turn, db.WalkRow)
            turn.next_at = clock.now()
            db.save_walk(turn)
        clock.move(timedelta(milliseconds=1))
    taken, go_on = threading.Event(), threading.Event()

    def worker() -> None:
        with in_transaction():
            turn = db.take_turn(clock.now())
            assert turn is not None
            assert turn.merchant_id == merchant.merchant_id
            taken.set()
            go_on.wait(PATIENCE_SECONDS)  # whoever waited for its lock would have been told that he waits in vain

    with in_the_background(worker):
        taken.wait()
        try:
            with in_transaction():
                turn = db.take_turn(clock.now())
        finally:
            go_on.set()
    assert turn is not None
    assert turn.merchant_id == other.merchant_id


def test_whoever_of_two_has_finished_an_event_of_both_is_mentioned_no_more(
    runtime: Runtime, merchant: Merchant, clock: FrozenClock
) -> None:
    """It counts as the first one's, who stands still, and may be given up."""
    send(runtime, merchant, of("canary-of-both", None, emails=PEOPLE[:2]))
    with in_transaction():
        execute(
            "INSERT INTO alerts (merchant_id, kind, severity, title, message, details, opened_at, last_seen_at) "
            "VALUES (%s, 'kind', 'warning', 'x', 'See canary-of-both.', '{}', %s, %s)",
            (merchant.merchant_id, clock.now(), clock.now()),
        )
    clock.move(timedelta(minutes=1))
    first, second = [begin(runtime, merchant, Request(email=email)) for email in PEOPLE[:2]]
    while state(first).stage != "people":
        continue_erasures(runtime, 0.001)
        clock.move(timedelta(seconds=1))
    with in_transaction():
        execute("UPDATE erasures SET next_at = next_at + interval '1 day' WHERE erasure_id = %s", (first.erasure_id,))
    assert finish(runtime, clock, second).receipt is not None
    assert state(first).receipt is None
    with in_transaction():
        assert rows("SELECT message FROM alerts") == [("See erased.",)]
        execute("UPDATE erasures SET next_at = %s WHERE erasure_id = %s", (clock.now(), first.erasure_id))
    done = [finish(runtime, clock, first), state(second)]
    assert [(row.counts.get("events"), row.counts.get("mentions")) for row in done] == [(1, None), (None, 1)]


def test_what_came_back_tells_of_browsers_to_nobody_but_whose_it_is(
    runtime: Runtime, merchant: Merchant, clock: FrozenClock
) -> None:
    """Two are erased together, and a repeat of one's event was on its way when that was deleted."""
    seen(merchant, clock, LAPTOP, email=PEOPLE[1])
    his = of("his", PEOPLE[1], browser_id=LAPTOP)
    send(runtime, merchant, of("hers", PEOPLE[0]), his)
    clock.move(timedelta(minutes=1))
    begun = [
        begin(runtime, merchant, Request(email=PEOPLE[0])),
        begin(runtime, merchant, Request(email=PEOPLE[1]), suppress=False),
    ]
    while {state(row).stage for row in begun} != {"settling"}:
        continue_erasures(runtime, 30)
        clock.move(timedelta(seconds=1))
    assert stored(merchant) == []
    ingest_events(runtime, replace(merchant.holder, is_marked=False), [his])
    assert stored(merchant) == ["his"]
    done = finish_all(runtime, clock, begun)
    assert stored(merchant) == []
    assert [(row.counts["events"], row.counts.get("identities", 0)) for row in done] == [(1, 0), (2, 1)]
    # Of his browser nothing was found out by hers: it is not left alone.
    assert send(runtime, merchant, of("after", None, browser_id=LAPTOP))[0].warnings == ()


def test_one_whose_key_is_away_keeps_no_other_one(
    runtime: Runtime, merchant: Merchant, clock: FrozenClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(erase_jobs, "PAGE", 5)
    a_town(runtime, merchant, clock, 40)
    sealer = runtime.sealer
    stuck = begin(runtime, merchant, Request(email=PEOPLE[1]))
    with in_transaction():
        execute("UPDATE erasures SET wanted = %s", (keys(NEW_KEY).seal(b"{}", "elsewhere"),))
    row = begin(runtime, merchant, Request(email=PEOPLE[0]))
    assert finish(runtime, clock, row).counts["events"] == 1
    assert state(stuck).failures > 0
    assert state(stuck).failing_since is not None
    runtime.sealer = sealer


def test_a_walk_whose_place_cannot_be_read_begins_anew(
    runtime: Runtime, merchant: Merchant, clock: FrozenClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(erase_jobs, "PAGE", 5)
    a_town(runtime, merchant, clock, 40)
    row = begin(runtime, merchant, Request(email=PEOPLE[3]))
    clock.move(ON_ITS_WAY)
    for _ in range(2):
        continue_erasures(runtime, 0.001)
    assert state(row).scanned == 10
    with in_transaction():
        execute("UPDATE erasure_walks SET place = %s", (keys(NEW_KEY).seal(b"[]", "elsewhere"),))
    assert finish(runtime, clock, row).counts["events"] == 1


def test_while_a_key_is_rotated_a_process_without_it_sends_no_walk_back(
    runtime: Runtime, merchant: Merchant, clock: FrozenClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two workers take turns, and one of them was not started anew yet."""
    monkeypatch.setattr(erase_jobs, "PAGE", 5)
    a_town(runtime, merchant, clock, 60)
    row = begin(runtime, merchant, Request(email=PEOPLE[3]))
    clock.move(ON_ITS_WAY)
    before, after = runtime.sealer, keys(NEW_KEY, API_KEY_SECRET)
    confirm_keys(after, clock.now())
    dice, scanned = random.Random(3), []
    for _ in range(60):
        runtime.sealer = dice.choice((before, after))
        continue_erasures(runtime, 0.001)
        clock.move(timedelta(seconds=1))
        scanned.append(state(row).scanned)
        if len(scanned) == 20:
            assert state(row).stage == "walk"
            with pytest.raises(KeyLostError), in_transaction():  # none starts without it now
                confirm_keys(before, clock.now())
    assert scanned == sorted(scanned)
    assert scanned[-1] >= 60
    runtime.sealer = after
    assert finish(runtime, clock, row).counts["events"] == 1


def test_one_that_the_version_before_began_joins(runtime: Runtime, merchant: Merchant, clock: FrozenClock) -> None:
    """That one looked by itself: its place means nothing to the others, so it looks at all events again."""
    a_town(runtime, merchant, clock, 40)
    for stage, email in (("scan", PEOPLE[0]), ("settle", PEOPLE[1])):
        row = begin(runtime, merchant, Request(email=email))
        with in_transaction():
            execute(
                "UPDATE erasures SET stage = %s, scanned = 7, after = 'x', next_at = requested_at WHERE erasure_id = %s",
                (stage, row.erasure_id),
            )
        done = finish(runtime, clock, row)
        assert done.counts.get("events") == (1 if stage == "scan" else None)
        assert done.scanned == (40 if stage == "scan" else 0)


def test_killed_at_every_step_sixty_end_the_same(
    runtime: Runtime, merchant: Merchant, clock: FrozenClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(erase_jobs, "PAGE", 40)
    monkeypatch.setattr(erase_jobs, "MOST", 3)
    others = a_town(runtime, merchant, clock, 600)
    begun = [begin(runtime, merchant, Request(email=email)) for email in PEOPLE[:30]]
    real, kills = db.save_erasures, 0

    def killed(some: Sequence[db.ErasureRow]) -> None:
        real(some)
        raise KeyboardInterrupt

    for attempt in range(1000):
        if attempt == 20:
            begun += [begin(runtime, merchant, Request(email=email)) for email in PEOPLE[30:]]
        if attempt % 2 == 0:
            monkeypatch.setattr(db, "save_erasures", killed)
            try:
                continue_erasures(runtime, 0.001)
            except KeyboardInterrupt:
                kills += 1
            monkeypatch.setattr(db, "save_erasures", real)
        else:
            continue_erasures(runtime, 0.001)
        if len(begun) == 60 and all(state(row).finished_at for row in begun):
            break
        clock.move(timedelta(milliseconds=500))
    done = [state(row) for row in begun]
    assert kills > 50
    assert [row.counts["events"] for row in done] == [1] * 60
    assert [row.counts["deliveries"] for row in done] == [1] * 60
    assert stored(merchant) == others
    text = dump()
    assert [email for email in PEOPLE if email in text] == []
    sound(clock)


@pytest.mark.parametrize("is_left_alone", [True, False])
def test_asked_for_two_hundred_times_one_person_is_erased_once(
    runtime: Runtime, merchant: Merchant, clock: FrozenClock, monkeypatch: pytest.MonkeyPatch, is_left_alone: bool
) -> None:
    """All at once; again in the middle of it; and, where the person is not left alone, for what came meanwhile."""
    monkeypatch.setattr(erase_jobs, "PAGE", 50)
    send(runtime, merchant, *(of(f"hers-{number:03}") for number in range(200)))
    clock.move(timedelta(minutes=1))

    def ask(count: int) -> list[Begun]:
        found = []
        for _ in range(count):
            one = erase_person(runtime, merchant.merchant_id, Request(email=EMAIL), OPERATOR, suppress=is_left_alone)
            assert isinstance(one, Begun)
            found.append(one)
            clock.move(timedelta(milliseconds=1))
        return found

    asked = ask(100)
    assert [one.is_another for one in asked] == [False, *[True] * 99]
    clock.move(ON_ITS_WAY)
    with counted(monkeypatch) as found:
        continue_erasures(runtime, 0.001)
        continue_erasures(runtime, 0.001)
    assert state(asked[0].erasure).scanned == 100
    assert found["statements"] < 2 * 40
    send(runtime, merchant, of("later"))
    clock.move(timedelta(seconds=1))
    asked += ask(50)
    clock.move(ON_ITS_WAY)
    continue_erasures(runtime, 0.001)
    asked += ask(50)
    ids = {one.erasure.erasure_id for one in asked}
    assert len(ids) == (1 if is_left_alone else 2)
    done = finish_all(
        runtime, clock, [{one.erasure.erasure_id: one.erasure for one in asked}[key] for key in sorted(ids)]
    )
    assert [row.counts["events"] for row in done] == ([200] if is_left_alone else [200, 1])
    assert stored(merchant) == (["later"] if is_left_alone else [])
    with in_transaction():
        assert rows("SELECT count(*) FROM events WHERE user_data::text LIKE %s", (f"%{EMAIL}%",)) == [(0,)]
    assert all(row.receipt is not None for row in done)
    assert not ask(1)[0].is_another  # what is finished does nothing for whoever asks then
    sound(clock)


def test_what_another_does_not_do_is_begun(runtime: Runtime, merchant: Merchant, clock: FrozenClock) -> None:
    """Other options, other targets, an event that came since, somebody who was let back: none of that is the same."""
    send(runtime, merchant, of("hers"), of("named", None))
    clock.move(timedelta(minutes=1))

    def ask(request: Request, *, suppress: bool = True) -> tuple[int, bool]:
        found = erase_person(runtime, merchant.merchant_id, request, OPERATOR, suppress=suppress)
        assert isinstance(found, Begun)
        return found.erasure.erasure_id, found.is_another

    both = Request(email=EMAIL, event_ids=("named",))
    first, _ = ask(both)
    assert ask(both) == (first, True)
    assert ask(Request(email=EMAIL, event_ids=("named", "hers")))[1] is False
    assert ask(Request(email=EMAIL))[1] is False
    assert ask(Request(email=EMAIL), suppress=False)[1] is False
    assert ask(Request(email=EMAIL.upper()))[1] is True  # it means the very same
    clock.move(ON_ITS_WAY)
    continue_erasures(runtime, 30)
    assert stored(merchant) == []
    assert ask(both) == (first, True)
    clock.move(ON_ITS_WAY)
    continue_erasures(runtime, 30)
    assert ask(both) == (first, True)
    with in_transaction():
        execute("DELETE FROM tombstones")
    send(runtime, merchant, of("named", None))
    assert ask(both)[1] is False
    assert unsuppress_person(runtime, merchant.merchant_id, Request(email=EMAIL))
    again, is_another = ask(Request(email=EMAIL, external_id="customer-7"))
    assert not is_another
    clock.move(ON_ITS_WAY)
    continue_erasures(runtime, 30)
    assert ask(Request(email=EMAIL, external_id="customer-7")) == (again, True)
    assert unsuppress_person(runtime, merchant.merchant_id, Request(email=EMAIL))
    assert ask(Request(email=EMAIL, external_id="customer-7"))[1] is False


def test_who_was_let_back_and_is_erased_again_is_left_alone_again(
    runtime: Runtime, merchant: Merchant, clock: FrozenClock
) -> None:
    """Before the first one has begun to look, which then does both."""
    send(runtime, merchant, of("before", browser_id=LAPTOP))
    clock.move(timedelta(minutes=1))
    asked = [erase_person(runtime, merchant.merchant_id, Request(email=EMAIL), OPERATOR, suppress=True)]
    clock.move(timedelta(seconds=2))
    assert unsuppress_person(runtime, merchant.merchant_id, Request(email=EMAIL))
    send(runtime, merchant, of("between"))
    clock.move(timedelta(seconds=2))
    asked.append(erase_person(runtime, merchant.merchant_id, Request(email=EMAIL), OPERATOR, suppress=True))
    assert [one.is_another for one in asked if isinstance(one, Begun)] == [False, True]
    (first, _) = (one.erasure for one in asked if isinstance(one, Begun))
    assert finish(runtime, clock, first).receipt is not None
    assert stored(merchant) == []
    clock.move(timedelta(minutes=1))
    send(runtime, merchant, of("later"), of("later in the browser", None, browser_id=LAPTOP))
    with in_transaction():
        found = rows("SELECT event_id, status, drop_reason FROM deliveries ORDER BY event_id")
        assert rows("SELECT count(*) FROM events WHERE user_data::text <> '{}'") == [(0,)]
    assert found == [(event_id, "dropped", "suppressed") for event_id in ("later", "later in the browser")]
    sound(clock)


def test_what_comes_of_somebody_who_was_let_back_stays(
    runtime: Runtime, merchant: Merchant, clock: FrozenClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Though the erasure goes on: a look at all events of a large merchant may take hours."""
    monkeypatch.setattr(erase_jobs, "PAGE", 5)
    send(runtime, merchant, of("before"), *(of(f"n{number:02}", PEOPLE[number]) for number in range(20)))
    clock.move(timedelta(minutes=1))
    row = begin(runtime, merchant, Request(email=EMAIL))
    send(runtime, merchant, of("in that moment"))
    clock.move(ON_ITS_WAY)
    continue_erasures(runtime, 0.001)
    assert state(row).stage == "walk"
    clock.move(timedelta(minutes=30))
    assert unsuppress_person(runtime, merchant.merchant_id, Request(email=EMAIL))
    send(runtime, merchant, of("a new customer"))
    clock.move(timedelta(minutes=30))
    finish(runtime, clock, row)
    assert stored(merchant)[:2] == ["a new customer", "in that moment"]
    with in_transaction():
        assert rows("SELECT status FROM deliveries WHERE event_id = 'a new customer'") == [("queued",)]
    sound(clock)


@pytest.mark.parametrize("stage", ["walk", "settling", "people"])
def test_what_comes_in_the_browser_of_somebody_who_was_let_back_stays(
    runtime: Runtime, merchant: Merchant, clock: FrozenClock, monkeypatch: pytest.MonkeyPatch, stage: str
) -> None:
    """Wherever the erasure is at that moment; what was known of the browser until then goes."""
    monkeypatch.setattr(erase_jobs, "PAGE", 5)
    seen(merchant, clock, LAPTOP, email=EMAIL)
    send(runtime, merchant, of("before", browser_id=LAPTOP), *(of(f"n{n:02}", PEOPLE[n]) for n in range(20)))
    clock.move(2 * LINK_GRAIN)
    row = begin(runtime, merchant, Request(email=EMAIL))
    clock.move(ON_ITS_WAY)
    while state(row).stage != stage or (state(row).lap is None and stage == "walk"):
        clock.move(timedelta(seconds=1))
        continue_erasures(runtime, 0.001)
    assert unsuppress_person(runtime, merchant.merchant_id, Request(email=EMAIL))
    clock.move(timedelta(seconds=2))
    with in_transaction():
        identities.show(merchant.merchant_id, [Shown(LAPTOP, "gclid", "click-since", clock.now())])
    assert identify(runtime, merchant.holder, LAPTOP, {"email": EMAIL}).is_linked
    clock.move(timedelta(seconds=2))
    since = [
        of("since", browser_id=LAPTOP),
        of("since, a page view", None, browser_id=LAPTOP),
        of("since, on a new telephone", browser_id=TELEPHONE),
        of("since, a page view on it", None, browser_id=TELEPHONE),
    ]
    send(runtime, merchant, *({**one, "occurred_at": clock.now()} for one in since))
    mine = ["since", "since, a page view", "since, a page view on it", "since, on a new telephone"]
    assert finish(runtime, clock, row).counts["events"] == 1
    assert [one for one in stored(merchant) if not one.startswith("n")] == mine
    assert links(merchant) == [(LAPTOP, "email"), (TELEPHONE, "email")]
    clock.move(timedelta(seconds=2))
    (later,) = send(runtime, merchant, of("later, a page view", None, browser_id=LAPTOP))
    assert later.warnings == ()
    with in_transaction():
        assert rows("SELECT value FROM browser_signals") == [("click-since",)]
        assert rows("SELECT count(*) FROM suppressions") == [(0,)]
        assert rows("SELECT count(*) FROM deliveries WHERE drop_reason = 'suppressed'") == [(0,)]
    sound(clock)


@pytest.mark.parametrize("stage", ["walk", "settling", "people"])
@pytest.mark.parametrize("how", ["by an order", "by identify"])
def test_what_comes_after_a_request_that_leaves_nobody_alone_stays(
    runtime: Runtime, merchant: Merchant, clock: FrozenClock, monkeypatch: pytest.MonkeyPatch, stage: str, how: str
) -> None:
    """Wherever the erasure is at that moment: events, browsers, what these show, and whom they were seen with."""
    monkeypatch.setattr(erase_jobs, "PAGE", 5)
    seen(merchant, clock, LAPTOP, email=EMAIL)
    send(runtime, merchant, of("before", browser_id=LAPTOP), *(of(f"n{n:02}", PEOPLE[n]) for n in range(20)))
    clock.move(2 * LINK_GRAIN)
    row = begin(runtime, merchant, Request(email=EMAIL), suppress=False)
    clock.move(ON_ITS_WAY)
    while state(row).stage != stage or (state(row).lap is None and stage == "walk"):
        clock.move(timedelta(seconds=1))
        continue_erasures(runtime, 0.001)
    with in_transaction():
        for browser in (LAPTOP, TELEPHONE):
            identities.show(merchant.merchant_id, [Shown(browser, "fbclid", f"since-{browser}", clock.now())])
    for browser in (LAPTOP, TELEPHONE):
        if how == "by an order":
            send(runtime, merchant, {**of(f"in {browser}", browser_id=browser), "occurred_at": clock.now()})
        else:
            assert identify(runtime, merchant.holder, browser, {"email": EMAIL}).is_linked
    done = finish(runtime, clock, row)
    assert [done.counts.get(table, 0) for table in ("events", "browsers", "browser_people", "identities")] == [
        1,
        0,
        0,
        0,
    ]
    assert done.counts["browser_signals"] == 1
    assert links(merchant) == [(LAPTOP, "email"), (TELEPHONE, "email")]
    with in_transaction():
        assert rows("SELECT browser_id, value FROM browser_signals ORDER BY 1") == [
            (browser, f"since-{browser}") for browser in (LAPTOP, TELEPHONE)
        ]
        marks = marker_of(runtime).marks(merchant.merchant_id, map(of_browser, (LAPTOP, TELEPHONE)))
        # Neither page gets another id: what it showed is kept under this one.
        assert identities.barred([(merchant.merchant_id, mark) for mark in marks]) == {}
    sound(clock)


@pytest.mark.parametrize("is_event", [True, False])
def test_a_browser_that_was_seen_by_a_clock_that_was_ahead_goes(
    runtime: Runtime, merchant: Merchant, clock: FrozenClock, is_event: bool
) -> None:
    """As events do that came by it: it was there when somebody asked."""
    if is_event:
        send(runtime, merchant, of("before", browser_id=LAPTOP))
    clock.move(timedelta(minutes=1))
    seen(merchant, clock, LAPTOP, email=EMAIL)
    clock.move(timedelta(hours=-1))
    done = finish(runtime, clock, begin(runtime, merchant, Request(email=EMAIL), suppress=False))
    assert (done.counts["identities"], links(merchant)) == (1, [])
    assert LAPTOP not in dump()


def test_who_is_let_back_while_browsers_are_forgotten_has_them_all(
    runtime: Runtime, merchant: Merchant, clock: FrozenClock, migrated: str
) -> None:
    """Whoever lets the person back waits for the step, and lifts what it has added."""
    send(runtime, merchant, of("before", browser_id=LAPTOP))
    clock.move(timedelta(minutes=1))
    row = begin(runtime, merchant, Request(email=EMAIL))
    while state(row).stage != "people":
        clock.move(timedelta(seconds=1))
        continue_erasures(runtime, 0.001)
    with in_transaction():  # as if the browser had been found just now
        (mark,) = marker_of(runtime).marks(merchant.merchant_id, [of_browser(LAPTOP)])
        assert execute("DELETE FROM suppressions WHERE mark = %s", (mark,)) == 1
    lifting, lifted = ExitStack(), list[Any]()

    def mute(*args: Any) -> None:
        lift = in_the_background(
            lambda: lifted.append(unsuppress_person(runtime, merchant.merchant_id, Request(email=EMAIL)))
        )
        until_it_waits(migrated, lifting.enter_context(lift))
        erase.mute(*args)

    with lifting, pytest.MonkeyPatch.context() as patch:
        patch.setattr("tracklayer.services.erase_jobs.mute", mute)
        continue_erasures(runtime, 0.001)
    assert state(row).stage == "traces"
    with in_transaction():
        left = rows("SELECT count(*) FROM suppressions")
    assert (len(lifted), left) == (1, [(0,)])


def test_a_browser_that_was_seen_with_somebody_since_is_asked_for_anew(
    runtime: Runtime, merchant: Merchant, clock: FrozenClock
) -> None:
    """What names that one person goes with it, which the first request could not mean."""
    asked = [begin(runtime, merchant, Request(browser_id=LAPTOP), suppress=False)]
    clock.move(timedelta(seconds=2))
    seen(merchant, clock, LAPTOP, email=EMAIL)
    send(runtime, merchant, of("hers", browser_id=LAPTOP))
    clock.move(timedelta(seconds=2))
    asked.append(begin(runtime, merchant, Request(browser_id=LAPTOP), suppress=False))
    finish_all(runtime, clock, asked)
    assert stored(merchant) == []


def test_who_asks_again_in_the_moment_in_which_it_begins_to_look_is_not_passed_over(
    runtime: Runtime, merchant: Merchant, clock: FrozenClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What came between the two requests goes, whichever erasure sees to it."""
    send(runtime, merchant, of("before"))
    asked = [begin(runtime, merchant, Request(email=EMAIL), suppress=False)]
    clock.move(timedelta(seconds=30))
    send(runtime, merchant, of("between"))
    clock.move(timedelta(minutes=1))
    real = personal_data.events_after

    def page(*args: Any) -> list[personal_data.Looked]:
        if len(asked) == 1:
            with in_the_background(
                lambda: asked.append(begin(runtime, merchant, Request(email=EMAIL), suppress=False))
            ):
                pass
        return real(*args)

    with monkeypatch.context() as patch:
        patch.setattr(personal_data, "events_after", page)
        continue_erasures(runtime, 0.001)
    assert len(asked) == 2
    done = finish_all(runtime, clock, asked)
    assert stored(merchant) == []
    assert [row.counts.get("events") for row in done] == [1, 1]


async def test_who_asks_again_is_answered_with_the_erasure_that_goes_on(api: Api, merchant: Merchant) -> None:
    ask = """mutation($input: ErasePersonInput!, $suppress: Boolean, $dryRun: Boolean) {
        erasePerson(input: $input, suppress: $suppress, dryRun: $dryRun) {
            erasure { id } wasThereBefore userErrors { code } } }"""
    first, again, other = [
        (await api(ask, input={"email": EMAIL}, suppress=suppress))["erasePerson"] for suppress in (True, True, False)
    ]
    assert [one["wasThereBefore"] for one in (first, again, other)] == [False, True, False]
    assert first["erasure"] == again["erasure"] != other["erasure"]
    told = (await api(ask, input={"email": EMAIL}, dryRun=True))["erasePerson"]
    assert told == {"erasure": None, "wasThereBefore": False, "userErrors": []}


def test_an_event_that_many_look_for_holds_the_queues_as_shortly_as_many_events_do(
    runtime: Runtime, merchant: Merchant, clock: FrozenClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One person, asked for in forty ways: each page tells so many erasures, and no more."""
    monkeypatch.setattr(erase_jobs, "MOST_TOLD", 200)
    send(runtime, merchant, *(of(f"hers-{number:02}") for number in range(50)), of("his", "john@shop.example"))
    clock.move(timedelta(minutes=1))
    requests = [Request(email=EMAIL, external_id=f"customer-{number}") for number in range(40)]
    begun = [begin(runtime, merchant, request) for request in requests]
    real, told = personal_data.erase_events, list[int]()

    def erase_events(merchant_id: int, event_ids: Sequence[str], *args: Any) -> Any:
        told.append(len(event_ids) * len(begun))
        return real(merchant_id, event_ids, *args)

    monkeypatch.setattr(personal_data, "erase_events", erase_events)
    done = finish_all(runtime, clock, begun)
    assert told == [200] * 10
    assert [row.counts.get("events", 0) for row in done] == [50, *[0] * 39]
    assert stored(merchant) == ["his"]
    sound(clock)


def ask(runtime: Runtime, merchant: Merchant, who: str, *, suppress: bool = True) -> Begun:
    found = erase_person(runtime, merchant.merchant_id, Request(email=EMAIL), {"operator": who}, suppress=suppress)
    assert isinstance(found, Begun)
    return found


def receipt_of(row: db.ErasureRow) -> dict[str, Any]:
    assert row.receipt is not None
    told: dict[str, Any] = orjson.loads(row.receipt)["receipt"]
    return told


def told_at(at: datetime) -> str:
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def test_a_receipt_says_of_each_request_whose_it_was_and_when(
    runtime: Runtime, merchant: Merchant, clock: FrozenClock
) -> None:
    send(runtime, merchant, of("hers"))
    first_at = clock.move(timedelta(minutes=1))
    first = ask(runtime, merchant, "first").erasure
    second_at = clock.move(timedelta(seconds=3))
    assert ask(runtime, merchant, "second").is_another
    clock.move(ON_ITS_WAY)
    while state(first).stage == "walk":
        continue_erasures(runtime, 30)
        clock.move(timedelta(seconds=1))
    third_at = clock.now()
    assert ask(runtime, merchant, "third").is_another  # of whoever is left alone nothing came since
    told = receipt_of(finish(runtime, clock, first))
    assert (told["requested_by"], told["requested_at"]) == ({"operator": "first"}, told_at(first_at))
    assert told["requested_again"] == [
        {"by": {"operator": "second"}, "at": told_at(second_at)},
        {"by": {"operator": "third"}, "at": told_at(third_at)},
    ]
    assert told["looked_until"] == told_at(first_at)  # nor before the second
    alone = receipt_of(finish(runtime, clock, ask(runtime, merchant, "alone").erasure))
    assert (alone["requested_by"], alone["requested_again"]) == ({"operator": "alone"}, [])


def test_a_receipt_says_what_the_version_before_noted_of_requests(
    runtime: Runtime, merchant: Merchant, clock: FrozenClock
) -> None:
    first_at = clock.now()
    first = ask(runtime, merchant, "first").erasure
    with in_transaction():  # by a process of that version
        execute("DELETE FROM erasure_requests")
    second_at = clock.move(timedelta(seconds=1))
    assert ask(runtime, merchant, "second").is_another
    third_at = clock.move(timedelta(seconds=1))
    with in_transaction():  # by such a one again
        execute("UPDATE erasures SET requested_at = %s", (third_at,))
    told = receipt_of(finish(runtime, clock, first))
    assert (told["requested_by"], told["requested_at"]) == ({"operator": "first"}, told_at(first_at))
    assert told["requested_again"] == [
        {"by": {"operator": "second"}, "at": told_at(second_at)},
        {"by": None, "at": told_at(third_at)},
    ]
    assert told["looked_until"] == told_at(third_at)


def test_one_that_answers_very_many_requests_answers_no_more(
    runtime: Runtime, merchant: Merchant, clock: FrozenClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(db, "MOST_REQUESTS", 3)
    begun = [ask(runtime, merchant, str(number)) for number in range(5)]
    assert [one.is_another for one in begun] == [False, True, True, False, True]
    done = finish_all(runtime, clock, [begun[0].erasure, begun[3].erasure])
    assert [len(receipt_of(row)["requested_again"]) for row in done] == [2, 1]


def test_nothing_finishes_while_somebody_asks(runtime: Runtime, merchant: Merchant, clock: FrozenClock) -> None:
    """Else a request could be answered by a receipt that does not tell of it."""
    first = ask(runtime, merchant, "first").erasure
    asks, goes_on = threading.Event(), threading.Event()

    def hold() -> None:
        with in_transaction():
            db.count_open(merchant.merchant_id, 1)
            asks.set()
            goes_on.wait(PATIENCE_SECONDS)

    with in_the_background(hold):
        assert asks.wait(PATIENCE_SECONDS)
        steps_there = 0
        while steps_there < 3:  # each waits in vain, for as long as a lock may take
            steps_there += state(first).stage == "traces"
            continue_erasures(runtime, 0.001)
            clock.move(timedelta(seconds=1))
        assert (state(first).stage, state(first).failures) == ("traces", 0)
        goes_on.set()
    assert finish(runtime, clock, first).receipt is not None


def test_who_asks_while_the_walk_has_a_page_in_hand_joins_one_that_waits(
    runtime: Runtime, merchant: Merchant, clock: FrozenClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else each of these would begin one more, and each of those would look at all events."""
    send(runtime, merchant, *(of(f"e-{number:03}", PEOPLE[number]) for number in range(20)))
    clock.move(timedelta(minutes=1))
    monkeypatch.setattr(erase_jobs, "PAGE", 1)
    asked = [ask(runtime, merchant, "first", suppress=False)]
    clock.move(ON_ITS_WAY)
    continue_erasures(runtime, 0.001)
    asked.append(ask(runtime, merchant, "second", suppress=False))
    clock.move(ON_ITS_WAY)
    real = personal_data.events_after

    def page(*args: Any) -> list[personal_data.Looked]:
        for _ in range(5):
            with in_the_background(lambda: asked.append(ask(runtime, merchant, "later", suppress=False))):
                pass
        return real(*args)

    with monkeypatch.context() as patch:
        patch.setattr(personal_data, "events_after", page)
        continue_erasures(runtime, 0.001)
    assert [one.is_another for one in asked] == [False, False, True, True, True, True, True]
    assert len({one.erasure.erasure_id for one in asked}) == 2
    done = finish_all(runtime, clock, [one.erasure for one in asked[:2]])
    assert [len(receipt_of(row)["requested_again"]) for row in done] == [0, 5]


@pytest.mark.parametrize("is_left_alone", [True, False])
def test_two_hundred_who_ask_at_once_while_it_looks_are_answered_by_a_few(
    runtime: Runtime, merchant: Merchant, clock: FrozenClock, monkeypatch: pytest.MonkeyPatch, is_left_alone: bool
) -> None:
    """Whoever asks meets rows that the walk has in hand, step by step."""
    events = 300
    send(runtime, merchant, *(of(f"e-{number:03}", PEOPLE[number % 60]) for number in range(events)))
    send(runtime, merchant, of("hers"))
    clock.move(timedelta(minutes=1))
    monkeypatch.setattr(erase_jobs, "PAGE", 1)
    asked, errors = [ask(runtime, merchant, "the first", suppress=is_left_alone)], list[BaseException]()
    clock.move(ON_ITS_WAY)

    def ask_often() -> None:
        try:
            for _ in range(25):
                asked.append(ask(runtime, merchant, "one of many", suppress=is_left_alone))
        except BaseException as error:  # noqa: BLE001 - told below
            errors.append(error)

    askers = [threading.Thread(target=ask_often) for _ in range(8)]
    steps = 0
    for one in askers:
        one.start()
    while any(one.is_alive() for one in askers):
        if steps < len(asked):  # fewer than the first has to make
            continue_erasures(runtime, 0.001)
            clock.move(timedelta(milliseconds=200))
            steps += 1
    for one in askers:
        one.join()
    assert errors == []
    assert len(asked) == 201
    ids = {one.erasure.erasure_id for one in asked}
    # One that looks; where more may have come since, one that waits until it has; and one for who came as that one was held.
    assert len(ids) <= (1 if is_left_alone else 3)
    monkeypatch.setattr(erase_jobs, "PAGE", 1000)
    done = finish_all(runtime, clock, list({one.erasure.erasure_id: one.erasure for one in asked}.values()))
    assert sum(1 + len(receipt_of(row)["requested_again"]) for row in done) == 201
    assert sum(row.counts.get("events", 0) for row in done) == 1
    assert "hers" not in stored(merchant)
    assert len(stored(merchant)) == events
    sound(clock)
