"""Concurrent calls are committed together, and each hears what became of its own events."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import orjson
import psycopg2
import pytest

from tests.factories import Merchant, draft, new_merchant
from tests.sessions import other_session
from tracklayer.clock import elapsed
from tracklayer.db.async_session import AsyncSession
from tracklayer.db.connection import DatabaseAwayError, in_transaction, rows
from tracklayer.db.merchants import KeyHolder
from tracklayer.db.sessions import Limits
from tracklayer.runtime import Runtime
from tracklayer.services.group_commit import BATCH_BYTES
from tracklayer.services.ingest import Accepted, Coalesced, Rejected
from tracklayer.services.intake import LONG_BATCH, MAX_WAITING, SLOW_OWES_MOST_SECONDS, Intake
from tracklayer.services.waiting_room import TURN_EVENTS, OverloadedError


@pytest.fixture
def woken() -> set[tuple[int, str]]:
    return set()


@pytest.fixture
async def intake(runtime: Runtime, woken: set[tuple[int, str]]) -> AsyncIterator[Intake]:
    made = Intake(runtime, woken.update)
    yield made
    await made.close()


def select(sql: str) -> list[tuple[Any, ...]]:
    with in_transaction():
        return rows(sql)


@pytest.fixture
def holder(merchant: Merchant) -> KeyHolder:
    return merchant.holder


def counts(outcome: Any) -> tuple[str, int | None]:
    row = getattr(outcome, "row", None)
    return type(outcome).__name__, row.times_received if row is not None else None


async def test_one_id_in_many_calls_at_once_is_accepted_once_and_counted_in_order(
    intake: Intake, holder: KeyHolder
) -> None:
    results = await asyncio.gather(*(intake.ingest(holder, [draft()]) for _ in range(100)))
    found = [counts(result[0]) for result in results]
    assert found == [("Accepted", 1), *(("Coalesced", n) for n in range(2, 101))]
    assert select("SELECT event_id, times_received FROM events") == [("order_1", 100)]
    assert select("SELECT accepted, coalesced FROM minutes WHERE platform = ''") == [(1, 99)]


async def test_calls_that_wait_share_commits(
    intake: Intake, holder: KeyHolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tracklayer.services.intake.TURN_SECONDS", 60.0)
    await asyncio.gather(*(intake.ingest(holder, [draft(f"order_{n}")]) for n in range(200)))
    ((transactions, events),) = select("SELECT count(DISTINCT xmin::text), count(*) FROM events")
    assert events == 200
    assert transactions <= 200 // TURN_EVENTS


async def test_large_events_are_committed_in_fewer_together(intake: Intake, holder: KeyHolder) -> None:
    lines = [{"id": f"sku_{n}", "title": "x" * 190} for n in range(1000)]
    large = [draft(f"order_{n}", custom_data={"contents": lines}) for n in range(60)]
    one = len(orjson.dumps(large[0]))
    assert 200_000 < one < 256 * 1024
    await asyncio.gather(*(intake.ingest(holder, [event]) for event in large))
    found = select("SELECT count(*) FROM events GROUP BY xmin::text")
    assert sum(count for (count,) in found) == 60
    assert max(count for (count,) in found) <= BATCH_BYTES // one + 1


async def test_a_call_is_stored_at_once_where_it_fits_into_a_batch(intake: Intake, holder: KeyHolder) -> None:
    sizes = [LONG_BATCH // 2 + 1, LONG_BATCH // 2 + 1, LONG_BATCH // 2 + 1, LONG_BATCH + 1]
    calls = [[draft(f"order_{call}_{n}") for n in range(size)] for call, size in enumerate(sizes)]
    await asyncio.gather(*(intake.ingest(holder, drafts) for drafts in calls))
    found = select("SELECT split_part(event_id, '_', 2), count(DISTINCT xmin::text) FROM events GROUP BY 1 ORDER BY 1")
    assert found == [("0", 1), ("1", 1), ("2", 1), ("3", 2)]


async def test_each_call_hears_of_its_own_events_in_its_own_order(
    intake: Intake, holder: KeyHolder, merchant: Merchant, runtime: Runtime, woken: set[tuple[int, str]]
) -> None:
    other = new_merchant(runtime, name="Other").holder
    await intake.ingest(holder, [draft("old"), draft("lead", event_name="Lead")])
    mine, theirs, more = await asyncio.gather(
        intake.ingest(holder, [draft("b"), "no object", draft("old"), draft("a"), draft("a"), draft("lead")]),
        intake.ingest(other, [draft("a"), draft("b", event_name="Lead")]),
        intake.ingest(holder, [draft("a", event_name="Lead"), draft("lead", event_name="Lead"), draft("b")]),
    )
    assert [counts(found) for found in mine] == [
        ("Accepted", 1),
        ("Rejected", None),
        ("Coalesced", 2),
        ("Accepted", 1),
        ("Coalesced", 2),
        ("Rejected", None),
    ]
    assert [counts(found) for found in theirs] == [("Accepted", 1), ("Accepted", 1)]
    assert [counts(found) for found in more] == [("Rejected", None), ("Coalesced", 2), ("Coalesced", 2)]
    assert [found.problems[0].code for found in more if isinstance(found, Rejected)] == ["EVENT_ID_CONFLICT"]
    assert woken == {(merchant.merchant_id, "meta"), (other.merchant_id, "meta")}
    assert select(
        "SELECT merchant_id, sum(accepted), sum(coalesced), sum(rejected) FROM minutes WHERE platform = '' GROUP BY 1 ORDER BY 1"
    ) == [(1, 4, 4, 3), (2, 2, 0, 0)]


@pytest.mark.parametrize(
    ("merchant_id", "error"),
    [
        pytest.param(2**63, psycopg2.DataError, id="by PostgreSQL"),
        pytest.param(2**64, TypeError, id="before it is written"),
    ],
)
async def test_what_is_refused_fails_its_own_call_alone(
    intake: Intake, holder: KeyHolder, merchant_id: int, error: type[Exception]
) -> None:
    nobody = replace(holder, merchant_id=merchant_id)  # no number that a column takes
    calls = [intake.ingest(nobody if n == 5 else holder, [draft(f"order_{n}")]) for n in range(12)]
    results = await asyncio.gather(*calls, return_exceptions=True)
    failed = [n for n, result in enumerate(results) if isinstance(result, BaseException)]
    assert failed == [5]
    assert isinstance(results[5], error)
    assert select("SELECT count(*) FROM events") == [(11,)]
    assert select("SELECT accepted, coalesced FROM minutes WHERE platform = ''") == [(11, 0)]


async def test_beyond_half_of_what_may_wait_a_merchant_is_turned_away_and_nothing_of_its_call_is_stored(
    intake: Intake, holder: KeyHolder, runtime: Runtime
) -> None:
    other = new_merchant(runtime, name="Other").holder
    half = MAX_WAITING // 2000
    calls = [intake.ingest(holder, [None] * 1000) for _ in range(half)]
    late = intake.ingest(holder, [draft("late")])
    others = [intake.ingest(other, [None] * 1000) for _ in range(2)]
    results = await asyncio.gather(*calls, late, *others, return_exceptions=True)
    assert Counter(type(result).__name__ for result in results) == {"list": half + 2, "OverloadedError": 1}
    assert isinstance(results[half], OverloadedError)
    assert select("SELECT count(*) FROM events") == [(0,)]
    assert isinstance((await intake.ingest(holder, [draft("late")]))[0], Accepted)


async def test_in_a_full_room_a_new_merchant_finds_place_and_each_has_an_equal_share(
    intake: Intake, holder: KeyHolder
) -> None:
    merchants = [replace(holder, merchant_id=holder.merchant_id + n) for n in range(5)]
    calls = [[intake.ingest(one, [None] * 1000) for _ in range(6)] for one in merchants]
    found = [await asyncio.gather(*own, return_exceptions=True) for own in await together(calls)]
    taken = [sum(isinstance(result, list) for result in own) for own in found]
    # The first alone may have half; whoever comes when it is full, a share as large as those of the others.
    assert taken == [5, 5, 2, 2, 1]


async def something_stored() -> None:
    stored = 0
    while not stored:
        await asyncio.sleep(0.001)
        ((stored,),) = select("SELECT count(*) FROM events")


async def together(calls: Any) -> Any:
    """The calls as tasks, all of them in the room before the first is answered."""
    return [[asyncio.ensure_future(call) for call in own] for own in calls]


async def test_a_single_event_does_not_wait_for_the_commits_of_long_calls(
    intake: Intake, holder: KeyHolder, runtime: Runtime
) -> None:
    other = new_merchant(runtime, name="Other").holder
    flood = [
        asyncio.create_task(intake.ingest(holder, [draft(f"{call}_{n}") for n in range(1000)])) for call in range(5)
    ]
    await something_stored()
    assert isinstance((await intake.ingest(other, [draft("one")]))[0], Accepted)
    assert select("SELECT count(*) FROM events")[0][0] < 2000
    assert not any(call.done() for call in flood)
    assert [len(outcomes) for outcomes in await asyncio.gather(*flood)] == [1000] * 5
    assert select("SELECT count(*) FROM events") == [(5001,)]


@pytest.mark.parametrize("is_another", [True, False])
async def test_long_calls_take_turns_by_merchant_and_by_call(
    intake: Intake, holder: KeyHolder, runtime: Runtime, is_another: bool
) -> None:
    second = new_merchant(runtime, name="Other").holder if is_another else holder
    first = asyncio.create_task(intake.ingest(holder, [draft(f"a{n}") for n in range(1000)]))
    later = asyncio.create_task(intake.ingest(holder, [draft(f"b{n}") for n in range(1000)]))
    await asyncio.sleep(0)
    shorter = await intake.ingest(second, [draft(f"c{n}") for n in range(100)])
    assert len(shorter) == 100
    assert not first.done()
    assert not later.done()
    assert [type(outcome) for outcome in [*await first, *await later]] == [Accepted] * 2000


@pytest.mark.parametrize("sizes", [[TURN_EVENTS - 1] * 3, [2 * TURN_EVENTS] * 3], ids=["short calls", "long calls"])
async def test_a_turn_of_judging_ends_when_its_time_is_up(
    intake: Intake, holder: KeyHolder, runtime: Runtime, monkeypatch: pytest.MonkeyPatch, sizes: list[int]
) -> None:
    monkeypatch.setattr("tracklayer.services.intake.TURN_SECONDS", 0.0)
    turn = 0
    judged: list[tuple[int, str]] = []  # in which turn of the loop, and which event

    class Noted(dict[str, Any]):
        def keys(self) -> Any:
            judged.append((turn, self["event_id"]))
            return super().keys()

    async def ticking() -> None:
        nonlocal turn
        while True:
            turn += 1
            await asyncio.sleep(0)

    ticks = asyncio.create_task(ticking())
    other = new_merchant(runtime, name="Other").holder
    calls = [
        *(intake.ingest(holder, [Noted(draft(f"{call}_{n}")) for n in range(size)]) for call, size in enumerate(sizes)),
        intake.ingest(other, [Noted(draft(f"other_{n}")) for n in range(sizes[0])]),
    ]
    outcomes = await asyncio.gather(*calls)
    ticks.cancel()
    assert [len(found) for found in outcomes] == [*sizes, sizes[0]]
    in_order = list(dict.fromkeys(judged))
    assert max(Counter(found for found, _ in in_order).values()) == 1
    first = [event_id.partition("_")[0] for _, event_id in in_order[:8]]
    assert Counter(first)["other"] == 4
    assert [event_id for _, event_id in in_order if event_id[0] == "0"] == [f"0_{n}" for n in range(sizes[0])]


class Slow(dict[str, Any]):
    """An event that takes twenty milliseconds to judge; ``judged``: the ids of those that were."""

    judged: list[str]

    def keys(self) -> Any:
        self.judged.append(self["event_id"])
        ends = time.thread_time() + 0.02
        while time.thread_time() < ends:
            pass
        return super().keys()


async def test_between_slow_events_others_have_their_turn_and_whose_events_are_slow_owes(
    intake: Intake, holder: KeyHolder, runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    judged: list[str] = []
    monkeypatch.setattr(Slow, "judged", judged, raising=False)
    rounds: dict[int, int] = {}  # slow events that were judged -> rounds of the loop until the next one was

    async def ticking() -> None:
        while True:
            rounds[len(judged)] = rounds.get(len(judged), 0) + 1
            await asyncio.sleep(0)

    ticks = asyncio.create_task(ticking())
    other = new_merchant(runtime, name="Other").holder
    calls = [
        intake.ingest(holder, [Slow(draft("a")), Slow(draft("b"))]),
        intake.ingest(holder, [Slow(draft("c"))]),
        intake.ingest(other, [draft(f"quick_{n}") for n in range(TURN_EVENTS - 1)]),
        intake.ingest(holder, [Slow(draft("d"))]),
    ]
    tasks = [asyncio.create_task(call) for call in calls]
    outcomes = await asyncio.gather(*tasks)
    ticks.cancel()
    assert [len(found) for found in outcomes] == [2, 1, TURN_EVENTS - 1, 1]
    assert judged == ["a", "b", "c", "d"]
    # The first only seems slow. Behind the others the loop goes round for as long as it takes to answer somebody.
    assert min(rounds[2], rounds[3]) > 20
    assert [intake.slow.owes(merchant.merchant_id) for merchant in (holder, other)] == [True, False]


async def test_whose_events_are_quick_again_is_forgotten_and_nobody_owes_for_long(
    intake: Intake, holder: KeyHolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = intake.slow
    slow.watch(holder.merchant_id)
    assert not slow.owes(holder.merchant_id)
    await intake.ingest(holder, [draft("quick")])
    assert slow.watched == {}
    slow.watch(holder.merchant_id)
    assert slow.note(holder.merchant_id, 1_000.0)
    assert slow.watched[holder.merchant_id] <= elapsed() + SLOW_OWES_MOST_SECONDS
    monkeypatch.setattr("tracklayer.services.intake.SLOW_WATCHED_SECONDS", -60.0)
    slow.watch(holder.merchant_id + 1)
    assert list(slow.watched) == [holder.merchant_id + 1]


async def test_a_long_call_of_which_a_part_was_lost_is_not_acknowledged_and_can_be_sent_again(
    intake: Intake, holder: KeyHolder
) -> None:
    drafts = [draft(f"order_{n}") for n in range(1000)]
    call = asyncio.create_task(intake.ingest(holder, drafts))
    await something_stored()
    while not call.done():
        select("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'EXECUTE store_events%%'")
        await asyncio.sleep(0.001)
    with pytest.raises(DatabaseAwayError):
        await call
    ((stored,),) = select("SELECT count(*) FROM events")
    assert 0 < stored < 1000
    again = Counter(type(outcome) for outcome in await intake.ingest(holder, drafts))
    assert again == {Accepted: 1000 - stored, Coalesced: stored}
    assert select("SELECT count(*), count(DISTINCT event_id) FROM events") == [(1000, 1000)]


async def test_a_call_from_another_loop_is_stored_from_the_intakes_own(
    intake: Intake, holder: KeyHolder, woken: set[tuple[int, str]]
) -> None:
    intake.home = asyncio.get_running_loop()
    events = [draft("a"), "no object", draft("a"), draft("b")]
    found = await asyncio.to_thread(asyncio.run, intake.ingest(holder, events))
    assert [counts(outcome) for outcome in found] == [
        ("Accepted", 1),
        ("Rejected", None),
        ("Coalesced", 2),
        ("Accepted", 1),
    ]
    assert woken == {(holder.merchant_id, "meta")}


async def test_a_connection_that_was_lost_while_nothing_was_asked_is_replaced_unnoticed(
    intake: Intake, holder: KeyHolder
) -> None:
    await intake.ingest(holder, [draft("a")])
    select("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'EXECUTE store_events%%'")
    await asyncio.sleep(0.05)  # the farewell is on its way
    assert isinstance((await intake.ingest(holder, [draft("b")]))[0], Accepted)


async def test_a_commit_that_is_not_known_to_have_happened_is_never_acknowledged(
    intake: Intake, holder: KeyHolder, database: str
) -> None:
    await intake.ingest(holder, [draft("before")])
    with other_session(database) as blocker:
        with blocker.cursor() as cursor:
            cursor.execute("LOCK TABLE events IN ACCESS EXCLUSIVE MODE")
            waiting = asyncio.create_task(intake.ingest(holder, [draft("during")]))
            while not waiting.done():
                await asyncio.sleep(0.01)
                cursor.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                    "WHERE query LIKE 'EXECUTE store_events%' AND wait_event_type = 'Lock'"
                )
        blocker.rollback()
    with pytest.raises(DatabaseAwayError):
        await waiting
    assert isinstance((await intake.ingest(holder, [draft("during")]))[0], Accepted)


async def test_a_refusal_is_told_though_the_database_is_away(
    runtime: Runtime, holder: KeyHolder, woken: set[tuple[int, str]]
) -> None:
    runtime.database_url = "postgresql://127.0.0.1:1/nowhere"
    intake = Intake(runtime, woken.update)
    (outcome,) = await intake.ingest(holder, [draft(occurred_at="yesterday")])
    assert isinstance(outcome, Rejected)
    with pytest.raises(DatabaseAwayError):
        await intake.ingest(holder, [draft(), draft(occurred_at="yesterday")])
    await intake.close()


async def test_closing_stores_what_waits(runtime: Runtime, holder: KeyHolder, woken: set[tuple[int, str]]) -> None:
    intake = Intake(runtime, woken.update)
    calls = [asyncio.create_task(intake.ingest(holder, [draft(f"order_{n}")])) for n in range(50)]
    await asyncio.sleep(0)
    await intake.close()
    assert [isinstance((await call)[0], Accepted) for call in calls] == [True] * 50
    assert select("SELECT count(*) FROM events") == [(50,)]


async def test_a_caller_that_hangs_up_takes_nothing_from_the_others(intake: Intake, holder: KeyHolder) -> None:
    calls = [asyncio.create_task(intake.ingest(holder, [draft(f"order_{n}")])) for n in range(10)]
    await asyncio.sleep(0)
    calls[3].cancel()
    results = await asyncio.gather(*calls, return_exceptions=True)
    assert [type(result).__name__ for result in results if not isinstance(result, BaseException)] == ["list"] * 9
    assert isinstance((await intake.ingest(holder, [draft("order_4")]))[0], Coalesced)


async def test_a_draft_that_cannot_be_read_is_its_callers_alone(intake: Intake, holder: KeyHolder) -> None:
    class Broken(dict[str, Any]):
        def keys(self) -> Any:
            raise RuntimeError("no keys")

    calls = [intake.ingest(holder, [Broken() if n == 3 else draft(f"order_{n}")]) for n in range(6)]
    results = await asyncio.gather(*calls)
    assert [type(one) for (one,) in results] == [Accepted] * 3 + [Rejected] + [Accepted] * 2
    assert isinstance((await intake.ingest(holder, [draft("order_6")]))[0], Accepted)


async def test_what_is_refused_of_a_long_call_is_counted_once_however_many_batches_store_it(
    intake: Intake, holder: KeyHolder
) -> None:
    wrong = [draft(f"wrong_{n}", custom_data={"value": "1.00", "currency": "EURO"}) for n in range(5)]
    outcomes = await intake.ingest(holder, [*wrong, *(draft(f"order_{n}") for n in range(2 * LONG_BATCH + 1))])
    assert Counter(type(one) for one in outcomes) == {Rejected: 5, Accepted: 2 * LONG_BATCH + 1}
    assert select("SELECT count(DISTINCT xmin::text) FROM events") == [(3,)]
    assert select("SELECT sum(accepted), sum(rejected) FROM minutes WHERE platform = ''") == [(2 * LONG_BATCH + 1, 5)]
    assert select("SELECT code, sum(events) FROM rejections GROUP BY code") == [("INVALID_CURRENCY", 5)]


class Unreadable(dict[str, Any]):
    """As if the database were away that something has to be read from for it."""

    def keys(self) -> Any:
        raise DatabaseAwayError


async def test_a_long_call_that_cannot_be_read_leaves_the_waiting_room(intake: Intake, holder: KeyHolder) -> None:
    for _ in range(3):  # as often as would fill a merchant's half of the room
        drafts = [draft(f"order_{n}") for n in range(MAX_WAITING // 4)]
        with pytest.raises(DatabaseAwayError):
            await intake.ingest(holder, [*drafts[:-1], Unreadable(drafts[-1])])
        assert intake.events == 0
    assert select("SELECT count(*) FROM events") == [(0,)]


async def test_while_a_batch_is_stuck_all_who_wait_and_all_who_come_are_told_so(
    runtime: Runtime, holder: KeyHolder, merchant: Merchant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tracklayer.services.group_commit.SILENT_SECONDS", 0.2)
    monkeypatch.setattr(AsyncSession.__init__, "__defaults__", (Limits(statement=60_000, lock=60_000),))
    intake = Intake(runtime, lambda wake: None)
    await intake.ingest(holder, [draft("before")])
    with other_session(runtime.database_url) as other:
        other.cursor().execute("LOCK TABLE events IN ACCESS EXCLUSIVE MODE")
        stuck = asyncio.ensure_future(intake.ingest(holder, [draft("stuck")]))
        await asyncio.sleep(0.05)
        behind = [intake.ingest(holder, [draft(f"order_{n}")]) for n in range(20)]
        async with asyncio.timeout(30):  # of which they need a fraction of a second; the statement would wait for 60
            told = await asyncio.gather(stuck, *behind, return_exceptions=True)
            assert {type(found) for found in told} == {DatabaseAwayError}
            with pytest.raises(DatabaseAwayError):
                await intake.ingest(holder, [draft("late")])
        assert intake.was_away
    async with asyncio.timeout(30):
        while True:
            try:
                found = await intake.ingest(holder, [draft("stuck"), draft("order_1")])
                break
            except DatabaseAwayError:
                await asyncio.sleep(0.05)
        await intake.close()
    assert [counts(outcome) for outcome in found] == [("Coalesced", 2), ("Accepted", 1)]
    assert select("SELECT event_id FROM events ORDER BY 1") == [("before",), ("order_1",), ("stuck",)]
