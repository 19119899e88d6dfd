"""Counters by name, of what events carry and of refusals become lists, and every reader finds in them what it found before."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest

from tests.conftest import NOW
from tests.factories import Merchant, draft
from tests.services.test_packing import KilledError, fold_at_once
from tests.services.test_pages_read import rows_read
from tests.sessions import other_session
from tracklayer.cli.bench.merchants import cost_of
from tracklayer.clock import FrozenClock
from tracklayer.db import alert_charts, coverage, heartbeats, match_quality, names, packed_lists, quality
from tracklayer.db.connection import execute, in_transaction, rows
from tracklayer.db.folding import EVERYBODY, lock_folding
from tracklayer.db.packed_lists import BEGINNING, COVERAGE_DAYS, NAME_DAYS, OF_ROWS, REJECTION_DAYS, Lists
from tracklayer.domain.alert_chart import ChartRange
from tracklayer.domain.facts import BITS
from tracklayer.runtime import Runtime
from tracklayer.services import fold
from tracklayer.services.fold import fold_counters
from tracklayer.services.ingest import ingest_events
from tracklayer.services.invariants import check_invariants

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
NAMES = ("Lead", "Purchase", "Söhne & Co")
FACTS = (0, 1, BITS["value"], BITS["value"] | BITS["currency"], BITS["order_id"] | BITS["late"])


def count_some(merchant_id: int, dice: random.Random, times: int, within: timedelta, until: datetime) -> None:
    """Counts as several backends would, at any minutes before an instant, many of them close together."""
    with in_transaction():
        for _ in range(times):
            minute = until - HOUR * dice.randrange(1 + within // HOUR) - MINUTE * dice.choice((0, 1, 2, 7, 30, 59))
            slot, events = dice.choice((7, 8)), dice.choice((1, 1, 2, 90))
            key = (dice.choice(("website", "email")), dice.choice(("", "a.example", "b.example")), dice.choice(FACTS))
            execute(
                "INSERT INTO coverage VALUES (%s, %s, %s, %s, %s, %s, %s, %s) ON CONFLICT DO NOTHING",
                (merchant_id, dice.choice(NAMES), minute, *key, slot, events),
            )
            execute(
                "INSERT INTO enriched_facts VALUES (%s, %s, %s, %s, %s, %s) ON CONFLICT DO NOTHING",
                (merchant_id, dice.choice(NAMES), minute, dice.choice(FACTS[1:]), slot, events),
            )
            why = (dice.choice((*NAMES, "")), dice.choice(("REQUIRED", "TOO_LONG")), dice.choice(("email", "")))
            execute(
                "INSERT INTO rejections VALUES (%s, %s, %s, %s, %s, %s, %s) ON CONFLICT DO NOTHING",
                (merchant_id, minute, *why, slot, events),
            )


def everything() -> dict[str, list[tuple[Any, ...]]]:
    """All that is counted, names by the minute and the rest by the hour, wherever it lies."""
    hour = "date_trunc('hour', minute, 'UTC')"
    found = {
        "names": "SELECT merchant_id, event_name, minute, sum(events) FROM ("
        "TABLE names_counted UNION ALL "
        "SELECT merchant_id, event_name, minute, minute, events FROM coverage WHERE slot <> 0) AS x GROUP BY 1, 2, 3",
        "coverage": f"SELECT merchant_id, event_name, {hour}, action_source, host, facts, sum(events) "
        "FROM coverage_counted GROUP BY 1, 2, 3, 4, 5, 6",
        "enriched": f"SELECT merchant_id, event_name, {hour}, facts, sum(events) FROM enriched_facts_counted GROUP BY 1, 2, 3, 4",
        "rejections": f"SELECT merchant_id, {hour}, event_name, code, field, sum(events) "
        "FROM rejections_counted GROUP BY 1, 2, 3, 4, 5",
    }
    with in_transaction():
        return {name: sorted(rows(sql)) for name, sql in found.items()}


def an_old_process_lives() -> None:
    with in_transaction():
        execute(
            "INSERT INTO heartbeats VALUES ('old', 'api', 'a', '1', now(), now(), NULL, '{\"reads_counted\": true}')"
        )


def no_old_process_lives() -> None:
    with in_transaction():
        execute("DELETE FROM heartbeats")


def fold_all(runtime: Runtime) -> None:
    while fold_counters(runtime):
        pass


def listed() -> dict[str, int]:
    """Table of lists -> its rows."""
    with in_transaction():
        return {each.table: rows(f"SELECT count(*) FROM {each.table}")[0][0] for each in OF_ROWS.values()}


def readers(merchant_id: int, dice: random.Random, within: timedelta) -> list[Callable[[], Any]]:
    """Each asks what is counted in its own way, of some stretch of time."""
    found = []
    for _ in range(8):
        since = NOW - MINUTE * dice.randrange(within // MINUTE)
        until = since + MINUTE * dice.choice((1, 30, 90, 60 * 7, 60 * 24 * 3, within // MINUTE))
        step = timedelta(minutes=dice.choice((1, 5, 60)))
        found += [_readers_of(merchant_id, since, until, ChartRange(since, step, 48), dice.choice(NAMES))]
    return found


def _readers_of(
    merchant_id: int, since: datetime, until: datetime, span: ChartRange, name: str
) -> Callable[[], list[Any]]:
    whose, key = [merchant_id, merchant_id + 1], (merchant_id, name)

    def by_name(found: dict[str, list[Any]]) -> Any:
        return {each: sorted(of_name) for each, of_name in found.items()}

    def read() -> list[Any]:
        return [
            coverage.names_of(merchant_id),
            sorted(coverage.coverage_by_hour(merchant_id, since, until)),
            sorted(coverage.coverage_by_hour(merchant_id, since, until, name)),
            coverage.facts_of_names(merchant_id, since, until),
            coverage.enriched_of_names(merchant_id, since, until),
            coverage.rejections_by_minute(whose, since, until),
            coverage.refusals(merchant_id, since, until, 100),
            names.quiet_names([merchant_id], [key], since, NOW),  # as of now: what is older is known by the hour
            names.minutes_of_names(merchant_id, NAMES, since, until),
            names.hours_of_names(merchant_id, NAMES, since, until),
            by_name(names.gaps_of_names(merchant_id, NAMES, since, until, 3 * MINUTE)),
            sorted(names.events_of_names([key, (merchant_id + 1, name)], since, until)),
            names.rejected_of_name(merchant_id, name, since),
            sorted(names.refused_by_hour(merchant_id, since, until)),
            {each: by_name(found) for each, found in quality.counts_by_minute(whose, since, until).items()},
            sorted(quality.counts_by_hour(merchant_id, name, since, until)),
            quality.days_of(whose, since, until),
            {each: sorted(found) for each, found in match_quality.newest({key: since}, until).items()},
            {each: sorted(found) for each, found in match_quality.past([key], since, until).items()},
            alert_charts.refused_of_name(merchant_id, span, name),
            alert_charts.events_of_names(merchant_id, span, NAMES, NOW, is_old=False),
            alert_charts.events_of_names(merchant_id, span, NAMES, NOW, is_old=True),
            alert_charts.carried(merchant_id, span, name, BITS["value"], 1),
            alert_charts.carried(merchant_id, span, name, BITS["value"], 1, [("website", "a.example"), ("email", "*")]),
        ]

    return read


def answers_of(asked: list[Callable[[], Any]]) -> list[Any]:
    with in_transaction():
        return [ask() for ask in asked]


@pytest.fixture
def shop(runtime: Runtime, merchant: Merchant) -> Merchant:
    with in_transaction():
        execute(
            "INSERT INTO name_baselines (merchant_id, event_name, learned_until, rhythm, told_after) "
            "SELECT %s, name, %s, '{}', 3600 FROM unnest(%s) AS name",
            (merchant.merchant_id, NOW, list(NAMES)),
        )
    return merchant


@pytest.mark.parametrize("seed", range(6))
def test_every_reader_finds_the_same_in_rows_and_in_lists(
    runtime: Runtime, shop: Merchant, clock: FrozenClock, seed: int
) -> None:
    dice = random.Random(seed)
    within = dice.choice((timedelta(hours=5), timedelta(days=4), timedelta(days=20)))
    asked = readers(shop.merchant_id, dice, within)
    for _ in range(3):  # what comes later is of hours that are in lists, too
        for merchant_id in (shop.merchant_id, shop.merchant_id + 1):
            count_some(merchant_id, dice, 150, within, clock.now() - 11 * MINUTE)
        all_of_it = everything()
        an_old_process_lives()
        fold_all(runtime)
        before, lists = answers_of(asked), listed()
        assert everything() == all_of_it
        no_old_process_lives()
        fold_all(runtime)
        assert answers_of(asked) == before
        assert everything() == all_of_it
        assert listed() != lists or within < DAY
        count_some(shop.merchant_id, dice, 40, within, clock.now() - 11 * MINUTE)  # these never are rows of hours
        all_of_it = everything()
        fold_all(runtime)
        assert everything() == all_of_it
        with in_transaction():
            for table in ("coverage", "rejections"):
                sql = f"SELECT count(*) FROM {table} WHERE minute < %s"
                assert rows(sql, (fold._coverage_hours_end(clock.now()),)) == [(0,)]
        clock.move(HOUR)


def test_nothing_is_listed_while_a_process_lives_that_reads_rows_alone(
    runtime: Runtime, shop: Merchant, clock: FrozenClock
) -> None:
    count_some(shop.merchant_id, random.Random(1), 60, 5 * DAY, NOW - HOUR)
    with in_transaction():
        heartbeats.beat("new", ["worker"], "a", "1", {})
    an_old_process_lives()
    fold_all(runtime)
    assert set(listed().values()) == {0}
    with in_transaction():
        execute("UPDATE heartbeats SET beat_at = now() - interval '11 minutes' WHERE instance = 'old'")
    fold_all(runtime)
    assert 0 not in listed().values()


def test_what_an_old_process_writes_while_it_is_back_is_read_and_listed_after_it(
    runtime: Runtime, shop: Merchant, clock: FrozenClock
) -> None:
    dice = random.Random(2)
    count_some(shop.merchant_id, dice, 60, 5 * DAY, NOW - HOUR)
    fold_all(runtime)
    an_old_process_lives()
    count_some(shop.merchant_id, dice, 60, 5 * DAY, NOW - HOUR)
    all_of_it = everything()
    fold_all(runtime)
    with in_transaction():
        assert rows("SELECT count(*) > 0 FROM name_minutes") == [(True,)]
    assert everything() == all_of_it
    no_old_process_lives()
    clock.move(HOUR)
    fold_all(runtime)
    with in_transaction():
        assert rows("SELECT count(*) FROM name_minutes") == [(0,)]
    assert everything() == all_of_it


def test_many_who_fold_at_once_lose_and_double_nothing(runtime: Runtime, shop: Merchant) -> None:
    count_some(shop.merchant_id, random.Random(5), 300, 5 * DAY, NOW - HOUR)
    before = everything()
    fold_at_once(runtime)
    fold_all(runtime)
    assert everything() == before


def test_what_is_undone_in_the_middle_is_listed_the_next_time(runtime: Runtime, shop: Merchant) -> None:
    an_old_process_lives()
    count_some(shop.merchant_id, random.Random(6), 60, 5 * DAY, NOW - HOUR)
    fold_all(runtime)
    no_old_process_lives()
    before = everything()

    def pack_and_die(lists: Lists) -> None:
        with in_transaction():
            assert lock_folding()
            assert packed_lists.pack(lists, NOW, BEGINNING, 40, EVERYBODY)[0] > 0
            raise KilledError

    for each in OF_ROWS.values():
        with pytest.raises(KilledError):
            pack_and_die(each)
        assert everything() == before
    fold_all(runtime)
    assert everything() == before


def test_a_walk_takes_a_bounded_page_and_goes_on_where_it_stopped(runtime: Runtime, clock: FrozenClock) -> None:
    """Of 30 merchants with two names one has far more than a page takes up."""
    with in_transaction():
        execute(
            "INSERT INTO coverage SELECT m, name, %s - i * interval '1 hour', 'website', '', 1, 0, 1 "
            "FROM generate_series(1, 30) AS m, unnest(ARRAY['a', 'b']) AS name, LATERAL "
            "generate_series(1, CASE m WHEN 7 THEN 50 ELSE 3 END) AS i",
            (NOW - 3 * DAY,),
        )
    before = everything()
    place: tuple[int, str] | None = BEGINNING
    pages = []
    while place is not None:
        with in_transaction():
            assert lock_folding()
            taken, place = packed_lists.pack(COVERAGE_DAYS, NOW, place, 20, EVERYBODY)
        pages.append(taken)
        assert everything() == before
        assert len(pages) < 100
    assert sum(pages) == 29 * 2 * 3 + 2 * 50
    assert max(pages) < 2 * 20
    with in_transaction():
        assert rows("SELECT count(*) FROM coverage") == [(0,)]


def test_a_round_over_many_with_nothing_old_is_done_once_an_hour(runtime: Runtime, clock: FrozenClock) -> None:
    with in_transaction():
        execute(
            "INSERT INTO coverage SELECT m, name, %s, 'website', '', i, 0, 1 FROM generate_series(1, 3000) AS m, "
            "unnest(ARRAY['a', 'b']) AS name, generate_series(1, 10) AS i",
            (NOW - HOUR,),
        )
        execute("ANALYZE coverage")
    fold_counters(runtime)
    statements = cost_of(lambda: fold_counters(runtime)).statements
    clock.move(HOUR)
    again = cost_of(lambda: fold_counters(runtime)).statements
    assert again > statements
    params: Any = packed_lists._walk_from((1000, "a"), 400, EVERYBODY) | {
        "before": NOW - 2 * DAY,
        "limit": 400,
        "only": None,
        "without": [],
    }
    read = rows_read(packed_lists.PACK["coverage"], params, ("coverage", "coverage_days"))
    assert sum(read.values()) <= 101, read  # a hop each, however many rows each has


def test_one_whose_lists_cannot_be_made_keeps_nobody_waiting(
    runtime: Runtime, shop: Merchant, clock: FrozenClock
) -> None:
    an_old_process_lives()
    for merchant_id in (shop.merchant_id, shop.merchant_id + 1, shop.merchant_id + 2):
        count_some(merchant_id, random.Random(7), 60, 5 * DAY, NOW - HOUR)
    fold_all(runtime)
    no_old_process_lives()
    broken = shop.merchant_id + 1
    before = everything()
    with in_transaction():
        execute(f"ALTER TABLE coverage_days ADD CONSTRAINT no CHECK (merchant_id <> {broken})")
    fold_all(runtime)
    assert everything() == before
    with in_transaction():
        assert rows("SELECT DISTINCT merchant_id FROM coverage_days ORDER BY 1") == [
            (shop.merchant_id,),
            (shop.merchant_id + 2,),
        ]
        execute("ALTER TABLE coverage_days DROP CONSTRAINT no")
    clock.move(HOUR)
    fold_all(runtime)
    assert everything() == before
    with in_transaction():
        assert rows("SELECT count(DISTINCT merchant_id) FROM coverage_days") == [(3,)]


def test_real_events_are_counted_the_same_while_they_become_lists(
    runtime: Runtime, merchant: Merchant, clock: FrozenClock
) -> None:
    for n in range(12):
        ingest_events(runtime, merchant.holder, [draft(f"order_{n}"), draft(f"bad_{n}", custom_data={"currency": "x"})])
        clock.move(7 * MINUTE)
    before = everything()
    assert [len(found) for found in before.values()] == [12, 2, 0, 2]
    clock.move(HOUR)
    fold_all(runtime)
    assert listed() == {"name_days": 1, "coverage_days": 0, "rejection_days": 0, "enriched_facts_days": 0}
    clock.move(3 * DAY)
    fold_all(runtime)
    assert listed() == {"name_days": 1, "coverage_days": 1, "rejection_days": 1, "enriched_facts_days": 0}
    assert everything() == before
    assert [one for one in check_invariants(clock.now()) if one.kind in ("coverage", "rejections")] == []
    clock.move(fold.NAMES_FORGET_AFTER)
    fold_all(runtime)
    assert listed() == {"name_days": 0, "coverage_days": 1, "rejection_days": 1, "enriched_facts_days": 0}
    clock.move(fold.FORGET_AFTER)
    fold_all(runtime)
    assert set(listed().values()) == {0}


def test_a_stretch_of_time_reads_its_own_lists(runtime: Runtime, clock: FrozenClock) -> None:
    """However many lists there are of other merchants, other names and other times."""
    with in_transaction():
        for sql in (
            "INSERT INTO name_days SELECT m, name, at, ARRAY[7, 9], ARRAY[1, 1] FROM generate_series(%s, %s, interval '1 day') "
            "AS at, generate_series(1, 20) AS m, unnest(ARRAY['a', 'b', 'c']) AS name",
            "INSERT INTO coverage_days SELECT m, name, at, 'website', '', ARRAY[7, 9], ARRAY[1, 1], ARRAY[1, 1] "
            "FROM generate_series(%s, %s, interval '1 day') AS at, generate_series(1, 20) AS m, unnest(ARRAY['a', 'b', 'c']) AS name",
            "INSERT INTO rejection_days SELECT m, at, name, 'REQUIRED', '', ARRAY[7, 9], ARRAY[1, 1] "
            "FROM generate_series(%s, %s, interval '1 day') AS at, generate_series(1, 20) AS m, unnest(ARRAY['a', 'b', 'c']) AS name",
            "INSERT INTO enriched_facts_days SELECT m, name, at, ARRAY[7, 9], ARRAY[1, 1], ARRAY[1, 1] "
            "FROM generate_series(%s, %s, interval '1 day') AS at, generate_series(1, 20) AS m, unnest(ARRAY['a', 'b', 'c']) AS name",
        ):
            execute(sql, (NOW.replace(hour=0) - 30 * DAY, NOW.replace(hour=0)))
        execute("ANALYZE")
    day = NOW.replace(hour=0) - 10 * DAY
    span: Any = {"merchants": [3, 5], "names": ["a", "b"], "since": day + HOUR, "until": day + 3 * HOUR, "name": None}
    span |= {"unfolded": NOW, "merchant": 3, "limit": 10}
    for sql, table, most in (
        (names.EVENTS, "name_days", 2 * 2),
        (names.MINUTES, "name_days", 2 * 2),
        (coverage.BY_HOUR, "coverage_days", 2 * (3 + 3)),  # and as many to find the names
        (coverage.SUMS, "coverage_days", 2 * (3 + 3)),
        (coverage.ENRICHED, "enriched_facts_days", 2 * 3),
        (quality.MINUTES, "coverage_days", 2 * (3 + 3)),
        (coverage.REJECTIONS, "rejection_days", 2 * 3),
        (coverage.REFUSALS, "rejection_days", 3),
    ):
        read = rows_read(sql, span, (table,))
        assert 0 < sum(read.values()) <= most, (sql, read)
    last: Any = {"merchants": [3], "since": day, "exact_since": NOW, "now": NOW, "open_merchants": [], "open_names": []}
    with in_transaction():
        execute("INSERT INTO name_baselines VALUES (3, 'a', %s, '{}', 5, NULL)", (NOW,))
    assert sum(rows_read(names.LAST_OF_NAMES, last, ("name_days",)).values()) == 1


def test_a_small_merchant_costs_two_lists_a_day(runtime: Runtime, clock: FrozenClock) -> None:
    """Ten days of an event a minute, of one name, with five combinations of what it carries."""
    since = NOW.replace(hour=0) - 12 * DAY
    with in_transaction():
        execute(
            "INSERT INTO coverage SELECT 1, 'Purchase', %s + n * interval '1 minute', 'website', 'shop.example.com', n %% 5, 7, 1 "
            "FROM generate_series(0, 10 * 1440 - 1) AS n",
            (since,),
        )
    fold_all(runtime)
    clock.move(HOUR)  # a walk that came to its end is not begun again in the same hour
    fold_all(runtime)
    assert listed() == {"name_days": 10, "coverage_days": 10, "rejection_days": 0, "enriched_facts_days": 0}
    with in_transaction():
        for lists in (NAME_DAYS, COVERAGE_DAYS):
            ((events, size),) = rows(
                f"SELECT sum((SELECT sum(e) FROM unnest(events) AS e)), sum(pg_column_size(t.*)) FROM {lists.table} t"
            )
            assert events == 14_400
            assert size / events < 10  # bytes
        assert rows("SELECT count(*) FROM coverage") == [(0,)]


def test_a_row_that_somebody_holds_is_listed_when_it_is_let_go(
    runtime: Runtime, shop: Merchant, clock: FrozenClock, database: str
) -> None:
    count_some(shop.merchant_id, random.Random(8), 60, 5 * DAY, NOW - 3 * DAY)
    before = everything()
    with other_session(database) as holder:
        with holder.cursor() as cursor:
            cursor.execute("SELECT FROM rejections ORDER BY minute LIMIT 1 FOR UPDATE")
        fold_counters(runtime)
        assert everything() == before
    fold_all(runtime)
    assert everything() == before
    with in_transaction():
        assert rows(f"SELECT count(*) FROM {REJECTION_DAYS.rows}") == [(0,)]
